// Columns → JSON. The grammar is in docs/WIRE.md; json_decode.cpp reads it back.
#include <arpa/inet.h>
#include <algorithm>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/base64.h"
#include "base/bytes.h"
#include "codec/iso_time.h"
#include "codec/json_row.h"
#include "codec/json_text.h"
#include "codec/wide_decimal.h"
#include "model/packed.h"

namespace pgch::codec {
namespace {

template <class T>
T load(std::span<const std::byte> cell) noexcept {
  T value{};
  std::memcpy(&value, cell.data(), sizeof(T));
  return value;
}

template <class T>
void append_integer(std::string& out, std::span<const std::byte> cell) {
  std::array<char, 24> buffer{};
  out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), load<T>(cell)).ptr);
}

template <class T>
void append_float(std::string& out, std::span<const std::byte> cell) {
  const T value = load<T>(cell);
  if (std::isfinite(value)) {
    std::array<char, 40> buffer{};
    out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
  } else if (std::isnan(value)) {
    out += "\"NaN\"";
  } else {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  }
}

// ClickHouse keeps a UUID as two little-endian halves, the high half first.
void append_uuid(std::string& out, std::span<const std::byte> cell) {
  constexpr std::string_view hex = "0123456789abcdef";
  out += '"';
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    const auto b = std::to_integer<unsigned>(cell[i < 8 ? 7 - i : 23 - i]);
    out += hex[b >> 4U];
    out += hex[b & 15U];
  }
  out += '"';
}

void append_ipv6(std::string& out, std::span<const std::byte> cell) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(AF_INET6, cell.data(), text.data(), text.size()) != nullptr) out += text.data();
}

void append_quoted_date(std::string& out, std::int64_t days) {
  out += '"';
  append_date(out, days);
  out += '"';
}

void append_quoted_time(std::string& out, std::int64_t ticks, unsigned scale, bool zulu) {
  out += '"';
  append_timestamp(out, ticks, scale, zulu);
  out += '"';
}

bool append_nested(std::string& out, const ColumnSpec& spec, std::span<const std::byte> cell);

bool append_cell(std::string& out, const ColumnSpec& spec, std::span<const std::byte> cell, bool json_as_object) {
  switch (spec.kind) {
    case Kind::boolean:
      out += load<std::uint8_t>(cell) != 0 ? "true" : "false";
      return true;
    case Kind::int8:
      append_integer<std::int8_t>(out, cell);
      return true;
    case Kind::int16:
      append_integer<std::int16_t>(out, cell);
      return true;
    case Kind::int32:
      append_integer<std::int32_t>(out, cell);
      return true;
    case Kind::int64:
      append_integer<std::int64_t>(out, cell);
      return true;
    case Kind::uint8:
      append_integer<std::uint8_t>(out, cell);
      return true;
    case Kind::uint16:
      append_integer<std::uint16_t>(out, cell);
      return true;
    case Kind::uint32:
      append_integer<std::uint32_t>(out, cell);
      return true;
    case Kind::uint64:
      append_integer<std::uint64_t>(out, cell);
      return true;
    case Kind::float32:
      append_float<float>(out, cell);
      return true;
    case Kind::float64:
      append_float<double>(out, cell);
      return true;
    case Kind::decimal:
      append_decimal(out, cell, spec.scale);
      return true;
    case Kind::date16:
      append_quoted_date(out, load<std::uint16_t>(cell));
      return true;
    case Kind::date:
      append_quoted_date(out, load<std::int32_t>(cell));
      return true;
    case Kind::datetime:
      append_quoted_time(out, load<std::uint32_t>(cell), 0, true);
      return true;
    case Kind::timestamp:
      append_quoted_time(out, load<std::int64_t>(cell), spec.scale, false);
      return true;
    case Kind::timestamptz:
      append_quoted_time(out, load<std::int64_t>(cell), spec.scale, true);
      return true;
    case Kind::uuid:
      append_uuid(out, cell);
      return true;
    case Kind::bytes:
      out += '"';
      append_base64(out, cell);
      out += '"';
      return true;
    case Kind::json:
      if (!json_as_object) return append_json_string(out, as_text(cell));
      // PostgreSQL's own text is JSON already; anything else that got into the column must not break the object around
      // it.
      if (!is_utf8(as_text(cell)) || check_json(as_text(cell), 4096) != JsonFault::none) return false;
      out.append(as_text(cell));
      return true;
    case Kind::time:
      out += '"';
      append_clock(out, load<std::int64_t>(cell), spec.scale);
      out += '"';
      return true;
    case Kind::int256:
      append_decimal(out, cell, 0);
      return true;
    case Kind::ipv6:
      out += '"';
      append_ipv6(out, cell);
      out += '"';
      return true;
    case Kind::array:
    case Kind::tuple:
    case Kind::map:
      return append_nested(out, spec, cell);
    case Kind::text:
    case Kind::enumeration:
      return append_json_string(out, as_text(cell));
  }
  return false;
}

bool append_packed_cell(std::string& out, const ColumnSpec& type, ByteReader& in) {
  if (packs_null(type) && in.little<std::uint8_t>() != 0) {
    out += "null";
    return in.ok();
  }
  std::span<const std::byte> value;
  return take_packed(type, in, value) && append_cell(out, type, value, false);
}

// Arrays, and tuples without names, are JSON arrays; maps, and tuples with names, objects.
bool append_nested(std::string& out, const ColumnSpec& spec, std::span<const std::byte> cell) {
  ByteReader in(cell);
  const bool tuple = spec.kind == Kind::tuple;
  const bool object = spec.kind == Kind::map || (tuple && !spec.elements.empty() && !spec.elements[0].name.empty());
  const std::uint64_t count = tuple ? spec.elements.size() : in.varint();
  out += object ? '{' : '[';
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    if (i != 0) out += ',';
    const ColumnSpec& type = spec.kind == Kind::array ? spec.elements[0]
                             : tuple                  ? spec.elements[static_cast<std::size_t>(i)]
                                                      : spec.elements[1];
    if (spec.kind == Kind::map) {
      std::string key;
      if (!append_packed_cell(key, spec.elements[0], in)) return false;
      if (key.empty() || key[0] != '"') key = '"' + key + '"';
      out += key + ":";
    } else if (object) {
      if (!append_json_string(out, type.name)) return false;
      out += ':';
    }
    if (!append_packed_cell(out, type, in)) return false;
  }
  out += object ? '}' : ']';
  return in.ok() && in.at_end();
}

}  // namespace

JsonRowEncoder::JsonRowEncoder(std::shared_ptr<const TableSchema> schema, bool json_as_object)
    : json_as_object_(json_as_object) {
  set_schema(std::move(schema));
}

Result<void> JsonRowEncoder::open(std::shared_ptr<const TableSchema> schema) {
  set_schema(std::move(schema));
  if (!keys_only_ || !keys_.empty()) return {};
  return halt(Errc::schema, "Table " + display_name(*schema_) +
                                " has no key, so messages can't be keys: name unique columns with table.key, or take "
                                "another kafka.format.");
}

void JsonRowEncoder::set_schema(std::shared_ptr<const TableSchema> schema) {
  schema_ = std::move(schema);
  keys_ = key_indexes(*schema_);
  fields_.clear();
  written_.clear();
  for (const ColumnSpec& column : schema_->columns) {
    Field field;
    if (!keys_only_ || std::find(keys_.begin(), keys_.end(), fields_.size()) != keys_.end()) {
      field.prefix = written_.empty() ? "{" : ",";
      append_json_string(field.prefix, column.name);
      field.prefix += ':';
      written_.push_back(fields_.size());
    }
    field.width = width_of(layout_of(column));
    fields_.push_back(std::move(field));
  }
}

std::size_t JsonRowEncoder::append_value(const RowBatch& batch, std::size_t row, std::string& out) const {
  if (written_.empty()) out += '{';
  for (const std::size_t i : written_) {
    out += fields_[i].prefix;
    if (!append_field(batch, row, i, out)) return i;
  }
  out += '}';
  return npos;
}

std::size_t JsonRowEncoder::append_key(const RowBatch& batch, std::size_t row, std::string& out) const {
  if (keys_.size() > 1) out += '[';
  for (std::size_t k = 0; k < keys_.size(); ++k) {
    if (k != 0) out += ',';
    if (!append_field(batch, row, keys_[k], out)) return keys_[k];
  }
  if (keys_.size() > 1) out += ']';
  return npos;
}

bool JsonRowEncoder::append_field(const RowBatch& batch, std::size_t row, std::size_t index, std::string& out) const {
  const Column& column = batch.columns[index];
  if (column.is_null(row)) {
    out += "null";
    return true;
  }
  return append_cell(out, schema_->columns[index], column.at(row, fields_[index].width), json_as_object_);
}

}  // namespace pgch::codec
