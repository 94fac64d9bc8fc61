// Numbers and intervals of Debezium messages.
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/bytes.h"
#include "codec/debezium_value.h"
#include "codec/wide_decimal.h"

namespace pgch::codec {
namespace {

// What PostgreSQL's numeric can have, and what that is in bytes.
constexpr std::int64_t digits_max = 131'072 + 16'383;
constexpr std::size_t digits_bytes_max = 62'000;

bool is_number_kind(Kind kind) noexcept { return kind == Kind::decimal || kind == Kind::int256; }
bool is_float_kind(Kind kind) noexcept { return kind == Kind::float32 || kind == Kind::float64; }

bool read_integer(std::string_view text, std::int64_t& out) noexcept {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  return problem == std::errc{} && end == text.data() + text.size();
}

// A big-endian two's complement integer → its digits, most significant first; nothing but a sign for 0.
std::string digits_of(std::vector<std::byte> bytes) {
  constexpr std::uint64_t group = 1'000'000'000;
  std::string out;
  const bool negative = !bytes.empty() && (bytes.front() & std::byte{0x80}) != std::byte{0};
  std::vector<std::uint32_t> limbs((bytes.size() + 3) / 4, 0);  // most significant first
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t from_end = bytes.size() - 1 - i;
    const auto b = std::to_integer<std::uint32_t>(negative ? ~bytes[i] : bytes[i]);
    limbs[limbs.size() - 1 - from_end / 4] |= b << (from_end % 4 * 8);
  }
  // −x is ~x + 1.
  for (std::size_t i = limbs.size(); negative && i-- > 0;) {
    if (++limbs[i] != 0) break;
  }
  std::size_t first = 0;
  while (true) {
    while (first < limbs.size() && limbs[first] == 0) ++first;
    if (first == limbs.size()) break;
    std::uint64_t rest = 0;
    for (std::size_t i = first; i < limbs.size(); ++i) {
      const std::uint64_t current = rest << 32U | limbs[i];
      limbs[i] = static_cast<std::uint32_t>(current / group);
      rest = current % group;
    }
    for (int i = 0; i < 9; ++i, rest /= 10) out += static_cast<char>('0' + rest % 10);
  }
  while (!out.empty() && out.back() == '0') out.pop_back();
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

// "-1.5E3" as PostgreSQL prints it: all digits, no exponent.
bool expand(std::string_view number, std::string& out) {
  const bool negative = !number.empty() && number.front() == '-';
  if (negative) number.remove_prefix(1);
  const std::size_t e = number.find_first_of("eE");
  std::int64_t exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view power = number.substr(e + 1);
    if (!power.empty() && power.front() == '+') power.remove_prefix(1);
    if (!read_integer(power, exponent) || std::llabs(exponent) > 400) return false;
  }
  const std::string_view mantissa = number.substr(0, e);
  const std::size_t point = mantissa.find('.');
  std::string digits(mantissa.substr(0, point));
  auto whole = static_cast<std::int64_t>(digits.size()) + exponent;
  if (point != std::string_view::npos) digits += mantissa.substr(point + 1);
  while (!digits.empty() && digits.back() == '0' && static_cast<std::int64_t>(digits.size()) > whole) digits.pop_back();
  if (whole <= 0) {
    digits.insert(0, static_cast<std::size_t>(1 - whole), '0');
    whole = 1;
  }
  if (static_cast<std::int64_t>(digits.size()) < whole) digits.resize(static_cast<std::size_t>(whole), '0');
  const std::size_t zeros = std::min(digits.find_first_not_of('0'), static_cast<std::size_t>(whole) - 1);
  const bool zero = digits.find_first_not_of('0') == std::string::npos;
  if (negative && !zero) out += '-';
  out.append(digits, zeros, static_cast<std::size_t>(whole) - zeros);
  if (digits.size() > static_cast<std::size_t>(whole)) out += '.' + digits.substr(static_cast<std::size_t>(whole));
  return true;
}

__extension__ typedef __int128 Wide;

struct Interval {
  std::int64_t months = 0, days = 0, us = 0;
};

// One part: its number, with up to six digits after the point, in millionths.
bool take_part(std::string_view& text, Wide& millionths, char& unit) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative || (!text.empty() && text.front() == '+')) text.remove_prefix(1);
  std::size_t at = 0;
  int after = -1;
  millionths = 0;
  for (; at < text.size() && at < 24 && (text[at] == '.' || (text[at] >= '0' && text[at] <= '9')); ++at) {
    if (text[at] == '.') {
      if (after >= 0) return false;
      after = 0;
    } else if (after < 6) {
      millionths = millionths * 10 + (text[at] - '0');
      after += after >= 0 ? 1 : 0;
    } else if (text[at] != '0') {
      return false;
    }
  }
  if (at == 0 || at == text.size()) return false;
  for (int i = std::max(after, 0); i < 6; ++i) millionths *= 10;
  if (negative) millionths = -millionths;
  unit = text[at];
  text.remove_prefix(at + 1);
  return true;
}

bool parse_interval(std::string_view text, Interval& out) {
  if (text.size() < 2 || text.front() != 'P') return false;
  text.remove_prefix(1);
  Wide months = 0, days = 0, us = 0;
  const auto fits = [](Wide value, Wide max) { return value <= max && value >= -max - 1; };
  const auto all_fit = [&] { return fits(months, INT32_MAX) && fits(days, INT32_MAX) && fits(us, INT64_MAX); };
  for (bool clock = false; !text.empty();) {
    if (text.front() == 'T') {
      if (clock) return false;
      clock = true;
      text.remove_prefix(1);
      continue;
    }
    Wide millionths = 0;
    char unit = 0;
    if (!take_part(text, millionths, unit)) return false;
    if (unit != 'S' && millionths % 1'000'000 != 0) return false;
    if (clock && unit == 'H')
      us += millionths * 3600;
    else if (clock && unit == 'M')
      us += millionths * 60;
    else if (clock && unit == 'S')
      us += millionths;
    else if (!clock && unit == 'Y')
      months += millionths / 1'000'000 * 12;
    else if (!clock && unit == 'M')
      months += millionths / 1'000'000;
    else if (!clock && unit == 'D')
      days += millionths / 1'000'000;
    else
      return false;
    if (!all_fit()) return false;  // after each: a stranger may repeat a part until the sum wraps
  }
  out = {static_cast<std::int64_t>(months), static_cast<std::int64_t>(days), static_cast<std::int64_t>(us)};
  return true;
}

// ISO 8601 as PostgreSQL prints it: each part with its own sign, none that is 0.
std::string interval_text(const Interval& interval) {
  std::string out = "P";
  const auto part = [&out](std::int64_t value, char unit) {
    if (value != 0) out += std::to_string(value) + unit;
  };
  part(interval.months / 12, 'Y');
  part(interval.months % 12, 'M');
  part(interval.days, 'D');
  if (interval.us == 0) return out == "P" ? "PT0S" : out;
  out += 'T';
  constexpr std::int64_t second = 1'000'000;
  part(interval.us / (3600 * second), 'H');
  part(interval.us / (60 * second) % 60, 'M');
  const std::int64_t rest = interval.us % (60 * second);
  if (rest == 0) return out;
  const std::uint64_t size = static_cast<std::uint64_t>(rest < 0 ? -rest : rest);
  std::string fraction = std::to_string(size % second + second).substr(1);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  out += (rest < 0 ? "-" : "") + std::to_string(size / second) + (fraction.empty() ? "" : "." + fraction) + "S";
  return out;
}

}  // namespace

bool DebeziumValues::append_interval(const ColumnSpec& column, std::string_view raw, std::string& out) {
  if (column.kind == Kind::tuple && raw.front() == '{') {  // as pgch writes it
    out += raw;
    return true;
  }
  if (raw.front() != '"') {
    std::int64_t number = 0;
    if (column.kind != Kind::int64 || !read_integer(raw, number))
      return fail(
          "is an interval as a number, which has lost its months and days: set the connector's "
          "interval.handling.mode to string");
    out += raw;
    return true;
  }
  Interval interval;
  if (!unquote(raw) || !parse_interval(text_, interval)) return wrong();
  if (column.kind == Kind::text) {
    out += '"' + interval_text(interval) + '"';
  } else if (column.kind == Kind::tuple) {
    out += "{\"months\":" + std::to_string(interval.months) + ",\"days\":" + std::to_string(interval.days) +
           ",\"microseconds\":" + std::to_string(interval.us) + "}";
  } else {
    return fail("is an interval, and its column is none");
  }
  return true;
}

bool DebeziumValues::append_decimal(const Form& form, const ColumnSpec& column, std::string_view raw,
                                    std::string& out) {
  if (raw.front() == '{') return append_scaled(column, raw, out);
  if (raw.front() == '"') {
    if (form.encoding == Encoding::decimal) return append_digits(column, raw, form.number, out);
    return unquote(raw) && append_numeral(column, text_, out);
  }
  if (!is_json_number(raw)) return wrong();
  if (is_number_kind(column.kind) || is_float_kind(column.kind)) {
    out += raw;
    return true;
  }
  std::string text;
  return expand(raw, text) ? append_numeral(column, text, out) : wrong();
}

bool DebeziumValues::append_scaled(const ColumnSpec& column, std::string_view raw, std::string& out) {
  std::string_view name, value, digits;
  std::int64_t scale = -1 - digits_max;
  for (JsonPieces pieces(raw); pieces.next(name, value);) {
    if (name == "\"value\"") digits = value;
    if (name == "\"scale\"" && !read_integer(value, scale)) return wrong();
  }
  if (digits.empty()) return wrong();
  return append_digits(column, digits, scale, out);
}

bool DebeziumValues::append_digits(const ColumnSpec& column, std::string_view base64, std::int64_t scale,
                                   std::string& out) {
  if (scale < -digits_max || scale > digits_max) return wrong();
  if (!decode_base64(base64)) return false;
  if (bytes_.empty() || bytes_.size() > digits_bytes_max) return wrong();
  std::string digits = digits_of(bytes_);
  std::string text;
  if (!digits.empty() && digits.front() == '-') {
    text += '-';
    digits.erase(0, 1);
  }
  if (scale < 0 && !digits.empty()) digits.append(static_cast<std::size_t>(-scale), '0');
  const auto after = static_cast<std::size_t>(std::max<std::int64_t>(scale, 0));
  if (digits.size() <= after) digits.insert(0, after + 1 - digits.size(), '0');
  text.append(digits, 0, digits.size() - after);
  if (after != 0) text += '.' + digits.substr(digits.size() - after);
  return append_numeral(column, text, out);
}

// A JSON number where the column is one, else the text.
bool DebeziumValues::append_numeral(const ColumnSpec& column, std::string_view text, std::string& out) {
  // Debezium's own spelling, for decimal.handling.mode = string.
  if (text == "NAN") text = "NaN";
  if (text == "POSITIVE_INFINITY" || text == "INFINITY") text = "Infinity";
  if (text == "NEGATIVE_INFINITY" || text == "-INFINITY") text = "-Infinity";
  const bool named = text == "NaN" || text == "Infinity" || text == "-Infinity";
  if (!named && !is_json_number(text)) return wrong();
  if (named && is_number_kind(column.kind))
    return misfit(column, "is NaN or infinite, which its column can't hold", out);
  const bool quoted = named || !(is_number_kind(column.kind) || is_float_kind(column.kind));
  if (quoted) out += '"';
  out += text;
  if (quoted) out += '"';
  return true;
}

}  // namespace pgch::codec
