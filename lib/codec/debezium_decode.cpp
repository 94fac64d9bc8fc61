// Debezium's change events → columns. simdjson finds the structure of envelope and row; a value is brought into the
// form of pgch's own JSON (debezium_value.h), and read as that.
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/bytes.h"
#include "codec/debezium.h"
#include "codec/debezium_value.h"
#include "codec/json_nested.h"
#include "codec/json_text.h"
#include "codec/json_value.h"

namespace pgch::codec {
namespace {

namespace ondemand = simdjson::ondemand;

// A copy with room behind it, as simdjson and the unescaping of strings want.
class PaddedText {
 public:
  std::string_view set(std::string_view text) {
    const std::size_t room = text.size() + simdjson::SIMDJSON_PADDING + 8;
    if (buffer_.size() < room) buffer_.resize(room * 2);
    if (!text.empty()) std::memcpy(buffer_.data(), text.data(), text.size());
    std::memset(buffer_.data() + text.size(), 0, room - text.size());
    return {buffer_.data(), text.size()};
  }
  std::size_t room_from(const char* at) const { return static_cast<std::size_t>(buffer_.data() + buffer_.size() - at); }

 private:
  std::vector<char> buffer_;
};

simdjson::error_code raw_of(ondemand::value value, std::string_view& raw) {
  ondemand::json_type type{};
  if (const auto code = value.type().get(type)) return code;
  if (type == ondemand::json_type::object) {
    ondemand::object object;
    if (const auto code = value.get_object().get(object)) return code;
    return object.raw_json().get(raw);
  }
  if (type == ondemand::json_type::array) {
    ondemand::array array;
    if (const auto code = value.get_array().get(array)) return code;
    return array.raw_json().get(raw);
  }
  raw = value.raw_json_token();
  while (!raw.empty() && (raw.back() == ' ' || raw.back() == '\t' || raw.back() == '\n' || raw.back() == '\r'))
    raw.remove_suffix(1);
  return simdjson::SUCCESS;
}

// Calls take(name, raw value) for each field of the object that is all of `json`, a part of `text`; stops when it says
// false.
template <class Take>
simdjson::error_code for_fields(ondemand::parser& parser, const PaddedText& text, std::string_view json, Take take) {
  ondemand::document document;
  ondemand::object object;
  if (const auto code = parser.iterate(json.data(), json.size(), text.room_from(json.data())).get(document))
    return code;
  if (const auto code = document.get_object().get(object)) return code;
  for (auto item : object) {
    ondemand::field field;
    std::string_view name, raw;
    if (const auto code = std::move(item).get(field)) return code;
    if (const auto code = field.unescaped_key().get(name)) return code;
    if (const auto code = raw_of(field.value(), raw)) return code;
    if (!take(name, raw)) return simdjson::SUCCESS;
  }
  const char* rest = nullptr;
  return document.current_location().get(rest) == simdjson::OUT_OF_BOUNDS ? simdjson::SUCCESS
                                                                          : simdjson::TRAILING_CONTENT;
}

// Names come from strangers: bounded, and escaped so that a log line stays a line.
std::string printable(std::string_view name) {
  std::string out;
  if (name.size() > 64 || !append_json_string(out, name))
    return "with a name of " + std::to_string(name.size()) + " bytes";
  return out;
}

bool is_object(std::string_view raw) noexcept { return !raw.empty() && raw.front() == '{'; }
bool is_nothing(std::string_view raw) noexcept { return raw.empty() || raw == "null"; }

struct Envelope {
  std::string_view schema, payload, before, after, source, op, lsn;  // as they stand in the message; empty: not there
};

// The schema that came last: messages mostly have the same one.
struct KnownForms {
  std::string text;
  std::vector<Form> forms;
};

}  // namespace

class DebeziumDecoder::Impl {
 public:
  Impl(std::shared_ptr<const TableSchema> schema, DebeziumDecoderOptions options)
      : schema_(std::move(schema)),
        options_(std::move(options)),
        keys_(key_indexes(*schema_)),
        values_(options_.row.bytes_max, options_.wide_years) {
    for (const ColumnSpec& column : schema_->columns) {
      by_name_.emplace(column.name, columns_.size());
      columns_.push_back(TargetColumn{&column, layout_of(column), width_of(layout_of(column))});
      bare_.push_back(form_of(column, nullptr, options_.modes));
    }
    ignored_.insert(options_.row.ignore_fields.begin(), options_.row.ignore_fields.end());
    seen_.resize(columns_.size());
  }

  bool append(const MessageView& message, RowBatch& batch) {
    const std::uint32_t before = batch.rows;
    if (read(message, batch)) return true;
    for (std::size_t i = 0; i < columns_.size(); ++i) truncate_column(batch.columns[i], columns_[i].layout, before);
    return false;
  }

  std::string reason;

 private:
  bool fail(std::string text) {
    reason = std::move(text);
    return false;
  }
  bool not_json(simdjson::error_code code) {
    if (code == simdjson::UTF8_ERROR) return fail("the message is not UTF-8");
    return fail(std::string("the message is not a JSON object: ") + simdjson::error_message(code));
  }

  bool read(const MessageView& message, RowBatch& batch) {
    if (!message.has_value) return read_tombstone(message, batch);
    Envelope envelope;
    if (!read_envelope(message.value, envelope)) return false;
    std::uint64_t version = 0;
    const std::string_view op = envelope.op;
    const RowOp row_op = op == "\"u\"" ? RowOp::update : op == "\"d\"" ? RowOp::remove : RowOp::insert;
    if (row_op == RowOp::insert && op != "\"c\"" && op != "\"r\"") return fail(other_op(op));
    const bool own_version = options_.version_by_lsn && !message.version;
    if (own_version && !read_version(envelope, version)) return false;
    if (row_op == RowOp::remove) {
      if (!read_deleted(envelope, message.key, batch)) return false;
    } else {
      if (row_op == RowOp::update && keys_.empty())
        return fail("a row was changed, and " + display_name(*schema_) + " has no key to find it by");
      if (!is_object(envelope.after)) return fail("the message tells of a row, but its \"after\" is no object");
      if (!read_row(envelope, batch)) return false;
    }
    finish(batch, row_op);
    if (own_version) {
      batch.versions.resize(batch.rows - 1);
      batch.versions.push_back(version);
    }
    return true;
  }

  std::string other_op(std::string_view op) const {
    if (op == "\"t\"")
      return "the table was truncated at PostgreSQL (op t), which is no row: truncate " + display_name(*schema_) +
             " at the target, too";
    if (op == "\"m\"") return "the message is one of pg_logical_emit_message (op m), and no row";
    if (op.empty())
      return "the message has no \"op\", so it is no change event of Debezium's; flattened ones "
             "(ExtractNewRecordState) are of the format json";
    return "the message's \"op\" is none that is known";
  }

  static void finish(RowBatch& batch, RowOp op) {
    if (op != RowOp::insert || !batch.ops.empty()) {
      batch.ops.resize(batch.rows, RowOp::insert);
      batch.ops.push_back(op);
    }
    ++batch.rows;
  }

  bool read_tombstone(const MessageView& message, RowBatch& batch) {
    // It has no lsn; the deletion before it has.
    if (options_.version_by_lsn && !message.version) return true;
    if (!read_key(message.key, batch) || !fill_but_keys(batch)) return false;
    finish(batch, RowOp::remove);
    return true;
  }

  bool read_envelope(std::string_view text, Envelope& envelope) {
    if (text.empty()) return fail("the message is empty");
    if (text.size() > options_.row.bytes_max)
      return fail("the message has " + std::to_string(text.size()) +
                  " bytes, more than json_bytes_max = " + std::to_string(options_.row.bytes_max));
    std::string_view twice;
    const auto take = [&](std::string_view name, std::string_view raw) {
      std::string_view* const field = name == "before"    ? &envelope.before
                                      : name == "after"   ? &envelope.after
                                      : name == "source"  ? &envelope.source
                                      : name == "op"      ? &envelope.op
                                      : name == "schema"  ? &envelope.schema
                                      : name == "payload" ? &envelope.payload
                                                          : nullptr;
      if (field == nullptr) return true;
      if (!field->empty()) twice = raw;
      *field = raw;
      return twice.empty();
    };
    if (const auto code = for_fields(outer_, value_text_, value_text_.set(text), take)) return not_json(code);
    if (is_object(envelope.payload)) {
      const std::string_view payload = envelope.payload;
      envelope.before = envelope.after = envelope.source = envelope.op = {};
      const std::string_view schema = std::exchange(envelope.schema, {});
      if (const auto code = for_fields(inner_, value_text_, payload, take)) return not_json(code);
      envelope.schema = schema;
    }
    if (!twice.empty()) return fail("a field of the message is there twice");
    if (!is_object(envelope.source)) return true;
    const auto code =
        for_fields(inner_, value_text_, envelope.source, [&](std::string_view name, std::string_view raw) {
          if (name == "lsn") envelope.lsn = raw;
          return envelope.lsn.empty();
        });
    return code == simdjson::SUCCESS || not_json(code);
  }

  bool read_version(const Envelope& envelope, std::uint64_t& version) {
    const std::string_view lsn = envelope.lsn;
    const auto [end, problem] = std::from_chars(lsn.data(), lsn.data() + lsn.size(), version);
    return (!lsn.empty() && problem == std::errc{} && end == lsn.data() + lsn.size()) ||
           fail(
               "the message has no \"source\".\"lsn\", by which versions of a row are told apart: if the connector has "
               "none, set kafka.debezium_version to offset");
  }

  // Forms by the schema of the struct, or without one by the columns.
  const std::vector<Form>* forms_of(std::string_view schema, std::string_view part, KnownForms& known) {
    if (is_nothing(schema)) return &bare_;
    if (known.text != schema) {
      known.text.clear();
      const auto fields = parse_row_schema(schema, part);
      if (!fields) {
        fail("the message's schema is none that Kafka Connect's JsonConverter writes");
        return nullptr;
      }
      known.forms.clear();
      for (const TargetColumn& column : columns_) {
        const auto found = fields->find(column.spec->name);
        known.forms.push_back(form_of(*column.spec, found == fields->end() ? nullptr : &found->second, options_.modes));
      }
      known.text = schema;
    }
    return &known.forms;
  }

  bool read_row(const Envelope& envelope, RowBatch& batch) {
    const std::vector<Form>* const forms = forms_of(envelope.schema, "after", value_forms_);
    if (forms == nullptr) return false;
    std::fill(seen_.begin(), seen_.end(), std::uint8_t{0});
    others_.clear();
    bool good = true;
    std::size_t guess = 0;
    const auto code = for_fields(row_, value_text_, envelope.after, [&](std::string_view name, std::string_view raw) {
      const std::size_t index = column_of(name, guess);
      if (index == npos) return good = take_other(name);
      guess = index + 1;
      if (seen_[index]++ != 0) return good = fail("the field \"" + columns_[index].spec->name + "\" is there twice");
      if (DebeziumValues::is_unavailable(raw)) raw = earlier(envelope, name, raw);
      if (DebeziumValues::is_unavailable(raw))
        return good = fail("the field \"" + columns_[index].spec->name +
                           "\" has no value: it was not changed, and PostgreSQL didn't tell it (TOAST); set REPLICA "
                           "IDENTITY FULL on the table, and mend what is missing with pgch repair");
      return good = read_cell((*forms)[index], index, raw, batch);
    });
    if (!good) return false;
    if (code != simdjson::SUCCESS) return not_json(code);
    return fill_missing(batch);
  }

  // What `before` has in that field, if it has a value; else what is there.
  std::string_view earlier(const Envelope& envelope, std::string_view name, std::string_view raw) {
    if (!is_object(envelope.before)) return raw;
    const std::string wanted(name);
    std::string_view found;
    const auto code =
        for_fields(inner_, value_text_, envelope.before, [&](std::string_view other, std::string_view value) {
          if (other == wanted) found = value;
          return found.empty();
        });
    return code == simdjson::SUCCESS && !is_nothing(found) ? found : raw;
  }

  std::size_t column_of(std::string_view name, std::size_t guess) {
    if (guess < columns_.size() && columns_[guess].spec->name == name) return guess;
    const auto found = by_name_.find(std::string(name));
    return found == by_name_.end() ? npos : found->second;
  }

  bool take_other(std::string_view name) {
    if (!options_.row.ignore_unknown_fields && ignored_.count(std::string(name)) == 0)
      return fail("the field " + printable(name) + " is not a column of " + display_name(*schema_));
    return others_.insert(std::string(name)).second || fail("the field " + printable(name) + " is there twice");
  }

  bool fill_missing(RowBatch& batch) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (seen_[i] != 0) continue;
      if (!columns_[i].spec->nullable)
        return fail("the field \"" + columns_[i].spec->name + "\" is missing, and its column is not nullable");
      append_null(batch.columns[i], columns_[i].layout);
    }
    return true;
  }

  bool fill_but_keys(RowBatch& batch) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (seen_[i] != 0) continue;
      if (columns_[i].spec->nullable) append_null(batch.columns[i], columns_[i].layout);
      if (!columns_[i].spec->nullable) append_zero(columns_[i], batch.columns[i]);
    }
    return true;
  }

  // A deletion says only which row it was: `before` has the key, and everything else only with REPLICA IDENTITY FULL.
  bool read_deleted(const Envelope& envelope, std::string_view key, RowBatch& batch) {
    if (!is_object(envelope.before)) return read_key(key, batch) && fill_but_keys(batch);
    const std::vector<Form>* const forms = forms_of(envelope.schema, "before", before_forms_);
    if (forms == nullptr) return false;
    return read_keys(value_text_, envelope.before, *forms, batch) && fill_but_keys(batch);
  }

  bool read_key(std::string_view key, RowBatch& batch) {
    std::string_view schema, payload;
    const std::string_view text = key_text_.set(key);
    if (key.empty()) return fail("the deletion names no row: neither \"before\" nor the record's key is there");
    const auto code = for_fields(outer_, key_text_, text, [&](std::string_view name, std::string_view raw) {
      if (name == "schema") schema = raw;
      if (name == "payload") payload = raw;
      return true;
    });
    if (code != simdjson::SUCCESS) return fail("the record's key is no JSON object");
    // A key column may have either name.
    const bool wrapped = is_object(payload) && (is_object(schema) || schema == "null");
    const std::vector<Form>* const forms = forms_of(wrapped ? schema : std::string_view(), "", key_forms_);
    return forms != nullptr && read_keys(key_text_, wrapped ? payload : text, *forms, batch);
  }

  bool read_keys(const PaddedText& text, std::string_view object, const std::vector<Form>& forms, RowBatch& batch) {
    if (keys_.empty()) return fail("a row was deleted, and " + display_name(*schema_) + " has no key to find it by");
    std::fill(seen_.begin(), seen_.end(), std::uint8_t{0});
    bool good = true;
    const auto code = for_fields(row_, text, object, [&](std::string_view name, std::string_view raw) {
      const std::size_t index = column_of(name, npos);
      if (index == npos || std::find(keys_.begin(), keys_.end(), index) == keys_.end()) return true;
      if (seen_[index]++ != 0) return good = fail("the field \"" + columns_[index].spec->name + "\" is there twice");
      return good = read_cell(forms[index], index, raw, batch);
    });
    if (!good) return false;
    if (code != simdjson::SUCCESS) return not_json(code);
    for (const std::size_t index : keys_) {
      if (seen_[index] == 0)
        return fail("the deletion doesn't tell the key's column \"" + columns_[index].spec->name +
                    "\": REPLICA IDENTITY must have it");
    }
    return true;
  }

  bool read_cell(const Form& form, std::size_t index, std::string_view raw, RowBatch& batch) {
    const ColumnSpec& spec = *columns_[index].spec;
    if (raw.empty()) return fail(sentence_of(spec, ValueFault::form));
    if (raw.front() == '{' || raw.front() == '[') {
      const JsonFault json = check_json(raw, options_.row.depth_max);
      if (json != JsonFault::none)
        return fail("the field \"" + spec.name + "\"" +
                    (json == JsonFault::depth ? " is nested too deeply" : " is not well-formed JSON"));
    }
    if (form.encoding != Encoding::plain) {
      translated_.clear();
      if (!values_.append(form, spec, raw, translated_))
        return fail("the field \"" + spec.name + "\" " + values_.problem());
      const std::size_t size = translated_.size();
      translated_.append(8, '\0');
      raw = std::string_view(translated_).substr(0, size);
    }
    Column& column = batch.columns[index];
    const ValueFault fault = append_json(columns_[index], raw, column);
    if (fault == ValueFault::none) return true;
    const bool misfits = fault == ValueFault::range || fault == ValueFault::fraction;
    if (!misfits || spec.misfit != Misfit::null || !spec.nullable) return fail(sentence_of(spec, fault));
    truncate_column(column, columns_[index].layout, batch.rows);
    append_null(column, columns_[index].layout);
    return true;
  }

  // A value as pgch's own JSON has it.
  ValueFault append_json(const TargetColumn& target, std::string_view raw, Column& column) {
    const Kind kind = target.spec->kind;
    if (raw.front() == '"') {
      if (target.layout != Layout::varlen || kind == Kind::bytes || is_nested(kind)) {
        bytes_.clear();
        if (!append_unescaped(bytes_, raw.data() + 1, raw.size())) return ValueFault::form;
        return append_from_string(target, as_text(bytes_), column);
      }
      if (column.data.size() + raw.size() > std::numeric_limits<std::uint32_t>::max()) return ValueFault::full;
      if (!append_unescaped(column.data, raw.data() + 1, raw.size())) return ValueFault::form;
    } else if (is_nested(kind) && raw != "null") {
      if (raw.front() != '{' && raw.front() != '[') return ValueFault::type;
      if (const ValueFault fault = append_nested(*target.spec, raw, column.data); fault != ValueFault::none)
        return fault;
      if (column.data.size() > std::numeric_limits<std::uint32_t>::max()) return ValueFault::full;
    } else if (raw.front() == '{' || raw.front() == '[') {
      if (kind != Kind::json) return ValueFault::type;
      return append_text(target, raw, column) ? ValueFault::none : ValueFault::full;
    } else {
      return append_from_token(target, raw, column);
    }
    column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
    if (target.spec->nullable) column.nulls.push_back(0);
    return ValueFault::none;
  }

  std::shared_ptr<const TableSchema> schema_;
  DebeziumDecoderOptions options_;
  std::vector<std::size_t> keys_;
  std::vector<TargetColumn> columns_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::unordered_set<std::string> ignored_, others_;
  std::vector<std::uint8_t> seen_;
  std::vector<Form> bare_;
  KnownForms value_forms_, before_forms_, key_forms_;
  DebeziumValues values_;
  PaddedText value_text_, key_text_;
  ondemand::parser outer_, inner_, row_;  // a document lives as long as its parser reads nothing else
  std::string translated_;
  std::vector<std::byte> bytes_;
};

DebeziumDecoder::DebeziumDecoder(std::shared_ptr<const TableSchema> schema, DebeziumDecoderOptions options)
    : impl_(std::make_unique<Impl>(std::move(schema), std::move(options))) {}
DebeziumDecoder::~DebeziumDecoder() = default;
Result<Decoded> DebeziumDecoder::append(const MessageView& message, RowBatch& batch) {
  return impl_->append(message, batch) ? Decoded::rows : Decoded::rejected;
}
const std::string& DebeziumDecoder::reason() const noexcept { return impl_->reason; }

}  // namespace pgch::codec
