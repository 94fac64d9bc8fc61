// JSON → columns. simdjson finds the structure; every value is checked here, against the column it is for.
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include "base/bytes.h"
#include "codec/iso_time.h"
#include "codec/json_nested.h"
#include "codec/json_row.h"
#include "codec/json_text.h"
#include "codec/json_value.h"

namespace pgch::codec {

namespace ondemand = simdjson::ondemand;

class JsonRowDecoder::Impl {
 public:
  Impl(std::shared_ptr<const TableSchema> schema, JsonRowOptions options)
      : schema_(std::move(schema)), options_(std::move(options)), keys_(key_indexes(*schema_)) {
    for (const ColumnSpec& column : schema_->columns) {
      const std::size_t index = columns_.size();
      columns_.push_back(TargetColumn{&column, layout_of(column), width_of(layout_of(column))});
      by_name_.emplace(column.name, index);
      raw_names_.push_back(column.name.find_first_of("\"\\") == std::string::npos ? column.name + '"' : std::string());
      name_bytes_max_ = std::max(name_bytes_max_, column.name.size());
    }
    ignored_.insert(options_.ignore_fields.begin(), options_.ignore_fields.end());
    seen_.resize(columns_.size());
  }

  bool append(const MessageView& message, RowBatch& batch) {
    if (!message.has_value) return append_key(message.key, batch);
    if (!options_.keys_only) return append_row(message.value, batch);
    // A key alone comes as an object, as the record's key, or as such a key in the value's place.
    const std::size_t first = message.value.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return append_key(message.key, batch);
    return message.value[first] == '{' ? append_row(message.value, batch) : append_key(message.value, batch);
  }

  bool append_row(std::string_view message, RowBatch& batch) {
    if (!read_row(message, batch)) return undo(batch);
    ++batch.rows;
    return true;
  }

  bool append_key(std::string_view key, RowBatch& batch) {
    if (!read_key(key, batch)) return undo(batch);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (seen_[i] == 0) append_nothing(i, batch.columns[i]);
    }
    ++batch.rows;
    return true;
  }

  std::string reason;

 private:
  bool undo(RowBatch& batch) {
    for (std::size_t i = 0; i < columns_.size(); ++i) truncate_column(batch.columns[i], columns_[i].layout, batch.rows);
    return false;
  }
  bool fail(std::string text) {
    reason = std::move(text);
    return false;
  }
  bool fail(simdjson::error_code code) {
    if (code == simdjson::UTF8_ERROR) return fail("the message is not UTF-8");
    return fail(std::string("the message is not a JSON object: ") + simdjson::error_message(code));
  }

  void append_nothing(std::size_t index, Column& column) const {
    const TargetColumn& target = columns_[index];
    if (target.spec->nullable) {
      append_null(column, target.layout);
    } else {
      append_zero(target, column);
    }
  }

  // Copies into a buffer with room behind it, as simdjson and the comparison of names want.
  bool start(std::string_view text, ondemand::document& document) {
    std::fill(seen_.begin(), seen_.end(), std::uint8_t{0});
    others_.clear();
    if (text.empty()) return fail("the message is empty");
    if (text.size() > options_.bytes_max) {
      return fail("the message has " + std::to_string(text.size()) +
                  " bytes, more than json_bytes_max = " + std::to_string(options_.bytes_max));
    }
    const std::size_t room = text.size() + simdjson::SIMDJSON_PADDING + name_bytes_max_ + 1;
    if (buffer_.size() < room) buffer_.resize(room * 2);
    std::memcpy(buffer_.data(), text.data(), text.size());
    std::memset(buffer_.data() + text.size(), 0, room - text.size());
    if (const auto code = parser_.iterate(buffer_.data(), text.size(), buffer_.size()).get(document)) return fail(code);
    return true;
  }

  bool read_row(std::string_view message, RowBatch& batch) {
    ondemand::document document;
    if (!start(message, document)) return false;
    ondemand::json_type type{};
    if (const auto code = document.type().get(type)) return fail(code);
    if (type != ondemand::json_type::object) return fail("the message is JSON, but not an object");
    ondemand::object object;
    if (const auto code = document.get_object().get(object)) return fail(code);
    std::size_t guess = 0;
    std::size_t filled = 0;
    for (auto item : object) {
      ondemand::field field;
      if (const auto code = std::move(item).get(field)) return fail(code);
      const std::size_t index = column_of(field, guess);
      if (index == npos) {
        if (!skip_other(field)) return false;
        continue;
      }
      guess = index + 1;
      if (seen_[index]++ != 0) return fail("the field \"" + schema_->columns[index].name + "\" is there twice");
      ++filled;
      if (!read_value(field.value(), index, batch.columns[index])) return false;
    }
    if (!at_end(document)) return fail("there is something behind the JSON object");
    return filled == columns_.size() || fill_missing(batch);
  }

  static bool at_end(ondemand::document& document) {
    const char* rest = nullptr;
    return document.current_location().get(rest) == simdjson::OUT_OF_BOUNDS;
  }

  // Fields mostly come in the schema's order: the next column is tried before the name is looked up.
  std::size_t column_of(ondemand::field& field, std::size_t guess) {
    if (guess < columns_.size()) {
      const std::string& name = raw_names_[guess];
      if (!name.empty() && std::memcmp(field.key().raw(), name.data(), name.size()) == 0) return guess;
    }
    std::string_view key;
    if (field.unescaped_key().get(key)) {
      other_key_.clear();
      return npos;
    }
    if (const auto found = by_name_.find(std::string(key)); found != by_name_.end()) return found->second;
    other_key_ = key;
    return npos;
  }

  bool skip_other(ondemand::field& field) {
    if (!is_utf8(other_key_)) return fail("a field's name is not UTF-8");
    const bool wanted = options_.ignore_unknown_fields || ignored_.count(other_key_) != 0;
    if (!wanted) return fail("the field " + printable(other_key_) + " is not a column of " + display_name(*schema_));
    if (!others_.insert(other_key_).second) return fail("the field " + printable(other_key_) + " is there twice");
    std::string_view raw;
    if (!raw_text(field.value(), raw)) return false;
    const JsonFault fault = check_json(raw, options_.depth_max);
    return fault == JsonFault::none || fail("the field " + printable(other_key_) + fault_text(fault));
  }
  // Names come from strangers: bounded, and escaped so that a log line stays a line.
  static std::string printable(std::string_view name) {
    std::string out;
    append_json_string(out, name.substr(0, name.size() > 64 ? 0 : name.size()));
    return name.size() > 64 ? "with a name of " + std::to_string(name.size()) + " bytes" : out;
  }
  static std::string fault_text(JsonFault fault) {
    return fault == JsonFault::depth ? " is nested too deeply" : " is not well-formed JSON";
  }

  // The value as it stands in the message, of whatever type.
  bool raw_text(ondemand::value value, std::string_view& raw) {
    ondemand::json_type type{};
    if (const auto code = value.type().get(type)) return fail(code);
    if (type == ondemand::json_type::object) {
      ondemand::object object;
      if (const auto code = value.get_object().get(object)) return fail(code);
      if (const auto code = object.raw_json().get(raw)) return fail(code);
    } else if (type == ondemand::json_type::array) {
      ondemand::array array;
      if (const auto code = value.get_array().get(array)) return fail(code);
      if (const auto code = array.raw_json().get(raw)) return fail(code);
    } else {
      raw = value.raw_json_token();
      while (!raw.empty() && (raw.back() == ' ' || raw.back() == '\t' || raw.back() == '\n' || raw.back() == '\r'))
        raw.remove_suffix(1);
    }
    return true;
  }

  bool read_value(ondemand::value value, std::size_t index, Column& column) {
    const TargetColumn& target = columns_[index];
    ondemand::json_type type{};
    if (const auto code = value.type().get(type)) return fail(code);
    ValueFault fault = ValueFault::none;
    switch (type) {
      case ondemand::json_type::string: {
        if (target.spec->kind == Kind::json && options_.json_as_object) return read_raw(value, index, column);
        if (target.layout == Layout::varlen && target.spec->kind != Kind::bytes && !is_nested(target.spec->kind))
          return read_string(value, target, column);
        std::string_view text;
        if (const auto code = value.get_string().get(text)) return fail(code);
        fault = append_from_string(target, text, column);
        break;
      }
      case ondemand::json_type::null:
      case ondemand::json_type::boolean:
      case ondemand::json_type::number: {
        std::string_view token;
        if (!raw_text(value, token)) return false;
        fault = append_from_token(target, token, column);
        break;
      }
      case ondemand::json_type::object:
      case ondemand::json_type::array:
        return read_raw(value, index, column);
    }
    return fault == ValueFault::none || fail(sentence_of(*target.spec, fault));
  }

  // Straight into the column. simdjson 3.0 would let half a surrogate pair through.
  bool read_string(ondemand::value value, const TargetColumn& target, Column& column) {
    const std::string_view token = value.raw_json_token();
    if (column.data.size() + token.size() > std::numeric_limits<std::uint32_t>::max())
      return fail(sentence_of(*target.spec, ValueFault::full));
    if (!append_unescaped(column.data, token.data() + 1, token.size()))
      return fail(sentence_of(*target.spec, ValueFault::form));
    column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
    if (target.spec->nullable) column.nulls.push_back(0);
    return true;
  }

  bool read_raw(ondemand::value value, std::size_t index, Column& column) {
    const ColumnSpec& spec = *columns_[index].spec;
    std::string_view raw;
    if (!raw_text(value, raw)) return false;
    if (is_nested(spec.kind)) return read_nested(raw, index, column);
    if (spec.kind != Kind::json && spec.kind != Kind::text) return fail(sentence_of(spec, ValueFault::type));
    if (const JsonFault fault = check_json(raw, options_.depth_max); fault != JsonFault::none) {
      return fail("the field \"" + spec.name + "\"" + fault_text(fault));
    }
    return append_text(columns_[index], raw, column) || fail(sentence_of(spec, ValueFault::full));
  }

  bool read_nested(std::string_view raw, std::size_t index, Column& column) {
    const ColumnSpec& spec = *columns_[index].spec;
    ValueFault fault = ValueFault::form;
    if (const JsonFault json = check_json(raw, options_.depth_max); json != JsonFault::none)
      return fail("the field \"" + spec.name + "\"" + fault_text(json));
    fault = append_nested(spec, raw, column.data);
    if (fault == ValueFault::none && column.data.size() > std::numeric_limits<std::uint32_t>::max())
      fault = ValueFault::full;
    if (fault != ValueFault::none) return fail(sentence_of(spec, fault));
    column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
    if (spec.nullable) column.nulls.push_back(0);
    return true;
  }

  bool fill_missing(RowBatch& batch) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (seen_[i] != 0) continue;
      const bool other = options_.keys_only && std::find(keys_.begin(), keys_.end(), i) == keys_.end();
      if (!columns_[i].spec->nullable && !other)
        return fail("the field \"" + columns_[i].spec->name + "\" is missing, and its column is not nullable");
      append_nothing(i, batch.columns[i]);
    }
    return true;
  }

  // A single value is wrapped into an array, so that scalars go the same way as composite keys.
  bool read_key(std::string_view key, RowBatch& batch) {
    if (keys_.empty())
      return fail("the record has no value, and " + display_name(*schema_) + " has no key to delete by");
    std::string wrapped;
    if (keys_.size() == 1) wrapped = "[" + std::string(key) + "]";
    ondemand::document document;
    if (!start(keys_.size() == 1 ? std::string_view(wrapped) : key, document))
      return fail("the key is not the JSON that was expected");
    ondemand::array array;
    if (document.get_array().get(array)) return fail("the key is not a JSON array of its columns' values");
    std::size_t k = 0;
    for (auto item : array) {
      ondemand::value value;
      if (std::move(item).get(value) || k >= keys_.size())
        return fail("the key is not a JSON array of its columns' values");
      const std::size_t index = keys_[k++];
      seen_[index] = 1;
      if (!read_value(value, index, batch.columns[index])) return false;
    }
    if (k != keys_.size() || !at_end(document)) return fail("the key is not a JSON array of its columns' values");
    return true;
  }

  std::shared_ptr<const TableSchema> schema_;
  JsonRowOptions options_;
  std::vector<std::size_t> keys_;
  std::vector<TargetColumn> columns_;
  std::vector<std::string>
      raw_names_;  // with the closing quote, as they stand in a message; empty if they need escapes
  std::unordered_map<std::string, std::size_t> by_name_;
  std::unordered_set<std::string> ignored_, others_;
  std::vector<std::uint8_t> seen_;
  std::string other_key_;
  std::size_t name_bytes_max_ = 0;
  std::vector<char> buffer_;
  ondemand::parser parser_;
};

JsonRowDecoder::JsonRowDecoder(std::shared_ptr<const TableSchema> schema, JsonRowOptions options)
    : impl_(std::make_unique<Impl>(std::move(schema), std::move(options))) {}
JsonRowDecoder::~JsonRowDecoder() = default;
Result<Decoded> JsonRowDecoder::append(const MessageView& message, RowBatch& batch) {
  const bool read = impl_->append(message, batch);
  return read ? Decoded::rows : Decoded::rejected;
}
bool JsonRowDecoder::append_row(std::string_view message, RowBatch& batch) { return impl_->append_row(message, batch); }
bool JsonRowDecoder::append_key(std::string_view key, RowBatch& batch) { return impl_->append_key(key, batch); }
const std::string& JsonRowDecoder::reason() const noexcept { return impl_->reason; }

}  // namespace pgch::codec
