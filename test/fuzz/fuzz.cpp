// libFuzzer's entry for all decoders of strangers' bytes. Which one is named by PGCH_TEST_FUZZ: a type of `types`
// below, or "copy", "debezium", "json", "native", "native_message", "avro", "avro_schema", "type_name".
// test/fuzz/run.sh runs them all.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "avro/row_decoder.h"
#include "avro/row_encoder.h"
#include "avro/row_schema.h"
#include "avro/writer_schema.h"
#include "clickhouse/native_block.h"
#include "clickhouse/types.h"
#include "codec/debezium.h"
#include "codec/native_message.h"
#include "model/packed.h"
#include "pg/types.h"
#include "test/support/fake_registry.h"
#include "test/support/type_plans.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

using Bytes = std::span<const std::byte>;

struct Type {
  std::uint32_t oid;
  std::int32_t dimensions = 0;
  std::map<std::string, std::string> as{};
  std::int32_t typmod = -1;
};

const std::map<std::string, Type>& types() {
  static const std::map<std::string, Type> all{
      {"bool", {pg::oid::boolean}},
      {"int2", {pg::oid::int2}},
      {"int4", {pg::oid::int4}},
      {"int8", {pg::oid::int8}},
      {"numeric", {pg::oid::numeric}},
      {"decimal", {pg::oid::numeric, 0, {}, (38 << 16 | 10) + 4}},
      {"int256", {pg::oid::numeric, 0, {{"numeric", "int256"}}}},
      {"money", {pg::oid::money}},
      {"uuid", {pg::oid::uuid}},
      {"date", {pg::oid::date}},
      {"timestamp", {pg::oid::timestamp}},
      {"time", {pg::oid::time}},
      {"timetz", {pg::oid::timetz}},
      {"interval", {pg::oid::interval}},
      {"interval_tuple", {pg::oid::interval, 0, {{"interval", "tuple"}}}},
      {"inet", {pg::oid::inet}},
      {"ipv6", {pg::oid::inet, 0, {{"inet", "ipv6"}}}},
      {"macaddr", {pg::oid::macaddr}},
      {"macaddr_uint64", {pg::oid::macaddr, 0, {{"macaddr", "uint64"}}}},
      {"varbit", {pg::oid::varbit}},
      {"varbit_uint64", {pg::oid::varbit, 0, {{"bit", "uint64"}}}},
      {"jsonb", {pg::oid::jsonb}},
      {"point", {pg::oid::point}},
      {"int4_array", {int4_array}},
      {"int4_array_2", {int4_array, 2}},
      {"text_array", {text_array}},
      {"date_array", {date_array}},
      {"composite", {composite}},
      {"composite_array", {composite_array}},
      {"range", {int4range}},
      {"multirange", {int4multirange}},
      {"hstore", {hstore}},
      {"vector", {vector}},
      {"halfvec", {halfvec}},
  };
  return all;
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Whatever was taken is a whole value, which a block and a message can be made of.
void check_row(const RowBatch& batch) {
  const ColumnSpec& spec = batch.schema->columns[0];
  const Column& column = batch.columns[0];
  if (column.is_null(0)) return;
  if (is_nested(spec.kind)) {
    require(is_packed(spec, column.at(0, 0)), "a nested value is packed");
    ch::ColumnPlan plan;
    plan.source = plan.wire = spec;
    std::string out;
    const auto put = ch::put_nested(out, plan, column, 1);
    require(put || put.error().recovery == Recovery::dead_letter, "a packed value goes into a block, or is refused");
  }
  std::string message;
  if (codec::JsonRowEncoder(batch.schema, false).append_value(batch, 0, message) != npos) return;  // not UTF-8
  codec::JsonRowOptions options;
  options.bytes_max = 1U << 30;
  codec::JsonRowDecoder decoder(batch.schema, options);
  RowBatch back;
  back.reset(batch.schema);
  require(decoder.append_row(message, back), "its message can be read");
  std::string again;
  require(codec::JsonRowEncoder(batch.schema, false).append_value(back, 0, again) == npos && again == message,
          "its message comes back the same");
}

void fuzz_type(const Type& type, Bytes input) {
  // One type a process: its plans are made once.
  static const std::vector<TypePlan> plans = [&] {
    std::vector<TypePlan> out;
    for (const char* policy : {"fail", "null", "clamp"}) {
      TypeOptions options = rich_types(policy);
      for (const auto& [family, word] : type.as) options.as[family] = word;
      out.push_back(plan_of(type.oid, options, type.dimensions, type.typmod));
    }
    return out;
  }();
  RowBatch batch;
  for (const TypePlan& plan : plans) {
    if (decode_cell(plan, input, batch) == pg::TupleOutcome::row) check_row(batch);
  }
}

void fuzz_copy(Bytes input) {
  std::vector<pg::FieldPlan> fields;
  auto schema = std::make_shared<TableSchema>();
  for (const std::uint32_t oid : {pg::oid::int4, pg::oid::text, int4_array}) {
    const TypePlan plan = plan_of(oid);
    fields.push_back(plan.field);
    schema->columns.push_back(plan.schema->columns[0]);
  }
  RowBatch batch;
  batch.reset(schema);
  pg::TupleDecoder decoder(fields, fields.size());
  (void)pg::TupleDecoder::take_header(input);
  while (!input.empty()) {
    const auto outcome = decoder.decode(input, batch.columns.data(), nullptr, batch.rows);
    if (outcome == pg::TupleOutcome::row) ++batch.rows;
    if (outcome != pg::TupleOutcome::row) break;
  }
  require(batch.columns[1].ends.size() == batch.rows, "every column has every row");
}

ColumnSpec spec_of(const char* type) { return ch::spec_of("c", *ch::parse_type(type)); }

void fuzz_json(Bytes input) {
  static const char* const columns[] = {"Nullable(Int64)",
                                        "String",
                                        "Nullable(Decimal(20, 4))",
                                        "Array(Nullable(Int32))",
                                        "Tuple(a Nullable(String), b Array(DateTime64(6, 'UTC')))",
                                        "Map(String, Nullable(Float64))",
                                        "Time64(6)",
                                        "IPv6"};
  auto schema = std::make_shared<TableSchema>();
  if (input.empty()) return;
  // The first byte says which type is read into, and whether that is a key and messages are keys only.
  const auto choice = std::to_integer<std::size_t>(input[0]);
  schema->columns = {spec_of(columns[choice % 128 % std::size(columns)]), spec_of("Int64")};
  codec::JsonRowOptions options;
  options.keys_only = choice >= 128;
  schema->columns[1].name = "other";
  if (options.keys_only) schema->key_order = {"c"};
  if (!options.keys_only) schema->columns.pop_back();
  codec::JsonRowDecoder decoder(schema, options);
  RowBatch batch;
  batch.reset(schema);
  const auto read = decoder.append({{}, as_text(input.subspan(1)), true}, batch);
  require(read.operator bool(), "a decoder that asks nobody always knows");
  if (*read == codec::Decoded::rows) check_row(batch);
}

// A table of every form, the names of its columns short enough to be found.
std::shared_ptr<const TableSchema> debezium_table() {
  auto schema = std::make_shared<TableSchema>();
  const char* const types[][2] = {{"Int64", "bigint"},
                                  {"Nullable(Date32)", "date"},
                                  {"Nullable(DateTime64(6, 'UTC'))", "timestamp(3) without time zone"},
                                  {"Nullable(Time64(6))", "time without time zone"},
                                  {"Nullable(Decimal(20, 4))", "numeric(20,4)"},
                                  {"Nullable(String)", "numeric"},
                                  {"Nullable(String)", "interval"},
                                  {"Nullable(String)", "bit(12)"},
                                  {"Nullable(String)", "time with time zone"},
                                  {"Nullable(String)", "geometry"},
                                  {"Tuple(Float64, Float64)", "point"},
                                  {"Map(String, Nullable(String))", "hstore"},
                                  {"Array(Nullable(Date32))", "date[]"},
                                  {"Nullable(String)", "bytea"},
                                  {"Nullable(String)", "timestamp with time zone"}};
  for (const auto& [type, source] : types) {
    ColumnSpec spec = spec_of(type);
    spec.name = std::string(1, static_cast<char>('a' + schema->columns.size()));
    spec.source_type = source;
    spec.key = schema->columns.empty();
    if (spec.source_type == "bytea") spec.kind = Kind::bytes;
    schema->columns.push_back(std::move(spec));
  }
  schema->key_order = {"a"};
  return schema;
}

constexpr const char* debezium_row =
    R"("b":19782,"c":1709210096123,"d":86399999999,"e":"B1vNFQ==","f":{"scale":9,"value":"XODppWAV/sWq36MorjmBFQ=="},)"
    R"("g":"P0Y-1M2DT-3H-4M-5.5S","h":"rwo=","i":"10:00:00.5Z","j":{"wkb":"AQEAACA=","srid":4326},)"
    R"("k":{"x":1.5,"y":-2.25,"wkb":null},"l":"{\"zz\":\"1\",\"b\":null}","m":[19782,null,"2024-01-01Z"],)"
    R"("n":"AP8Q","o":"2024-02-29T10:34:56.1234Z")";

void fuzz_debezium(Bytes input) {
  static const auto schema = debezium_table();
  if (input.empty()) return;
  // The first byte: which modes, and whether it is the message, its row, a key, or a schema with a row.
  const auto choice = std::to_integer<unsigned>(input[0]);
  std::string text(as_text(input.subspan(1)));
  // Or a good row with some bytes changed.
  if ((choice & 64U) != 0) {
    text = debezium_row;
    ByteReader edits(input.subspan(1));
    while (edits.left() >= 3) {
      const std::size_t at = edits.little<std::uint16_t>() % text.size();
      text[at] = static_cast<char>(edits.little<std::uint8_t>());
    }
  }
  codec::DebeziumDecoderOptions options;
  options.modes.decimal_as_string = (choice & 8U) != 0;
  options.modes.binary = (choice & 16U) != 0 ? codec::DebeziumModes::Binary::hex : codec::DebeziumModes::Binary::base64;
  options.version_by_lsn = (choice & 32U) == 0;
  options.row.ignore_unknown_fields = true;
  codec::DebeziumDecoder decoder(schema, options);
  const std::string event = R"({"before":null,"source":{"lsn":1},"op":"u","after":)";
  std::string message = text;
  if ((choice & 3U) == 1) message = event + "{\"a\":1," + text + "}}";
  if ((choice & 3U) == 3) {
    const std::size_t cut = text.find('\n');
    message = R"({"schema":{"type":"struct","fields":[{"field":"after","fields":[)" + text.substr(0, cut) +
              R"(]}]},"payload":)" + event + "{\"a\":1," + (cut == std::string::npos ? "" : text.substr(cut + 1)) +
              "}}}";
  }
  RowBatch batch;
  batch.reset(schema);
  const bool key_only = (choice & 3U) == 2;
  const auto decoded =
      decoder.append({text, key_only ? std::string_view() : std::string_view(message), !key_only}, batch);
  require(decoded && (*decoded == codec::Decoded::rows || batch.rows == 0), "a refused message leaves no rows");
  for (const Column& column : batch.columns)
    require(batch.rows != 0 || column.bytes() == 0, "a refused message leaves nothing behind");
  // A schema may say of a value what its column doesn't.
  const bool described = (choice & 3U) == 3 || message.find("schema") != std::string::npos;
  if (batch.rows == 0 || key_only || described) return;
  // What was read can be written, and comes back the same. Times as strings may be finer than the mode's numbers.
  codec::DebeziumEncoder encoder(options.modes);
  std::string out;
  require(encoder.open(schema).operator bool(), "the table has a form");
  if (encoder.append_value(batch, 0, out) != npos) return;
  RowBatch back;
  back.reset(schema);
  const auto again = decoder.append({text, out, true}, back);
  const bool removed = batch.op_of(0) == RowOp::remove;
  require(again && *again == codec::Decoded::rows, "its message can be read");
  back.version = batch.version;
  if (options.version_by_lsn && !removed) require(content_hash(back) == content_hash(batch), "it comes back the same");
}

void fuzz_native(Bytes input) {
  auto schema = std::make_shared<TableSchema>();
  schema->columns = {spec_of("Nullable(Int32)"), spec_of("String")};
  schema->columns[1].name = "s";
  ch::BlockReader reader(schema, {"Nullable(Int32)", "String"});
  const auto sink = [](const RowBatch& batch) -> Result<void> {
    require(batch.columns[1].ends.size() == batch.rows, "every column has every row");
    return {};
  };
  // In two pieces, cut where the first byte says.
  const std::size_t cut = input.empty() ? 0 : std::min(input.size(), std::to_integer<std::size_t>(input[0]));
  if (reader.feed(input.first(cut), sink) && reader.feed(input.subspan(cut), sink))
    (void)reader.finish().operator bool();
}

// Two rows of everything, as a message.
std::string whole_message(const std::shared_ptr<const TableSchema>& schema) {
  RowBatch batch;
  batch.reset(schema);
  const std::string cells[2][6] = {
      {std::string(4, '\1'), "text", std::string(1, '\1'), std::string("\2\0\1\0\0\0\1", 7),
       std::string("\1\1aaaaaaaa", 10), std::string("\1\1k\1\1v", 6)},
      {std::string(4, '\2'), std::string(200, 'x'), std::string(1, '\0'), std::string(1, '\0'),
       std::string("\0\3abc\0", 6), std::string(1, '\0')}};
  for (const auto& row : cells) {
    for (std::size_t i = 0; i < 6; ++i) {
      const ColumnSpec& spec = schema->columns[i];
      require(!is_nested(spec.kind) || is_packed(spec, as_bytes(row[i])), "the example is right");
      append_value(batch.columns[i], layout_of(spec), spec.nullable, as_bytes(row[i]));
    }
    ++batch.rows;
  }
  codec::NativeEncoder encoder;
  std::string out;
  require(encoder.open(schema) && encoder.append_block(batch, 0, batch.rows, out), "the example can be written");
  return out;
}

void fuzz_native_message(Bytes input) {
  static const auto schema = [] {
    auto all = std::make_shared<TableSchema>();
    for (const char* type :
         {"Nullable(Int32)", "String", "Nullable(Bool)", "Array(Nullable(Int32))",
          "Tuple(a Nullable(String), b Array(DateTime64(6, 'UTC')))", "Map(String, Array(String))"}) {
      all->columns.push_back(spec_of(type));
      all->columns.back().name = std::string(1, static_cast<char>('a' + all->columns.size()));
      all->columns.back().nullable = all->columns.size() != 2;
    }
    return all;
  }();
  static const std::string whole = whole_message(schema);
  if (input.empty()) return;
  // The bytes themselves, or a good message with some bytes changed and its end cut off: no fuzzer guesses names.
  std::string message(as_text(input.subspan(1)));
  if ((std::to_integer<unsigned>(input[0]) & 1U) != 0) {
    message = whole;
    ByteReader edits(input.subspan(1));
    message.resize(message.size() - edits.little<std::uint8_t>() % 3);
    while (edits.left() >= 3) {
      const std::size_t at = edits.little<std::uint16_t>() % message.size();
      message[at] = static_cast<char>(edits.little<std::uint8_t>());
    }
  }
  codec::NativeOptions options;
  options.ignore_unknown_fields = true;
  codec::NativeDecoder decoder(schema, options);
  RowBatch batch;
  batch.reset(schema);
  (void)codec::native_rows(message);
  const auto decoded = decoder.append({{}, message, true}, batch);
  require(decoded && (*decoded == codec::Decoded::rows || batch.rows == 0), "a refused message leaves no rows");
  codec::NativeEncoder encoder;
  std::string out;
  require(encoder.open(schema) && encoder.append_block(batch, 0, batch.rows, out), "what was read can be written");
  RowBatch back;
  back.reset(schema);
  batch.versions.resize(batch.rows);
  require(*decoder.append({{}, out, true}, back) == codec::Decoded::rows && content_hash(back) == content_hash(batch),
          "and comes back the same");
}

// What another program may have registered for the same table.
constexpr const char* strange_schema =
    R"({"type":"record","name":"r","fields":[{"name":"a","type":["null","int",{"type":"fixed","name":"f","size":3,)"
    R"("logicalType":"decimal","precision":6,"scale":1}]},{"name":"x","type":{"type":"record","name":"n","fields":[)"
    R"({"name":"next","type":["null","n"]},{"name":"all","type":{"type":"array","items":{"type":"map","values":"n"}}}]}},)"
    R"({"name":"b","type":{"type":"enum","name":"e","symbols":["u","v"]}},{"name":"d","type":{"type":"array","items":["long","null"]}},)"
    R"({"name":"e","type":[{"type":"record","name":"t","fields":[{"name":"b","type":{"type":"array","items":{"type":"long",)"
    R"("logicalType":"timestamp-millis"}}},{"name":"a","type":"bytes"}]},"null"]},)"
    R"({"name":"f","type":{"type":"map","values":{"type":"array","items":"string"}}},{"name":"g","type":["string","float","long"]}]})";

void fuzz_avro(Bytes input) {
  static const auto schema = [] {
    auto all = std::make_shared<TableSchema>();
    for (const char* type : {"Nullable(Decimal(20, 2))", "String", "Nullable(Bool)", "Array(Nullable(Int32))",
                             "Tuple(a Nullable(String), b Array(DateTime64(6, 'UTC')))", "Map(String, Array(String))",
                             "Nullable(Float64)"}) {
      all->columns.push_back(spec_of(type));
      all->columns.back().name = std::string(1, static_cast<char>('a' + all->columns.size() - 1));
      all->columns.back().nullable = all->columns.size() != 2;
    }
    return all;
  }();
  static const auto schemas = [] {
    auto made = std::make_shared<pgch::test::FakeSchemas>();
    const auto own = avro::row_schema(*schema);
    require(own && made->add(*own) == 1 && made->add(strange_schema) == 2, "both schemas are there");
    return made;
  }();
  if (input.empty()) return;
  // Made once: it is the values that are looked at here, the schemas by avro_schema.
  static avro::AvroRowDecoder decoder(schema, avro::AvroRowOptions{{}, true},
                                      std::make_unique<pgch::test::FakeRegistry>(schemas));
  static avro::AvroRowEncoder encoder(std::make_unique<pgch::test::FakeRegistry>(schemas), "t-value");
  static const bool opened = static_cast<bool>(encoder.open(schema));
  const bool own = (std::to_integer<unsigned>(input[0]) & 1U) != 0;
  const std::string message = std::string("\0\0\0\0", 4) + (own ? '\1' : '\2') + std::string(as_text(input.subspan(1)));
  RowBatch batch;
  batch.reset(schema);
  const auto decoded = decoder.append({{}, message}, batch);
  require(static_cast<bool>(decoded), "nothing is away");
  if (*decoded != codec::Decoded::rows) {
    require(batch.rows == 0 && batch.bytes() == 0, "a refused message leaves nothing");
    return;
  }
  std::string out;
  require(opened && encoder.append_value(batch, 0, out) == npos, "what was read can be written");
  RowBatch back;
  back.reset(schema);
  require(*decoder.append({{}, out}, back) == codec::Decoded::rows && content_hash(back) == content_hash(batch),
          "and comes back the same");
}

void fuzz_avro_schema(Bytes input) {
  if (const auto schema = avro::compile_schema(as_text(input))) (void)avro::name_of(*schema, 0).size();
}

void fuzz_type_name(Bytes input) {
  if (const auto type = ch::parse_type(as_text(input)))
    (void)ch::wire_type(ch::spec_of("c", *type), ch::Version{26, 7}).size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string name = [] {
    const char* value = std::getenv("PGCH_TEST_FUZZ");
    return std::string(value == nullptr ? "" : value);
  }();
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  if (const auto type = types().find(name); type != types().end()) {
    fuzz_type(type->second, input);
  } else if (name == "copy") {
    fuzz_copy(input);
  } else if (name == "debezium") {
    fuzz_debezium(input);
  } else if (name == "json") {
    fuzz_json(input);
  } else if (name == "native") {
    fuzz_native(input);
  } else if (name == "native_message") {
    fuzz_native_message(input);
  } else if (name == "avro") {
    fuzz_avro(input);
  } else if (name == "avro_schema") {
    fuzz_avro_schema(input);
  } else if (name == "type_name") {
    fuzz_type_name(input);
  } else if (name == "list") {
    for (const auto& [one, type] : types()) std::printf("%s\n", one.c_str());
    std::printf("copy\ndebezium\njson\nnative\nnative_message\navro\navro_schema\ntype_name\n");
    std::fflush(stdout);
    std::_Exit(0);  // libFuzzer takes an exit() for a crash
  } else {
    std::fprintf(stderr, "PGCH_TEST_FUZZ names no target\n");
    std::_Exit(2);
  }
  return 0;
}
