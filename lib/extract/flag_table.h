// What the flag extractor knows of its table: the statements it will use, and how a row's key is found in what they
// return.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "extract/flag_position.h"
#include "pg/catalog.h"
#include "pgch/extract/flag.h"

namespace pgch {

/// Fields of a selected tuple: the moved columns, then keys that are not among them (or not readable there), xmin,
/// ctid.
struct FlagTable {
  pg::CatalogTable catalog;
  std::shared_ptr<const TableSchema> schema;
  std::string flag;  ///< quoted
  std::vector<pg::FieldPlan> fields;
  struct KeyPlace {
    std::size_t field = 0;  ///< in `fields`
    bool integer = false;
    Kind kind = Kind::text;
    std::string quoted;
  };
  std::vector<KeyPlace> keys;
  std::size_t xmin_field = 0, ctid_field = 0;
  std::uint32_t share = 1, shares = 1;
  bool marks_counted = false;  ///< the UPDATEs answer with the number of rows that are marked now

  std::size_t main_fields() const noexcept { return schema->columns.size(); }
  std::size_t extra_fields() const noexcept { return fields.size() - main_fields(); }
  /// COPY of up to `limit` unsent rows, locked; behind the hint (in the settings pgch.k0 …) if there is one.
  std::string select(std::uint64_t limit, bool hint) const;
  /// SELECT, locked, of the rows with the keys in $1 … (text arrays); one more field than `fields`: the row's number
  /// from 1.
  std::string select_again() const;
  /// UPDATE of the rows whose ctids are in $1; for a plain table, in the transaction that locked them.
  std::string mark_by_ctid() const;
  /// UPDATE of the rows whose keys are in $1 ….
  std::string mark_by_key() const;
  /// The settings that carry the hint.
  std::string set_hint() const;

  /// Empty cells for the keys, shaped for this table.
  std::vector<KeyCells> key_cells() const;
  /// Appends the keys of the batch's rows, or of one raw tuple (false if a key can't be read from it).
  void add_keys(std::vector<KeyCells>& to, const RowBatch& batch, std::span<const Column> extra) const;
  bool add_keys(std::vector<KeyCells>& to, std::span<const std::byte> tuple) const;

 private:
  std::string select_list() const;
  std::string join_keys() const;
  std::string counted(std::string update) const;
};

/// Everything that can be wrong with the table is said here, each with what to do about it.
Result<FlagTable> describe_flag_table(pg::Connection& connection, const FlagOptions& options, const Context& context);

}  // namespace pgch
