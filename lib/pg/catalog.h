// What the server's catalog says about a table.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pg/connection.h"
#include "pg/copy_binary.h"
#include "pgch/postgres.h"

namespace pgch::pg {

struct KeyColumn {
  std::string name;    ///< at the source
  std::string type;    ///< as SQL names it, fit for a cast
  std::size_t column;  ///< in schema.columns, or npos if it is not moved
  TypeMapping mapping;
  bool not_null;
};

struct CatalogTable {
  SourceTable source;
  std::uint32_t oid = 0;
  char relkind = 'r';
  std::string quoted;                ///< "schema"."table"
  std::vector<FieldPlan> fields;     ///< one for each of source.schema.columns
  std::vector<std::string> selects;  ///< the SQL expression of each: quoted name, perhaps with ::text
  std::vector<KeyColumn> key;        ///< empty: the table has none
  bool key_unique = true;            ///< a unique index proves it
  bool row_security = false;         ///< policies hide rows from this user
};

/// What there is to say about the flag column and the rights to use it.
struct FlagColumn {
  bool exists = false;
  std::string type;  ///< "boolean" if it is what it should be
  bool may_select = false, may_update = false;
  bool has_partial_index = false;
  bool has_before_triggers = false;  ///< of the table's owner, at updates: they may change the flag back
};

/// `excluded` is left out as if selection.exclude had named it (the flag column); it need not exist.
Result<CatalogTable> describe(Connection& connection, std::string_view table, const ColumnSelection& selection,
                              std::string_view excluded, const Wait& wait);
Result<FlagColumn> describe_flag(Connection& connection, const CatalogTable& table, const std::string& flag,
                                 const Wait& wait);

}  // namespace pgch::pg
