// Tables that are not as one expects them: each is scanned from a real server, and where names matter, goes on into the
// embedded engine and comes back.
#include "codec/json_row.h"
#include "pgch/extract/scan.h"
#include "test/integration/clickhouse_rows.h"
#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

struct Scanned {
  std::shared_ptr<const TableSchema> schema;
  std::vector<std::string> rows;  // as messages, sorted
  std::vector<std::string> rejected;
};

Scanned scan(TestSchema& db, const std::string& table, const PostgresOptions& server = test_server(),
             const std::string& misfit = "fail") {
  ScanOptions options;
  options.postgres = server;
  options.columns.types.misfit = misfit;
  options.table = table;
  auto made = make_scan(options);
  if (!made) FAIL(made.error().message);
  const auto opened = (*made)->open(db.context, {});
  if (!opened) FAIL(opened.error().message);
  Scanned out;
  RowBatch batch;
  for (;;) {
    const Fetch found = fetch(**made, batch, db.context);
    out.schema = batch.schema;
    if (found == Fetch::end) break;
    const codec::JsonRowEncoder encoder(batch.schema, false);
    for (std::size_t r = 0; r < batch.rows; ++r) {
      std::string row;
      REQUIRE(encoder.append_value(batch, r, row) == npos);
      out.rows.push_back(std::move(row));
    }
    for (const Rejected& one : batch.rejected) out.rejected.push_back(one.reason);
  }
  std::sort(out.rows.begin(), out.rows.end());
  return out;
}

using Rows = std::vector<std::string>;

}  // namespace

TEST_CASE("tables without a key, with a composite key and with no rows are scanned") {
  TestSchema db;
  db.run("CREATE TABLE bare (a integer, b text); INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (NULL, NULL)");
  const Scanned bare = scan(db, db.table("bare"));
  CHECK(bare.schema->key_order.empty());
  CHECK(bare.rows == Rows{R"({"a":1,"b":"x"})", R"({"a":1,"b":"x"})", R"({"a":null,"b":null})"});
  db.run("CREATE TABLE pair (a integer, b text, c integer, PRIMARY KEY (c, a)); INSERT INTO pair VALUES (1, 'x', 2)");
  const Scanned pair = scan(db, db.table("pair"));
  CHECK(pair.schema->key_order == std::vector<std::string>{"c", "a"});
  db.run("CREATE TABLE none (id bigint PRIMARY KEY, at timestamptz)");
  CHECK(scan(db, db.table("none")).rows.empty());
}

TEST_CASE("a table of 1600 columns is scanned, and one of no columns is refused with a sentence") {
  TestSchema db;
  std::string columns;
  for (int i = 0; i < 1600; ++i) columns += (i == 0 ? "" : ", ") + ("c" + std::to_string(i) + " smallint");
  db.run("CREATE TABLE wide (" + columns + "); INSERT INTO wide (c0, c1599) VALUES (1, 2)");
  const Scanned wide = scan(db, db.table("wide"));
  CHECK(wide.schema->columns.size() == 1600);
  REQUIRE(wide.rows.size() == 1);
  CHECK_THAT(wide.rows[0], Catch::Contains("\"c1599\":2}"));
  db.run("CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES");
  ScanOptions options;
  options.postgres = test_server();
  options.table = db.table("nothing");
  auto made = make_scan(options);
  const auto opened = (*made)->open(db.context, {});
  REQUIRE_FALSE(opened);
  CHECK_THAT(opened.error().message, Catch::Contains("No column of table"));
}

TEST_CASE("names with quotes, dots, spaces, capitals, emoji and 63 bytes go into the engine and come back") {
  TestSchema db;
  const std::string long_name(63, 'n');
  const std::vector<std::string> names{
      "Quoted \"name\"", "with.dots.", " spaces ",     "CamelCase", "emoji 😀", "back`tick\\slash",
      "select",          long_name,    "apostrophe's", "%s",        "naïve"};
  std::string columns, values;
  for (std::size_t i = 0; i < names.size(); ++i) {
    columns += ", " + quote_postgres(names[i]).value() + " text[]";
    values += ", '{" + std::to_string(i) + "}'";
  }
  const std::string odd = "Odd \"t\" a.b 😀 `x`";
  db.run("CREATE TABLE " + quote_postgres(odd).value() + " (id bigint PRIMARY KEY" + columns + "); INSERT INTO " +
         quote_postgres(odd).value() + " VALUES (1" + values + ")");
  ScanOptions options;
  options.postgres = test_server();
  options.table = db.name + "." + quote_postgres(odd).value();
  auto made = make_scan(options);
  REQUIRE(made);
  test::ok((*made)->open(db.context, {}));
  RowBatch batch;
  REQUIRE(fetch(**made, batch, db.context) == Fetch::rows);
  CHECK(batch.schema->table == odd);
  const test::TemporaryDirectory directory;
  ClickHouseOptions clickhouse;
  clickhouse.url = "chdb://" + directory.path();
  clickhouse.library = test::required("PGCH_LIBCHDB");
  const auto loader = test::ok(make_clickhouse(clickhouse, {}));
  test::ok(loader->open(db.context));
  test::ok(loader->prepare(*batch.schema));
  test::ok(loader->load(batch, {"odd", "s", 1, 1, 1}));
  CHECK(test::ok(loader->look({"s", 1, {1}, {}, 1, 0, {}}, batch, {"odd", "s", 1, 1, 1})).missing.empty());
  const auto session = test::ok(open_clickhouse(clickhouse, db.context));
  TargetOptions target;
  target.table = odd;
  std::size_t rows = 0;
  test::ok(session->read(target, *batch.schema, true, [&](const RowBatch& got) -> Result<void> {
    std::vector<std::size_t> all(names.size() + 1);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    CHECK(hash_row(got, 0, all) == hash_row(batch, 0, all));
    rows += got.rows;
    return {};
  }));
  CHECK(rows == 1);
}

TEST_CASE("tables of the same name in two schemas are told apart") {
  TestSchema db;
  const std::string other = db.name + "_Other";
  db.run("CREATE TABLE t (a integer); INSERT INTO t VALUES (1); CREATE SCHEMA \"" + other + "\"; CREATE TABLE \"" +
         other + "\".t (b text); INSERT INTO \"" + other + "\".t VALUES ('x')");
  CHECK(scan(db, db.table("t")).rows == Rows{R"({"a":1})"});
  CHECK(scan(db, "\"" + other + "\".t").rows == Rows{R"({"b":"x"})"});
  CHECK(scan(db, "\"" + other + "\".t").schema->schema == other);
  db.run("DROP SCHEMA \"" + other + "\" CASCADE");
}

TEST_CASE("a partitioned table gives all rows, each of its children its own; so does a parent of inheritance") {
  TestSchema db;
  db.run(
      "CREATE TABLE p (id integer, x text, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p "
      "FOR "
      "VALUES FROM (0) TO (10); CREATE TABLE p2 (x text, gone integer, id integer NOT NULL); ALTER TABLE p2 DROP "
      "COLUMN gone; "
      "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20); INSERT INTO p VALUES (1, 'a'), (11, 'b')");
  CHECK(scan(db, db.table("p")).rows == Rows{R"({"id":1,"x":"a"})", R"({"id":11,"x":"b"})"});
  CHECK(scan(db, db.table("p")).schema->key_order == std::vector<std::string>{"id"});
  CHECK(scan(db, db.table("p1")).rows == Rows{R"({"id":1,"x":"a"})"});
  CHECK(scan(db, db.table("p2")).rows == Rows{R"({"x":"b","id":11})"});
  db.run(
      "CREATE TABLE parent (id integer); CREATE TABLE child (more text) INHERITS (parent); INSERT INTO parent VALUES "
      "(1); "
      "INSERT INTO child VALUES (2, 'm')");
  CHECK(scan(db, db.table("parent")).rows == Rows{R"({"id":1})", R"({"id":2})"});
  CHECK(scan(db, db.table("child")).rows == Rows{R"({"id":2,"more":"m"})"});
}

TEST_CASE("views and materialized views are scanned, with the types of their columns") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint, n numeric(8,2), list integer[]); INSERT INTO t VALUES (1, 2.5, '{1,2}'); CREATE VIEW "
      "v AS SELECT id, n, "
      "list, now() < 'infinity' AS yes FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t; INSERT INTO t VALUES (2, "
      "1, NULL)");
  CHECK(scan(db, db.table("v")).rows ==
        Rows{R"({"id":1,"n":2.50,"list":[1,2],"yes":true})", R"({"id":2,"n":1.00,"list":null,"yes":true})"});
  CHECK(scan(db, db.table("m")).rows == Rows{R"({"id":1,"n":2.50,"list":[1,2]})"});
}

TEST_CASE("generated, identity and dropped columns: what is there is moved, what is gone is not") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone text, a integer, twice integer "
      "GENERATED ALWAYS "
      "AS (a * 2) STORED); INSERT INTO t (gone, a) VALUES ('x', 21); ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ADD "
      "COLUMN late "
      "text DEFAULT 'd'");
  CHECK(scan(db, db.table("t")).rows == Rows{R"({"id":1,"a":21,"twice":42,"late":"d"})"});
}

TEST_CASE("a composite type that lost a column is read by what it has left") {
  TestSchema db;
  db.run(
      "CREATE TYPE c AS (a integer, gone text, b integer[]); CREATE TABLE t (v c); INSERT INTO t VALUES (ROW(1, 'x', "
      "'{2}')); ALTER "
      "TYPE c DROP ATTRIBUTE gone");
  CHECK(scan(db, db.table("t")).rows == Rows{R"_({"v":"(1,{2})"})_"});
}

TEST_CASE("an unlogged table is scanned as any other") {
  TestSchema db;
  db.run("CREATE UNLOGGED TABLE t (id integer); INSERT INTO t VALUES (1)");
  CHECK(scan(db, db.table("t")).rows == Rows{R"({"id":1})"});
}

TEST_CASE("row security shows its user just some rows, and a warning says so") {
  TestSchema db;
  const std::string role = db.name + "_role";
  db.run(
      "CREATE TABLE t (id integer, owner text); INSERT INTO t VALUES (1, 'me'), (2, 'other'); ALTER TABLE t ENABLE ROW "
      "LEVEL "
      "SECURITY; CREATE POLICY mine ON t USING (owner = 'me'); CREATE ROLE " +
      role + " LOGIN; GRANT USAGE ON SCHEMA " + db.name + " TO " + role + "; GRANT SELECT ON t TO " + role);
  CHECK(scan(db, db.table("t")).rows.size() == 2);
  CHECK(db.log.text.find("row security") == std::string::npos);
  PostgresOptions server = test_server();
  server.conninfo += " options='-c role=" + role + "'";
  CHECK(scan(db, db.table("t"), server).rows == Rows{R"({"id":1,"owner":"me"})"});
  CHECK_THAT(db.log.text, Catch::Contains("row security"));
  db.run("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_CASE("a key keeps every value apart: bit strings are not made numbers, and what no column holds is not clamped") {
  TestSchema db;
  db.run("CREATE TABLE bits (b varbit PRIMARY KEY, v varbit); INSERT INTO bits VALUES (B'1', B'1'), (B'01', B'01')");
  ScanOptions options;
  options.postgres = test_server();
  options.table = db.table("bits");
  options.columns.types.as = {{"bit", "uint64"}};
  auto made = make_scan(options);
  REQUIRE(made);
  const auto refused = (*made)->open(db.context, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::config);
  CHECK_THAT(refused.error().message, Catch::Contains("part of the key") && Catch::Contains("1 and 01"));
  // The flag method finds rows again by that key.
  db.run("ALTER TABLE bits ADD sent_to_kafka boolean DEFAULT false");
  FlagOptions flag = db.flag("bits");
  flag.columns.types.as = {{"bit", "uint64"}};
  auto by_flag = make_flag(flag);
  REQUIRE(by_flag);
  CHECK_FALSE((*by_flag)->open(db.context, {}));

  db.run(
      "CREATE TABLE days (d date, n numeric(4,1), v date, PRIMARY KEY (d, n)); INSERT INTO days VALUES ('infinity', 1, "
      "'infinity'), ('2300-01-01', 1, NULL), ('2024-01-01', 'NaN', NULL), ('2024-01-01', 1, 'infinity')");
  const Scanned days = scan(db, db.table("days"), test_server(), "clamp");
  CHECK(days.rows == Rows{R"({"d":"2024-01-01","n":1.0,"v":"2299-12-31"})"});
  REQUIRE(days.rejected.size() == 3);
  for (const std::string& why : days.rejected)
    CHECK_THAT(why, Catch::Contains("\"d\" (date)") || Catch::Contains("\"n\" (numeric(4,1))"));
}

TEST_CASE("a Decimal of more digits than ClickHouse has is refused for a single column, too") {
  TestSchema db;
  db.run("CREATE TABLE prices (id int PRIMARY KEY, price numeric)");
  for (const char* wide : {"decimal(90,2)", "decimal(10,11)", "decimal(0,0)"}) {
    ScanOptions options;
    options.postgres = test_server();
    options.table = db.table("prices");
    options.columns.as = {{"price", wide}};
    auto made = make_scan(options);
    REQUIRE(made);
    const auto refused = (*made)->open(db.context, {});
    REQUIRE_FALSE(refused);
    INFO(refused.error().message);
    CHECK(refused.error().code == Errc::config);
    CHECK_THAT(refused.error().message, Catch::Contains(wide) && Catch::Contains("price"));
  }
}
