#include "pgch/load/clickhouse.h"
#include "test/support/catch.h"

using namespace pgch;

namespace {

TableSchema logins(bool keyed) {
  TableSchema schema;
  schema.table = "logins";
  schema.columns = {{"id", Kind::int64, false, keyed, 0, 0, ""}, {"raw", Kind::bytes, true, false, 0, 0, ""}};
  if (keyed) schema.key_order = {"id"};
  return schema;
}
std::string text(const Result<std::string>& made) { return made ? *made : made.error().message; }
bool has(const std::string& sql, std::string_view part) { return sql.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("for the Kafka engine, rows that are read twice are merged by key and version") {
  const std::string json = text(clickhouse_kafka_ddl({}, {}, logins(true), "26.7", {"b:9092", "t'opic", "g", "json"}));
  CHECK(has(json, "ReplacingMergeTree(`_version`, `_deleted`)"));
  CHECK(has(json, "ORDER BY (`id`)"));
  CHECK(has(json, "kafka_topic_list = 't\\'opic'"));
  CHECK(has(json, "base64Decode(`raw`) AS `raw`"));
  CHECK(has(json, "'pgch-version'"));
  const std::string native = text(clickhouse_kafka_ddl({}, {}, logins(true), "26.7", {"b", "t", "g", "native"}));
  CHECK(has(native, "kafka_format = 'Native'"));
  CHECK(has(native, "`_pgch_op` = 2"));
  CHECK_FALSE(has(native, "base64Decode"));
}

TEST_CASE("for the Kafka engine, rows without a key are merged by their place in the stream") {
  for (const std::string format : {"json", "native"}) {
    const std::string sql = text(clickhouse_kafka_ddl({}, {}, logins(false), "26.7", {"b", "t", "g", format}));
    CHECK(has(sql, "ENGINE = ReplacingMergeTree\nORDER BY (`_batch`, `_row`)"));
    CHECK(has(sql, "AS `_row`"));
  }
}

TEST_CASE("what the Kafka engine can't do rightly is refused with what to do instead") {
  TargetOptions plain;
  plain.engine = "MergeTree()";
  CHECK(has(text(clickhouse_kafka_ddl({}, plain, logins(true), "26.7", {})), "table.engine"));
  TargetOptions ordered;
  ordered.order_by = "id";
  CHECK(has(text(clickhouse_kafka_ddl({}, ordered, logins(false), "26.7", {})), "table.order_by"));
  CHECK(has(text(clickhouse_kafka_ddl({}, {}, logins(true), "21.3", {})), "21.6"));
  CHECK(has(text(clickhouse_kafka_ddl({}, {}, logins(true), "26.7", {"b", "t", "g", "key"})), "kafka.format"));
  CHECK(
      has(text(clickhouse_kafka_ddl({}, {}, logins(true), "26.7", {"b", "t", "g", "avro"})), "kafka.schema_registry"));
  TableSchema nested = logins(true);
  nested.columns[1].kind = Kind::array;
  nested.columns[1].elements = {{"", Kind::int32, true, false, 0, 0, ""}};
  CHECK_FALSE(clickhouse_kafka_ddl({}, {}, logins(true), "26.7", {"b", "t", "g", "debezium"}));
  CHECK(has(text(clickhouse_kafka_ddl({}, {}, nested, "26.7", {"b", "t", "g", "json"})), "may be NULL"));
  CHECK(has(text(clickhouse_kafka_ddl({}, {}, nested, "26.7", {"b", "t", "g", "native"})), "`raw__is_null` UInt8"));
  nested.columns[1].nullable = false;
  nested.columns[1].elements[0].kind = Kind::bytes;
  CHECK(has(text(clickhouse_kafka_ddl({}, {}, nested, "26.7", {"b", "t", "g", "json"})), "bytes within"));
}

TEST_CASE("the Kafka engine reads Avro by the registry, and what it would read otherwise is refused") {
  const KafkaEngine avro{"b", "t", "g", "avro", "http://r:8081"};
  TableSchema table = logins(true);
  table.columns.push_back({"big", Kind::uint64, true, false, 0, 0, ""});
  const std::string sql = text(clickhouse_kafka_ddl({}, {}, table, "26.7", avro));
  CHECK(has(sql, "kafka_format = 'AvroConfluent',\n    format_avro_schema_registry_url = 'http://r:8081'"));
  CHECK(has(sql, "`big` Nullable(Decimal(20, 0))"));
  CHECK(has(sql, "CAST(`big` AS Nullable(UInt64)) AS `big`"));
  CHECK_FALSE(has(sql, "base64Decode"));
  const auto refused = [&](const ColumnSpec& column) {
    TableSchema other = logins(true);
    other.columns.push_back(column);
    return has(text(clickhouse_kafka_ddl({}, {}, other, "26.7", avro)), "from pgch's Avro");
  };
  CHECK(refused({"a b", Kind::int32, true, false, 0, 0, ""}));
  CHECK(refused({"a_x20", Kind::int32, true, false, 0, 0, ""}));
  CHECK(refused({"at", Kind::time, true, false, 0, 6, ""}));
  CHECK(refused({"at", Kind::timestamp, true, false, 0, 0, ""}));
  CHECK(refused({"a", Kind::array, true, false, 0, 0, "", {{"", Kind::int32, true, false, 0, 0, ""}}}));
  CHECK(refused({"t", Kind::tuple, false, false, 0, 0, "", {{"x y", Kind::int32, true, false, 0, 0, ""}}}));
  CHECK_FALSE(refused({"t", Kind::tuple, false, false, 0, 0, "", {{"x", Kind::bytes, true, false, 0, 0, ""}}}));
}
