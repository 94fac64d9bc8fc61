// Columns → JSON. The grammar is in docs/WIRE.md; json_decode.cpp reads it back.
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

}  // namespace

JsonRowEncoder::JsonRowEncoder(std::shared_ptr<const TableSchema> schema, bool json_as_object)
    : schema_(std::move(schema)), keys_(key_indexes(*schema_)), json_as_object_(json_as_object) {
  for (const ColumnSpec& column : schema_->columns) {
    Field field;
    field.prefix = fields_.empty() ? "{" : ",";
    append_json_string(field.prefix, column.name);
    field.prefix += ':';
    field.width = width_of(layout_of(column));
    fields_.push_back(std::move(field));
  }
}

std::size_t JsonRowEncoder::append_row(const RowBatch& batch, std::size_t row, std::string& out) const {
  if (fields_.empty()) out += '{';
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    out += fields_[i].prefix;
    if (!append_value(batch, row, i, out)) return i;
  }
  out += '}';
  return npos;
}

std::size_t JsonRowEncoder::append_key(const RowBatch& batch, std::size_t row, std::string& out) const {
  if (keys_.size() > 1) out += '[';
  for (std::size_t k = 0; k < keys_.size(); ++k) {
    if (k != 0) out += ',';
    if (!append_value(batch, row, keys_[k], out)) return keys_[k];
  }
  if (keys_.size() > 1) out += ']';
  return npos;
}

bool JsonRowEncoder::append_value(const RowBatch& batch, std::size_t row, std::size_t index, std::string& out) const {
  const Column& column = batch.columns[index];
  if (column.is_null(row)) {
    out += "null";
    return true;
  }
  const ColumnSpec& spec = schema_->columns[index];
  const auto cell = column.at(row, fields_[index].width);
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
      if (!json_as_object_) return append_json_string(out, as_text(cell));
      // PostgreSQL's own text is JSON already; anything else that got into the column must not break the object around
      // it.
      if (!is_utf8(as_text(cell)) || check_json(as_text(cell), 4096) != JsonFault::none) return false;
      out.append(as_text(cell));
      return true;
    case Kind::text:
    case Kind::enumeration:
      return append_json_string(out, as_text(cell));
  }
  return false;
}

}  // namespace pgch::codec
