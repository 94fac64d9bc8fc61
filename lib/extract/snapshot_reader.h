// One connection of a snapshot: reads ranges into batches. One thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "extract/snapshot_table.h"
#include "pg/copy_stream.h"

namespace pgch {

/// What is to be read.
struct SnapshotPiece {
  const SnapshotPart* part = nullptr;
  PlaceRange range;
  std::uint64_t since = 0, before = 0;  ///< see SnapshotTable::copy
};

class SnapshotReader {
 public:
  SnapshotReader(const SnapshotTable& table, const SnapshotOptions& options, const Context& context);
  /// Takes over a connection that has joined the snapshot; else the first read makes one.
  void adopt(std::unique_ptr<pg::Connection> connection) { connection_ = std::move(connection); }

  enum class Outcome : std::uint8_t { whole, too_big };
  /// Reads the range into the batch: its schema, columns, ordinals, rejected rows. too_big: it holds more than the
  /// limits allow and can be halved; nothing was read. After an Error the next read connects anew.
  Result<Outcome> read(const SnapshotPiece& piece, const BatchLimits& limits, RowBatch& into);
  /// Reads a relation that has no ranges; `full` takes each batch, and gives one to go on with.
  Result<void> read_whole(const SnapshotPart& part, const BatchLimits& limits, RowBatch& into,
                          const std::function<Result<void>(RowBatch&)>& full);
  struct Counted {
    std::uint64_t rows = 0, changed = 0;
  };
  Result<Counted> count(const SnapshotPiece& piece, std::uint64_t changed_since);
  /// Bytes of the last batch as they came over the wire.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  enum class Taken : std::uint8_t { all, full };
  Result<void> begin(const std::string& sql);
  Result<Taken> take(RowBatch& into, const BatchLimits& limits);
  Result<bool> next_message();
  Result<void> give_up_copy();
  void place_rows(RowBatch& into, PlaceRange range);
  template <class T>
  T failed(T result);

  const SnapshotTable& table_;
  const SnapshotOptions& options_;
  Context context_;
  std::unique_ptr<pg::Connection> connection_;
  std::unique_ptr<pg::CopyStream> copy_;
  pg::TupleDecoder decoder_;
  std::vector<Column> extra_;
  std::span<const std::byte> message_;
  std::size_t bytes_ = 0;
  bool header_seen_ = false;
};

}  // namespace pgch
