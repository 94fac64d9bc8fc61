#include "avro/writer_schema.h"

#include <avro.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <map>

#include "avro/row_schema.h"
#include "base/handle.h"
#include "base/try.h"

namespace pgch::avro {
namespace {

using Json = simdjson::dom::element;

void release(avro_schema_t schema) noexcept { avro_schema_decref(schema); }
using SchemaHandle = Handle<avro_obj_t, &release>;

constexpr std::size_t schema_bytes_max = 4U << 20;
constexpr std::size_t types_max = 100'000;
constexpr std::size_t depth_max = 100;
constexpr std::size_t symbol_bytes_max = 4'096;

Error bad(std::string why) { return Error{Errc::data, Recovery::dead_letter, false, std::move(why), {}}; }

// Follows what the library has parsed, with the JSON it was parsed from beside it.
class Compiler {
 public:
  Result<WriterSchema> run(Json json, avro_schema_t schema) {
    PGCH_TRY(type(json, schema, 0));
    return std::move(types_);
  }

 private:
  Result<std::size_t> type(Json json, avro_schema_t schema, std::size_t depth) {
    if (depth > depth_max) return bad("it is nested too deeply");
    if (types_.size() >= types_max) return bad("it has too many types");
    if (is_avro_link(schema)) {
      const auto found = named_.find(avro_schema_link_target(schema));
      if (found == named_.end()) return bad("it names a type before it is there");
      return found->second;
    }
    const std::size_t index = types_.size();
    types_.emplace_back();
    named_[schema] = index;
    // {"type": {"type": …}} is allowed.
    for (Json inner; json.is_object() && !json["type"].get(inner) && !inner.is_string();) json = inner;
    PGCH_TRY(fill(index, json, schema, depth));
    if (json.is_object()) annotate(types_[index], json);
    return index;
  }

  Result<void> fill(std::size_t index, Json json, avro_schema_t schema, std::size_t depth) {
    switch (avro_typeof(schema)) {
      case AVRO_NULL:
        return plain(index, Form::null);
      case AVRO_BOOLEAN:
        return plain(index, Form::boolean);
      case AVRO_INT32:
        return plain(index, Form::whole);
      case AVRO_INT64:
        return plain(index, Form::long_whole);
      case AVRO_FLOAT:
        return plain(index, Form::float32);
      case AVRO_DOUBLE:
        return plain(index, Form::float64);
      case AVRO_BYTES:
        return plain(index, Form::bytes);
      case AVRO_STRING:
        return plain(index, Form::text);
      case AVRO_FIXED: {
        const std::int64_t size = avro_schema_fixed_size(schema);
        if (size < 0) return bad("a fixed type has no size");
        types_[index].name = avro_schema_name(schema);
        types_[index].size = static_cast<std::size_t>(size);
        return plain(index, Form::fixed);
      }
      case AVRO_ENUM:
        return enumeration(index, schema);
      case AVRO_RECORD:
        return record(index, json, schema, depth);
      case AVRO_ARRAY:
        return holder(index, Form::array, json, "items", avro_schema_array_items(schema), depth);
      case AVRO_MAP:
        return holder(index, Form::map, json, "values", avro_schema_map_values(schema), depth);
      case AVRO_UNION:
        return choice(index, json, schema, depth);
      default:
        return bad("it has a type that Avro does not have");
    }
  }

  Result<void> plain(std::size_t index, Form form) {
    types_[index].form = form;
    return {};
  }

  Result<void> enumeration(std::size_t index, avro_schema_t schema) {
    types_[index].name = avro_schema_name(schema);
    for (int i = 0; i < avro_schema_enum_number_of_symbols(schema); ++i) {
      const char* symbol = avro_schema_enum_get(schema, i);
      if (symbol == nullptr) return bad("an enum has a symbol without name");
      types_[index].symbols.emplace_back(symbol);
      // A message of few bytes must not become a large one.
      if (types_[index].symbols.back().size() > symbol_bytes_max) return bad("an enum has a symbol that is too long");
    }
    return plain(index, Form::enumeration);
  }

  Result<void> record(std::size_t index, Json json, avro_schema_t schema, std::size_t depth) {
    types_[index].form = Form::record;
    types_[index].name = avro_schema_name(schema);
    simdjson::dom::array fields;
    if (json["fields"].get(fields) || fields.size() != avro_schema_record_size(schema))
      return bad("a record's fields can't be read");
    int i = 0;
    for (const Json field : fields) {
      Json of;
      if (field["type"].get(of)) return bad("a field has no type");
      PGCH_ASSIGN(const std::size_t inner, type(of, avro_schema_record_field_get_by_index(schema, i), depth + 1));
      std::string_view column;
      if (field[column_attribute].get(column)) column = avro_schema_record_field_name(schema, i);
      types_[index].fields.push_back({std::string(column), inner});
      ++i;
    }
    return {};
  }

  Result<void> holder(std::size_t index, Form form, Json json, std::string_view what, avro_schema_t inner,
                      std::size_t depth) {
    Json of;
    if (json[what].get(of)) return bad("an array or a map doesn't say what it holds");
    PGCH_ASSIGN(const std::size_t part, type(of, inner, depth + 1));
    types_[index].parts = {part};
    return plain(index, form);
  }

  Result<void> choice(std::size_t index, Json json, avro_schema_t schema, std::size_t depth) {
    simdjson::dom::array branches;
    if (json.get(branches) || branches.size() != avro_schema_union_size(schema) || branches.size() == 0)
      return bad("a union's branches can't be read");
    int i = 0;
    for (const Json branch : branches) {
      PGCH_ASSIGN(const std::size_t part, type(branch, avro_schema_union_branch(schema, i), depth + 1));
      types_[index].parts.push_back(part);
      ++i;
    }
    return plain(index, Form::choice);
  }

  // A logical type that its type can't have counts as none, by Avro's rule.
  static void annotate(WriterType& type, Json json) {
    std::string_view name;
    if (json["logicalType"].get(name)) return;
    struct Known {
      std::string_view name;
      Form form;
      Logical logical;
    };
    static constexpr Known known[] = {
        {"date", Form::whole, Logical::date},
        {"time-millis", Form::whole, Logical::time_millis},
        {"time-micros", Form::long_whole, Logical::time_micros},
        {"timestamp-millis", Form::long_whole, Logical::timestamp_millis},
        {"timestamp-micros", Form::long_whole, Logical::timestamp_micros},
        {"timestamp-nanos", Form::long_whole, Logical::timestamp_nanos},
        {"local-timestamp-millis", Form::long_whole, Logical::timestamp_millis},
        {"local-timestamp-micros", Form::long_whole, Logical::timestamp_micros},
        {"local-timestamp-nanos", Form::long_whole, Logical::timestamp_nanos},
        {"uuid", Form::text, Logical::uuid},
        {"uuid", Form::fixed, Logical::uuid},
    };
    for (const Known& one : known) {
      if (one.name == name && one.form == type.form) type.logical = one.logical;
    }
    if (type.logical == Logical::uuid && type.form == Form::fixed && type.size != 16) type.logical = Logical::none;
    std::uint64_t precision = 0, scale = 0;
    if (name != "decimal" || (type.form != Form::bytes && type.form != Form::fixed)) return;
    if (json["precision"].get(precision) || precision == 0 || precision > 100'000) return;
    if (!json["scale"].error() && json["scale"].get(scale)) return;
    if (scale > precision) return;
    type.logical = Logical::decimal;
    type.precision = static_cast<unsigned>(precision);
    type.scale = static_cast<unsigned>(scale);
  }

  WriterSchema types_;
  std::map<avro_schema_t, std::size_t> named_;
};

}  // namespace

Result<WriterSchema> compile_schema(std::string_view json) {
  if (json.size() > schema_bytes_max) return bad("it is too large");
  // First the parser that bounds depth and checks UTF-8.
  simdjson::dom::parser parser;
  if (parser.allocate(json.size() + 1, depth_max * 4) != simdjson::SUCCESS) return bad("it is too large");
  Json document;
  if (parser.parse(simdjson::padded_string(json)).get(document)) return bad("it is not JSON");
  avro_schema_t parsed = nullptr;
  if (avro_schema_from_json_length(json.data(), json.size(), &parsed) != 0 || parsed == nullptr)
    return bad("it is no Avro schema");
  const SchemaHandle schema(parsed);
  return Compiler().run(document, schema.get());
}

std::string name_of(const WriterSchema& schema, std::size_t type) {
  static constexpr std::string_view forms[] = {"null",   "boolean", "int",  "long",  "float", "double", "bytes",
                                               "string", "fixed",   "enum", "array", "map",   "record", "union"};
  static constexpr std::string_view logicals[] = {
      "",    "decimal", "date", "time-millis", "time-micros", "timestamp-millis", "timestamp-micros", "timestamp-nanos",
      "uuid"};
  const WriterType& t = schema[type];
  if (t.form == Form::choice) {
    std::string out = "union of ";
    for (std::size_t i = 0; i < t.parts.size() && i < 4; ++i) {
      const WriterType& part = schema[t.parts[i]];
      out += (i == 0 ? "" : " and ") + (part.form == Form::choice ? std::string("union") : name_of(schema, t.parts[i]));
    }
    return out;
  }
  std::string out(forms[static_cast<std::size_t>(t.form)]);
  if (t.logical == Logical::decimal) return fmt::format("{} (decimal({}, {}))", out, t.precision, t.scale);
  if (t.logical != Logical::none) out += fmt::format(" ({})", logicals[static_cast<std::size_t>(t.logical)]);
  return out;
}

}  // namespace pgch::avro
