// A table whose rows are found again by their keys: where the keys lie in its tuples, and the SQL that names them. The
// flag and the poll method read such tables.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "extract/keyed_position.h"
#include "pg/catalog.h"

namespace pgch {

/// Fields of a selected tuple: the moved columns, then keys that are not among them (or not readable there), then the
/// row's stamp and, if it has one, its ctid.
struct KeyedTable {
  pg::CatalogTable catalog;
  std::shared_ptr<const TableSchema> schema;
  std::vector<pg::FieldPlan> fields;
  struct KeyPlace {
    std::size_t field = 0;  ///< in `fields`
    bool integer = false;
    Kind kind = Kind::text;
    std::string quoted;
  };
  std::vector<KeyPlace> keys;
  std::size_t stamp_field = 0;    ///< a number of 4 or 8 bytes: a row that was read has changed if it has another
  std::size_t ctid_field = npos;  ///< npos: not selected
  std::size_t gone_field = npos;  ///< boolean: the row is gone, so its deletion is moved; npos: rows are there
  bool skips_gone = false;        ///< of a row that is gone nothing is moved
  bool repeats = false;           ///< several keys may be for one row: in a batch it is moved once for all of them

  std::size_t main_fields() const noexcept { return schema->columns.size(); }
  std::size_t extra_fields() const noexcept { return fields.size() - main_fields(); }
  std::string select_list() const;
  /// "t.a, t.b": the key's columns.
  std::string key_columns() const;
  /// Their values as the session's settings pgch.k0 … hold them: a COPY takes no parameters.
  std::string hint_values() const;
  /// Sets those settings, until the transaction's end, from $1 ….
  std::string set_hint() const;
  /// The rows with the keys in $1 … (text arrays): "FROM <this> t" with the row's number from 1 as p.n.
  std::string from_keys() const;
  struct Join {
    std::string keys;       ///< "ROWS FROM (…) AS p(…)"
    std::string condition;  ///< that of the row `t` with that key
  };
  Join join_keys() const;

  /// Empty cells for the keys, shaped for this table.
  std::vector<KeyCells> key_cells() const;
  /// Appends the keys of the batch's rows, or of one raw tuple (false if a key can't be read from it).
  void add_keys(std::vector<KeyCells>& to, const RowBatch& batch, std::span<const Column> extra) const;
  bool add_keys(std::vector<KeyCells>& to, std::span<const std::byte> tuple) const;
};

/// Places the columns of catalog.key in the tuple, adding fields for those that the moved columns do not give readably.
Result<void> place_keys(KeyedTable& table);
/// Refuses a table without a key or with one that may be NULL; warns of one that nothing proves.
Result<void> check_key(const pg::CatalogTable& table, const char* method, const Context& context);
/// Refuses a table from which others inherit: no key is unique over all of them.
Result<void> check_children(pg::Connection& connection, const pg::CatalogTable& table, const pg::Wait& wait);

/// The answer's row as COPY BINARY would have sent it; lives in `memory`.
std::span<const std::byte> tuple_of(const pg::Answer& answer, std::size_t row, std::size_t fields,
                                    std::vector<std::byte>& memory);

/// The keys of the chosen rows as array parameters: one array of texts for each key column.
std::vector<std::string> key_arrays(const KeyedPosition& position, const std::vector<std::uint32_t>& picked);

}  // namespace pgch
