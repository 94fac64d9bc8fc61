#include "codec/json_value.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/base64.h"
#include "base/bytes.h"
#include "codec/iso_time.h"
#include "codec/json_text.h"
#include "codec/wide_decimal.h"
#include "model/packed.h"

namespace pgch::codec {
namespace {

template <class T>
ValueFault put(const TargetColumn& target, T value, Column& column) {
  const std::size_t at = column.data.size();
  column.data.resize(at + sizeof(T));
  std::memcpy(column.data.data() + at, &value, sizeof(T));
  if (target.spec->nullable) column.nulls.push_back(0);
  return ValueFault::none;
}

ValueFault fault_of(NumberFault fault) {
  switch (fault) {
    case NumberFault::none:
      return ValueFault::none;
    case NumberFault::syntax:
      return ValueFault::form;
    case NumberFault::fraction:
      return ValueFault::fraction;
    case NumberFault::range:
      return ValueFault::range;
  }
  return ValueFault::form;
}

// Plain digits are the rule; exponents and ".0" go the exact, slow way.
template <class T>
ValueFault append_integer(const TargetColumn& target, std::string_view token, Column& column) {
  T value{};
  const char* const end = token.data() + token.size();
  const auto [stop, error] = std::from_chars(token.data(), end, value);
  const std::size_t digits = token.size() - (token.front() == '-' ? 1 : 0);
  const char first = token[token.size() - digits];
  if (error == std::errc{} && stop == end && (first != '0' || digits == 1)) return put(target, value, column);
  std::array<std::byte, 16> wide{};
  if (const NumberFault fault = parse_decimal(token, 20, 0, wide); fault != NumberFault::none) return fault_of(fault);
  __extension__ typedef __int128 Wide;
  Wide exact = 0;
  std::memcpy(&exact, wide.data(), sizeof(exact));
  if (exact < static_cast<Wide>(std::numeric_limits<T>::min()) ||
      exact > static_cast<Wide>(std::numeric_limits<T>::max())) {
    return ValueFault::range;
  }
  return put(target, static_cast<T>(exact), column);
}

template <class T>
ValueFault append_float(const TargetColumn& target, std::string_view token, Column& column) {
  if (!is_json_number(token)) return ValueFault::form;
  T value{};
  const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (error != std::errc{} || stop != token.data() + token.size()) return ValueFault::range;
  return put(target, value, column);
}

template <class T>
ValueFault append_named_float(const TargetColumn& target, std::string_view text, Column& column) {
  if (text == "NaN") return put(target, std::numeric_limits<T>::quiet_NaN(), column);
  if (text == "Infinity") return put(target, std::numeric_limits<T>::infinity(), column);
  if (text == "-Infinity") return put(target, -std::numeric_limits<T>::infinity(), column);
  return ValueFault::type;
}

ValueFault append_decimal_text(const TargetColumn& target, std::string_view token, Column& column) {
  std::array<std::byte, 32> value{};
  const auto cell = std::span(value).first(target.width);
  const bool whole = target.spec->kind == Kind::int256;
  if (const NumberFault fault =
          parse_decimal(token, whole ? 76 : target.spec->precision, whole ? 0 : target.spec->scale, cell);
      fault != NumberFault::none) {
    return fault_of(fault);
  }
  column.data.insert(column.data.end(), cell.begin(), cell.end());
  if (target.spec->nullable) column.nulls.push_back(0);
  return ValueFault::none;
}

ValueFault fault_of(TimeFault fault) {
  switch (fault) {
    case TimeFault::none:
      return ValueFault::none;
    case TimeFault::syntax:
      return ValueFault::form;
    case TimeFault::fraction:
      return ValueFault::fraction;
    case TimeFault::range:
      return ValueFault::range;
  }
  return ValueFault::form;
}

template <class T>
ValueFault append_days(const TargetColumn& target, std::string_view text, Column& column) {
  std::int64_t days = 0;
  if (const TimeFault fault = parse_date(text, days); fault != TimeFault::none) return fault_of(fault);
  if (days < std::numeric_limits<T>::min() || days > std::numeric_limits<T>::max()) return ValueFault::range;
  return put(target, static_cast<T>(days), column);
}

ValueFault append_time(const TargetColumn& target, std::string_view text, Column& column) {
  const bool wall = target.spec->kind == Kind::timestamp;
  const unsigned scale = target.spec->kind == Kind::datetime ? 0 : target.spec->scale;
  ParsedTime time;
  if (const TimeFault fault = parse_timestamp(text, scale, time); fault != TimeFault::none) return fault_of(fault);
  // Wall time plus an offset is an instant: which of the two was meant for a column without time zone is not ours to
  // guess.
  if (wall && time.offset_s != 0) return ValueFault::zone;
  std::int64_t ticks = 0;
  if (!to_instant(time, scale, ticks)) return ValueFault::range;
  if (target.spec->kind != Kind::datetime) return put(target, ticks, column);
  if (ticks < 0 || ticks > std::numeric_limits<std::uint32_t>::max()) return ValueFault::range;
  return put(target, static_cast<std::uint32_t>(ticks), column);
}

ValueFault append_clock(const TargetColumn& target, std::string_view text, Column& column) {
  std::int64_t ticks = 0;
  if (const TimeFault fault = parse_clock(text, target.spec->scale, ticks); fault != TimeFault::none)
    return fault_of(fault);
  return put(target, ticks, column);
}

ValueFault append_ipv6(const TargetColumn& target, std::string_view text, Column& column) {
  const std::string address(text);  // it wants a closing NUL
  std::array<std::byte, 16> cell{};
  if (::inet_pton(AF_INET6, address.c_str(), cell.data()) == 1) return put(target, cell, column);
  if (::inet_pton(AF_INET, address.c_str(), cell.data() + 12) != 1) return ValueFault::form;
  cell[10] = cell[11] = std::byte{0xFF};
  return put(target, cell, column);
}

ValueFault append_uuid(const TargetColumn& target, std::string_view text, Column& column) {
  if (text.size() != 36) return ValueFault::form;
  std::array<std::byte, 16> cell{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') return ValueFault::form;
    unsigned b = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + at + 2, b, 16);
    if (error != std::errc{} || stop != text.data() + at + 2) return ValueFault::form;
    cell[i < 8 ? 7 - i : 23 - i] = static_cast<std::byte>(b);
    at += 2;
  }
  return put(target, cell, column);
}

ValueFault append_bytes(const TargetColumn& target, std::string_view text, Column& column) {
  if (column.data.size() + text.size() > std::numeric_limits<std::uint32_t>::max()) return ValueFault::full;
  if (!parse_base64(text, column.data)) return ValueFault::form;
  column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  if (target.spec->nullable) column.nulls.push_back(0);
  return ValueFault::none;
}

std::string_view wanted(Kind kind) {
  switch (kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::int8:
    case Kind::int16:
    case Kind::int32:
    case Kind::int64:
    case Kind::uint8:
    case Kind::uint16:
    case Kind::uint32:
    case Kind::uint64:
      return "an integer";
    case Kind::float32:
    case Kind::float64:
      return "a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    case Kind::decimal:
      return "a decimal number";
    case Kind::date16:
    case Kind::date:
      return "a date as \"YYYY-MM-DD\"";
    case Kind::datetime:
    case Kind::timestamp:
    case Kind::timestamptz:
      return "a time as \"YYYY-MM-DDTHH:MM:SS.ffffffZ\"";
    case Kind::time:
      return "a time of day as \"HH:MM:SS.ffffff\"";
    case Kind::int256:
      return "an integer of at most 76 digits";
    case Kind::ipv6:
      return "an IP address";
    case Kind::array:
      return "an array of what its column holds";
    case Kind::tuple:
      return "an object or array with the fields of its column";
    case Kind::map:
      return "an object with the values of its column";
    case Kind::uuid:
      return "a UUID";
    case Kind::bytes:
      return "a base64 string";
    case Kind::json:
      return "JSON, or a string that holds it";
    case Kind::text:
    case Kind::enumeration:
      return "a string";
  }
  return "another type";
}

std::string type_of(const ColumnSpec& spec) {
  switch (spec.kind) {
    case Kind::int8:
      return " of 8 bits";
    case Kind::int16:
      return " of 16 bits";
    case Kind::int32:
      return " of 32 bits";
    case Kind::int64:
      return " of 64 bits";
    case Kind::uint8:
      return " of 8 bits without sign";
    case Kind::uint16:
      return " of 16 bits without sign";
    case Kind::uint32:
      return " of 32 bits without sign";
    case Kind::uint64:
      return " of 64 bits without sign";
    case Kind::decimal:
      return " with at most " + std::to_string(spec.precision) + " digits, " + std::to_string(spec.scale) +
             " of them after the point";
    default:
      return {};
  }
}

}  // namespace

ValueFault append_from_string(const TargetColumn& target, std::string_view text, Column& column) {
  switch (target.spec->kind) {
    case Kind::bytes:
      return append_bytes(target, text, column);
    case Kind::uuid:
      return append_uuid(target, text, column);
    case Kind::date16:
      return append_days<std::uint16_t>(target, text, column);
    case Kind::date:
      return append_days<std::int32_t>(target, text, column);
    case Kind::datetime:
    case Kind::timestamp:
    case Kind::timestamptz:
      return append_time(target, text, column);
    case Kind::time:
      return append_clock(target, text, column);
    case Kind::ipv6:
      return append_ipv6(target, text, column);
    case Kind::int256:
      return append_decimal_text(target, text, column);
    case Kind::float32:
      return append_named_float<float>(target, text, column);
    case Kind::float64:
      return append_named_float<double>(target, text, column);
    case Kind::decimal:
      return append_decimal_text(target, text, column);
    default:
      return ValueFault::type;
  }
}

ValueFault append_from_token(const TargetColumn& target, std::string_view token, Column& column) {
  const Kind kind = target.spec->kind;
  if (token == "null") {
    if (!target.spec->nullable) return ValueFault::null;
    append_null(column, target.layout);
    return ValueFault::none;
  }
  const bool truth = token == "true" || token == "false";
  if (kind == Kind::boolean)
    return truth ? put(target, static_cast<std::uint8_t>(token == "true"), column) : ValueFault::type;
  if (kind == Kind::json && (truth || is_json_number(token)))
    return append_text(target, token, column) ? ValueFault::none : ValueFault::full;
  if (truth) return ValueFault::type;
  switch (kind) {
    case Kind::int8:
      return append_integer<std::int8_t>(target, token, column);
    case Kind::int16:
      return append_integer<std::int16_t>(target, token, column);
    case Kind::int32:
      return append_integer<std::int32_t>(target, token, column);
    case Kind::int64:
      return append_integer<std::int64_t>(target, token, column);
    case Kind::uint8:
      return append_integer<std::uint8_t>(target, token, column);
    case Kind::uint16:
      return append_integer<std::uint16_t>(target, token, column);
    case Kind::uint32:
      return append_integer<std::uint32_t>(target, token, column);
    case Kind::uint64:
      return append_integer<std::uint64_t>(target, token, column);
    case Kind::float32:
      return append_float<float>(target, token, column);
    case Kind::float64:
      return append_float<double>(target, token, column);
    case Kind::decimal:
    case Kind::int256:
      return append_decimal_text(target, token, column);
    default:
      return is_json_number(token) ? ValueFault::type : ValueFault::form;
  }
}

bool append_text(const TargetColumn& target, std::string_view text, Column& column) {
  if (column.data.size() + text.size() > std::numeric_limits<std::uint32_t>::max()) return false;
  const auto bytes = as_bytes(text);
  column.data.insert(column.data.end(), bytes.begin(), bytes.end());
  column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  if (target.spec->nullable) column.nulls.push_back(0);
  return true;
}

void append_zero(const TargetColumn& target, Column& column) {
  column.data.resize(column.data.size() + target.width);
  if (is_nested(target.spec->kind)) put_packed_default(*target.spec, column.data);
  if (target.layout == Layout::varlen) column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  if (target.spec->nullable) column.nulls.push_back(0);
}

std::string sentence_of(const ColumnSpec& spec, ValueFault fault) {
  const std::string field = "the field \"" + spec.name + "\" ";
  switch (fault) {
    case ValueFault::none:
      return {};
    case ValueFault::type:
    case ValueFault::form:
      return field + "is not " + std::string(wanted(spec.kind)) + type_of(spec);
    case ValueFault::range:
      return field + "does not fit " + std::string(wanted(spec.kind)) + type_of(spec);
    case ValueFault::fraction:
      return field + "has more digits after the point than its column keeps (" + std::to_string(spec.scale) + ")";
    case ValueFault::zone:
      return field + "has an offset from UTC, and its column has no time zone";
    case ValueFault::null:
      return field + "is null, and its column is not nullable";
    case ValueFault::full:
      return field + "does not fit the batch any more: a column holds 4 GiB at most";
  }
  return {};
}

}  // namespace pgch::codec
