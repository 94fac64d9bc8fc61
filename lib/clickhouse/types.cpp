#include "clickhouse/types.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace pgch::ch {
namespace {

constexpr std::array<std::pair<std::string_view, Kind>, 19> plain_types{{
    {"Bool", Kind::boolean},    {"Int8", Kind::int8},         {"Int16", Kind::int16},     {"Int32", Kind::int32},
    {"Int64", Kind::int64},     {"UInt8", Kind::uint8},       {"UInt16", Kind::uint16},   {"UInt32", Kind::uint32},
    {"UInt64", Kind::uint64},   {"Float32", Kind::float32},   {"Float64", Kind::float64}, {"Date", Kind::date16},
    {"Date32", Kind::date},     {"DateTime", Kind::datetime}, {"UUID", Kind::uuid},       {"String", Kind::text},
    {"Boolean", Kind::boolean}, {"Float", Kind::float32},     {"Double", Kind::float64},
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

bool parse_plain(std::string_view name, ServerType& type) {
  std::string_view inside = name;
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
    case Kind::text:
    case Kind::bytes:
    case Kind::json:
    case Kind::enumeration:
      return "String";
  }
  return "String";
}

}  // namespace

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
  return column.nullable ? "Nullable(" + bare + ")" : bare;
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
  if (column.kind == Kind::enumeration && server.has_low_cardinality()) {
    return std::string(column.nullable ? "LowCardinality(Nullable(String))" : "LowCardinality(String)");
  }
  return wire_type(column, server);
}

}  // namespace pgch::ch
