// Cuts batches out of a stream of tuples: decodes rows, sets aside those that no column can hold, and notes which rows
// they were.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "extract/flag_lane.h"
#include "extract/flag_table.h"
#include "pg/connection.h"
#include "pg/copy_binary.h"
#include "pgch/batch.h"

namespace pgch {

class FlagCut {
 public:
  explicit FlagCut(const FlagTable& table);
  /// Empties `into` and begins a batch.
  void begin(RowBatch& into);
  /// Decodes from `message` until it is empty (true) or the batch is full (false; the rest belongs to the next batch).
  /// `rows` counts what was taken, moved and rejected.
  Result<bool> take(std::span<const std::byte>& message, RowBatch& into, const BatchLimits& limits,
                    std::uint64_t& rows);
  /// The batch is over: its position, and what it takes to mark its rows. Sets into.position.
  FlagOut end(RowBatch& into, std::uint64_t version);
  /// Fills `into` with those rows of a replay that are still as the position says, and `out` with what it takes to mark
  /// them.
  Result<void> again(const pg::Answer& answer, const FlagPosition& position, RowBatch& into, FlagOut& out);

  /// Of the last batch: the key of its last moved row (empty if it had none), and its rows' mean size on the wire.
  const std::vector<std::string>& last_key() const noexcept { return last_key_; }
  double row_bytes() const noexcept { return row_bytes_; }

 private:
  Result<void> set_aside(RowBatch& into, std::span<const std::byte> tuple, bool note);
  Error corrupt() const;
  const Column& extra(std::size_t field) const noexcept { return extra_[field - table_->main_fields()]; }

  const FlagTable* table_;
  pg::TupleDecoder decoder_;
  std::vector<Column> extra_;
  FlagPosition rejected_;  // keys and xmins of the rows set aside: they come last in the position
  std::string rejected_tids_;
  std::size_t bytes_ = 0;
  std::vector<std::string> last_key_;
  double row_bytes_ = 0;
};

}  // namespace pgch
