// pgch's own JSON values → Debezium's.
#include <algorithm>
#include <array>

#include "base/base64.h"
#include "base/bytes.h"
#include "codec/debezium_value.h"
#include "codec/iso_time.h"
#include "codec/json_text.h"

namespace pgch::codec {
namespace {

bool unquote(std::string_view json, std::string& out) {
  std::vector<std::byte> bytes;
  if (json.empty() || json.front() != '"' || !append_unescaped(bytes, json.data() + 1, json.size())) return false;
  out = as_text(bytes);
  return true;
}

void append_base64_string(std::string& out, std::span<const std::byte> bytes) {
  out += '"';
  append_base64(out, bytes);
  out += '"';
}

// The digits of an integer → big-endian two's complement, as few bytes as it takes (Java's BigInteger.toByteArray).
std::vector<std::byte> big_endian(std::string_view digits, bool negative) {
  std::vector<std::uint32_t> limbs;  // least significant first
  for (std::size_t at = 0; at < digits.size();) {
    const std::size_t n = std::min<std::size_t>(9, digits.size() - at);
    std::uint64_t factor = 1, carry = 0;
    for (std::size_t i = 0; i < n; ++i, ++at, factor *= 10)
      carry = carry * 10 + static_cast<std::uint64_t>(digits[at] - '0');
    for (std::uint32_t& limb : limbs) {
      const std::uint64_t product = limb * factor + carry;
      limb = static_cast<std::uint32_t>(product);
      carry = product >> 32U;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
  }
  limbs.push_back(0);  // room for the sign
  std::uint64_t carry = 1;
  for (std::uint32_t& limb : limbs) {
    if (!negative) break;
    carry += static_cast<std::uint32_t>(~limb);
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32U;
  }
  std::vector<std::byte> out;
  for (std::size_t i = limbs.size() * 4; i-- > 0;) {
    const auto b = static_cast<std::byte>(limbs[i / 4] >> (i % 4 * 8));
    // The first byte left has the sign.
    const auto sign = [](std::byte byte) { return (byte & std::byte{0x80}) != std::byte{0}; };
    const bool filler =
        out.size() == 1 && out[0] == (negative ? std::byte{0xFF} : std::byte{0}) && sign(b) == sign(out[0]);
    if (filler) out.clear();
    out.push_back(b);
  }
  return out;
}

struct Number {
  bool negative = false;
  std::string digits;  // without the point
  std::size_t scale = 0;
};

// Of a plain number: no exponent.
bool split(std::string_view text, Number& out) {
  if (!text.empty() && text.front() == '-') {
    out.negative = true;
    text.remove_prefix(1);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '.' && out.scale == 0 && i + 1 < text.size()) {
      out.scale = text.size() - i - 1;
    } else if (text[i] >= '0' && text[i] <= '9') {
      out.digits += text[i];
    } else {
      return false;
    }
  }
  return !out.digits.empty();
}

bool append_number(const Form& form, const ColumnSpec& column, const DebeziumModes& modes, std::string_view json,
                   std::string& out) {
  const bool quoted = json.front() == '"';
  std::string text(json);
  if (quoted && !unquote(json, text)) return false;
  Number number;
  const bool plain = split(text, number);
  // NaN has no form in base64, and as a word it could be some.
  if (!plain && form.encoding == Encoding::decimal) return false;
  if (modes.decimal_as_string || !plain) {
    append_json_string(out, text);
    return true;
  }
  if (form.encoding == Encoding::decimal && !quoted) {
    // A negative scale: the number itself, since all its zeros would be of no use.
    if (form.number != column.scale) {
      out += json;
      return true;
    }
    append_base64_string(out, big_endian(number.digits, number.negative));
    return true;
  }
  out += "{\"scale\":" + std::to_string(number.scale) + ",\"value\":";
  append_base64_string(out, big_endian(number.digits, number.negative));
  out += '}';
  return true;
}

// Microseconds in the form's unit; where that can't be said, the ISO text.
bool append_ticks(const Form& form, std::int64_t us, std::string_view json, std::string& out) {
  if (form.number == 0 || (form.number == 3 && us % 1000 != 0)) {
    out += json;
    return !json.empty();
  }
  std::int64_t value = form.number == 3 ? us / 1000 : us;
  if (form.number == 9 && __builtin_mul_overflow(us, 1000, &value)) return false;
  out += std::to_string(value);
  return true;
}

bool append_time(const Form& form, const ColumnSpec& column, std::string_view json, std::string& out) {
  if (json.front() != '"') {  // time as Int64
    std::int64_t us = 0;
    for (const char c : json) us = us * 10 + (c - '0');
    return append_ticks(form, us, "", out);
  }
  std::string text;
  std::int64_t value = 0;
  if (!unquote(json, text)) return false;
  // A text is what PostgreSQL made of it; the reader takes it as it is.
  const bool as_text = column.kind == Kind::text;
  if (form.encoding == Encoding::date && parse_date(text, value) == TimeFault::none) {
    out += std::to_string(value);
    return true;
  }
  ParsedTime time;
  if (form.encoding == Encoding::clock && parse_clock(text, 6, value) == TimeFault::none)
    return append_ticks(form, value, json, out);
  // An instant is text in all modes.
  const bool instant = column.kind == Kind::timestamptz || column.kind == Kind::datetime || as_text;
  if (form.encoding == Encoding::stamp && !instant && parse_timestamp(text, 6, time) == TimeFault::none)
    return append_ticks(form, time.ticks, json, out);
  out += json;
  return true;
}

bool append_bit_string(const Form& form, const ColumnSpec& column, std::string_view json, std::string& out) {
  std::string text(json);
  std::vector<std::byte> bytes;
  if (column.kind == Kind::uint64) {
    std::uint64_t value = 0;
    for (const char c : json) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    for (; value != 0; value >>= 8U) bytes.push_back(static_cast<std::byte>(value));
    append_base64_string(out, bytes);
    return true;
  }
  if (!unquote(json, text)) return false;
  if (form.number == 1) {
    out += text == "1" ? "true" : "false";
    return true;
  }
  bytes.resize((text.size() + 7) / 8);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[text.size() - 1 - i] == '1') bytes[i / 8] |= static_cast<std::byte>(1U << (i % 8));
  }
  append_base64_string(out, bytes);
  return true;
}

bool append_binary(const Form& form, std::string_view json, std::string& out) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  std::vector<std::byte> bytes;
  if (!unquote(json, text) || !parse_base64(text, bytes)) return false;
  out += '"';
  if (form.encoding == Encoding::hex) {
    for (const std::byte b : bytes) {
      out += digits[std::to_integer<unsigned>(b) >> 4U];
      out += digits[std::to_integer<unsigned>(b) & 15U];
    }
  } else {
    for (const char c : text) out += c == '+' ? '-' : c == '/' ? '_' : c;
  }
  out += '"';
  return true;
}

bool append_geometry(std::string_view json, std::string& out) {
  std::string text;
  std::vector<std::byte> bytes;
  if (!unquote(json, text)) return false;
  unsigned high = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = std::string_view("0123456789ABCDEF").find(text[i]);
    if (digit == std::string_view::npos) {  // WKT
      out += json;
      return true;
    }
    if (i % 2 != 0) bytes.push_back(static_cast<std::byte>(high << 4U | static_cast<unsigned>(digit)));
    high = static_cast<unsigned>(digit);
  }
  out += "{\"wkb\":";
  append_base64_string(out, bytes);
  out += ",\"srid\":null}";
  return true;
}

bool append_elements(const Form& form, const ColumnSpec& column, const DebeziumModes& modes, std::string_view json,
                     std::string& out) {
  JsonPieces pieces(json);
  std::string_view name, value;
  out += '[';
  for (bool first = true; pieces.next(name, value); first = false) {
    if (!first) out += ',';
    if (!append_debezium(*form.item, column.elements[0], modes, value, out)) return false;
  }
  out += ']';
  return true;
}

}  // namespace

bool append_debezium(const Form& form, const ColumnSpec& column, const DebeziumModes& modes, std::string_view json,
                     std::string& out) {
  if (json.empty()) return false;
  if (json == "null") {
    out += json;
    return true;
  }
  switch (form.encoding) {
    case Encoding::date:
    case Encoding::clock:
    case Encoding::stamp:
      return append_time(form, column, json, out);
    case Encoding::decimal:
    case Encoding::numeral:
      return append_number(form, column, modes, json, out);
    case Encoding::bits:
      return append_bit_string(form, column, json, out);
    case Encoding::base64_url:
    case Encoding::hex:
      return append_binary(form, json, out);
    case Encoding::geometry:
      return append_geometry(json, out);
    case Encoding::array:
      return append_elements(form, column, modes, json, out);
    case Encoding::point: {
      if (json.front() == '"') break;
      JsonPieces pieces(json);
      std::string_view name, x, y;
      if (json.front() != '[' || !pieces.next(name, x) || !pieces.next(name, y)) return false;
      out += "{\"x\":" + std::string(x) + ",\"y\":" + std::string(y) + ",\"wkb\":null,\"srid\":null}";
      return true;
    }
    default:
      break;
  }
  out += json;
  return true;
}

}  // namespace pgch::codec
