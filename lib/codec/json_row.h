// A batch's rows ↔ one flat JSON object each. The grammar is in docs/WIRE.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codec/row_codec.h"
#include "pgch/batch.h"
#include "pgch/schema.h"

namespace pgch::codec {

/// Writes rows of one schema. One thread.
class JsonRowEncoder final : public RowEncoder {
 public:
  explicit JsonRowEncoder(bool json_as_object) : json_as_object_(json_as_object) {}
  /// Opened for `schema`.
  JsonRowEncoder(std::shared_ptr<const TableSchema> schema, bool json_as_object);
  Result<void> open(std::shared_ptr<const TableSchema> schema) override;
  /// The row as an object.
  std::size_t append_value(const RowBatch& batch, std::size_t row, std::string& out) const override;
  /// The key column's JSON value, an array of them if there are several, nothing without a key.
  std::size_t append_key(const RowBatch& batch, std::size_t row, std::string& out) const override;
  /// One cell's JSON; false: it has none.
  bool append_field(const RowBatch& batch, std::size_t row, std::size_t column, std::string& out) const;

 private:
  struct Field {
    std::string prefix;  ///< `{"name":` or `,"name":`
    std::size_t width = 0;
  };
  void set_schema(std::shared_ptr<const TableSchema> schema);

  std::shared_ptr<const TableSchema> schema_;
  std::vector<Field> fields_;
  std::vector<std::size_t> keys_;
  bool json_as_object_;
};

struct JsonRowOptions {
  std::vector<std::string> ignore_fields;
  bool ignore_unknown_fields = false;
  bool json_as_object = false;
  std::size_t bytes_max = 16u << 20;
  std::size_t depth_max = 64;
};

/// Reads messages into the columns of a batch whose schema is the decoder's. One thread. Trusts nothing.
class JsonRowDecoder final : public RowDecoder {
 public:
  JsonRowDecoder(std::shared_ptr<const TableSchema> schema, JsonRowOptions options);
  ~JsonRowDecoder() override;
  JsonRowDecoder(const JsonRowDecoder&) = delete;
  JsonRowDecoder& operator=(const JsonRowDecoder&) = delete;
  Result<Decoded> append(const MessageView& message, RowBatch& batch) override;
  /// Appends one row; false: the batch is as before, and reason() says why, naming field and type but no value.
  bool append_row(std::string_view message, RowBatch& batch);
  /// Appends a row that has only its key (from a record's key); the other cells are NULL, or zero if not nullable.
  bool append_key(std::string_view key, RowBatch& batch);
  const std::string& reason() const noexcept override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgch::codec
