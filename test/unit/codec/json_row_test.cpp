#include <simdjson.h>

#include <limits>
#include <random>

#include "base/bytes.h"
#include "codec/json_row.h"
#include "codec/json_text.h"
#include "random_rows.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::codec;
using test::Random;

namespace {

std::shared_ptr<const TableSchema> schema_of(std::vector<ColumnSpec> columns) {
  auto schema = std::make_shared<TableSchema>();
  schema->table = "t";
  for (const ColumnSpec& c : columns) {
    if (c.key) schema->key_order.push_back(c.name);
  }
  schema->columns = std::move(columns);
  return schema;
}

struct Fixture {
  explicit Fixture(std::shared_ptr<const TableSchema> s, JsonRowOptions options = {})
      : schema(s), encoder(s, options.json_as_object), decoder(s, options) {
    batch.reset(s);
  }
  std::string take(std::string_view message) {
    return decoder.append_row(message, batch) ? std::string() : decoder.reason();
  }
  std::string text(std::size_t row) {
    std::string out;
    CHECK(encoder.append_value(batch, row, out) == npos);
    return out;
  }
  std::shared_ptr<const TableSchema> schema;
  JsonRowEncoder encoder;
  JsonRowDecoder decoder;
  RowBatch batch;
};

ColumnSpec column(std::string name, Kind kind, bool nullable = true, std::uint8_t precision = 0,
                  std::uint8_t scale = 0) {
  return {std::move(name), kind, nullable, false, precision, scale, ""};
}
std::string one(Kind kind, std::string_view value, std::uint8_t precision = 0, std::uint8_t scale = 0) {
  Fixture f(schema_of({column("x", kind, true, precision, scale)}));
  const std::string reason = f.take("{\"x\":" + std::string(value) + "}");
  return reason.empty() ? f.text(0) : reason;
}
std::uint64_t seed() {
  const std::uint64_t value = std::random_device{}();
  UNSCOPED_INFO("seed " << value);
  return value;
}

}  // namespace

TEST_CASE("random rows of every kind come back from JSON exactly") {
  const std::uint64_t start = std::random_device{}();
  for (const bool nullable : {true, false}) {
    const auto schema = test::every_kind_schema(nullable);
    Random random(start);
    const RowBatch batch = test::random_batch(random, schema, 2000);
    Fixture f(schema);
    std::vector<std::size_t> all(schema->columns.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    for (std::uint32_t row = 0; row < batch.rows; ++row) {
      std::string json;
      REQUIRE(f.encoder.append_value(batch, row, json) == npos);
      INFO("seed " << start << " row " << row << ": " << json);
      REQUIRE(f.take(json) == "");
      REQUIRE(hash_row(batch, row, all) == hash_row(f.batch, row, all));
      simdjson::dom::parser parser;
      REQUIRE(is_utf8(json));
      REQUIRE(check_json(json, 64) == JsonFault::none);
    }
    CHECK(content_hash(batch) == content_hash(f.batch));
  }
}

TEST_CASE("values have the documented form") {
  CHECK(one(Kind::int64, "9223372036854775807") == R"({"x":9223372036854775807})");
  CHECK(one(Kind::int64, "-9223372036854775808") == R"({"x":-9223372036854775808})");
  CHECK(one(Kind::int32, "1e3") == R"({"x":1000})");
  CHECK(one(Kind::int32, "-0") == R"({"x":0})");
  CHECK(one(Kind::decimal, "12345678901234567890123456789.5", 38, 2) == R"({"x":12345678901234567890123456789.50})");
  CHECK(one(Kind::decimal, "-0.01", 4, 2) == R"({"x":-0.01})");
  CHECK(one(Kind::decimal, "\"1.5\"", 4, 2) == R"({"x":1.50})");
  CHECK(one(Kind::decimal, "15e-1", 4, 2) == R"({"x":1.50})");
  CHECK(one(Kind::float64, "\"NaN\"") == R"({"x":"NaN"})");
  CHECK(one(Kind::float64, "\"-Infinity\"") == R"({"x":"-Infinity"})");
  CHECK(one(Kind::float64, "-0") == R"({"x":-0})");
  CHECK(one(Kind::float64, "0.1") == R"({"x":0.1})");
  CHECK(one(Kind::float32, "0.1") == R"({"x":0.1})");
  CHECK(one(Kind::boolean, "true") == R"({"x":true})");
  CHECK(one(Kind::bytes, "\"AP8=\"") == R"({"x":"AP8="})");
  CHECK(one(Kind::uuid, "\"123E4567-e89b-12d3-a456-426614174000\"") ==
        R"({"x":"123e4567-e89b-12d3-a456-426614174000"})");
  CHECK(one(Kind::date, "\"2024-02-29\"") == R"({"x":"2024-02-29"})");
  CHECK(one(Kind::date, "\"-0043-03-15\"") == R"({"x":"-0043-03-15"})");
  CHECK(one(Kind::date, "\"+5874897-12-31\"") == R"({"x":"+5874897-12-31"})");
  CHECK(one(Kind::timestamptz, "\"2024-11-15T10:00:00.123456Z\"", 0, 6) == R"({"x":"2024-11-15T10:00:00.123456Z"})");
  CHECK(one(Kind::timestamptz, "\"2024-11-15 12:00:00+02:00\"", 0, 6) == R"({"x":"2024-11-15T10:00:00.000000Z"})");
  CHECK(one(Kind::timestamptz, "\"2024-11-15 10:00:00\"", 0, 6) == R"({"x":"2024-11-15T10:00:00.000000Z"})");
  CHECK(one(Kind::timestamp, "\"2024-11-15T10:00:00.5Z\"", 0, 6) == R"({"x":"2024-11-15T10:00:00.500000"})");
  CHECK(one(Kind::timestamp, "\"1969-12-31T23:59:59.999999\"", 0, 6) == R"({"x":"1969-12-31T23:59:59.999999"})");
  CHECK(one(Kind::timestamptz, "\"2024-11-15T10:00:00.120000000Z\"", 0, 3) == R"({"x":"2024-11-15T10:00:00.120Z"})");
  CHECK(one(Kind::datetime, "\"2106-02-07T06:28:15Z\"") == R"({"x":"2106-02-07T06:28:15Z"})");
  CHECK(one(Kind::text, R"("\ud834\udd1e\u0000\"\\\/")") == "{\"x\":\"𝄞\\u0000\\\"\\\\/\"}");
  CHECK(one(Kind::json, R"("{\"a\": 1}")") == R"({"x":"{\"a\": 1}"})");
  CHECK(one(Kind::json, R"({"a": [1e999, {}]})") == R"({"x":"{\"a\": [1e999, {}]}"})");
  CHECK(one(Kind::json, "12.50") == R"({"x":"12.50"})");
  CHECK(one(Kind::text, "[1,2]") == R"({"x":"[1,2]"})");
}

TEST_CASE("values that do not fit are refused with field and type, and never the value") {
  CHECK(one(Kind::int8, "300") == "the field \"x\" does not fit an integer of 8 bits");
  CHECK(one(Kind::int64, "9223372036854775808") == "the field \"x\" does not fit an integer of 64 bits");
  CHECK(one(Kind::uint32, "-1") == "the field \"x\" does not fit an integer of 32 bits without sign");
  CHECK(one(Kind::int32, "1.5") == "the field \"x\" has more digits after the point than its column keeps (0)");
  CHECK(one(Kind::int32, "\"1\"") == "the field \"x\" is not an integer of 32 bits");
  CHECK(one(Kind::decimal, "1000", 4, 2) ==
        "the field \"x\" does not fit a decimal number with at most 4 digits, 2 of them after the point");
  CHECK(one(Kind::decimal, "0.001", 4, 2) ==
        "the field \"x\" has more digits after the point than its column keeps (2)");
  CHECK(one(Kind::decimal, "1e999999999999999999999", 4, 2).find("does not fit") != std::string::npos);
  CHECK(one(Kind::decimal, "0e999999999999999999999", 4, 2) == R"({"x":0.00})");
  CHECK(one(Kind::decimal, "1" + std::string(100'000, '0'), 76, 0).find("does not fit") != std::string::npos);
  CHECK(one(Kind::float64, "1e400").find("does not fit") != std::string::npos);
  CHECK(one(Kind::boolean, "1") == "the field \"x\" is not true or false");
  CHECK(one(Kind::timestamptz, "1700000000", 0, 6).find("is not a time as") != std::string::npos);
  CHECK(one(Kind::timestamptz, "\"2024-02-30T00:00:00Z\"", 0, 6).find("is not a time as") != std::string::npos);
  CHECK(one(Kind::timestamptz, "\"2024-02-03T24:00:00Z\"", 0, 6).find("is not a time as") != std::string::npos);
  CHECK(one(Kind::timestamptz, "\"2024-02-03T10:00:00.1234567Z\"", 0, 6).find("more digits") != std::string::npos);
  CHECK(one(Kind::timestamp, "\"2024-02-03T10:00:00+02:00\"", 0, 6).find("no time zone") != std::string::npos);
  CHECK(one(Kind::timestamptz, "\"+999999999999-01-01T00:00:00Z\"", 0, 6).find("does not fit") != std::string::npos);
  CHECK(one(Kind::date16, "\"1969-12-31\"").find("does not fit") != std::string::npos);
  CHECK(one(Kind::uuid, "\"123e4567-e89b-12d3-a456-42661417400g\"") == "the field \"x\" is not a UUID");
  CHECK(one(Kind::bytes, "\"AP9=\"").find("base64") != std::string::npos);
  CHECK(one(Kind::bytes, "\"A\"").find("base64") != std::string::npos);
  CHECK(one(Kind::text, "1") == "the field \"x\" is not a string");
  CHECK(one(Kind::text, R"("\ud800")") != R"({"x":""})");
  CHECK(one(Kind::text, R"("\udc00 ")").find("{") == std::string::npos);
  CHECK(one(Kind::json, std::string(100, '[') + std::string(100, ']')).find("nested too deeply") != std::string::npos);
  CHECK(one(Kind::json, "[1,]").find("not") != std::string::npos);
  CHECK(one(Kind::json, "[tru]").find("not") != std::string::npos);
  CHECK(one(Kind::json, R"(["\x"])").find("not") != std::string::npos);
}

TEST_CASE("hostile messages are refused and leave the batch as it was") {
  const auto schema = schema_of({column("a", Kind::int32), column("b", Kind::text), column("c", Kind::int64, false)});
  JsonRowOptions options;
  options.bytes_max = 1000;
  options.ignore_fields = {"skip"};
  Fixture f(schema, options);
  REQUIRE(f.take(R"({"a":1,"b":"x","c":2})") == "");
  const std::uint64_t before = content_hash(f.batch);
  const std::string bad[] = {"",
                             " ",
                             "null",
                             "[]",
                             "1",
                             "{",
                             "}",
                             "{}",
                             "{}}",
                             R"({"c":1} x)",
                             R"({"c":1}})",
                             R"({"c":1}{"c":1})",
                             R"({"a":1,"b":"x"})",
                             R"({"a":1,"a":1,"c":1})",
                             R"({"c":1,"unknown":1})",
                             R"({"c":null})",
                             R"({"c":1,})",
                             R"({"c" 1})",
                             R"({"c":1 "a":2})",
                             R"({"c":01})",
                             R"({"c":+1})",
                             R"({"c":1.})",
                             R"({"c":.5})",
                             R"({"c":tru})",
                             R"({"c":NaN})",
                             R"({"b":"x)",
                             "{\"c\":1,\"b\":\"\xff\"}",
                             "{\"c\":1,\"b\":\"\xED\xA0\x80\"}",
                             "{\"c\":1,\"b\":\"\n\"}",
                             "\xEF\xBB\xBF{\"c\":1}x",
                             R"({"c":1,"skip":[1,}})",
                             R"({"c":1,"skip":{"a":tru}})",
                             R"({"c":1,"skip":1,"skip":2})",
                             R"({"c":1,"skip":)" + std::string(400, '[') + std::string(400, ']') + "}",
                             R"({'c':1})",
                             R"({"c":1,"b":"\ud800"})",
                             R"({"b":"kept so far","a":"wrong"})",
                             std::string(2000, ' ') + R"({"c":1})",
                             std::string("{\"c\":1}\0", 8),
                             std::string(900, '['),
                             R"({"\u0063":1,"c":2})",
                             R"({"c":1,"skip":"\x"})",
                             R"({"c":1,"":1})"};
  for (const std::string& message : bad) {
    INFO(message);
    CHECK(f.take(message) != "");
    CHECK(f.batch.rows == 1);
    CHECK(content_hash(f.batch) == before);
  }
  CHECK(f.take(" {\"\\u0063\" : 7 , \"skip\":{\"x\":[1,{}]}, \"b\":null}\n") == "");
  CHECK(f.text(1) == R"({"a":null,"b":null,"c":7})");
}

TEST_CASE("what the decoder takes, simdjson's full parser takes too") {
  const auto schema = test::every_kind_schema(true);
  Random random(seed());
  const RowBatch batch = test::random_batch(random, schema, 50);
  Fixture f(schema);
  simdjson::dom::parser parser;
  std::size_t taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string json;
    REQUIRE(f.encoder.append_value(batch, random() % batch.rows, json) == npos);
    for (std::uint64_t n = 1 + random() % 3; n > 0; --n) {
      const std::size_t at = random() % json.size();
      switch (random() % 4) {
        case 0:
          json[at] = static_cast<char>(random());
          break;
        case 1:
          json.erase(at, 1 + random() % 4);
          break;
        case 2:
          json.insert(at, 1, "{}[]\",:\\0-eu \x80"[random() % 14]);
          break;
        default:
          json.resize(at);
          break;
      }
      if (json.empty()) json = "{";
    }
    INFO(json);
    if (f.take(json) != "") continue;
    ++taken;
    // Numbers beyond double's range are the one thing that simdjson refuses and the columns hold.
    const auto error = parser.parse(simdjson::padded_string(json)).error();
    CHECK((error == simdjson::SUCCESS || error == simdjson::NUMBER_ERROR));
  }
  CHECK(taken > 0);
}

TEST_CASE("every prefix of a message is refused") {
  const auto schema = test::every_kind_schema(false);
  Random random(seed());
  const RowBatch batch = test::random_batch(random, schema, 3);
  Fixture f(schema);
  for (std::size_t row = 0; row < 3; ++row) {
    std::string json;
    REQUIRE(f.encoder.append_value(batch, row, json) == npos);
    for (std::size_t n = 0; n < json.size(); ++n) REQUIRE(f.take(std::string_view(json).substr(0, n)) != "");
  }
}

TEST_CASE("keys are written and read back, single and composite") {
  auto single = schema_of({column("v", Kind::text, false), {"id", Kind::int64, false, true, 0, 0, ""}});
  Fixture f(single);
  REQUIRE(f.take(R"({"v":"x","id":42})") == "");
  std::string key;
  CHECK(f.encoder.append_key(f.batch, 0, key) == npos);
  CHECK(key == "42");
  CHECK(f.decoder.append_key("43", f.batch));
  CHECK(f.text(1) == R"({"v":"","id":43})");
  CHECK_FALSE(f.decoder.append_key("43,44", f.batch));
  CHECK_FALSE(f.decoder.append_key("", f.batch));
  CHECK_FALSE(f.decoder.append_key("\"43\"", f.batch));
  CHECK(f.batch.rows == 2);

  auto composite = schema_of(
      {{"a", Kind::int32, false, true, 0, 0, ""}, column("v", Kind::text), {"b", Kind::text, false, true, 0, 0, ""}});
  Fixture g(composite);
  REQUIRE(g.take(R"({"a":1,"v":"x","b":"y\""})") == "");
  key.clear();
  CHECK(g.encoder.append_key(g.batch, 0, key) == npos);
  CHECK(key == R"([1,"y\""])");
  CHECK(g.decoder.append_key(key, g.batch));
  CHECK(g.text(1) == R"({"a":1,"v":null,"b":"y\""})");
  CHECK_FALSE(g.decoder.append_key("[1]", g.batch));
  CHECK_FALSE(g.decoder.append_key("[1,\"a\",2]", g.batch));
  CHECK_FALSE(g.decoder.append_key("[1,\"a\"] 1", g.batch));
}

TEST_CASE("text that is not UTF-8 is found before it is sent") {
  Fixture f(schema_of({column("a", Kind::int32), column("b", Kind::text)}));
  append_null(f.batch.columns[0], Layout::fixed4);
  append_value(f.batch.columns[1], Layout::varlen, true, as_bytes("abcdefgh\xff"));
  f.batch.rows = 1;
  std::string out;
  CHECK(f.encoder.append_value(f.batch, 0, out) == 1);
}

TEST_CASE("json columns as objects come back as their own text") {
  JsonRowOptions options;
  options.json_as_object = true;
  Fixture f(schema_of({column("j", Kind::json)}), options);
  for (const std::string text : {R"({"a": [1, 2]})", R"("a string")", "1.50", "true"}) {
    f.batch.reset(f.schema);
    append_value(f.batch.columns[0], Layout::varlen, true, as_bytes(text));
    f.batch.rows = 1;
    const std::string json = f.text(0);
    CHECK(json == "{\"j\":" + text + "}");
    CHECK(f.take(json) == "");
    CHECK(f.text(1) == json);
  }
}

TEST_CASE(
    "messages of keys only: written as an object of the key's fields, read from that, from a bare key, or from the "
    "record's key") {
  ColumnSpec id = column("id", Kind::int64, false), part = column("part", Kind::text, false);
  id.key = part.key = true;
  const auto schema = schema_of({column("note", Kind::text), id, column("n", Kind::int32, false), part});
  JsonRowOptions options;
  options.keys_only = true;
  JsonRowDecoder decoder(schema, options);
  RowBatch batch;
  batch.reset(schema);
  const auto take = [&](MessageView message) { return *decoder.append(message, batch) == Decoded::rows; };
  CHECK(take({{}, R"({"id":7,"part":"a"})", true}));
  CHECK(take({{}, R"( {"part":"b","id":8,"note":"x"})", true}));
  CHECK(take({{}, R"([9,"c"])", true}));
  CHECK(take({R"([10,"d"])", "", true}));
  CHECK(take({R"([11,"e"])", {}, false}));
  REQUIRE(batch.rows == 5);
  CHECK_FALSE(take({{}, R"({"id":7})", true}));
  CHECK(decoder.reason().find("\"part\" is missing") != std::string::npos);
  CHECK_FALSE(take({{}, "7", true}));
  CHECK_FALSE(take({{}, R"({"id":7,"part":"a","other":1})", true}));
  CHECK_FALSE(take({"", "", true}));
  CHECK(batch.rows == 5);
  JsonRowEncoder whole(schema, false), keys(false, true);
  REQUIRE(keys.open(schema));
  std::string out;
  CHECK(whole.append_value(batch, 0, out) == npos);
  CHECK(out == R"({"note":null,"id":7,"n":0,"part":"a"})");
  out.clear();
  CHECK(keys.append_value(batch, 4, out) == npos);
  CHECK(out == R"({"id":11,"part":"e"})");
  out.clear();
  CHECK(keys.append_key(batch, 4, out) == npos);
  CHECK(out == R"([11,"e"])");
  CHECK_FALSE(keys.open(schema_of({column("x", Kind::text)})));
}
