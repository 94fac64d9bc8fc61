#include "avro/row_encoder.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "avro/row_schema.h"
#include "base/bytes.h"
#include "base/try.h"
#include "codec/json_text.h"
#include "model/packed.h"

namespace pgch::avro {
namespace {

using Bytes = std::span<const std::byte>;

template <class T>
T load(Bytes cell) noexcept {
  T value{};
  std::memcpy(&value, cell.data(), sizeof(T));
  return value;
}

void put_long(std::string& out, std::int64_t value) {
  put_varint(out, (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63));
}

void put_bytes(std::string& out, Bytes bytes) {
  put_long(out, static_cast<std::int64_t>(bytes.size()));
  put_raw(out, bytes.data(), bytes.size());
}

bool put_utf8(std::string& out, std::string_view text) {
  if (!codec::is_utf8(text)) return false;
  put_bytes(out, as_bytes(text));
  return true;
}

// The shortest two's complement with the most significant byte first, as Java's BigInteger writes it.
void put_decimal(std::string& out, Bytes little) {
  std::size_t n = little.size();
  const std::byte sign = (little[n - 1] & std::byte{0x80}) != std::byte{0} ? std::byte{0xFF} : std::byte{0};
  while (n > 1 && little[n - 1] == sign && ((little[n - 2] ^ sign) & std::byte{0x80}) == std::byte{0}) --n;
  put_long(out, static_cast<std::int64_t>(n));
  while (n > 0) out += static_cast<char>(little[--n]);
}

void put_unsigned_decimal(std::string& out, std::uint64_t value) {
  std::array<std::byte, 9> wide{};
  std::memcpy(wide.data(), &value, sizeof(value));
  put_decimal(out, wide);
}

// 10^(digits of the tick − the column's digits), multiplied and checked.
bool put_ticks(std::string& out, std::int64_t ticks, unsigned scale, Tick tick) {
  const unsigned digits = tick == Tick::millis ? 3 : tick == Tick::micros ? 6 : 9;
  for (unsigned i = scale; i < digits; ++i) {
    if (__builtin_mul_overflow(ticks, std::int64_t{10}, &ticks)) return false;
  }
  put_long(out, ticks);
  return true;
}

// ClickHouse keeps a UUID as two little-endian halves, the high half first.
void put_uuid(std::string& out, Bytes cell) {
  constexpr std::string_view hex = "0123456789abcdef";
  put_long(out, 36);
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    const auto b = std::to_integer<unsigned>(cell[i < 8 ? 7 - i : 23 - i]);
    out += hex[b >> 4U];
    out += hex[b & 15U];
  }
}

bool put_ipv6(std::string& out, Bytes cell) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(AF_INET6, cell.data(), text.data(), text.size()) == nullptr) return false;
  put_bytes(out, as_bytes(std::string_view(text.data())));
  return true;
}

template <class T>
bool put_integer(std::string& out, Bytes cell) {
  put_long(out, static_cast<std::int64_t>(load<T>(cell)));
  return true;
}

bool put_cell(std::string& out, const ColumnSpec& type, ByteReader& in) {
  if (packs_null(type)) {
    const bool null = in.little<std::uint8_t>() != 0;
    put_long(out, null ? 0 : 1);
    if (null) return in.ok();
  }
  Bytes value;
  return take_packed(type, in, value) && append_avro(out, type, value);
}

// One block of all items, then the empty block that ends an array or a map.
bool put_nested(std::string& out, const ColumnSpec& spec, Bytes cell) {
  ByteReader in(cell);
  if (spec.kind == Kind::tuple) {
    for (const ColumnSpec& element : spec.elements) {
      if (!put_cell(out, element, in)) return false;
    }
    return in.ok() && in.at_end();
  }
  const std::uint64_t count = in.varint();
  if (!in.ok() || count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return false;
  if (count != 0) put_long(out, static_cast<std::int64_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    for (const ColumnSpec& element : spec.elements) {
      if (!put_cell(out, element, in)) return false;
    }
  }
  put_long(out, 0);
  return in.ok() && in.at_end();
}

}  // namespace

bool append_avro(std::string& out, const ColumnSpec& spec, Bytes cell) {
  switch (spec.kind) {
    case Kind::boolean:
      out += static_cast<char>(load<std::uint8_t>(cell) != 0 ? 1 : 0);
      return true;
    case Kind::int8:
      return put_integer<std::int8_t>(out, cell);
    case Kind::int16:
      return put_integer<std::int16_t>(out, cell);
    case Kind::int32:
    case Kind::date:
      return put_integer<std::int32_t>(out, cell);
    case Kind::int64:
      return put_integer<std::int64_t>(out, cell);
    case Kind::uint8:
      return put_integer<std::uint8_t>(out, cell);
    case Kind::uint16:
    case Kind::date16:
      return put_integer<std::uint16_t>(out, cell);
    case Kind::uint32:
      return put_integer<std::uint32_t>(out, cell);
    case Kind::uint64:
      put_unsigned_decimal(out, load<std::uint64_t>(cell));
      return true;
    case Kind::float32:
    case Kind::float64:
      put_raw(out, cell.data(), cell.size());
      return true;
    case Kind::decimal:
    case Kind::int256:
      put_decimal(out, cell);
      return true;
    case Kind::datetime:
      return put_ticks(out, load<std::uint32_t>(cell), 0, Tick::millis);
    case Kind::timestamp:
    case Kind::timestamptz:
    case Kind::time:
      return put_ticks(out, load<std::int64_t>(cell), spec.scale, tick_of(spec.scale));
    case Kind::uuid:
      put_uuid(out, cell);
      return true;
    case Kind::ipv6:
      return put_ipv6(out, cell);
    case Kind::bytes:
      put_bytes(out, cell);
      return true;
    case Kind::text:
    case Kind::json:
    case Kind::enumeration:
      return put_utf8(out, as_text(cell));
    case Kind::array:
    case Kind::tuple:
    case Kind::map:
      return put_nested(out, spec, cell);
  }
  return false;
}

Result<void> AvroRowEncoder::open(std::shared_ptr<const TableSchema> schema) {
  PGCH_ASSIGN(const std::string json, row_schema(*schema));
  PGCH_ASSIGN(const std::uint32_t number, registry_->number_of(subject_, json));
  PGCH_TRY(keys_.open(schema));
  schema_ = std::move(schema);
  widths_.clear();
  for (const ColumnSpec& column : schema_->columns) widths_.push_back(width_of(layout_of(column)));
  head_.assign(1, '\0');
  put_little(head_, byteswap(number));
  return {};
}

std::size_t AvroRowEncoder::append_value(const RowBatch& batch, std::size_t row, std::string& out) const {
  out += head_;
  for (std::size_t i = 0; i < widths_.size(); ++i) {
    const ColumnSpec& spec = schema_->columns[i];
    const Column& column = batch.columns[i];
    if (spec.nullable) put_long(out, column.is_null(row) ? 0 : 1);
    if (!column.is_null(row) && !append_avro(out, spec, column.at(row, widths_[i]))) return i;
  }
  return npos;
}

std::size_t AvroRowEncoder::append_key(const RowBatch& batch, std::size_t row, std::string& out) const {
  return keys_.append_key(batch, row, out);
}

std::string_view AvroRowEncoder::no_form() const noexcept {
  return "holds a value that Avro has no form for: text that is not UTF-8, or a time out of 64 bits";
}

}  // namespace pgch::avro
