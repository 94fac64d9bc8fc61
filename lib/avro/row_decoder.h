// Confluent's wire form → rows, by whatever schema the writer had.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "codec/row_codec.h"
#include "pgch/batch.h"
#include "registry/schema_registry.h"

namespace pgch::avro {

struct AvroRowOptions {
  std::vector<std::string> ignore_fields;
  bool ignore_unknown_fields = false;
  std::size_t bytes_max = 16u << 20;
};

/// Schemas are asked for once, by their number. A message without value is a deletion, by its key as in format json.
class AvroRowDecoder final : public codec::RowDecoder {
 public:
  AvroRowDecoder(std::shared_ptr<const TableSchema> schema, AvroRowOptions options,
                 std::unique_ptr<registry::SchemaRegistry> registry);
  ~AvroRowDecoder() override;
  AvroRowDecoder(const AvroRowDecoder&) = delete;
  AvroRowDecoder& operator=(const AvroRowDecoder&) = delete;
  /// Error: the registry can't be asked now; or it does not know the schema of one of pgch's own messages.
  Result<codec::Decoded> append(const codec::MessageView& message, RowBatch& batch) override;
  const std::string& reason() const noexcept override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgch::avro
