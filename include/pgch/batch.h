/// The unit that moves: rows of ONE table, already in columns, laid out as a ClickHouse Native block wants them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/error.h"
#include "pgch/export.h"
#include "pgch/schema.h"

namespace pgch {

/// One column: little-endian values back to back, or bytes plus end offsets. `nulls` has one byte a row (1 = NULL) if
/// the column is nullable, and is empty otherwise; a NULL still takes its slot in the data (zeros, or zero length). A
/// plain value type: stages append to it directly in their hot loops. clear() keeps the memory.
struct Column {
  std::vector<std::byte> data;
  std::vector<std::uint32_t> ends;  ///< varlen only: end of each value in `data`, which so holds less than 4 GiB
  std::vector<std::uint8_t> nulls;
  void clear() noexcept {
    data.clear();
    ends.clear();
    nulls.clear();
  }
  std::size_t bytes() const noexcept { return data.size() + ends.size() * sizeof(std::uint32_t) + nulls.size(); }
  bool is_null(std::size_t row) const noexcept { return !nulls.empty() && nulls[row] != 0; }
  /// The row's bytes; `width` is width_of(layout), 0 for varlen.
  std::span<const std::byte> at(std::size_t row, std::size_t width) const noexcept {
    if (width != 0) return {data.data() + row * width, width};
    const std::size_t begin = row == 0 ? 0 : ends[row - 1];
    return {data.data() + begin, ends[row] - begin};
  }
};

enum class RowOp : std::uint8_t { insert, update, remove };

/// Where in its source a batch lies. Readable by the stage that made it only; everybody else stores and returns it.
struct Position {
  std::string bytes;
  bool operator==(const Position&) const = default;
};

/// What was written down before a batch was sent (see journal.h), and comes back with it after a crash.
struct Intent {
  std::string stream;
  std::uint64_t sequence = 0;           ///< the batch's number in its stream: dense, rising, for ever
  std::vector<std::uint64_t> attempts;  ///< numbers of all attempts made so far, oldest first; unique within the stream
  Position position;
  std::uint32_t rows = 0;
  std::uint64_t content = 0;  ///< content_hash() of the rows as first sent
  std::string mark;           ///< what the target asked to be remembered before the first attempt (Loader::mark)
};

/// A row that could not be turned into columns. It is written to the dead letters before its batch is acknowledged.
struct Rejected {
  std::string reason;            ///< a sentence; names column and type, never the value
  std::string origin;            ///< where it came from: "topic/partition@offset" or "table key=…"
  std::string key;               ///< raw bytes, may be empty
  std::string payload;           ///< raw bytes of the row or message
  bool payload_is_null = false;  ///< there was none at all (Kafka: a tombstone), which is not the same as an empty one
};

struct PGCH_EXPORT RowBatch {
  std::shared_ptr<const TableSchema> schema;
  std::vector<Column> columns;          ///< one for each of schema->columns, all of `rows` rows
  std::vector<RowOp> ops;               ///< empty: all inserts
  std::vector<std::uint64_t> versions;  ///< empty: all rows have `version`
  std::uint64_t version = 0;            ///< source position, never a clock: what _version becomes
  std::vector<std::uint32_t> ordinals;  ///< a row's place in the batch as first cut; empty: 0 … rows-1
  std::vector<std::uint64_t> places;    ///< a row's number in its source (Kafka: offset), for messages; may be empty
  std::uint32_t rows = 0;
  std::string stream;  ///< the ordered stream this belongs to; batches of one stream stay in order
  Position position;
  std::vector<Rejected> rejected;
  std::optional<Intent> intent;  ///< set: this batch was under way when an earlier process ended; look before loading

  std::size_t bytes() const noexcept;
  /// Empties everything and shapes the columns for `schema`; keeps the columns' memory.
  void reset(std::shared_ptr<const TableSchema> schema);
  std::uint64_t version_of(std::size_t row) const noexcept { return versions.empty() ? version : versions[row]; }
  RowOp op_of(std::size_t row) const noexcept { return ops.empty() ? RowOp::insert : ops[row]; }
  std::uint32_t ordinal_of(std::size_t row) const noexcept {
    return ordinals.empty() ? static_cast<std::uint32_t>(row) : ordinals[row];
  }
};

/// Limits of one batch: whichever is reached first. A single row larger than bytes_max is a batch of its own.
struct BatchLimits {
  std::uint32_t rows_max = 100'000;
  std::size_t bytes_max = 32u << 20;
  std::chrono::milliseconds linger{500};
};

/// Appends a NULL (the column must be nullable) or a value of exactly the layout's width.
PGCH_EXPORT void append_null(Column& column, Layout layout);
PGCH_EXPORT void append_value(Column& column, Layout layout, bool nullable, std::span<const std::byte> value);
/// Removes the last `n` rows' cells from a column that has `rows` rows: to take back a half-decoded row.
PGCH_EXPORT void truncate_column(Column& column, Layout layout, std::size_t rows);
/// A new batch of the given rows (in the given order), with ordinals kept, so that it is still known which rows they
/// were.
PGCH_EXPORT RowBatch select_rows(const RowBatch& batch, std::span<const std::uint32_t> rows);
/// Hash of schema, values, ops and versions, row by row in order; the same rows give the same hash on every machine.
PGCH_EXPORT std::uint64_t content_hash(const RowBatch& batch);
/// 128-bit hash of one row's values over `columns` (indexes); NULL differs from every value.
struct RowHash {
  std::uint64_t low = 0, high = 0;
  bool operator==(const RowHash&) const = default;
};
PGCH_EXPORT RowHash hash_row(const RowBatch& batch, std::size_t row, std::span<const std::size_t> columns);
/// The row's key as bytes: each key column length-prefixed, in key order. Equal keys have equal bytes.
PGCH_EXPORT std::string key_bytes(const RowBatch& batch, std::size_t row, std::span<const std::size_t> key_columns);

}  // namespace pgch
