// Cuts batches out of a stream of tuples: decodes rows, sets aside those that no column can hold, and notes which rows
// they were.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "extract/keyed_table.h"
#include "pg/connection.h"
#include "pg/copy_binary.h"
#include "pgch/batch.h"

namespace pgch {

/// The rows of a batch.
struct CutRows {
  KeyedPosition rows;
  std::string tids;  ///< 6 bytes a row, as on the wire; empty if the table has no ctid_field
};
/// Those of them that were found again.
struct FoundRows {
  std::string tids;
  std::vector<std::uint32_t> picked;  ///< their numbers in the position, from 0
};

class KeyedCut {
 public:
  explicit KeyedCut(const KeyedTable& table);
  /// Empties `into` and begins a batch.
  void begin(RowBatch& into);
  /// Decodes from `message` until it is empty (true) or the batch is full (false; the rest belongs to the next batch).
  /// `rows` counts what was taken, moved and rejected.
  Result<bool> take(std::span<const std::byte>& message, RowBatch& into, const BatchLimits& limits,
                    std::uint64_t& rows);
  /// The batch is over: which rows it has. Its position is still to be set.
  CutRows end(RowBatch& into, std::uint64_t version);
  /// Fills `into` with those rows of a replay that are still as the position says, and tells which they are. Its last
  /// column is the row's number.
  Result<FoundRows> again(const pg::Answer& answer, const KeyedPosition& position, RowBatch& into);

  /// How many rows the batch has, moved or not.
  std::size_t taken(const RowBatch& into) const noexcept { return into.rows + rest_.stamps.size(); }
  /// Of the last batch: key and stamp of the last row that was taken, moved or set aside (an empty key if there was
  /// none), and its rows' mean size on the wire.
  const std::vector<std::string>& last_key() const noexcept { return last_key_; }
  std::uint64_t last_stamp() const noexcept { return last_stamp_; }
  double row_bytes() const noexcept { return row_bytes_; }

 private:
  Result<void> set_aside(RowBatch& into, std::span<const std::byte> tuple);
  Result<void> note(std::span<const std::byte> tuple);
  bool stays(RowBatch& into);
  void tell_removed(RowBatch& into) const;
  Error corrupt() const;
  const Column& extra(std::size_t field) const noexcept { return extra_[field - table_->main_fields()]; }

  const KeyedTable* table_;
  pg::TupleDecoder decoder_;
  std::vector<Column> extra_;
  KeyedPosition
      rest_;  // keys and stamps of what moves no row (set aside, or moved already): they come last in the position
  std::string rest_tids_;
  std::vector<std::size_t> row_key_;                        // columns
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen_;  // hashes of the moved rows' keys, if they repeat
  std::size_t bytes_ = 0;
  std::vector<std::string> last_key_;
  std::uint64_t last_stamp_ = 0;
  bool last_is_rest_ = false;
  double row_bytes_ = 0;
};

}  // namespace pgch
