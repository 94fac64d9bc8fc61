#include "codec/debezium_form.h"

#include <simdjson.h>

#include <charconv>
#include <unordered_map>

namespace pgch::codec {
namespace {

namespace dom = simdjson::dom;

constexpr int depth_max = 16;  // of arrays within arrays in a schema

std::string text_at(const dom::object& object, std::string_view name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

// Connect writes its parameters as strings.
int parameter(const dom::object& object, std::string_view name) {
  dom::object parameters;
  if (object["parameters"].get(parameters) != simdjson::SUCCESS) return 0;
  const std::string text = text_at(parameters, name);
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

FieldSchema read_field(const dom::object& object, int depth) {
  FieldSchema out;
  out.type = text_at(object, "type");
  out.name = text_at(object, "name");
  out.scale = parameter(object, "scale");
  out.length = parameter(object, "length");
  dom::object items;
  if (depth < depth_max && object["items"].get(items) == simdjson::SUCCESS)
    out.items = std::make_shared<const FieldSchema>(read_field(items, depth + 1));
  return out;
}

bool begins(std::string_view text, std::string_view with) noexcept { return text.substr(0, with.size()) == with; }

// The number in "timestamp(3) without time zone"; nullopt without one.
std::optional<int> first_number(std::string_view type) noexcept {
  const auto open = type.find('(');
  int value = 0;
  if (open == std::string_view::npos) return std::nullopt;
  const auto [end, problem] = std::from_chars(type.data() + open + 1, type.data() + type.size(), value);
  return problem == std::errc{} && end != type.data() + open + 1 ? std::optional(value) : std::nullopt;
}

// Of "numeric(10,2)"; Debezium tells a negative scale as PostgreSQL stores it, in eleven bits.
int scale_of(std::string_view type, int otherwise) noexcept {
  const auto comma = type.find(',');
  if (!begins(type, "numeric(")) return otherwise;
  int value = 0;
  if (comma != std::string_view::npos) std::from_chars(type.data() + comma + 1, type.data() + type.size(), value);
  return value & 0x7FF;
}

int unit_of_stamp(std::string_view type, DebeziumModes::Time mode) noexcept {
  using Time = DebeziumModes::Time;
  if (mode == Time::connect) return 3;
  if (mode == Time::microseconds) return 6;
  if (mode == Time::nanoseconds) return 9;
  if (!begins(type, "timestamp")) return 0;  // a domain, or a type of ClickHouse's: it may be one or the other
  return first_number(type).value_or(6) <= 3 ? 3 : 6;
}
int unit_of_clock(std::string_view type, DebeziumModes::Time mode) noexcept {
  using Time = DebeziumModes::Time;
  if (mode == Time::adaptive_time_microseconds || mode == Time::microseconds) return 6;
  if (mode == Time::connect) return 3;
  if (mode == Time::nanoseconds) return 9;
  if (!begins(type, "time")) return 0;
  return first_number(type).value_or(6) <= 3 ? 3 : 6;
}

Form binary_form(DebeziumModes::Binary mode) {
  switch (mode) {
    case DebeziumModes::Binary::base64:
      return {};
    case DebeziumModes::Binary::base64_url:
      return {Encoding::base64_url};
    case DebeziumModes::Binary::hex:
      return {Encoding::hex};
  }
  return {};
}

// Connect's own logical types by "connect." and their name.
std::string short_name(const std::string& name) {
  static const std::string connect = std::string("org.apache.kafka.") + "connect.data.";
  return begins(name, connect) ? "connect." + name.substr(connect.size()) : name;
}

const std::unordered_map<std::string_view, Form>& named_forms() {
  static const std::unordered_map<std::string_view, Form> all{
      {"io.debezium.time.Date", {Encoding::date}},
      {"connect.Date", {Encoding::date}},
      {"io.debezium.time.IsoDate", {Encoding::date}},
      {"io.debezium.time.Time", {Encoding::clock, 3}},
      {"connect.Time", {Encoding::clock, 3}},
      {"io.debezium.time.MicroTime", {Encoding::clock, 6}},
      {"io.debezium.time.NanoTime", {Encoding::clock, 9}},
      {"io.debezium.time.IsoTime", {Encoding::clock}},
      {"io.debezium.time.Timestamp", {Encoding::stamp, 3}},
      {"connect.Timestamp", {Encoding::stamp, 3}},
      {"io.debezium.time.MicroTimestamp", {Encoding::stamp, 6}},
      {"io.debezium.time.NanoTimestamp", {Encoding::stamp, 9}},
      {"io.debezium.time.IsoTimestamp", {Encoding::stamp}},
      {"io.debezium.time.ZonedTimestamp", {Encoding::stamp}},
      {"io.debezium.time.ZonedTime", {Encoding::zoned_clock}},
      {"io.debezium.time.MicroDuration", {Encoding::duration}},
      {"io.debezium.time.NanoDuration", {Encoding::duration}},
      {"io.debezium.time.Interval", {Encoding::interval}},
      {"io.debezium.data.VariableScaleDecimal", {Encoding::numeral}},
      {"io.debezium.data.geometry.Point", {Encoding::point}},
      {"io.debezium.data.geometry.Geometry", {Encoding::geometry}},
      {"io.debezium.data.geometry.Geography", {Encoding::geometry}},
  };
  return all;
}

bool is_number_kind(Kind kind) noexcept { return kind == Kind::decimal || kind == Kind::int256; }

// What the column alone says, and what a schema without a name leaves open.
Form form_of_column(const ColumnSpec& column, std::string_view type, bool described, const DebeziumModes& modes) {
  switch (column.kind) {
    case Kind::date16:
    case Kind::date:
      return {Encoding::date};
    case Kind::datetime:
    case Kind::timestamp:
    case Kind::timestamptz:
      return {Encoding::stamp, unit_of_stamp(type, modes.time)};
    case Kind::time:
      return {Encoding::clock, unit_of_clock(type, modes.time)};
    case Kind::bytes:
      return binary_form(modes.binary);
    case Kind::map:
      return {Encoding::map};
    default:
      break;
  }
  if (is_number_kind(column.kind) || begins(type, "numeric")) {
    // Without a scale of its own every value brings one.
    const bool precise = !described && !modes.decimal_as_string && type != "numeric";
    return precise ? Form{Encoding::decimal, scale_of(type, column.scale)} : Form{Encoding::numeral};
  }
  if (begins(type, "timestamp")) return {Encoding::stamp, unit_of_stamp(type, modes.time)};
  if (begins(type, "time ") || begins(type, "time(")) {
    if (type.find(" with time zone") != std::string_view::npos) return {Encoding::zoned_clock};
    return {Encoding::clock, unit_of_clock(type, modes.time)};
  }
  if (type == "date") return {Encoding::date};
  if (begins(type, "interval")) return {Encoding::interval};
  if (begins(type, "bit varying")) return {column.kind == Kind::uint64 ? Encoding::bits : Encoding::lost_bits};
  if (begins(type, "bit(") || type == "bit") return {Encoding::bits, first_number(type).value_or(1)};
  if (type == "point") return {Encoding::point};
  if (begins(type, "geometry") || begins(type, "geography")) return {Encoding::geometry};
  return {};
}

Form form_of(const ColumnSpec& column, std::string_view type, const FieldSchema* schema, const DebeziumModes& modes) {
  if (column.kind == Kind::array && !column.elements.empty()) {
    while (type.size() > 2 && type.substr(type.size() - 2) == "[]") type.remove_suffix(2);
    const FieldSchema* items = schema == nullptr ? nullptr : schema->items.get();
    return {Encoding::array, 0, std::make_shared<const Form>(form_of(column.elements[0], type, items, modes))};
  }
  if (schema == nullptr) return form_of_column(column, type, false, modes);
  const std::string name = short_name(schema->name);
  if (const auto named = named_forms().find(name); named != named_forms().end()) return named->second;
  if (name == "connect.Decimal") return {Encoding::decimal, schema->scale};
  if (name == "io.debezium.data.Bits") {
    const bool lost = begins(type, "bit varying") && column.kind != Kind::uint64;
    return {lost ? Encoding::lost_bits : Encoding::bits, schema->length};
  }
  if (schema->type == "bytes") return {column.kind == Kind::bytes ? Encoding::plain : Encoding::base64_text};
  return form_of_column(column, type, true, modes);
}

}  // namespace

std::optional<RowSchema> parse_row_schema(std::string_view json, std::string_view part) {
  dom::parser parser;
  dom::object top;
  if (parser.parse(json.data(), json.size()).get(top) != simdjson::SUCCESS) return std::nullopt;
  dom::array fields;
  if (top["fields"].get(fields) != simdjson::SUCCESS) return std::nullopt;
  if (!part.empty()) {
    dom::array inner;
    bool found = false;
    for (const dom::element field : fields) {
      dom::object object;
      if (field.get(object) != simdjson::SUCCESS || text_at(object, "field") != part) continue;
      found = object["fields"].get(inner) == simdjson::SUCCESS;
    }
    if (!found) return std::nullopt;
    fields = inner;
  }
  RowSchema out;
  for (const dom::element field : fields) {
    dom::object object;
    if (field.get(object) != simdjson::SUCCESS) return std::nullopt;
    out.insert_or_assign(text_at(object, "field"), read_field(object, 0));
  }
  return out;
}

Form form_of(const ColumnSpec& column, const FieldSchema* schema, const DebeziumModes& modes) {
  return form_of(column, column.source_type, schema, modes);
}

}  // namespace pgch::codec
