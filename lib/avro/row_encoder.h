// Rows → Confluent's wire form: a zero byte, the schema's number, the row in Avro's binary.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "codec/json_row.h"
#include "codec/row_codec.h"
#include "pgch/batch.h"
#include "registry/schema_registry.h"

namespace pgch::avro {

/// Keys are those of the format json: a number in them would move a row to another partition with each new version.
class AvroRowEncoder final : public codec::RowEncoder {
 public:
  /// The schemas are versions of `subject`.
  AvroRowEncoder(std::unique_ptr<registry::SchemaRegistry> registry, std::string subject)
      : registry_(std::move(registry)), subject_(std::move(subject)), keys_(false) {}
  /// Asks the registry for the schema's number, which makes it a version if it is none yet.
  Result<void> open(std::shared_ptr<const TableSchema> schema) override;
  std::size_t append_value(const RowBatch& batch, std::size_t row, std::string& out) const override;
  std::size_t append_key(const RowBatch& batch, std::size_t row, std::string& out) const override;
  std::string_view no_form() const noexcept override;

 private:
  std::unique_ptr<registry::SchemaRegistry> registry_;
  std::string subject_;
  codec::JsonRowEncoder keys_;
  std::shared_ptr<const TableSchema> schema_;
  std::vector<std::size_t> widths_;
  std::string head_;
};

/// Appends the value of a column of `spec` in Avro's binary; false: it has no form there, and `out` is of no use.
bool append_avro(std::string& out, const ColumnSpec& spec, std::span<const std::byte> cell);

}  // namespace pgch::avro
