// What pg_type and its neighbours say about the types of a table's columns, and about those that they are made of.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "pg/connection.h"

namespace pgch::pg {

struct TypeInfo {
  struct Attribute {
    std::string name;
    std::uint32_t type = 0;
    std::int32_t typmod = -1;
    std::int32_t dimensions = 0;
  };
  std::string schema, name;   ///< "public", "mood"
  std::string output;         ///< its output function, quoted
  std::string send;           ///< name of its send function: what tells an extension's type, wherever that is installed
  char typtype = 'b';         ///< as in pg_type: b(ase), c(omposite), d(omain), e(num), r(ange), m(ultirange), p(seudo)
  std::uint32_t element = 0;  ///< of an array
  std::uint32_t base = 0;     ///< of a domain
  std::int32_t base_typmod = -1;      ///< of a domain
  std::int32_t base_dimensions = 0;   ///< of a domain over an array
  std::uint32_t subtype = 0;          ///< of a range or multirange
  std::vector<Attribute> attributes;  ///< of a composite, in order, without dropped ones
  std::vector<std::string> labels;    ///< of an enum, in its order
};

struct TypeCatalog {
  std::map<std::uint32_t, TypeInfo> types;
  int money_scale = 2;  ///< digits after the point by lc_monetary
  const TypeInfo* find(std::uint32_t oid) const noexcept {
    const auto it = types.find(oid);
    return it == types.end() ? nullptr : &it->second;
  }
};

/// Reads all that can be reached from `oids`. One or more statements; unless `all`, none if every type is a scalar that
/// pgch knows.
Result<TypeCatalog> read_types(Connection& connection, std::span<const std::uint32_t> oids, bool all, const Wait& wait);

}  // namespace pgch::pg
