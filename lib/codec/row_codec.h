// A format of messages: rows ↔ the bytes of a record's key and value. docs/WIRE.md has the formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pgch/batch.h"
#include "pgch/error.h"
#include "pgch/schema.h"

namespace pgch::codec {

/// Writes one message a row. One thread.
class RowEncoder {
 public:
  virtual ~RowEncoder() = default;
  /// Before the first row, and again when the schema changes. Error: the format can't carry such rows.
  virtual Result<void> open(std::shared_ptr<const TableSchema> schema) = 0;
  /// Appends what the record's value holds. npos, or the index of a column whose value has no form in this format (the
  /// output is then of no use).
  virtual std::size_t append_value(const RowBatch& batch, std::size_t row, std::string& out) const = 0;
  /// A removed row has a value, too (and a tombstone follows it, so that compaction forgets the key).
  virtual bool writes_deletions() const noexcept { return false; }
  /// The same for the record's key; nothing if the table has none. Equal keys give equal bytes.
  virtual std::size_t append_key(const RowBatch& batch, std::size_t row, std::string& out) const = 0;
  /// What a column does whose value has no form: the end of a sentence that begins with its name.
  virtual std::string_view no_form() const noexcept = 0;
};

/// A record's bytes, as they lie in the client's memory.
struct MessageView {
  std::string_view key, value;
  bool has_value = true;  ///< false: a tombstone
  bool own = false;       ///< its headers say that pgch wrote it
  /// Of a header of pgch's: then the caller gives the row its version, whatever the message says.
  std::optional<std::uint64_t> version{};
};

enum class Decoded : std::uint8_t {
  rows,      ///< appended, any number of them
  rejected,  ///< the message is no row of this table and never will be; the batch is as before
};

/// Reads messages into a batch whose schema is the decoder's. One thread. Trusts nothing.
class RowDecoder {
 public:
  virtual ~RowDecoder() = default;
  /// Appends the message's rows: their cells, and their versions and operations where the message itself says so (else
  /// the caller does). Error: it can't be said now, and the batch is as before (a server that is asked is away).
  virtual Result<Decoded> append(const MessageView& message, RowBatch& batch) = 0;
  /// Why the last message was rejected: names field and type, but no value.
  virtual const std::string& reason() const noexcept = 0;
};

}  // namespace pgch::codec
