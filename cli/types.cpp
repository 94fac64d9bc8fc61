// Columns as ClickHouse's type names: for check, and for the `types` setting.
#include <fmt/format.h>

#include <charconv>
#include <map>

#include "stages.h"

namespace pgch::cli {
namespace {

const std::map<std::string, Kind, std::less<>> plain_types{
    {"Bool", Kind::boolean},  {"Int8", Kind::int8},         {"Int16", Kind::int16},     {"Int32", Kind::int32},
    {"Int64", Kind::int64},   {"UInt8", Kind::uint8},       {"UInt16", Kind::uint16},   {"UInt32", Kind::uint32},
    {"UInt64", Kind::uint64}, {"Float32", Kind::float32},   {"Float64", Kind::float64}, {"Date", Kind::date16},
    {"Date32", Kind::date},   {"DateTime", Kind::datetime}, {"UUID", Kind::uuid},       {"String", Kind::text},
    {"Bytes", Kind::bytes},   {"JSON", Kind::json},         {"Int256", Kind::int256},   {"IPv6", Kind::ipv6}};

std::string_view inner(std::string_view text, std::string_view name) {
  if (!text.starts_with(name) || text.size() < name.size() + 2 || text[name.size()] != '(' || text.back() != ')')
    return {};
  return text.substr(name.size() + 1, text.size() - name.size() - 2);
}

std::string base_type(const ColumnSpec& column) {
  switch (column.kind) {
    case Kind::boolean:
      return "Bool";
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
      return "String";
    case Kind::enumeration:
      return "LowCardinality(String)";
    case Kind::time:
      return fmt::format("Time64({})", column.scale);
    case Kind::int256:
      return "Int256";
    case Kind::ipv6:
      return "IPv6";
    case Kind::array:
      return fmt::format("Array({})", clickhouse_type(column.elements[0]));
    case Kind::map:
      return fmt::format("Map({}, {})", clickhouse_type(column.elements[0]), clickhouse_type(column.elements[1]));
    case Kind::tuple: {
      std::string fields;
      for (const ColumnSpec& c : column.elements) {
        fields +=
            fmt::format("{}{}{}{}", fields.empty() ? "" : ", ", c.name, c.name.empty() ? "" : " ", clickhouse_type(c));
      }
      return "Tuple(" + fields + ")";
    }
  }
  return "String";
}

bool read_number(std::string_view text, std::uint8_t& into) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), into);
  return problem == std::errc{} && end == text.data() + text.size();
}

// Array(T), Map(K, V) and Tuple(name T, …): the parts are columns themselves. False: another type, or a wrong part.
bool read_nested(std::string_view type, ColumnSpec& column) {
  std::string_view within = inner(type, "Array");
  column.kind = Kind::array;
  if (within.empty()) {
    within = inner(type, "Map");
    column.kind = Kind::map;
  }
  if (within.empty()) {
    within = inner(type, "Tuple");
    column.kind = Kind::tuple;
  }
  int depth = 0;
  for (std::size_t begin = 0, i = 0; i <= within.size() && !within.empty(); ++i) {
    if (i < within.size() && within[i] == '(') ++depth;
    if (i < within.size() && within[i] == ')') --depth;
    if (i < within.size() && (within[i] != ',' || depth != 0)) continue;
    std::string part(within.substr(begin, i - begin));
    part.erase(0, part.find_first_not_of(' '));
    const bool named = column.kind == Kind::tuple && part.substr(0, part.find('(')).find(' ') != std::string::npos;
    auto element = parse_column(named ? part : "x " + part);
    if (!element) return false;
    if (!named) element->name.clear();
    column.elements.push_back(std::move(*element));
    begin = i + 1;
  }
  const std::size_t wanted = column.kind == Kind::array ? 1 : column.kind == Kind::map ? 2 : column.elements.size();
  return !column.elements.empty() && column.elements.size() == wanted;
}

}  // namespace

std::string clickhouse_type(const ColumnSpec& column) {
  const std::string base = base_type(column);
  if (!column.nullable || is_nested(column.kind)) return base;
  return column.kind == Kind::enumeration ? "LowCardinality(Nullable(String))" : "Nullable(" + base + ")";
}

Result<ColumnSpec> parse_column(const std::string& text) {
  const auto space = text.find(' ');
  const auto wrong = [&] {
    return halt(Errc::config,
                fmt::format("\"{}\" in \"types\" can't be understood: write the column's name and a ClickHouse type, "
                            "like \"id Int64\", "
                            "\"name Nullable(String)\", \"price Decimal(10, 2)\" or \"at DateTime64(6)\".",
                            text));
  };
  if (space == std::string::npos || space == 0 || text.find_first_not_of(' ', space) == std::string::npos)
    return wrong();
  ColumnSpec column;
  column.name = text.substr(0, space);
  std::string_view type = std::string_view(text).substr(text.find_first_not_of(' ', space));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  column.source_type = type;
  column.nullable = false;
  if (const auto within = inner(type, "LowCardinality"); !within.empty()) {
    column.kind = Kind::enumeration;
    column.nullable = within == "Nullable(String)";
    return within == "String" || column.nullable ? Result<ColumnSpec>(column) : wrong();
  }
  if (const auto within = inner(type, "Nullable"); !within.empty()) {
    column.nullable = true;
    type = within;
  }
  if (read_nested(type, column)) return column;
  if (const auto found = plain_types.find(type); found != plain_types.end()) {
    column.kind = found->second;
  } else if (const auto ticks = inner(type, "Time64"); !ticks.empty()) {
    column.kind = Kind::time;
    if (!read_number(ticks, column.scale) || column.scale > 9) return wrong();
  } else if (const auto digits = inner(type, "DateTime64"); !digits.empty()) {
    column.kind = Kind::timestamptz;
    if (!read_number(digits.substr(0, digits.find(',')), column.scale) || column.scale > 9) return wrong();
  } else if (const auto sizes = inner(type, "Decimal"); sizes.find(',') != std::string_view::npos) {
    column.kind = Kind::decimal;
    const auto comma = sizes.find(',');
    if (!read_number(sizes.substr(0, comma), column.precision) || !read_number(sizes.substr(comma + 1), column.scale))
      return wrong();
    if (column.precision < 1 || column.precision > 76 || column.scale > column.precision) return wrong();
  } else {
    return wrong();
  }
  return column;
}

}  // namespace pgch::cli
