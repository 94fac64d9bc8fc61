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
  /// keys_only: the value, too, has no other fields.
  explicit JsonRowEncoder(bool json_as_object, bool keys_only = false)
      : json_as_object_(json_as_object), keys_only_(keys_only) {}
  /// Opened for `schema`.
  JsonRowEncoder(std::shared_ptr<const TableSchema> schema, bool json_as_object);
  Result<void> open(std::shared_ptr<const TableSchema> schema) override;
  /// The row as an object. With keys_only a schema without a key is an error at open().
  std::size_t append_value(const RowBatch& batch, std::size_t row, std::string& out) const override;
  /// The key column's JSON value, an array of them if there are several, nothing without a key.
  std::size_t append_key(const RowBatch& batch, std::size_t row, std::string& out) const override;
  std::string_view no_form() const noexcept override {
    return "holds text that is not UTF-8 or not JSON: it can't be written as JSON";
  }
  /// One cell's JSON; false: it has none.
  bool append_field(const RowBatch& batch, std::size_t row, std::size_t column, std::string& out) const;

 private:
  struct Field {
    std::string prefix;  ///< `{"name":` or `,"name":`; empty if it is not in the value
    std::size_t width = 0;
  };
  void set_schema(std::shared_ptr<const TableSchema> schema);

  std::shared_ptr<const TableSchema> schema_;
  std::vector<Field> fields_;
  std::vector<std::size_t> keys_, written_;  ///< columns: of the key, of the value
  bool json_as_object_;
  bool keys_only_ = false;
};

struct JsonRowOptions {
  std::vector<std::string> ignore_fields;
  bool ignore_unknown_fields = false;
  bool json_as_object = false;
  bool keys_only = false;  ///< a row has only its key, the other cells are NULL, or zero if not nullable
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
  /// A zero begins Avro in Confluent's wire form.

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgch::codec
