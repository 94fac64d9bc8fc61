#include "avro/leaf.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "codec/json_text.h"
#include "codec/wide_decimal.h"

namespace pgch::avro {
namespace {

using codec::TargetColumn;
using codec::ValueFault;
using Cell = std::span<const std::byte>;

constexpr std::int64_t day_s = 86'400;

bool is_whole(Kind kind) noexcept { return kind >= Kind::int8 && kind <= Kind::uint64; }
bool is_number(Kind kind) noexcept { return is_whole(kind) || kind == Kind::decimal || kind == Kind::int256; }
bool is_moment(Kind kind) noexcept {
  return kind == Kind::datetime || kind == Kind::timestamp || kind == Kind::timestamptz;
}
bool is_textual(Kind kind) noexcept { return kind == Kind::text || kind == Kind::json || kind == Kind::enumeration; }

Fault fault_of(ValueFault fault) noexcept {
  switch (fault) {
    case ValueFault::none:
      return Fault::none;
    case ValueFault::range:
      return Fault::range;
    case ValueFault::fraction:
      return Fault::fraction;
    case ValueFault::null:
      return Fault::null;
    case ValueFault::full:
      return Fault::full;
    case ValueFault::type:
    case ValueFault::form:
    case ValueFault::zone:
      return Fault::form;
  }
  return Fault::form;
}

template <class T>
Fault put(const TargetColumn& target, T value, Column& column) {
  put_little(column.data, value);
  if (target.spec->nullable) column.nulls.push_back(0);
  return Fault::none;
}

template <class T>
Fault put_whole(const TargetColumn& target, std::int64_t value, Column& column) {
  if (!std::in_range<T>(value)) return Fault::range;
  return put(target, static_cast<T>(value), column);
}

// By its digits: exact for every width, and rare.
Fault put_digits(const TargetColumn& target, std::string_view digits, Column& column) {
  return fault_of(codec::append_from_token(target, digits, column));
}

template <class T>
Fault put_exact(const TargetColumn& target, std::int64_t value, Column& column) {
  const T as_float = static_cast<T>(value);
  // What is at 2^63 and above has been rounded up to it.
  if (as_float >= static_cast<T>(9223372036854775808.0) || static_cast<std::int64_t>(as_float) != value)
    return Fault::range;
  return put(target, as_float, column);
}

// value × 10^(to − from), exactly.
Fault rescale(std::int64_t& value, unsigned from, unsigned to) noexcept {
  for (; from < to; ++from) {
    if (__builtin_mul_overflow(value, std::int64_t{10}, &value)) return Fault::range;
  }
  for (; from > to; --from) {
    if (value % 10 != 0) return Fault::fraction;
    value /= 10;
  }
  return Fault::none;
}

unsigned digits_of(Logical logical) noexcept {
  switch (logical) {
    case Logical::time_millis:
    case Logical::timestamp_millis:
      return 3;
    case Logical::timestamp_nanos:
      return 9;
    default:
      return 6;
  }
}

Fault put_moment(const WriterType& type, const TargetColumn& target, std::int64_t value, Column& column) {
  const bool seconds = target.spec->kind == Kind::datetime;
  if (const Fault fault = rescale(value, digits_of(type.logical), seconds ? 0 : target.spec->scale);
      fault != Fault::none)
    return fault;
  return seconds ? put_whole<std::uint32_t>(target, value, column) : put(target, value, column);
}

Fault put_clock(const WriterType& type, const TargetColumn& target, std::int64_t value, Column& column) {
  const unsigned digits = digits_of(type.logical);
  std::int64_t end = day_s;
  (void)rescale(end, 0, digits);
  if (value < 0 || value > end) return Fault::range;  // 24:00:00 is a time at PostgreSQL
  if (const Fault fault = rescale(value, digits, target.spec->scale); fault != Fault::none) return fault;
  return put(target, value, column);
}

Fault read_whole(const WriterType& type, const TargetColumn& target, ByteReader& in, Column& column) {
  const auto taken = take_long(in);
  if (!taken || (type.form == Form::whole && !std::in_range<std::int32_t>(*taken))) return Fault::damaged;
  const std::int64_t value = *taken;
  switch (target.spec->kind) {
    case Kind::int8:
      return put_whole<std::int8_t>(target, value, column);
    case Kind::int16:
      return put_whole<std::int16_t>(target, value, column);
    case Kind::int32:
    case Kind::date:
      return put_whole<std::int32_t>(target, value, column);
    case Kind::int64:
      return put(target, value, column);
    case Kind::uint8:
      return put_whole<std::uint8_t>(target, value, column);
    case Kind::uint16:
    case Kind::date16:
      return put_whole<std::uint16_t>(target, value, column);
    case Kind::uint32:
      return put_whole<std::uint32_t>(target, value, column);
    case Kind::uint64:
      return put_whole<std::uint64_t>(target, value, column);
    case Kind::float32:
      return put_exact<float>(target, value, column);
    case Kind::float64:
      return put_exact<double>(target, value, column);
    case Kind::decimal:
    case Kind::int256:
      return put_digits(target, std::to_string(value), column);
    case Kind::datetime:
    case Kind::timestamp:
    case Kind::timestamptz:
      return put_moment(type, target, value, column);
    case Kind::time:
      return put_clock(type, target, value, column);
    default:
      return Fault::type;
  }
}

// Into the column's width where the scales are the same, which they are among our own; else by its digits.
Fault put_decimal(const WriterType& type, const TargetColumn& target, Cell big, Column& column) {
  std::array<std::byte, 32> little{};
  if (big.empty()) return Fault::damaged;
  const bool negative = (big[0] & std::byte{0x80}) != std::byte{0};
  const std::byte sign = negative ? std::byte{0xFF} : std::byte{0};
  while (big.size() > 1 && big[0] == sign && ((big[1] ^ sign) & std::byte{0x80}) == std::byte{0}) big = big.subspan(1);
  if (big.size() > little.size()) return Fault::range;
  little.fill(sign);
  for (std::size_t i = 0; i < big.size(); ++i) little[i] = big[big.size() - 1 - i];
  const bool same = target.spec->kind == Kind::int256 ? type.scale == 0 : type.scale == target.spec->scale;
  // 8^p is less than 10^p: what has fewer than 3p bits is surely within p digits.
  if (same && big.size() <= target.width && target.spec->kind == Kind::decimal &&
      big.size() * 8 < target.spec->precision * std::size_t{3}) {
    column.data.insert(column.data.end(), little.begin(), little.begin() + static_cast<std::ptrdiff_t>(target.width));
    if (target.spec->nullable) column.nulls.push_back(0);
    return Fault::none;
  }
  if (target.spec->kind == Kind::int256 && same) {
    column.data.insert(column.data.end(), little.begin(), little.end());
    if (target.spec->nullable) column.nulls.push_back(0);
    return Fault::none;
  }
  std::string digits;
  codec::append_decimal(digits, little, type.scale);
  return put_digits(target, digits, column);
}

Fault put_uuid(const TargetColumn& target, Cell bytes, Column& column) {
  std::array<std::byte, 16> cell{};
  for (std::size_t i = 0; i < 16; ++i) cell[i < 8 ? 7 - i : 23 - i] = bytes[i];
  return put(target, cell, column);
}

Fault read_bytes(const WriterType& type, const TargetColumn& target, ByteReader& in, Column& column) {
  Cell bytes;
  if (type.form == Form::fixed) {
    bytes = in.take(type.size);
    if (!in.ok()) return Fault::damaged;
  } else {
    const auto taken = take_bytes(in);
    if (!taken) return Fault::damaged;
    bytes = *taken;
  }
  const Kind kind = target.spec->kind;
  if (kind == Kind::bytes || is_textual(kind)) {
    if (kind != Kind::bytes && !codec::is_utf8(as_text(bytes))) return Fault::form;
    return codec::append_text(target, as_text(bytes), column) ? Fault::none : Fault::full;
  }
  if (kind == Kind::uuid) return put_uuid(target, bytes, column);
  return put_decimal(type, target, bytes, column);
}

Fault read_text(const TargetColumn& target, ByteReader& in, Column& column) {
  const auto taken = take_bytes(in);
  if (!taken) return Fault::damaged;
  const std::string_view text = as_text(*taken);
  const Kind kind = target.spec->kind;
  if (kind != Kind::bytes && !codec::is_utf8(text)) return Fault::form;
  if (kind == Kind::bytes || is_textual(kind))
    return codec::append_text(target, text, column) ? Fault::none : Fault::full;
  return fault_of(codec::append_from_string(target, text, column));
}

template <class T>
Fault read_float(const TargetColumn& target, ByteReader& in, Column& column) {
  const T value = in.little<T>();
  if (!in.ok()) return Fault::damaged;
  if (sizeof(T) == 4 && target.spec->kind == Kind::float64) return put(target, static_cast<double>(value), column);
  return put(target, value, column);
}

}  // namespace

std::optional<std::int64_t> take_long(ByteReader& in) noexcept {
  const std::uint64_t raw = in.varint();
  if (!in.ok()) return std::nullopt;
  return static_cast<std::int64_t>((raw >> 1U) ^ (~(raw & 1U) + 1));
}

std::optional<Cell> take_bytes(ByteReader& in) noexcept {
  const auto size = take_long(in);
  if (!size || *size < 0 || static_cast<std::uint64_t>(*size) > in.left()) return std::nullopt;
  return in.take(static_cast<std::size_t>(*size));
}

bool leaf_resolves(const WriterType& type, const ColumnSpec& column) noexcept {
  const Kind kind = column.kind;
  switch (type.form) {
    case Form::boolean:
      return kind == Kind::boolean;
    case Form::whole:
    case Form::long_whole:
      if (kind == Kind::date || kind == Kind::date16) return type.logical == Logical::date;
      if (is_moment(kind)) return type.logical >= Logical::timestamp_millis && type.logical <= Logical::timestamp_nanos;
      if (kind == Kind::time) return type.logical == Logical::time_millis || type.logical == Logical::time_micros;
      return is_number(kind) || kind == Kind::float32 || kind == Kind::float64;
    case Form::float32:
      return kind == Kind::float32 || kind == Kind::float64;
    case Form::float64:
      return kind == Kind::float64;
    case Form::bytes:
    case Form::fixed:
      if (type.logical == Logical::decimal && is_number(kind)) return true;
      if (type.form == Form::fixed && kind == Kind::uuid) return type.logical == Logical::uuid;
      return type.logical == Logical::none && (kind == Kind::bytes || is_textual(kind));
    case Form::text:
      return !is_whole(kind) && kind != Kind::boolean && !is_nested(kind);
    case Form::enumeration:
      return kind == Kind::text || kind == Kind::enumeration;
    default:
      return false;
  }
}

Fault read_leaf(const WriterType& type, const TargetColumn& target, ByteReader& in, Column& column) {
  switch (type.form) {
    case Form::boolean: {
      const auto value = in.little<std::uint8_t>();
      return in.ok() && value <= 1 ? put(target, value, column) : Fault::damaged;
    }
    case Form::whole:
    case Form::long_whole:
      return read_whole(type, target, in, column);
    case Form::float32:
      return read_float<float>(target, in, column);
    case Form::float64:
      return read_float<double>(target, in, column);
    case Form::bytes:
    case Form::fixed:
      return read_bytes(type, target, in, column);
    case Form::text:
      return read_text(target, in, column);
    case Form::enumeration: {
      const auto place = take_long(in);
      if (!place || *place < 0 || static_cast<std::uint64_t>(*place) >= type.symbols.size()) return Fault::damaged;
      const std::string& symbol = type.symbols[static_cast<std::size_t>(*place)];
      return codec::append_text(target, symbol, column) ? Fault::none : Fault::full;
    }
    default:
      return Fault::type;
  }
}

}  // namespace pgch::avro
