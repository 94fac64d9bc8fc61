#include "clickhouse/types.h"

#include "clickhouse/ddl.h"
#include "clickhouse/sql.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::ch;

namespace {
constexpr Version current{26, 7}, old{18, 16};
ColumnSpec spec(Kind kind, bool nullable = false, std::uint8_t precision = 0, std::uint8_t scale = 0) {
  return {"c", kind, nullable, false, precision, scale, ""};
}
std::string verdict(const ColumnSpec& source, std::string_view target, std::string_view zone = "UTC") {
  const auto plan = plan_column(source, target, current, zone, "`db`.`t`");
  return plan ? "" : plan.error().message;
}
TableSchema two_columns(bool keyed) {
  TableSchema s;
  s.table = "t";
  s.columns = {spec(Kind::int32), spec(Kind::enumeration, true)};
  s.columns[1].name = "e`x";
  if (keyed) s.key_order = {"c"};
  return s;
}
}  // namespace

TEST_CASE("type names are taken apart") {
  const auto lc = parse_type("LowCardinality(Nullable(String))");
  REQUIRE(lc);
  CHECK((lc->low_cardinality && lc->nullable && lc->kind == Kind::text));
  const auto dt = parse_type("Nullable(DateTime64(6, 'Europe/Berlin'))");
  REQUIRE(dt);
  CHECK(dt->time_zone == "Europe/Berlin");
  CHECK(dt->scale == 6);
  CHECK(parse_type("DateTime")->time_zone.empty());
  CHECK(parse_type("Decimal(38, 10)")->precision == 38);
  CHECK(parse_type("Enum8('a' = 1, 'b)' = 2)")->enumerated);
  for (const char* no : {"Array(FixedString(3))", "FixedString(3)", "Int128", "Map(String)", "Nullable(", "",
                         "Decimal(x)", "DateTime64()", "Array(", "Tuple(a Nothing)", "Variant(String, UInt8)"}) {
    INFO(no);
    CHECK_FALSE(parse_type(no));
  }
}

TEST_CASE("what fits without loss is taken, what does not is refused") {
  CHECK(verdict(spec(Kind::int32), "Int64").empty());
  CHECK(verdict(spec(Kind::int32), "UInt32").empty());
  CHECK(verdict(spec(Kind::text), "LowCardinality(String)").empty());
  CHECK(verdict(spec(Kind::json), "String").empty());
  CHECK(verdict(spec(Kind::decimal, false, 10, 2), "Decimal(12, 4)").empty());
  CHECK(verdict(spec(Kind::timestamptz, false, 0, 6), "DateTime64(6, 'Asia/Tokyo')").empty());
  CHECK(verdict(spec(Kind::boolean), "UInt8").empty());
  CHECK_THAT(verdict(spec(Kind::int64), "Int32"),
             Catch::Contains("Int32") && Catch::Contains("ALTER TABLE `db`.`t` MODIFY COLUMN `c` Int64"));
  CHECK_FALSE(verdict(spec(Kind::decimal, false, 10, 2), "Decimal(10, 1)").empty());
  CHECK_FALSE(verdict(spec(Kind::decimal, false, 10, 2), "Decimal(10, 4)").empty());
  CHECK_FALSE(verdict(spec(Kind::timestamptz, false, 0, 6), "DateTime").empty());
  CHECK_FALSE(verdict(spec(Kind::timestamptz, false, 0, 6), "DateTime64(3)").empty());
  CHECK_FALSE(verdict(spec(Kind::float64), "Float32").empty());
  CHECK_FALSE(verdict(spec(Kind::text), "FixedString(8)").empty());
  CHECK_FALSE(verdict(spec(Kind::bytes), "Enum8('a' = 1)").empty());
  CHECK_FALSE(verdict(spec(Kind::text, true), "String").empty());
}

TEST_CASE("wall time goes only where the zone cannot shift it") {
  CHECK(verdict(spec(Kind::timestamp, false, 0, 6), "DateTime64(6)", "Etc/UTC").empty());
  CHECK_THAT(verdict(spec(Kind::timestamp, false, 0, 6), "DateTime64(6)", "Europe/Berlin"),
             Catch::Contains("time zone"));
  CHECK_THAT(verdict(spec(Kind::timestamp, false, 0, 6), "DateTime64(6, 'Asia/Tokyo')"), Catch::Contains("time zone"));
}

TEST_CASE("names and texts are quoted so that nothing can end them early") {
  CHECK(quote_name("a\\`b") == "`a\\\\\\`b`");
  CHECK(quote_name("d", "t") == "`d`.`t`");
  CHECK(quote_text("it's \\ \n") == "'it\\'s \\\\ \\x0A'");
  CHECK(quote_text(std::string_view("\0", 1)) == "'\\x00'");
}

TEST_CASE("a table with a key replaces by version, one without counts batches and rows") {
  TargetOptions target;
  target.table = "t";
  const auto keyed = create_statements("db", target, two_columns(true), current);
  REQUIRE(keyed);
  REQUIRE(keyed->size() == 2);
  CHECK_THAT((*keyed)[0],
             Catch::Contains("ReplacingMergeTree(`_version`, `_deleted`)") && Catch::Contains("ORDER BY (`c`)") &&
                 Catch::Contains("`e\\`x` LowCardinality(Nullable(String))") &&
                 Catch::Contains("fsync_after_insert = 1") && Catch::Contains("non_replicated_deduplication_window"));
  CHECK_THAT((*keyed)[1], Catch::Contains("CREATE VIEW") && Catch::Contains("FINAL") && Catch::Contains("`t_current`"));
  const auto plain = create_statements("db", target, two_columns(false), current);
  REQUIRE(plain);
  REQUIRE(plain->size() == 1);
  CHECK_THAT((*plain)[0], Catch::Contains("`_batch` UInt64") && Catch::Contains("`_row` UInt32") &&
                              Catch::Contains("ORDER BY tuple()"));
  const auto aged = create_statements("db", target, two_columns(true), old);
  REQUIRE(aged);
  CHECK_THAT((*aged)[0], Catch::Contains("ReplacingMergeTree(`_version`)") &&
                             Catch::Contains("`e\\`x` Nullable(String)") && !Catch::Contains("SETTINGS"));
}

TEST_CASE("codecs stand at their columns, and one for a column that is not there is refused") {
  TargetOptions target;
  target.table = "t";
  target.codecs = {{"c", "Delta, ZSTD(3)"}};
  const auto made = create_statements("db", target, two_columns(true), current);
  REQUIRE(made);
  CHECK_THAT((*made)[0], Catch::Contains("`c` ") && Catch::Contains(" CODEC(Delta, ZSTD(3)),\n"));
  target.codecs = {{"nowhere", "LZ4"}};
  const auto refused = create_statements("db", target, two_columns(true), current);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("nowhere"));
}

TEST_CASE("a source column with the name of one of ours is refused with the setting that mends it") {
  TargetOptions target;
  target.table = "t";
  TableSchema schema = two_columns(true);
  schema.columns[1].name = "_deleted";
  const auto refused = create_statements("db", target, schema, current);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::config);
  CHECK_THAT(refused.error().message, Catch::Contains("table.rename"));
  target.deleted_column = "gone";
  CHECK(create_statements("db", target, schema, current));
}
