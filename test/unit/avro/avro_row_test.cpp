#include <avro.h>

#include <random>
#include <set>

#include "avro/row_decoder.h"
#include "avro/row_encoder.h"
#include "avro/row_schema.h"
#include "avro/writer_schema.h"
#include "base/bytes.h"
#include "clickhouse/types.h"
#include "registry/answer.h"
#include "test/support/catch.h"
#include "test/support/fake_registry.h"
#include "test/unit/codec/random_rows.h"

using namespace pgch;
using namespace pgch::test;

namespace {

// One table, one decoder, and a registry for both.
struct Reading {
  explicit Reading(std::shared_ptr<const TableSchema> table, avro::AvroRowOptions options = {})
      : table(table), decoder(table, std::move(options), std::make_unique<FakeRegistry>(schemas)) {
    batch.reset(table);
  }
  static std::string head(std::uint32_t number) {
    std::string out(1, '\0');
    put_little(out, byteswap(number));
    return out;
  }
  bool read(const std::string& schema, const std::string& body) {
    const std::string message = head(schemas->add(schema)) + body;
    const auto decoded = decoder.append({{}, message}, batch);
    REQUIRE(decoded);
    return *decoded == codec::Decoded::rows;
  }
  std::string reason() const { return decoder.reason(); }

  std::shared_ptr<FakeSchemas> schemas = std::make_shared<FakeSchemas>();
  std::shared_ptr<const TableSchema> table;
  avro::AvroRowDecoder decoder;
  RowBatch batch;
};

std::shared_ptr<TableSchema> table_of(const std::vector<std::string>& columns) {
  auto table = std::make_shared<TableSchema>();
  table->schema = "public";
  table->table = "t";
  for (const std::string& text : columns) {
    const auto space = text.find(' ');
    const auto type = ch::parse_type(text.substr(space + 1));
    REQUIRE(type);
    table->columns.push_back(ch::spec_of(text.substr(0, space), *type));
  }
  return table;
}

std::string record(const std::string& fields) { return R"({"type":"record","name":"t","fields":[)" + fields + "]}"; }
std::string field(const std::string& name, const std::string& type) {
  return R"({"name":")" + name + R"(","type":)" + type + "}";
}
std::string zigzag(std::int64_t value) {
  std::string out;
  put_varint(out, (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63));
  return out;
}
std::string text(const std::string& value) { return zigzag(static_cast<std::int64_t>(value.size())) + value; }

template <class T>
T cell(const RowBatch& batch, std::size_t column, std::size_t row = 0) {
  T out{};
  std::memcpy(&out, batch.columns[column].at(row, sizeof(T)).data(), sizeof(T));
  return out;
}
std::string text_cell(const RowBatch& batch, std::size_t column, std::size_t row = 0) {
  return std::string(as_text(batch.columns[column].at(row, 0)));
}

avro::AvroRowEncoder encoder_of(Reading& reading) {
  avro::AvroRowEncoder encoder(std::make_unique<FakeRegistry>(reading.schemas), "topic-value");
  REQUIRE(encoder.open(reading.table));
  return encoder;
}

}  // namespace

TEST_CASE("random rows of every kind come back from Avro bit by bit") {
  const bool nullable = GENERATE(true, false);
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  const auto table = every_kind_schema(nullable);
  Reading reading(table);
  auto encoder = encoder_of(reading);
  const RowBatch rows = random_batch(random, table, 2000);
  std::vector<std::uint32_t> taken;
  std::string message;
  for (std::uint32_t r = 0; r < rows.rows; ++r) {
    message.clear();
    if (const std::size_t bad = encoder.append_value(rows, r, message); bad != npos) {
      // Only times that are multiplied on the way may have no form.
      const ColumnSpec& spec = table->columns[bad];
      REQUIRE((spec.kind == Kind::timestamp || spec.kind == Kind::timestamptz));
      REQUIRE(spec.scale == 0);
      continue;
    }
    const auto decoded = reading.decoder.append({{}, message}, reading.batch);
    REQUIRE(decoded);
    INFO(reading.reason());
    REQUIRE(*decoded == codec::Decoded::rows);
    taken.push_back(r);
  }
  CHECK(taken.size() > 20);
  CHECK(content_hash(reading.batch) == content_hash(select_rows(rows, taken)));
}

TEST_CASE("nested values come back from Avro as they were, and so do times of day and addresses") {
  const auto table =
      table_of({"a Array(Nullable(Int32))", "b Tuple(x Nullable(String), yz Array(DateTime64(6, 'UTC')))",
                "c Map(String, Nullable(Float64))", "d Map(Int64, Array(String))", "e Time64(6)", "f IPv6", "g Int256",
                "h Tuple(Int32, String)"});
  Reading reading(table);
  auto encoder = encoder_of(reading);
  RowBatch rows;
  rows.reset(table);
  const std::int64_t end_of_day = 86'400'000'000;
  const std::string cells[] = {std::string("\3\0\1\0\0\0\1\0\2\0\0\0", 12),
                               std::string("\0\2hi\1aaaaaaaa", 13),
                               std::string("\2\1k\1\1l\0aaaaaaaa", 15),
                               std::string("\1aaaaaaaa\2\1x\0", 13),
                               std::string(reinterpret_cast<const char*>(&end_of_day), 8),
                               std::string("\x20\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16),
                               std::string(31, '\0') + "\x80",
                               std::string("\7\0\0\0\1z", 6)};
  for (std::size_t i = 0; i < std::size(cells); ++i)
    append_value(rows.columns[i], layout_of(table->columns[i]), table->columns[i].nullable, as_bytes(cells[i]));
  rows.rows = 1;
  std::string message;
  REQUIRE(encoder.append_value(rows, 0, message) == npos);
  const auto decoded = reading.decoder.append({{}, message}, reading.batch);
  REQUIRE(decoded);
  INFO(reading.reason());
  REQUIRE(*decoded == codec::Decoded::rows);
  CHECK(content_hash(reading.batch) == content_hash(rows));
}

TEST_CASE("the schema of a table is by the documented rule, and names keep their difference") {
  auto table = std::make_shared<TableSchema>();
  table->schema = "sales";
  table->table = "Öl";
  table->columns = {{"id", Kind::int64, false, true, 0, 0, ""},
                    {"a b", Kind::decimal, true, false, 10, 2, ""},
                    {"at", Kind::timestamp, false, false, 0, 6, ""},
                    {"tz", Kind::timestamptz, true, false, 0, 6, ""}};
  const auto schema = avro::row_schema(*table);
  REQUIRE(schema);
  CHECK(*schema ==
        R"({"type":"record","name":"_xC3_x96l","namespace":"sales","fields":[{"name":"id","type":"long"},)"
        R"({"name":"a_x20b","type":["null",{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}],)"
        R"("default":null,"pgch.column":"a b"},)"
        R"({"name":"at","type":{"type":"long","logicalType":"local-timestamp-micros"}},)"
        R"({"name":"tz","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null}]})");
  CHECK(avro::compile_schema(*schema));
  std::set<std::string> names;
  const std::vector<std::string> odd{"a",  "_a", "__a", "_x20",  " ", "_ x20", "_x5Fx20",
                                     "1a", "a1", "_x",  "__x20", "_", "A",     "é"};
  for (const std::string& name : odd) names.insert(avro::avro_name(name));
  CHECK(names.size() == odd.size());
  CHECK(avro::avro_name("plain_Name_9") == "plain_Name_9");
}

TEST_CASE("the Avro C library reads what the encoder writes, to the last byte") {
  const auto table =
      table_of({"id Int64", "s Nullable(String)", "n Decimal(20, 4)", "a Array(Nullable(Int32))", "f Float64"});
  Reading reading(table);
  auto encoder = encoder_of(reading);
  RowBatch rows;
  rows.reset(table);
  const std::int64_t id = -42;
  std::string number(16, '\xFF');  // −1, that is −0.0001
  const double ratio = 0.1;
  const std::string cells[] = {std::string(reinterpret_cast<const char*>(&id), 8), "grüß", number,
                               std::string("\2\0\5\0\0\0\1", 7), std::string(reinterpret_cast<const char*>(&ratio), 8)};
  for (std::size_t i = 0; i < 5; ++i)
    append_value(rows.columns[i], layout_of(table->columns[i]), table->columns[i].nullable, as_bytes(cells[i]));
  rows.rows = 1;
  std::string message;
  REQUIRE(encoder.append_value(rows, 0, message) == npos);
  const std::string& json = reading.schemas->by_number[1];
  avro_schema_t schema = nullptr;
  REQUIRE(avro_schema_from_json_length(json.data(), json.size(), &schema) == 0);
  avro_value_iface_t* interface = avro_generic_class_from_schema(schema);
  avro_value_t value;
  REQUIRE(avro_generic_value_new(interface, &value) == 0);
  avro_reader_t reader = avro_reader_memory(message.data() + 5, static_cast<std::int64_t>(message.size() - 5));
  REQUIRE(avro_value_read(reader, &value) == 0);
  char rest = 0;
  CHECK(avro_read(reader, &rest, 1) != 0);
  char* shown = nullptr;
  REQUIRE(avro_value_to_json(&value, 1, &shown) == 0);
  CHECK(
      std::string(shown) ==
      R"({"id": -42, "s": {"string": "gr\u00FC\u00DF"}, "n": "\u00FF", "a": [{"int": 5}, null], "f": 0.10000000000000001})");
  std::free(shown);
  avro_reader_free(reader);
  avro_value_decref(&value);
  avro_value_iface_decref(interface);
  avro_schema_decref(schema);
}

TEST_CASE("a writer's schema is resolved by names, with Avro's promotions, and nothing is rounded") {
  const auto table = table_of({"i Int64", "f Float64", "d Decimal(10, 2)", "s String", "b Nullable(String)"});
  const_cast<ColumnSpec&>(table->columns[4]).kind = Kind::bytes;
  Reading reading(table);
  const std::string schema =
      record(field("s", R"({"type":"enum","name":"e","symbols":["red","green"]})") + "," +
             field("d", R"({"type":"fixed","name":"x","size":3,"logicalType":"decimal","precision":7,"scale":1})") +
             "," + field("f", R"("int")") + "," + field("i", R"(["int","null"])"));
  REQUIRE(reading.read(schema, zigzag(1) + std::string("\xFF\xFF\xF6", 3) + zigzag(-7) + zigzag(0) + zigzag(5)));
  CHECK(text_cell(reading.batch, 3) == "green");
  CHECK(cell<std::int64_t>(reading.batch, 2) == -100);  // −1.0
  CHECK(cell<double>(reading.batch, 1) == -7.0);
  CHECK(cell<std::int64_t>(reading.batch, 0) == 5);
  CHECK(reading.batch.columns[4].is_null(0));
  CHECK_FALSE(reading.read(schema, zigzag(1) + std::string("\xFF\xFF\xF6", 3) + zigzag(-7) + zigzag(1)));
  CHECK(reading.reason() == "the field \"i\" is null, and its column is not nullable");
  CHECK_FALSE(reading.read(schema, zigzag(2) + std::string("\xFF\xFF\xF6", 3) + zigzag(-7) + zigzag(0) + zigzag(5)));
  const std::string longs =
      record(field("i", R"("long")") + "," + field("f", R"("long")") + "," + field("d", R"("string")") + "," +
             field("s", R"("bytes")") + "," + field("b", R"("string")"));
  REQUIRE(reading.read(longs, zigzag(INT64_MIN) + zigzag(1LL << 53) + text("12.5") + text("x") + text("\xFF")));
  CHECK(cell<std::int64_t>(reading.batch, 2, 1) == 1250);
  CHECK(text_cell(reading.batch, 4, 1) == "\xFF");
  CHECK_FALSE(reading.read(longs, zigzag(0) + zigzag((1LL << 53) + 1) + text("12.5") + text("x") + text("")));
  CHECK(reading.reason() == "the field \"f\" does not fit the column's 64-bit float");
  CHECK_FALSE(reading.read(longs, zigzag(0) + zigzag(0) + text("12.505") + text("x") + text("")));
  CHECK(reading.reason() == "the field \"d\" has more digits after the point than its column keeps (2)");
  CHECK_FALSE(reading.read(longs, zigzag(0) + zigzag(0) + text("1") + text("\xC3") + text("")));
  CHECK(reading.batch.rows == 2);
}

TEST_CASE("a schema that does not fit is refused once, with field and types") {
  const auto table = table_of({"i Int32", "s Nullable(String)", "at DateTime64(6, 'UTC')"});
  avro::AvroRowOptions options;
  options.ignore_fields = {"extra"};
  Reading reading(table, options);
  const std::string at = field("at", R"({"type":"long","logicalType":"timestamp-millis"})");
  REQUIRE(reading.read(record(field("i", R"("int")") + "," + at), zigzag(1) + zigzag(-1)));
  CHECK(cell<std::int64_t>(reading.batch, 2) == -1000);
  CHECK_FALSE(reading.read(record(field("i", R"("string")") + "," + at), text("1") + zigzag(0)));
  CHECK(reading.reason() == "the field \"i\" is string in schema 2, which can't become the column's 32-bit integer");
  CHECK_FALSE(reading.read(record(field("i", R"("int")") + "," + field("at", R"("long")")), zigzag(1) + zigzag(0)));
  CHECK(reading.reason() == "the field \"at\" is long in schema 3, which can't become the column's timestamp");
  CHECK_FALSE(reading.read(record(at), zigzag(0)));
  CHECK(reading.reason() == "the field \"i\" is missing in schema 4, and its column is not nullable");
  CHECK_FALSE(reading.read(record(field("i", R"("int")") + "," + at + "," + field("other", R"("int")")),
                           zigzag(0) + zigzag(0) + zigzag(0)));
  CHECK(reading.reason() == "the field \"other\" of schema 5 is not a column of public.t");
  const std::string deep = field(
      "extra",
      R"({"type":"record","name":"node","fields":[{"name":"m","type":{"type":"map","values":"double"}},{"name":"next","type":["null","node"]}]})");
  const std::string map = zigzag(-1) + zigzag(10) + text("k") + std::string(8, 'x') + zigzag(0);
  REQUIRE(reading.read(record(deep + "," + field("i", R"("int")") + "," + at),
                       map + zigzag(1) + map + zigzag(0) + zigzag(9) + zigzag(0)));
  CHECK(cell<std::int32_t>(reading.batch, 0, 1) == 9);
  CHECK_FALSE(reading.read("\"int\"", zigzag(1)));
  CHECK_FALSE(reading.read("{\"type\":\"recor\"}", zigzag(1)));
  CHECK_FALSE(reading.read("", zigzag(1)));
  CHECK(reading.batch.rows == 2);
  const int asked = reading.schemas->asked;
  CHECK_FALSE(reading.read(record(at), zigzag(0)));
  CHECK(reading.schemas->asked == asked);
}

TEST_CASE("a message that is cut, damaged or none of Avro's leaves the batch as it was") {
  const auto table =
      table_of({"i Int64", "s Nullable(String)", "a Array(Nullable(Int32))", "m Map(String, Nullable(Float64))"});
  Reading reading(table);
  auto encoder = encoder_of(reading);
  RowBatch rows;
  rows.reset(table);
  const std::string cells[] = {std::string(8, '\x11'), "text", std::string("\1\0\1\0\0\0", 6),
                               std::string("\1\1k\0aaaaaaaa", 12)};
  for (std::size_t i = 0; i < 4; ++i)
    append_value(rows.columns[i], layout_of(table->columns[i]), table->columns[i].nullable, as_bytes(cells[i]));
  rows.rows = 1;
  std::string whole;
  REQUIRE(encoder.append_value(rows, 0, whole) == npos);
  const auto refused = [&](const std::string& message) {
    const auto decoded = reading.decoder.append({{}, message}, reading.batch);
    return decoded && *decoded == codec::Decoded::rejected && reading.batch.rows == 0 && reading.batch.bytes() == 0;
  };
  for (std::size_t n = 0; n < whole.size(); ++n) {
    INFO("cut at " << n);
    CHECK(refused(whole.substr(0, n)));
  }
  CHECK(refused(whole + "x"));
  CHECK(refused("{\"i\":1}"));
  // Lengths that lie, and items without bytes by the billion.
  const std::string items = record(field("i", R"("long")") + "," + field("a", R"({"type":"array","items":"null"})") +
                                   "," + field("m", R"({"type":"map","values":"null"})"));
  CHECK(refused(Reading::head(reading.schemas->add(items)) + zigzag(1) + zigzag(INT64_MAX) + zigzag(0)));
  CHECK(refused(Reading::head(reading.schemas->add(items)) + zigzag(1) + zigzag(INT64_MIN) + zigzag(INT64_MAX)));
  CHECK(refused(whole.substr(0, 5) + zigzag(1) + zigzag(1) + zigzag(INT64_MAX)));
}

TEST_CASE(
    "a registry that is away is waited for; a number that it does not know stops own messages and rejects others") {
  const auto table = table_of({"i Int32"});
  Reading reading(table);
  const std::string schema = record(field("i", R"("int")"));
  const std::string message = Reading::head(reading.schemas->add(schema)) + zigzag(1);
  reading.schemas->away = true;
  const auto away = reading.decoder.append({{}, message}, reading.batch);
  REQUIRE_FALSE(away);
  CHECK(away.error().recovery == Recovery::retry);
  CHECK(reading.batch.rows == 0);
  reading.schemas->away = false;
  CHECK(reading.read(schema, zigzag(1)));
  const std::string stranger = Reading::head(77) + zigzag(1);
  const auto rejected = reading.decoder.append({{}, stranger}, reading.batch);
  REQUIRE(rejected);
  CHECK(*rejected == codec::Decoded::rejected);
  CHECK(reading.reason() == "the schema registry has no schema of the number 77");
  const auto own = reading.decoder.append({{}, stranger, true, true}, reading.batch);
  REQUIRE_FALSE(own);
  CHECK(own.error().recovery == Recovery::halt);
  reading.schemas->by_number[77] = schema;
  CHECK(reading.decoder.append({{}, stranger, true, true}, reading.batch));
}

TEST_CASE("deletions come by the key, as in the format json") {
  auto table = table_of({"i Int32", "s Nullable(String)"});
  table->columns[0].key = true;
  table->key_order = {"i"};
  Reading reading(table);
  const auto decoded = reading.decoder.append({"7", {}, false}, reading.batch);
  REQUIRE(decoded);
  CHECK(*decoded == codec::Decoded::rows);
  CHECK(cell<std::int32_t>(reading.batch, 0) == 7);
  CHECK(reading.batch.columns[1].is_null(0));
}

TEST_CASE("what a registry answers decides whether to wait, to stop or to go on") {
  using namespace registry;
  const Question ask{"http://r:8081", "t-value", 0};
  CHECK(*read_number(ask, {200, R"({"id":5})"}) == 5);
  const auto refused = read_number(ask, {409, R"({"error_code":409,"message":"reader type: STRING\nnot compatible"})"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().recovery == Recovery::halt);
  CHECK(refused.error().code == Errc::schema);
  CHECK(refused.error().message.find("subject t-value") != std::string::npos);
  CHECK(refused.error().message.find("STRING not compatible") != std::string::npos);
  CHECK(read_number(ask, {422, R"({"error_code":42201,"message":"no"})"}).error().code == Errc::schema);
  CHECK(read_number(ask, {401, ""}).error().code == Errc::authentication);
  CHECK(read_number(ask, {503, "<html>"}).error().recovery == Recovery::retry);
  CHECK(read_number(ask, {200, "<html>"}).error().code == Errc::config);
  CHECK(read_number(ask, {404, "<html>"}).error().code == Errc::config);
  CHECK(read_schema(ask, {404, R"({"error_code":404,"message":"no such path"})"}).error().code == Errc::config);
  CHECK(read_greeting(ask, {200, R"({"compatibilityLevel":"NONE"})"}));
  CHECK(read_greeting(ask, {200, "Ok."}).error().code == Errc::config);
  CHECK(read_greeting(ask, {401, ""}).error().code == Errc::authentication);
  CHECK(*read_schema(ask, {200, R"({"schema":"\"int\""})"}) == "\"int\"");
  CHECK(*read_schema(ask, {404, R"({"error_code":40403,"message":"no"})"}) == std::nullopt);
  CHECK(read_schema(ask, {404, "nothing here"}).error().code == Errc::config);
  CHECK(**read_schema(ask, {200, R"({"schema":"x","schemaType":"PROTOBUF"})"}) == "");
}
