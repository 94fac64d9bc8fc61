#include "pgch/extract/scan.h"

#include "pg/cell_text.h"
#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

std::unique_ptr<Extractor> opened(ScanOptions options, const Context& context) {
  auto made = make_scan(std::move(options));
  if (!made) FAIL(made.error().message);
  auto ok = (*made)->open(context, {});
  if (!ok) FAIL(ok.error().message);
  return std::move(*made);
}

}  // namespace

TEST_CASE("values of every type come out as PostgreSQL prints them") {
  TestSchema db;
  db.run(
      "CREATE TYPE mood AS ENUM ('sad', 'o''k', 'grün'); CREATE DOMAIN cents AS numeric(12,2) CHECK (VALUE >= 0); "
      "CREATE DOMAIN more AS cents; CREATE TYPE pair AS (a int, b text);"
      "CREATE TABLE every (id serial PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, n "
      "numeric, n10 numeric(10,2), n38 numeric(38,10), n76 numeric(76,38),"
      " neg " +
      // 14 has no negative scales.
      std::string(std::stoi(db.one("SHOW server_version_num")) < 150000 ? "numeric(7,0)" : "numeric(5,-2)") +
      ", t text, v varchar(10), c char(5), nm name, j json, jb jsonb, u uuid, d date, ts timestamp, "
      "tz timestamptz, m mood, dom more, arr int[], p pair, iv interval,"
      " ip inet, r int4range, tm time, x xml, bt bit(5), mac macaddr, tsv tsvector, ch \"char\", mon money, dropped "
      "int)");
  db.run("ALTER TABLE every DROP COLUMN dropped");
  db.run(
      "INSERT INTO every VALUES (DEFAULT, true, -32768, -2147483648, -9223372036854775808, 4294967295, '1e-45', "
      "'-5e-324', '123456789012345678901234567890.123456789', '-99999999.99',"
      " '9999999999999999999999999999.9999999999', "
      "'-99999999999999999999999999999999999999.99999999999999999999999999999999999999', 12300, E'tab\\t\\\\ "
      "\\n\\r''\"', '', 'ab', 'na me',"
      " '{\"a\" : 1, \"a\": 12345678901234567890.10}', '{\"z\": [null, \"\\u00fc\"]}', "
      "'00112233-4455-6677-8899-aabbccddeeff', '1900-01-01', '1900-01-01 00:00:00', '2299-12-31 23:59:59.999999+00',"
      " 'o''k', 12.5, '{1,NULL,3}', '(1,\"x y\")', '1 year -2 days 03:04:05.6', '10.0.0.0/8', '[1,5)', '24:00:00', "
      "'<a>b</a>', '10101', '08:00:2b:01:02:03', 'a fat cat', 'x', 12.34),"
      " (DEFAULT, false, 32767, 2147483647, 9223372036854775807, 0, 'NaN', 'Infinity', 'NaN', 0, -0.0000000001, 0, "
      "-100, 'grüße 😀', '1234567890', 'ä', '', 'null', 'null', NULL, '2299-12-31',"
      " '2024-02-29 12:34:56.7', '1969-12-31 23:59:59.999999+00', 'grün', 0, '{}', '(,)', '-1 mon', '::1', 'empty', "
      "'00:00', NULL, '00000', NULL, '', '', -1)");
  db.run(
      "INSERT INTO every (id) VALUES (DEFAULT); INSERT INTO every (f8, f4, n) VALUES ('-0', '-0', '-Infinity'), "
      "(1e300, 3.4028235e38, 0.00000000000000000000000001), (0.1, 0.1, '1e100')");
  ScanOptions options;
  options.postgres = test_server();
  options.table = db.table("every");
  auto x = opened(options, db.context);
  RowBatch batch;
  REQUIRE(fetch(*x, batch, db.context) == Fetch::rows);
  for (const Rejected& r : batch.rejected) FAIL_CHECK(r.reason);
  REQUIRE(batch.rows == 6);
  const auto& columns = batch.schema->columns;
  REQUIRE(columns.size() == 37);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (is_nested(columns[c].kind)) continue;  // test/types compares those
    // By the output function, which a cast to text is not for all types.
    const std::map<std::string, std::string> rules{{"c", "textin(bpcharout(c))"},
                                                   {"ip", "textin(inet_out(ip))"},
                                                   {"tm", "to_char(tm::interval, 'HH24:MI:SS.US')"},
                                                   {"mon", "mon::numeric::text"}};
    const auto rule = rules.find(columns[c].name);
    const auto rows =
        db.run("SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SELECT " +
               (rule == rules.end() ? "\"" + columns[c].name + "\"::text" : rule->second) + " FROM every ORDER BY id");
    for (std::size_t r = 0; r < 6; ++r) {
      INFO(columns[c].name << " row " << r);
      REQUIRE(batch.columns[c].is_null(r) == !rows[r][0].has_value());
      if (!rows[r][0]) continue;
      std::string ours = postgres_text(columns[c], batch.columns[c], r), theirs = *rows[r][0];
      // Trailing zeros of the second's fraction are the only difference allowed.
      if (columns[c].kind == Kind::timestamp || columns[c].kind == Kind::timestamptz) {
        ours = db.one("SELECT '" + ours + "'::" + (columns[c].kind == Kind::timestamp ? "timestamp" : "timestamptz") +
                      "::text");
      }
      if (columns[c].kind == Kind::boolean) theirs = theirs.substr(0, 1);
      if (columns[c].kind == Kind::float32 || columns[c].kind == Kind::float64) {
        CHECK(db.one("SELECT '" + ours + "'::" + (columns[c].kind == Kind::float32 ? "float4" : "float8") + "::text") ==
              theirs);
      } else {
        CHECK(ours == theirs);
      }
    }
  }
  CHECK(columns[column_index(*batch.schema, "dom")].kind == Kind::decimal);
  CHECK(columns[column_index(*batch.schema, "dom")].precision == 12);
  CHECK(columns[column_index(*batch.schema, "m")].kind == Kind::enumeration);
  CHECK(columns[column_index(*batch.schema, "neg")].precision == 7);
  CHECK(columns[column_index(*batch.schema, "arr")].kind == Kind::array);
  CHECK(fetch(*x, batch, db.context) == Fetch::end);
}

TEST_CASE("a scan sees one snapshot, whatever is written meanwhile, and cuts it by rows and bytes") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint PRIMARY KEY, x text); INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(1, "
      "5000) g");
  ScanOptions options;
  options.postgres = test_server();
  options.table = db.table("t");
  auto x = opened(options, db.context);
  db.run("DELETE FROM t WHERE id > 100; INSERT INTO t VALUES (100000, 'new')");
  Target target;
  RowBatch batch;
  BatchLimits limits;
  limits.rows_max = 700;
  limits.bytes_max = 20'000;
  std::size_t batches = 0;
  while (fetch(*x, batch, db.context, limits) == Fetch::rows) {
    CHECK(batch.rows <= 700);
    CHECK(batch.bytes() < 25'000);
    target.load(batch);
    ++batches;
  }
  CHECK(batches > 10);
  CHECK(target.rows == 5000);
  CHECK_FALSE(target.has_duplicates());
}

TEST_CASE("views and tables without a key can be scanned; an empty one ends at once") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint); CREATE VIEW v AS SELECT id, id * 2 AS twice FROM t");
  ScanOptions options;
  options.postgres = test_server();
  options.table = db.table("v");
  auto x = opened(options, db.context);
  RowBatch batch;
  CHECK(fetch(*x, batch, db.context) == Fetch::end);
  CHECK(batch.schema->key_order.empty());
}
