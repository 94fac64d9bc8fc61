// Debezium's change events, as its PostgreSQL connector writes them with Kafka Connect's JsonConverter, with or without
// the schema ↔ a batch's rows. docs/WIRE.md says what is read from which mode.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "codec/debezium_form.h"
#include "codec/json_row.h"
#include "codec/row_codec.h"

namespace pgch::codec {

struct DebeziumDecoderOptions {
  JsonRowOptions row;
  DebeziumModes modes;
  bool version_by_lsn = true;  ///< else the record's place in its topic, which the caller gives
  bool wide_years = false;     ///< timestamps reach from year 0000 to 9999
};

/// One message is one row, or none: a tombstone only repeats the deletion before it, unless versions are the records'
/// places. One thread. Trusts nothing.
class DebeziumDecoder final : public RowDecoder {
 public:
  DebeziumDecoder(std::shared_ptr<const TableSchema> schema, DebeziumDecoderOptions options);
  ~DebeziumDecoder() override;
  DebeziumDecoder(const DebeziumDecoder&) = delete;
  DebeziumDecoder& operator=(const DebeziumDecoder&) = delete;
  Result<Decoded> append(const MessageView& message, RowBatch& batch) override;
  const std::string& reason() const noexcept override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes events without a schema, as JsonConverter does with schemas.enable = false, in the given modes. One thread.
class DebeziumEncoder final : public RowEncoder {
 public:
  explicit DebeziumEncoder(DebeziumModes modes);
  ~DebeziumEncoder() override;
  DebeziumEncoder(const DebeziumEncoder&) = delete;
  DebeziumEncoder& operator=(const DebeziumEncoder&) = delete;
  Result<void> open(std::shared_ptr<const TableSchema> schema) override;
  std::size_t append_value(const RowBatch& batch, std::size_t row, std::string& out) const override;
  /// {"id":1}; nothing if the table has no key.
  std::size_t append_key(const RowBatch& batch, std::size_t row, std::string& out) const override;
  std::string_view no_form() const noexcept override {
    return "holds text that is not UTF-8 or not JSON, or a number that Debezium has no form for: it can't be written";
  }
  bool writes_deletions() const noexcept override { return true; }

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgch::codec
