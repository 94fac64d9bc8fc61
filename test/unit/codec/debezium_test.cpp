// What pgch reads of Debezium's events, by messages that a real connector (3.3.1) wrote, shortened.
#include "codec/debezium.h"

#include <map>

#include "clickhouse/types.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::codec;

namespace {

ColumnSpec column(const char* name, const char* type, std::string source, bool key = false) {
  ColumnSpec spec = ch::spec_of(name, *ch::parse_type(type));
  spec.source_type = std::move(source);
  spec.key = key;
  if (spec.source_type.find(" without time zone") != std::string::npos && spec.kind == Kind::timestamptz)
    spec.kind = Kind::timestamp;
  if (spec.source_type == "a_domain") spec.kind = Kind::timestamp;
  return spec;
}

std::shared_ptr<TableSchema> table(std::vector<ColumnSpec> columns) {
  auto schema = std::make_shared<TableSchema>();
  schema->schema = "public";
  schema->table = "t";
  schema->columns.push_back(column("id", "Int64", "bigint", true));
  schema->key_order = {"id"};
  for (ColumnSpec& one : columns) schema->columns.push_back(std::move(one));
  return schema;
}

/// Messages of one table, read one by one; rows shown as pgch's own JSON.
class Reader {
 public:
  explicit Reader(std::shared_ptr<const TableSchema> schema, DebeziumDecoderOptions options = {})
      : decoder(schema, options), schema_(schema) {
    batch.reset(schema);
  }
  bool take(const std::string& value, const std::string& key = "", bool tombstone = false,
            std::optional<std::uint64_t> version = {}) {
    const auto decoded = decoder.append({key, value, !tombstone, version.has_value(), version}, batch);
    return decoded && *decoded == Decoded::rows;
  }
  bool take_row(const std::string& after, const std::string& op = "c") {
    return take(R"({"before":null,"after":)" + after + R"(,"source":{"lsn":7},"op":")" + op + R"(","ts_ms":1})");
  }
  std::string row(std::size_t index) const {
    std::string out;
    JsonRowEncoder(schema_, false).append_value(batch, index, out);
    return out;
  }
  std::string last() const { return row(batch.rows - 1); }
  std::string reason() const { return decoder.reason(); }
  DebeziumDecoder decoder;
  RowBatch batch;

 private:
  std::shared_ptr<const TableSchema> schema_;
};

std::string event(const std::string& op, const std::string& before, const std::string& after, int lsn) {
  return R"({"before":)" + before + R"(,"after":)" + after +
         R"(,"source":{"version":"3.3.1.Final","connector":"postgresql","sequence":"[\"1\",\"2\"]","schema":"public","table":"t","txId":1,"lsn":)" +
         std::to_string(lsn) +
         R"(,"xmin":null},"transaction":{"id":"1:2","total_order":1,"data_collection_order":1},"op":")" + op +
         R"(","ts_ms":1795277333781})";
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("copies, insertions, changes and deletions become rows with the version of their place in the log") {
  Reader reader(table({column("t", "Nullable(String)", "text"), column("n", "Int32", "integer")}));
  CHECK(reader.take(event("r", "null", R"({"id":1,"t":"a","n":1})", 10)));
  CHECK(reader.take(event("c", "null", R"({"id":2,"t":null,"n":2})", 11)));
  CHECK(reader.take(event("u", "null", R"({"id":2,"t":"é\n","n":3})", 12)));
  CHECK(reader.take(event("d", R"({"id":2,"t":null,"n":0})", "null", 13)));
  REQUIRE(reader.batch.rows == 4);
  CHECK(reader.row(2) == "{\"id\":2,\"t\":\"é\\n\",\"n\":3}");
  CHECK(reader.row(3) == R"({"id":2,"t":null,"n":0})");
  CHECK(reader.batch.versions == std::vector<std::uint64_t>{10, 11, 12, 13});
  CHECK(reader.batch.ops == std::vector<RowOp>{RowOp::insert, RowOp::insert, RowOp::update, RowOp::remove});
}

TEST_CASE("a tombstone only repeats the deletion, unless versions are places in the topic or pgch's own") {
  Reader by_lsn(table({}));
  CHECK(by_lsn.take("", R"({"id":5})", true));
  CHECK(by_lsn.batch.rows == 0);
  CHECK(by_lsn.take("", R"({"id":5})", true, 77));
  CHECK(by_lsn.batch.rows == 1);
  CHECK(by_lsn.batch.versions.empty());  // the caller has it
  DebeziumDecoderOptions options;
  options.version_by_lsn = false;
  Reader by_offset(table({column("n", "Int32", "integer")}), options);
  CHECK(by_offset.take(
      "",
      R"({"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"}],"name":"k"},"payload":{"id":5}})",
      true));
  CHECK(by_offset.last() == R"({"id":5,"n":0})");
  CHECK(by_offset.batch.op_of(0) == RowOp::remove);
  CHECK(by_offset.batch.versions.empty());
  CHECK_FALSE(by_offset.take("", R"({"other":5})", true));
  CHECK(has(by_offset.reason(), "the key's column \"id\""));
  CHECK_FALSE(by_offset.take("", "", true));
  CHECK_FALSE(by_offset.take("", "5", true));
}

TEST_CASE("a schema in the message says what its numbers mean, whatever the settings are") {
  Reader reader(
      table({column("d", "Nullable(Date32)", "date"), column("ts", "Nullable(DateTime64(6, 'UTC'))", "a_domain"),
             column("n", "Nullable(Decimal(9, 2))", "numeric(9,2)"), column("v", "Nullable(String)", "numeric")}));
  const auto field = [](const char* name, const char* type, const char* semantic, const char* more = "") {
    return R"({"type":")" + std::string(type) + R"(","optional":true,"name":")" + semantic + R"(","version":1)" + more +
           R"(,"field":")" + name + R"("})";
  };
  const auto message = [&](const char* semantic, const char* ts) {
    const std::string fields = R"({"type":"int64","optional":false,"field":"id"},)" +
                               field("d", "int32", "io.debezium.time.Date") + "," + field("ts", "int64", semantic) +
                               "," +
                               field("n", "bytes", "org.apache.kafka.connect.data.Decimal",
                                     R"(,"parameters":{"scale":"2","connect.decimal.precision":"9"})") +
                               "," + field("v", "struct", "io.debezium.data.VariableScaleDecimal");
    return R"({"schema":{"type":"struct","fields":[{"type":"struct","fields":[)" + fields +
           R"(],"optional":true,"name":"V","field":"after"}],"optional":false,"name":"E"},"payload":)" +
           event("c", "null",
                 R"({"id":1,"d":19782,"ts":)" + std::string(ts) + R"(,"n":"B1vNFQ==","v":{"scale":3,"value":"/w=="}})",
                 1) +
           "}";
  };
  const std::string expected =
      R"({"id":1,"d":"2024-02-29","ts":"2024-02-29T12:34:56.123000","n":1234567.89,"v":"-0.001"})";
  REQUIRE(reader.take(message("io.debezium.time.Timestamp", "1709210096123")));
  CHECK(reader.last() == expected);
  REQUIRE(reader.take(message("io.debezium.time.NanoTimestamp", "1709210096123000000")));
  CHECK(reader.last() == expected);
  REQUIRE(reader.take(message("io.debezium.time.MicroTimestamp", "1709210096123000")));
  CHECK(reader.last() == expected);
  CHECK_FALSE(reader.take(R"({"schema":{"type":"string"},"payload":)" + event("c", "null", R"({"id":1})", 1) + "}"));
  CHECK(has(reader.reason(), "schema"));
}

TEST_CASE("without a schema numbers are read by the column's type at PostgreSQL and the modes") {
  const auto columns = [] {
    return table({column("a", "Nullable(DateTime64(6, 'UTC'))", "timestamp(3) without time zone"),
                  column("b", "Nullable(DateTime64(6, 'UTC'))", "timestamp without time zone"),
                  column("c", "Nullable(Time64(6))", "time(3) without time zone"),
                  column("n", "Nullable(Decimal(9, 2))", "numeric(9,2)")});
  };
  Reader adaptive(columns());
  REQUIRE(adaptive.take_row(R"({"id":1,"a":1709210096123,"b":1709210096123456,"c":86399999,"n":"APo="})"));
  const std::string times =
      R"({"id":1,"a":"2024-02-29T12:34:56.123000","b":"2024-02-29T12:34:56.123456","c":"23:59:59.999000")";
  CHECK(adaptive.last() == times + R"(,"n":2.50})");
  DebeziumDecoderOptions options;
  options.modes.time = DebeziumModes::Time::nanoseconds;
  options.modes.decimal_as_string = true;
  Reader nano(columns(), options);
  REQUIRE(nano.take_row(R"({"id":1,"a":1709210096123000000,"b":1709210096123456000,"c":86399999000000,"n":"1234"})"));
  CHECK(nano.last() == times + R"(,"n":1234.00})");
  Reader iso(columns());
  REQUIRE(iso.take_row(
      R"({"id":1,"a":"2024-02-29T12:34:56.123Z","b":"2024-02-29T12:34:56.123456Z","c":"23:59:59.999Z","n":2.5E0})"));
  CHECK(iso.last() == times + R"(,"n":2.50})");
}

TEST_CASE("a number of which nobody says what it counts is refused, not guessed") {
  Reader reader(table({column("at", "DateTime64(6, 'UTC')", "DateTime64(6, 'UTC')")}));
  CHECK_FALSE(reader.take_row(R"({"id":1,"at":1709210096123})"));
  CHECK(has(reader.reason(), "kafka.debezium_time"));
  CHECK(reader.batch.rows == 0);
}

TEST_CASE("texts, bits, intervals, maps and points come as pgch's own path brings them") {
  Reader reader(
      table({column("iv", "Nullable(String)", "interval"), column("bits", "Nullable(String)", "bit(12)"),
             column("one", "Nullable(String)", "bit(1)"), column("hs", "Map(String, Nullable(String))", "hstore"),
             column("pt", "Tuple(Float64, Float64)", "point"), column("tz", "Nullable(String)", "time with time zone"),
             column("g", "Nullable(String)", "geometry(Point)")}));
  REQUIRE(reader.take_row(
      R"({"id":1,"iv":"P0Y-1M2DT-3H-4M-5.5S","bits":"rwo=","one":true,"hs":"{\"zz\":\"1\",\"b\":null}","pt":{"x":1.5,"y":-2.25,"wkb":"AQE=","srid":null},"tz":"10:00:00.5Z","g":{"wkb":"AQEAACA=","srid":4326}})"));
  CHECK(
      reader.last() ==
      R"({"id":1,"iv":"P-1M2DT-3H-4M-5.5S","bits":"101010101111","one":"1","hs":{"b":null,"zz":"1"},"pt":[1.5,-2.25],"tz":"10:00:00.5+00","g":"0101000020"})");
  CHECK(reader.take_row(R"({"id":1,"iv":"P0Y0M0DT0H0M0S","hs":{"a":"\"\\"},"pt":{"y":1,"x":0}})"));
  CHECK(has(reader.last(), R"("iv":"PT0S")"));
  CHECK_FALSE(reader.take_row(R"({"id":1,"iv":37091106789000,"hs":{},"pt":{"x":0,"y":0}})"));
  CHECK(has(reader.reason(), "interval.handling.mode"));
  CHECK(has(reader.reason(), "\"iv\""));
}

TEST_CASE("bits beyond a column's length, and an interval whose parts overflow, are refused") {
  Reader reader(table({column("iv", "Nullable(String)", "interval"), column("bits", "Nullable(String)", "bit(8)"),
                       column("four", "Nullable(String)", "bit(4)")}));
  CHECK(reader.take_row(R"({"id":1,"bits":"gQ==","four":"DQ=="})"));
  CHECK(has(reader.last(), R"("bits":"10000001","four":"1101")"));
  CHECK_FALSE(reader.take_row(R"({"id":1,"bits":"AQE="})"));
  CHECK_FALSE(reader.take_row(R"({"id":1,"four":"HQ=="})"));
  std::string parts = "PT";
  for (int i = 0; i < 60'000; ++i) parts += "999999999999999999999999H";
  CHECK_FALSE(reader.take_row(R"({"id":1,"iv":")" + parts + "\"}"));
  CHECK_FALSE(reader.take_row(R"({"id":1,"iv":"PT2562047789H"})"));
}

TEST_CASE("numbers of any size keep every digit") {
  Reader reader(table({column("n", "Nullable(String)", "numeric")}));
  const std::map<std::string, std::string> values{
      {R"({"scale":0,"value":"AA=="})", "0"},
      {R"({"scale":9,"value":"XODppWAV/sWq36MorjmBFQ=="})", "123456789012345678901234567890.123456789"},
      {R"({"scale":-2,"value":"gA=="})", "-12800"},
      {R"({"scale":1,"value":"/wAAAAA="})", "-429496729.6"},
      {R"("-0.50")", "-0.50"},
      {R"("NAN")", "NaN"},
      {"1.0E-10", "0.0000000001"},
      {"-1.25E3", "-1250"},
      {"100.0", "100"}};
  for (const auto& [json, text] : values) {
    REQUIRE(reader.take_row(R"({"id":1,"n":)" + json + "}"));
    CHECK(reader.last() == R"({"id":1,"n":")" + text + "\"}");
  }
  for (const char* bad : {R"({"scale":1})", R"({"scale":999999999,"value":"AA=="})", R"({"scale":1,"value":"A"})",
                          R"("twelve")", "1e999999", "[]", "true"})
    CHECK_FALSE(reader.take_row(R"({"id":1,"n":)" + std::string(bad) + "}"));
}

TEST_CASE("an unchanged value out of line is refused in all its forms, unless before has it") {
  const auto columns =
      table({column("t", "Nullable(String)", "text"), column("b", "Nullable(String)", "bytea"),
             column("ai", "Array(Nullable(Int32))", "integer[]"), column("at", "Array(Nullable(String))", "text[]")});
  columns->columns[2].kind = Kind::bytes;
  Reader reader(columns);
  const std::string good = R"("t":"x","b":"AA==","ai":[1],"at":["x"])";
  const std::string numbers =
      "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]";
  const std::map<std::string, std::string> forms{{"t", R"("__debezium_unavailable_value")"},
                                                 {"b", R"("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==")"},
                                                 {"ai", numbers},
                                                 {"at", R"([ "__debezium_unavailable_value" ])"}};
  for (const auto& [name, form] : forms) {
    std::string after = R"({"id":1)";
    for (const auto& [other, nothing] : forms)
      after += ",\"" + other + "\":" +
               (other == name   ? form
                : other == "t"  ? "\"x\""
                : other == "b"  ? "\"AA==\""
                : other == "ai" ? "[1]"
                                : "[\"x\"]");
    CHECK_FALSE(reader.take(event("u", R"({"id":1})", after + "}", 1)));
    CHECK(has(reader.reason(), "\"" + name + "\""));
    CHECK(has(reader.reason(), "REPLICA IDENTITY FULL"));
    CHECK(reader.take(event("u", R"({"id":1,)" + good + "}", after + "}", 1)));
    CHECK(reader.last() == R"({"id":1,)" + good + "}");
  }
}

TEST_CASE("what does not fit is refused, or follows the column's policy, as on pgch's own path") {
  const auto columns = table({column("d", "Nullable(Date32)", "date"),
                              column("tz", "Nullable(DateTime64(6, 'UTC'))", "timestamp with time zone"),
                              column("n", "Nullable(Decimal(4, 2))", "numeric(4,2)")});
  const std::vector<std::string> rows{R"({"id":1,"d":-622191234})", R"({"id":1,"tz":"infinity"})",
                                      R"({"id":1,"tz":"2300-01-01T00:00:00Z"})", R"({"id":1,"n":"NaN"})",
                                      R"({"id":1,"n":100})"};
  Reader reader(columns);
  for (const std::string& row : rows) CHECK_FALSE(reader.take_row(row));
  for (ColumnSpec& one : columns->columns) one.misfit = Misfit::null;
  DebeziumDecoderOptions options;
  options.modes.decimal_as_string = true;
  Reader nulls(std::make_shared<TableSchema>(*columns), options);
  for (const std::string& row : rows) {
    REQUIRE(nulls.take_row(row));
    CHECK(nulls.last() == R"({"id":1,"d":null,"tz":null,"n":null})");
  }
  for (ColumnSpec& one : columns->columns) one.misfit = Misfit::clamp;
  Reader clamped(std::make_shared<TableSchema>(*columns));
  REQUIRE(clamped.take_row(R"({"id":1,"d":-622191234,"tz":"infinity"})"));
  CHECK(clamped.last() == R"({"id":1,"d":"1900-01-01","tz":"2299-12-31T23:59:59.999999Z","n":null})");
}

TEST_CASE("what is no row of the table is refused, with field and type and without the value") {
  Reader reader(table({column("n", "Int32", "integer"), column("v", "Nullable(String)", "bit varying(70)"),
                       column("a", "Array(Array(Int32))", "integer[][]")}));
  const std::map<std::string, std::string> messages{
      {event("t", "null", "null", 1), "truncated"},
      {R"({"op":"m","ts_ms":1,"source":{"lsn":1},"message":{"prefix":"x","content":"eQ=="}})", "op m"},
      {R"({"id":1,"n":5})", "flattened"},
      {event("x", "null", "null", 1), "\"op\""},
      {event("c", "null", "null", 1), "\"after\""},
      {R"({"after":{"id":1,"n":1},"op":"c","source":{"lsn":null}})", "kafka.debezium_version"},
      {R"({"after":{"id":1,"n":1},"op":"c"})", "kafka.debezium_version"},
      {event("c", "null", R"({"id":1,"n":"secret"})", 1), "\"n\" is not an integer of 32 bits"},
      {event("c", "null", R"({"id":1,"n":1,"other":2})", 1), "\"other\" is not a column"},
      {event("c", "null", R"({"id":1,"n":1,"n":1})", 1), "twice"},
      {event("c", "null", R"({"id":1})", 1), "\"n\" is missing"},
      {event("c", "null", R"({"id":1,"n":1,"v":"DQ=="})", 1), "bit varying"},
      {event("c", "null", R"({"id":1,"n":1,"a":[null,null]})", 1), "\"a\""},
      {event("c", "null", R"({"id":1,"n":1,"a":[[1],[2})", 1), "not"},
      {event("d", "{}", "null", 1), "\"id\""},
      {event("c", "null", R"({"id":1,"n":1,"a":[]})", 1) + "x", "not a JSON object"},
      {"", "empty"},
      {"[]", "not a JSON object"},
      {"\xff", "UTF-8"}};
  for (const auto& [message, part] : messages) {
    CHECK_FALSE(reader.take(message));
    INFO(reader.reason());
    CHECK(has(reader.reason(), part));
    CHECK_FALSE(has(reader.reason(), "secret"));
  }
  CHECK(reader.batch.rows == 0);
  for (const Column& one : reader.batch.columns) CHECK(one.bytes() == 0);
  auto keyless = std::make_shared<TableSchema>(*table({}));
  keyless->key_order.clear();
  keyless->columns[0].key = false;
  Reader without(keyless);
  CHECK(without.take(event("c", "null", R"({"id":1})", 1)));
  CHECK_FALSE(without.take(event("u", "null", R"({"id":1})", 1)));
  CHECK_FALSE(without.take(event("d", R"({"id":1})", "null", 1)));
}

TEST_CASE("what pgch writes are Debezium's events, and reads back the same") {
  const auto schema =
      table({column("d", "Nullable(Date32)", "date"), column("n", "Nullable(Decimal(9, 2))", "numeric(9,2)"),
             column("v", "Nullable(String)", "numeric"),
             column("at", "Nullable(DateTime64(6, 'UTC'))", "timestamp without time zone")});
  Reader reader(schema);
  REQUIRE(
      reader.take_row(R"({"id":300,"d":19782,"n":"gA==","v":{"scale":3,"value":"/w=="},"at":1709210096123456})", "u"));
  REQUIRE(reader.take(event("d", R"({"id":300})", "null", 9)));
  DebeziumEncoder encoder({});
  REQUIRE(encoder.open(schema));
  std::string value, key;
  REQUIRE(encoder.append_value(reader.batch, 0, value) == npos);
  CHECK(
      value ==
      R"({"before":null,"after":{"id":300,"d":19782,"n":"gA==","v":{"scale":3,"value":"/w=="},"at":1709210096123456},)"
      R"("source":{"version":"1","connector":"pgch","name":"pgch","ts_ms":0,"snapshot":"false","db":"",)"
      R"("schema":"public","table":"t","lsn":7},"transaction":null,"op":"u","ts_ms":null})");
  REQUIRE(encoder.append_key(reader.batch, 0, key) == npos);
  CHECK(key == R"({"id":300})");
  std::string deletion;
  REQUIRE(encoder.append_value(reader.batch, 1, deletion) == npos);
  CHECK(has(deletion, R"({"before":{"id":300},"after":null,)"));
  Reader again(schema);
  REQUIRE(again.take(value, key));
  REQUIRE(again.take(deletion, key));
  again.batch.version = reader.batch.version;
  CHECK(content_hash(again.batch) == content_hash(reader.batch));
}
