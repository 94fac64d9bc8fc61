// Rows → Debezium's change events. Every value is first pgch's own JSON, which is then brought into Debezium's form.
#include "codec/debezium.h"
#include "codec/debezium_value.h"
#include "codec/json_text.h"

namespace pgch::codec {

class DebeziumEncoder::Impl {
 public:
  explicit Impl(DebeziumModes modes) : modes_(modes), json_(false) {}

  Result<void> open(std::shared_ptr<const TableSchema> schema) {
    schema_ = std::move(schema);
    keys_ = key_indexes(*schema_);
    fields_.clear();
    for (const ColumnSpec& column : schema_->columns) {
      Field field{{}, form_of(column, nullptr, modes_)};
      append_json_string(field.name, column.name);
      field.name += ':';
      if (field.form.encoding == Encoding::lost_bits)
        return halt(Errc::schema, "The column \"" + column.name +
                                      "\" is a bit varying, whose length Debezium's messages don't tell: leave it out "
                                      "(table.exclude), or set types.bit to uint64.");
      fields_.push_back(std::move(field));
    }
    source_ =
        "\"source\":{\"version\":\"1\",\"connector\":\"pgch\",\"name\":\"pgch\",\"ts_ms\":0,\"snapshot\":\"false\","
        "\"db\":\"\",\"schema\":";
    append_json_string(source_, schema_->schema);
    source_ += ",\"table\":";
    append_json_string(source_, schema_->table);
    return json_.open(schema_);
  }

  std::size_t append_value(const RowBatch& batch, std::size_t row, std::string& out) {
    const RowOp op = batch.op_of(row);
    const bool removed = op == RowOp::remove;
    out += removed ? "{\"before\":{" : "{\"before\":null,\"after\":{";
    bool first = true;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (removed && !schema_->columns[i].key) continue;
      if (!append_field(batch, row, i, first, out)) return i;
      first = false;
    }
    out += removed ? "},\"after\":null," : "},";
    out += source_;
    out += ",\"lsn\":" + std::to_string(batch.version_of(row)) + "},\"transaction\":null,\"op\":\"";
    out += removed ? "d" : op == RowOp::update ? "u" : "c";
    out += "\",\"ts_ms\":null}";
    return npos;
  }

  std::size_t append_key(const RowBatch& batch, std::size_t row, std::string& out) {
    if (keys_.empty()) return npos;
    out += '{';
    bool first = true;
    for (const std::size_t i : keys_) {
      if (!append_field(batch, row, i, first, out)) return i;
      first = false;
    }
    out += '}';
    return npos;
  }

 private:
  struct Field {
    std::string name;  ///< `"name":`
    Form form;
  };

  bool append_field(const RowBatch& batch, std::size_t row, std::size_t index, bool first, std::string& out) {
    if (!first) out += ',';
    out += fields_[index].name;
    if (fields_[index].form.encoding == Encoding::plain) return json_.append_field(batch, row, index, out);
    cell_.clear();
    if (!json_.append_field(batch, row, index, cell_)) return false;
    const std::size_t size = cell_.size();
    cell_.append(8, '\0');
    return append_debezium(fields_[index].form, schema_->columns[index], modes_,
                           std::string_view(cell_).substr(0, size), out);
  }

  DebeziumModes modes_;
  JsonRowEncoder json_;
  std::shared_ptr<const TableSchema> schema_;
  std::vector<std::size_t> keys_;
  std::vector<Field> fields_;
  std::string source_;
  std::string cell_;
};

DebeziumEncoder::DebeziumEncoder(DebeziumModes modes) : impl_(std::make_unique<Impl>(modes)) {}
DebeziumEncoder::~DebeziumEncoder() = default;
Result<void> DebeziumEncoder::open(std::shared_ptr<const TableSchema> schema) { return impl_->open(std::move(schema)); }
std::size_t DebeziumEncoder::append_value(const RowBatch& batch, std::size_t row, std::string& out) const {
  return impl_->append_value(batch, row, out);
}
std::size_t DebeziumEncoder::append_key(const RowBatch& batch, std::size_t row, std::string& out) const {
  return impl_->append_key(batch, row, out);
}

}  // namespace pgch::codec
