// Any PostgreSQL type → what its column becomes: by the catalog, by the user's choices, recursively.
#pragma once

#include <cstdint>
#include <string>

#include "pg/copy_binary.h"
#include "pg/type_catalog.h"
#include "pgch/postgres.h"

namespace pgch::pg {

class TypeMapper {
 public:
  TypeMapper(const TypeCatalog& catalog, const TypeOptions& options) : catalog_(catalog), options_(options) {}

  /// How one column is moved. `as` and `policy` are the column's own, over the options'; empty: none. Errc::config if
  /// `as` is no word that its type knows.
  Result<TypeMapping> map(std::uint32_t type, std::int32_t typmod, std::int32_t dimensions, const std::string& as,
                          const std::string& policy) const;

 private:
  struct Wish {
    std::string as;
    Misfit misfit = Misfit::fail;
    bool misfit_as_text = false;
    bool taken = false;  ///< `as` was a word of this type's family
  };
  std::string word(Wish& wish, const char* family, std::initializer_list<const char*> words) const;
  TypeMapping value(std::uint32_t type, std::int32_t typmod, std::int32_t dimensions, Wish& wish) const;
  TypeMapping scalar(std::uint32_t type, std::int32_t typmod, const TypeInfo* info, Wish& wish) const;
  TypeMapping numeric(std::int32_t typmod, Wish& wish) const;
  TypeMapping of_extension(const TypeInfo& info, Wish& wish) const;
  TypeMapping enumeration(const TypeInfo* info, Wish& wish) const;
  TypeMapping array(const TypeInfo& info, std::int32_t typmod, std::int32_t dimensions, Wish& wish) const;
  TypeMapping composite(const TypeInfo& info, Wish& wish) const;
  TypeMapping range(const TypeInfo& info, Wish& wish) const;
  FieldPlan part(const TypeMapping& mapping, const std::string& name, bool nullable, const Wish& wish) const;

  const TypeCatalog& catalog_;
  const TypeOptions& options_;
};

/// The column's own shape and decoder by its mapping.
ColumnSpec shape_of(const TypeMapping& mapping);
/// The policy by its name; fail for "string", which is none of the decoder's.
Misfit misfit_of(const std::string& policy) noexcept;

}  // namespace pgch::pg
