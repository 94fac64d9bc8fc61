#include "clickhouse/types.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/try.h"
#include "clickhouse/sql.h"

namespace pgch::ch {
namespace {

constexpr std::array<std::pair<std::string_view, Kind>, 21> plain_types{{
    {"Bool", Kind::boolean},    {"Int8", Kind::int8},         {"Int16", Kind::int16},     {"Int32", Kind::int32},
    {"Int64", Kind::int64},     {"UInt8", Kind::uint8},       {"UInt16", Kind::uint16},   {"UInt32", Kind::uint32},
    {"UInt64", Kind::uint64},   {"Float32", Kind::float32},   {"Float64", Kind::float64}, {"Date", Kind::date16},
    {"Date32", Kind::date},     {"DateTime", Kind::datetime}, {"UUID", Kind::uuid},       {"String", Kind::text},
    {"Boolean", Kind::boolean}, {"Float", Kind::float32},     {"Double", Kind::float64},  {"Int256", Kind::int256},
    {"IPv6", Kind::ipv6},
}};

bool strip(std::string_view& text, std::string_view prefix) {
  if (text.size() <= prefix.size() + 1 || text.substr(0, prefix.size()) != prefix || text[prefix.size()] != '(' ||
      text.back() != ')')
    return false;
  text = text.substr(prefix.size() + 1, text.size() - prefix.size() - 2);
  return true;
}
std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}
bool number(std::string_view text, std::uint8_t& out) {
  text = trim(text);
  unsigned value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || value > 255) return false;
  out = static_cast<std::uint8_t>(value);
  return true;
}
std::string zone_of(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

bool parse_decimal(std::string_view inside, ServerType& type) {
  const auto comma = inside.find(',');
  type.kind = Kind::decimal;
  if (comma == std::string_view::npos) return number(inside, type.precision);
  return number(inside.substr(0, comma), type.precision) && number(inside.substr(comma + 1), type.scale);
}
bool parse_datetime64(std::string_view inside, ServerType& type) {
  const auto comma = inside.find(',');
  type.kind = Kind::timestamptz;
  if (comma != std::string_view::npos) type.time_zone = zone_of(inside.substr(comma + 1));
  return number(inside.substr(0, comma), type.scale);
}

// Where the first part of a list ends: at a comma that is in no brackets and no quotes.
std::size_t part_end(std::string_view list) {
  int depth = 0;
  char quote = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const char c = list[i];
    if (quote != 0) {
      if (c == '\\') ++i;
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '`' || c == '"') {
      quote = c;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      --depth;
    } else if (c == ',' && depth == 0) {
      return i;
    }
  }
  return list.size();
}

// The name in front of a field's type, taken off; none if there is only a type.
std::string take_field_name(std::string_view& field) {
  std::string name;
  if (!field.empty() && field.front() == '`') {
    std::size_t i = 1;
    for (; i < field.size() && field[i] != '`'; ++i) {
      if (field[i] == '\\' && i + 1 < field.size()) ++i;
      name += field[i];
    }
    field = trim(field.substr(i < field.size() ? i + 1 : i));
    return name;
  }
  const std::size_t end = field.find_first_of(" ('");
  if (end == std::string_view::npos || field[end] != ' ') return name;
  name = field.substr(0, end);
  field = trim(field.substr(end));
  return name;
}

bool parse_elements(std::string_view inside, bool named, std::size_t wanted, ServerType& type) {
  while (!trim(inside).empty()) {
    const std::size_t end = part_end(inside);
    std::string_view part = trim(inside.substr(0, end));
    const std::string name = named ? take_field_name(part) : std::string();
    auto element = parse_type(part);
    if (!element) return false;
    element->name = name;
    type.elements.push_back(std::move(*element));
    inside = end < inside.size() ? inside.substr(end + 1) : std::string_view();
  }
  return wanted == 0 || type.elements.size() == wanted;
}

bool parse_nested(std::string_view name, ServerType& type, bool& nested) {
  nested = true;
  if (strip(name, "Array")) {
    type.kind = Kind::array;
    return parse_elements(name, false, 1, type);
  }
  if (strip(name, "Map")) {
    type.kind = Kind::map;
    return parse_elements(name, false, 2, type);
  }
  if (strip(name, "Tuple")) {
    type.kind = Kind::tuple;
    return parse_elements(name, true, 0, type);
  }
  nested = false;
  return false;
}

bool parse_plain(std::string_view name, ServerType& type) {
  bool nested = false;
  if (const bool parsed = parse_nested(name, type, nested); nested) return parsed;
  std::string_view inside = name;
  if (name == "JSON" || strip(inside, "JSON")) {
    type.kind = Kind::json;
    type.parsed = true;
    return true;
  }
  if (strip(inside, "Time64")) {
    type.kind = Kind::time;
    return number(inside, type.scale);
  }
  if (strip(inside, "Decimal")) return parse_decimal(inside, type);
  if (strip(inside, "DateTime64")) return parse_datetime64(inside, type);
  if (strip(inside, "DateTime")) {
    type.kind = Kind::datetime;
    type.time_zone = zone_of(inside);
    return true;
  }
  if (strip(inside, "Enum8") || strip(inside, "Enum16")) {
    type.kind = Kind::enumeration;
    type.enumerated = true;
    return true;
  }
  for (const auto& [known, kind] : plain_types) {
    if (name == known) {
      type.kind = kind;
      return true;
    }
  }
  return false;
}

std::string bare_type(const ColumnSpec& column, const Version& server);

std::string nested_type(const ColumnSpec& column, const Version& server) {
  std::string out = column.kind == Kind::array ? "Array(" : column.kind == Kind::map ? "Map(" : "Tuple(";
  for (std::size_t i = 0; i < column.elements.size(); ++i) {
    const ColumnSpec& element = column.elements[i];
    if (i != 0) out += ", ";
    if (column.kind == Kind::tuple && !element.name.empty()) out += quote_name(element.name) + " ";
    out += wire_type(element, server);
  }
  return out + ")";
}

std::string bare_type(const ColumnSpec& column, const Version& server) {
  switch (column.kind) {
    case Kind::boolean:
      return server.has_bool() ? "Bool" : "UInt8";
    case Kind::int8:
      return "Int8";
    case Kind::int16:
      return "Int16";
    case Kind::int32:
      return "Int32";
    case Kind::int64:
      return "Int64";
    case Kind::uint8:
      return "UInt8";
    case Kind::uint16:
      return "UInt16";
    case Kind::uint32:
      return "UInt32";
    case Kind::uint64:
      return "UInt64";
    case Kind::float32:
      return "Float32";
    case Kind::float64:
      return "Float64";
    case Kind::decimal:
      return fmt::format("Decimal({}, {})", column.precision, column.scale);
    case Kind::date16:
      return "Date";
    case Kind::date:
      return "Date32";
    case Kind::datetime:
      return "DateTime";
    case Kind::timestamp:
    case Kind::timestamptz:
      return fmt::format("DateTime64({}, 'UTC')", column.scale);
    case Kind::uuid:
      return "UUID";
    case Kind::time:
      return server.has_time64() ? fmt::format("Time64({})", column.scale) : "Int64";
    case Kind::int256:
      return "Int256";
    case Kind::ipv6:
      return "IPv6";
    case Kind::array:
    case Kind::tuple:
    case Kind::map:
      return nested_type(column, server);
    case Kind::text:
    case Kind::bytes:
    case Kind::json:
    case Kind::enumeration:
      return "String";
  }
  return "String";
}

}  // namespace

std::string null_flag_of(const std::string& name) { return name + "__is_null"; }

ColumnSpec spec_of(const std::string& name, const ServerType& type) {
  ColumnSpec spec{name, type.kind, type.nullable, false, type.precision, type.scale, {}};
  for (const ServerType& element : type.elements) spec.elements.push_back(spec_of(element.name, element));
  return spec;
}

std::optional<ServerType> parse_type(std::string_view name) {
  ServerType type;
  name = trim(name);
  type.low_cardinality = strip(name, "LowCardinality");
  type.nullable = strip(name, "Nullable");
  if (!parse_plain(name, type)) return std::nullopt;
  return type;
}

std::string wire_type(const ColumnSpec& column, const Version& server) {
  std::string bare = bare_type(column, server);
  return column.nullable && !is_nested(column.kind) ? "Nullable(" + bare + ")" : bare;
}

Result<std::string> created_type(const ColumnSpec& column, const Version& server) {
  const auto refuse = [&](std::string_view wanted, std::string_view since, std::string_view instead) {
    return halt(Errc::unsupported,
                fmt::format("Column {} ({}) needs ClickHouse's type {}, which this server ({}.{}) does not have; it "
                            "came with {}. Use a newer server, or "
                            "make the table yourself with a {} for it.",
                            column.name, column.source_type.empty() ? bare_type(column, server) : column.source_type,
                            wanted, server.major, server.minor, since, instead));
  };
  if ((column.kind == Kind::timestamp || column.kind == Kind::timestamptz) && !server.has_datetime64()) {
    return refuse("DateTime64", "20.4", "String column (it gets the time as text)");
  }
  if (column.kind == Kind::date && !server.has_date32())
    return refuse("Date32", "21.9", "Date column (1970 to 2149 only) or a String column");
  if (column.kind == Kind::decimal && column.precision > 38 && !server.has_decimal256())
    return refuse("Decimal256", "21.1", "String column");
  if (column.kind == Kind::int256 && !server.has_decimal256()) return refuse("Int256", "21.1", "String column");
  if (column.kind == Kind::map && !server.has_map()) return refuse("Map", "21.8", "String column");
  if (column.target_type == "JSON" && !server.has_json()) return refuse("JSON", "25.3", "String column");
  for (const ColumnSpec& element : column.elements) {
    ColumnSpec named = element;
    named.name = column.name;
    PGCH_TRY(created_type(named, server));
  }
  if (!column.target_type.empty()) return column.nullable ? "Nullable(" + column.target_type + ")" : column.target_type;
  if (column.kind == Kind::enumeration && server.has_low_cardinality()) {
    return std::string(column.nullable ? "LowCardinality(Nullable(String))" : "LowCardinality(String)");
  }
  return wire_type(column, server);
}

}  // namespace pgch::ch
