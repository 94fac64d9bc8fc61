#include "codec/debezium_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include "base/base64.h"
#include "base/bytes.h"
#include "codec/iso_time.h"
#include "codec/json_text.h"
#include "codec/wide_decimal.h"

namespace pgch::codec {
namespace {

constexpr std::int64_t us_a_day = 86'400'000'000;
constexpr std::int64_t first_day = -25'567, last_day = 120'529;               // 1900 … 2299
constexpr std::int64_t first_wide_day = -719'528, last_wide_day = 2'932'896;  // 0000 … 9999
constexpr const char* what_unit =
    "is a number, and neither a schema in the message nor the column's type at PostgreSQL says of what: set "
    "kafka.debezium_time to the connector's time.precision.mode";

bool read_integer(std::string_view text, std::int64_t& out) noexcept {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  return problem == std::errc{} && end == text.data() + text.size();
}

bool is_string(std::string_view raw) noexcept { return raw.front() == '"'; }
bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// To microseconds, exactly.
bool to_us(std::int64_t value, int unit, std::int64_t& us) noexcept {
  if (unit == 3) return !__builtin_mul_overflow(value, 1000, &us);
  us = unit == 9 ? value / 1000 : value;
  return unit != 9 || value % 1000 == 0;
}

std::string_view without_zulu(std::string_view text) noexcept {
  if (!text.empty() && text.back() == 'Z') text.remove_suffix(1);
  return text;
}

// As PostgreSQL prints it: no zeros at the end, and no point before nothing.
void trim_fraction(std::string& text) {
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
}

// A text of PostgreSQL's: Debezium's times all end with Z, but for the infinite ones, which are the same.
bool is_own_text(const ColumnSpec& column, std::string_view text) noexcept {
  return column.kind == Kind::text && (text.empty() || text.back() != 'Z');
}
bool append_raw(std::string_view raw, std::string& out) {
  out += raw;
  return true;
}

void quote(std::string& out, std::string_view plain) {
  out += '"';
  out += plain;
  out += '"';
}

}  // namespace

JsonPieces::JsonPieces(std::string_view json) : rest_(json) {
  object_ = !rest_.empty() && rest_.front() == '{';
  if (!rest_.empty()) rest_.remove_prefix(1);
}

// One value from its first byte on; what is behind it stays.
std::string_view JsonPieces::take() {
  while (!rest_.empty() && (is_space(rest_.front()) || rest_.front() == ',' || rest_.front() == ':'))
    rest_.remove_prefix(1);
  std::size_t at = 0, depth = 0;
  for (bool text = false; at < rest_.size(); ++at) {
    const char c = rest_[at];
    if (text) {
      if (c == '\\') ++at;
      if (c == '"') text = false;
      if (c == '"' && depth == 0) break;
      continue;
    }
    if (c == '"') text = true;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0 && --depth == 0) break;
    if (depth == 0 && !text && (c == ',' || c == ']' || c == '}' || is_space(c))) {
      const std::string_view out = rest_.substr(0, at);
      rest_.remove_prefix(at);
      return out;
    }
  }
  const std::size_t size = std::min(at + 1, rest_.size());
  const std::string_view out = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return out;
}

bool JsonPieces::next(std::string_view& name, std::string_view& value) {
  if (object_) {
    name = take();
    if (name.empty()) return false;
  }
  value = take();
  return !value.empty();
}

bool DebeziumValues::fail(std::string_view problem) {
  problem_ = problem;
  return false;
}

bool DebeziumValues::misfit(const ColumnSpec& column, std::string_view problem, std::string& out) {
  if (misfit_ != Misfit::null || !column.nullable) return fail(problem);
  out += "null";
  return true;
}

bool DebeziumValues::unquote(std::string_view raw) {
  bytes_.clear();
  if (!append_unescaped(bytes_, raw.data() + 1, raw.size())) return wrong();
  text_ = as_text(bytes_);
  return true;
}

bool DebeziumValues::decode_base64(std::string_view raw) {
  if (!is_string(raw) || !unquote(raw)) return wrong();
  bytes_.clear();
  return parse_base64(text_, bytes_) || fail("is not the base64 that Debezium writes for its type");
}

bool DebeziumValues::append(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out) {
  misfit_ = column.misfit;
  return append_value(form, column, raw, out);
}

bool DebeziumValues::append_value(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out) {
  if (raw == "null" || form.encoding == Encoding::plain) {
    out += raw;
    return true;
  }
  switch (form.encoding) {
    case Encoding::array:
      return append_array(form, column, raw, out);
    case Encoding::date:
      return append_day(column, raw, out);
    case Encoding::clock:
      return append_clock(form, column, raw, out);
    case Encoding::stamp:
      return append_stamp(form, column, raw, out);
    case Encoding::zoned_clock:
      return append_zoned_clock(column, raw, out);
    case Encoding::duration:
    case Encoding::interval:
      return append_interval(column, raw, out);
    case Encoding::decimal:
    case Encoding::numeral:
      return append_decimal(form, column, raw, out);
    case Encoding::bits:
      return append_bits(form, column, raw, out);
    case Encoding::lost_bits:
      return fail("is a bit varying, whose length Debezium doesn't tell: leave the column out (table.exclude)");
    case Encoding::base64_text:
    case Encoding::base64_url:
    case Encoding::hex:
      return append_binary(form, raw, out);
    case Encoding::point:
      return append_point(raw, out);
    case Encoding::geometry:
      return append_geometry(raw, out);
    default:
      return append_map(raw, out);
  }
}

bool DebeziumValues::append_array(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out) {
  if (raw.front() != '[') return wrong();
  JsonPieces pieces(raw);
  std::string_view name, value;
  out += '[';
  for (bool first = true; pieces.next(name, value); first = false) {
    if (!first) out += ',';
    if (!append_value(*form.item, column.elements[0], value, out)) return false;
    if (out.size() > bytes_max_) return fail("is larger than json_max");
  }
  out += ']';
  return true;
}

bool DebeziumValues::append_day(const ColumnSpec& column, std::string_view raw, std::string& out) {
  constexpr const char* outside = "is outside 1900-01-01 … 2299-12-31, or infinite, which a Date32 can't hold";
  std::int64_t days = 0;
  if (is_string(raw)) {
    if (!unquote(raw)) return false;
    if (is_own_text(column, text_)) return append_raw(raw, out);
    const TimeFault fault = parse_date(without_zulu(text_), days);
    if (fault == TimeFault::range) return misfit(column, outside, out);
    if (fault != TimeFault::none) return wrong();
  } else if (!read_integer(raw, days)) {
    return wrong();
  }
  if (column.kind == Kind::text) {
    // PostgreSQL's own text has another form for years before 1 and beyond 9999.
    if (days < first_wide_day + 366 || days > last_wide_day) return fail("is a date that has no text here");
  } else if (days < first_day || days > last_day) {
    if (misfit_ != Misfit::clamp) return misfit(column, outside, out);
    days = days < first_day ? first_day : last_day;
  }
  out += '"';
  append_date(out, days);
  out += '"';
  return true;
}

bool DebeziumValues::append_clock(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out) {
  std::int64_t us = 0;
  if (is_string(raw)) {
    if (!unquote(raw) || parse_clock(without_zulu(text_), 6, us) != TimeFault::none) return wrong();
  } else {
    std::int64_t value = 0;
    if (form.number == 0) return fail(what_unit);
    if (!read_integer(raw, value) || !to_us(value, form.number, us)) return wrong();
  }
  if (us < 0 || us > us_a_day) return wrong();
  if (column.kind == Kind::int64) {
    out += std::to_string(us);
    return true;
  }
  std::string text;
  codec::append_clock(text, us, 6);
  if (column.kind == Kind::text) trim_fraction(text);
  quote(out, text);
  return true;
}

bool DebeziumValues::append_stamp(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out) {
  constexpr const char* outside = "is infinite or too far away for its column";
  std::int64_t us = 0;
  if (is_string(raw)) {
    if (!unquote(raw)) return false;
    if (is_own_text(column, text_)) return append_raw(raw, out);
    ParsedTime time;
    const bool infinite = text_ == "infinity" || text_ == "-infinity";
    const TimeFault fault = infinite ? TimeFault::range : parse_timestamp(text_, 6, time);
    if (fault == TimeFault::range && misfit_ == Misfit::clamp)
      return put_stamp(column, text_.front() == '-' ? INT64_MIN : INT64_MAX, out);
    if (fault == TimeFault::range) return misfit(column, outside, out);
    if (fault != TimeFault::none || !to_instant(time, 6, us)) return wrong();
    if (column.kind == Kind::timestamp && time.offset_s != 0)
      return fail("has an offset from UTC, and its column has no time zone");
  } else {
    std::int64_t value = 0;
    if (form.number == 0) return fail(what_unit);
    if (!read_integer(raw, value)) return wrong();
    if (form.number == 9 && value % 1000 != 0) return wrong();
    if (!to_us(value, form.number, us)) us = value < 0 ? INT64_MIN : INT64_MAX;
  }
  return put_stamp(column, us, out);
}

bool DebeziumValues::put_stamp(const ColumnSpec& column, std::int64_t us, std::string& out) {
  const bool text_wanted = column.kind == Kind::text;
  const bool wide = wide_years_ || text_wanted;
  const std::int64_t first = (wide ? first_wide_day + (text_wanted ? 366 : 0) : first_day) * us_a_day;
  const std::int64_t last = ((wide ? last_wide_day : last_day) + 1) * us_a_day - 1;
  if (us < first || us > last) {
    if (misfit_ != Misfit::clamp || text_wanted)
      return misfit(column,
                    wide ? "is outside 0000-01-01 … 9999-12-31, or infinite, which its column can't hold"
                         : "is outside 1900-01-01 … 2299-12-31, or infinite, which a DateTime64 can't hold",
                    out);
    us = us < first ? first : last;
  }
  std::string text;
  append_timestamp(text, us, 6, column.kind == Kind::timestamptz || column.kind == Kind::datetime);
  if (text_wanted) {
    text[text.find('T')] = ' ';
    trim_fraction(text);
    if (column.source_type.find(" with time zone") != std::string::npos) text += "+00";
  }
  quote(out, text);
  return true;
}

// The zone is UTC: what it was at PostgreSQL is not in the message, unless pgch wrote it.
bool DebeziumValues::append_zoned_clock(const ColumnSpec& column, std::string_view raw, std::string& out) {
  std::int64_t us = 0;
  if (!is_string(raw) || !unquote(raw) || column.kind != Kind::text) return wrong();
  if (is_own_text(column, text_)) return append_raw(raw, out);
  if (parse_clock(without_zulu(text_), 6, us) != TimeFault::none) return wrong();
  std::string text;
  codec::append_clock(text, us, 6);
  trim_fraction(text);
  quote(out, text + "+00");
  return true;
}

bool DebeziumValues::append_bits(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out) {
  const bool number = column.kind == Kind::uint64;
  if (raw == "true" || raw == "false") {
    const char* const digit = raw == "true" ? "1" : "0";
    if (column.kind == Kind::boolean) {
      out += raw;
    } else if (number) {
      out += digit;
    } else {
      quote(out, digit);
    }
    return true;
  }
  if (!decode_base64(raw)) return false;
  while (!bytes_.empty() && bytes_.back() == std::byte{0}) bytes_.pop_back();
  if (number) {
    if (bytes_.size() > 8) return misfit(column, "has more than 64 bits", out);
    std::uint64_t value = 0;
    for (std::size_t i = bytes_.size(); i-- > 0;) value = value << 8U | std::to_integer<std::uint64_t>(bytes_[i]);
    out += std::to_string(value);
    return true;
  }
  const auto length = static_cast<std::size_t>(std::max(form.number, 0));
  if (length == 0 || length > bytes_max_ || bytes_.size() > (length + 7) / 8) return wrong();
  if (length % 8 != 0 && bytes_.size() == length / 8 + 1 &&
      std::to_integer<unsigned>(bytes_.back()) >> (length % 8) != 0)
    return wrong();
  out += '"';
  for (std::size_t i = length; i-- > 0;) {
    const bool set = i / 8 < bytes_.size() && (std::to_integer<unsigned>(bytes_[i / 8]) >> (i % 8) & 1U) != 0;
    out += set ? '1' : '0';
  }
  out += '"';
  return true;
}

bool DebeziumValues::append_binary(const Form& form, std::string_view raw, std::string& out) {
  if (!is_string(raw)) return wrong();
  if (form.encoding == Encoding::base64_text) {
    if (!decode_base64(raw)) return false;
    return append_json_string(out, as_text(bytes_)) || fail("is not UTF-8");
  }
  if (!unquote(raw)) return false;
  if (form.encoding == Encoding::base64_url) {
    std::replace(text_.begin(), text_.end(), '-', '+');
    std::replace(text_.begin(), text_.end(), '_', '/');
    while (text_.size() % 4 != 0) text_ += '=';
    return append_json_string(out, text_);
  }
  bytes_.clear();
  for (std::size_t i = 0; i < text_.size(); i += 2) {
    unsigned value = 0;
    const char* const end = text_.data() + std::min(i + 2, text_.size());
    const auto [stop, problem] = std::from_chars(text_.data() + i, end, value, 16);
    if (problem != std::errc{} || stop != end || text_.size() % 2 != 0)
      return fail("is not hexadecimal, as kafka.debezium_binary says");
    bytes_.push_back(static_cast<std::byte>(value));
  }
  out += '"';
  append_base64(out, bytes_);
  out += '"';
  return true;
}

bool DebeziumValues::is_unavailable(std::string_view raw) {
  constexpr std::size_t longest = 160;
  // The placeholder as Debezium writes it for texts, bytes (in three modes), numbers of an array, UUIDs and maps.
  static const std::unordered_set<std::string> forms = [] {
    const std::string text = "__debezium_unavailable_value";
    std::string numbers;
    for (const char c : text) numbers += (numbers.empty() ? "" : ",") + std::to_string(static_cast<int>(c));
    std::string hex;
    for (const char c : text) hex += "0123456789abcdef"[c >> 4], hex += "0123456789abcdef"[c & 15];
    const std::string bytes = pgch::base64(text), map = "{\"" + text + "\":\"" + text + "\"}";
    std::string escaped;
    append_json_string(escaped, map);
    std::unordered_set<std::string> out{
        "[" + numbers + "]", "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]", map, escaped, "[" + map + "]",
        "[" + escaped + "]"};
    for (const std::string& one : {text, bytes, bytes.substr(0, bytes.find('=')), hex}) {
      out.insert("\"" + one + "\"");
      out.insert("[\"" + one + "\"]");
    }
    return out;
  }();
  if (raw.size() > longest || raw.size() < 28) return false;
  std::string packed;
  for (const char c : raw) {
    if (!is_space(c)) packed += c;
  }
  return forms.count(packed) != 0;
}

bool DebeziumValues::append_point(std::string_view raw, std::string& out) {
  std::string_view name, value, x, y;
  if (is_string(raw)) return append_raw(raw, out);  // PostgreSQL's text, which pgch writes where the column has it
  if (raw.front() != '{') return wrong();
  for (JsonPieces pieces(raw); pieces.next(name, value);) {
    if (name == "\"x\"") x = value;
    if (name == "\"y\"") y = value;
  }
  if (x.empty() || y.empty()) return wrong();
  out += '[';
  out += x;
  out += ',';
  out += y;
  out += ']';
  return true;
}

bool DebeziumValues::append_geometry(std::string_view raw, std::string& out) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string_view name, value, wkb;
  if (is_string(raw)) return append_raw(raw, out);  // WKT, likewise
  if (raw.front() != '{') return wrong();
  for (JsonPieces pieces(raw); pieces.next(name, value);) {
    if (name == "\"wkb\"") wkb = value;
  }
  if (wkb.empty() || !decode_base64(wkb)) return wrong();
  out += '"';
  for (const std::byte b : bytes_) {
    out += hex[std::to_integer<unsigned>(b) >> 4U];
    out += hex[std::to_integer<unsigned>(b) & 15U];
  }
  out += '"';
  return true;
}

bool DebeziumValues::append_map(std::string_view raw, std::string& out) {
  constexpr std::size_t map_depth = 2;
  std::string inner;
  if (is_string(raw)) {
    if (!unquote(raw)) return false;
    if (check_json(text_, map_depth) != JsonFault::none) return wrong();
    inner = text_;
    inner.append(8, '\0');
    raw = std::string_view(inner).substr(0, text_.size());
  }
  while (!raw.empty() && is_space(raw.front())) raw.remove_prefix(1);
  if (raw.empty() || raw.front() != '{') return wrong();
  // In the order in which hstore has them, which Java's maps don't keep.
  std::vector<std::pair<std::string, std::string>> fields;
  std::string_view name, value;
  for (JsonPieces pieces(raw); pieces.next(name, value);) {
    if (!is_string(name) || !unquote(name)) return wrong();
    fields.emplace_back(text_, std::string(name) + ':' + std::string(value));
  }
  std::stable_sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) {
    return a.first.size() != b.first.size() ? a.first.size() < b.first.size() : a.first < b.first;
  });
  out += '{';
  for (const auto& field : fields) out += (&field == fields.data() ? "" : ",") + field.second;
  out += '}';
  return true;
}

}  // namespace pgch::codec
