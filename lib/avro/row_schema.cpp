#include "avro/row_schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "codec/json_text.h"

namespace pgch::avro {
namespace {

constexpr unsigned int256_digits = 77;

bool is_letter(char c) noexcept { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string logical(std::string_view type, std::string_view name) {
  return fmt::format(R"({{"type":"{}","logicalType":"{}"}})", type, name);
}

std::string decimal(unsigned precision, unsigned scale) {
  return fmt::format(R"({{"type":"bytes","logicalType":"decimal","precision":{},"scale":{}}})", precision, scale);
}

std::string moment(std::string_view prefix, unsigned scale) {
  switch (tick_of(scale)) {
    case Tick::millis:
      return logical("long", std::string(prefix) + "timestamp-millis");
    case Tick::micros:
      return logical("long", std::string(prefix) + "timestamp-micros");
    case Tick::nanos:
      return logical("long", std::string(prefix) + "timestamp-nanos");
  }
  return {};
}

// `space` and `name` are what a record within the column is called: by its path, so that no two have one name.
class Builder {
 public:
  Result<std::string> cell(const ColumnSpec& spec, const std::string& space, const std::string& name, bool nullable) {
    PGCH_ASSIGN(std::string type, value(spec, space, name));
    return nullable ? R"(["null",)" + type + "]" : type;
  }

  Result<std::string> field(const ColumnSpec& spec, const std::string& named, const std::string& space, bool nullable) {
    const std::string name = avro_name(named);
    PGCH_ASSIGN(const std::string type, cell(spec, space, name, nullable));
    std::string out = fmt::format(R"({{"name":"{}","type":{})", name, type);
    if (nullable) out += R"(,"default":null)";
    if (name != named) {
      out += fmt::format(R"(,"{}":)", column_attribute);
      if (!codec::append_json_string(out, named))
        return halt(Errc::unsupported, "a column's name is not UTF-8: the format avro can't carry it");
    }
    return out + "}";
  }

 private:
  Result<std::string> value(const ColumnSpec& spec, const std::string& space, const std::string& name) {
    switch (spec.kind) {
      case Kind::array: {
        PGCH_ASSIGN(const std::string items, cell(spec.elements[0], space, name,
                                                  !is_nested(spec.elements[0].kind) && spec.elements[0].nullable));
        return R"({"type":"array","items":)" + items + "}";
      }
      case Kind::tuple:
        return record(spec, space, name);
      case Kind::map:
        return pairs(spec, space, name);
      default:
        return scalar(spec);
    }
  }

  Result<std::string> record(const ColumnSpec& spec, const std::string& space, const std::string& name) {
    if (spec.elements.empty()) return no_form(spec, "a composite without fields");
    std::string out = fmt::format(R"({{"type":"record","name":"{}","namespace":"{}","fields":[)", name, space);
    for (std::size_t i = 0; i < spec.elements.size(); ++i) {
      const ColumnSpec& element = spec.elements[i];
      const std::string named = element.name.empty() ? "f" + std::to_string(i + 1) : element.name;
      PGCH_ASSIGN(const std::string one,
                  field(element, named, space + "." + name, !is_nested(element.kind) && element.nullable));
      out += (i == 0 ? "" : ",") + one;
    }
    return out + "]}";
  }

  Result<std::string> pairs(const ColumnSpec& spec, const std::string& space, const std::string& name) {
    const bool null_values = !is_nested(spec.elements[1].kind) && spec.elements[1].nullable;
    if (has_text_keys(spec)) {
      PGCH_ASSIGN(const std::string values, cell(spec.elements[1], space, name, null_values));
      return R"({"type":"map","values":)" + values + "}";
    }
    const std::string inside = space + "." + name;
    const bool null_keys = !is_nested(spec.elements[0].kind) && spec.elements[0].nullable;
    PGCH_ASSIGN(const std::string key, field(spec.elements[0], "key", inside, null_keys));
    PGCH_ASSIGN(const std::string mapped, field(spec.elements[1], "value", inside, null_values));
    return fmt::format(
        R"({{"type":"array","items":{{"type":"record","name":"{}","namespace":"{}","fields":[{},{}]}}}})", name, space,
        key, mapped);
  }

  static Result<std::string> scalar(const ColumnSpec& spec) {
    switch (spec.kind) {
      case Kind::boolean:
        return std::string(R"("boolean")");
      case Kind::int8:
      case Kind::int16:
      case Kind::int32:
      case Kind::uint8:
      case Kind::uint16:
        return std::string(R"("int")");
      case Kind::int64:
      case Kind::uint32:
        return std::string(R"("long")");
      case Kind::uint64:
        return decimal(20, 0);
      case Kind::float32:
        return std::string(R"("float")");
      case Kind::float64:
        return std::string(R"("double")");
      case Kind::decimal:
        return decimal(spec.precision, spec.scale);
      case Kind::int256:
        return decimal(int256_digits, 0);
      case Kind::date16:
      case Kind::date:
        return logical("int", "date");
      case Kind::datetime:
        return moment("", 0);
      case Kind::timestamp:
        return moment("local-", spec.scale);
      case Kind::timestamptz:
        return moment("", spec.scale);
      case Kind::time:
        if (tick_of(spec.scale) == Tick::nanos) return no_form(spec, "a time of day with more than six digits");
        return tick_of(spec.scale) == Tick::millis ? logical("int", "time-millis") : logical("long", "time-micros");
      case Kind::uuid:
        return logical("string", "uuid");
      case Kind::bytes:
        return std::string(R"("bytes")");
      case Kind::text:
      case Kind::json:
      case Kind::enumeration:
      case Kind::ipv6:
        return std::string(R"("string")");
      case Kind::array:
      case Kind::tuple:
      case Kind::map:
        break;
    }
    return no_form(spec, "such a type");
  }

  static Error no_form(const ColumnSpec& spec, std::string_view what) {
    return halt(Errc::unsupported, fmt::format("The format avro has no form for {} (column \"{}\"): leave the column "
                                               "out, or use kafka.format = \"json\" or \"native\".",
                                               what, spec.name));
  }
};

}  // namespace

std::string avro_name(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool escape_of_ours = c == '_' && i + 1 < name.size() && name[i + 1] == 'x';
    const bool plain = is_letter(c) || (c == '_' && !escape_of_ours) || (is_digit(c) && i != 0);
    out += plain ? std::string(1, c) : fmt::format("_x{:02X}", static_cast<unsigned char>(c));
  }
  return out.empty() ? "_x" : out;
}

Result<std::string> row_schema(const TableSchema& table) {
  const std::string space = table.schema.empty() ? "pgch" : avro_name(table.schema);
  const std::string name = avro_name(table.table);
  if (table.columns.empty())
    return halt(Errc::unsupported,
                "The format avro has no form for rows without columns (" + display_name(table) + ").");
  Builder builder;
  std::string out = fmt::format(R"({{"type":"record","name":"{}","namespace":"{}","fields":[)", name, space);
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const ColumnSpec& column = table.columns[i];
    PGCH_ASSIGN(const std::string one, builder.field(column, column.name, space + "." + name, column.nullable));
    out += (i == 0 ? "" : ",") + one;
  }
  return out + "]}";
}

}  // namespace pgch::avro
