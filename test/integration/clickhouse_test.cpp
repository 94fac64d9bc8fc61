// The ClickHouse loader on the embedded engine: a current ClickHouse.

#include "test/integration/clickhouse_rows.h"

using namespace pgch;
using namespace pgch::test;

namespace {

struct Embedded {
  TemporaryDirectory directory;
  ClickHouseOptions options;
  std::unique_ptr<ClickHouse> session;

  Embedded() {
    options.url = "chdb://" + directory.path();
    options.library = required("PGCH_LIBCHDB");
    session = ok(open_clickhouse(options, context()));
  }
  std::unique_ptr<Loader> loader(TargetOptions target = {}) const {
    auto made = ok(make_clickhouse(options, std::move(target)));
    ok(made->open(context()));
    return made;
  }
  std::string ask(const std::string& sql) const { return ok(session->query(sql)); }
};

}  // namespace

TEST_CASE("every kind with its edge values and NULLs comes back from the embedded engine bit by bit", "[clickhouse]") {
  const Embedded engine;
  const bool keyed = GENERATE(true, false);
  const auto schema = every_kind(keyed);
  const auto loader = engine.loader();
  CHECK(ok(loader->prepare(*schema)).can_look);
  const RowBatch sent = edge_rows(schema);
  ok(loader->load(sent, attempt(1, 1)));
  TargetOptions target;
  target.table = "every_kind";
  std::uint64_t hash = 0;
  std::uint32_t rows = 0;
  ok(engine.session->read(target, *schema, true, [&](const RowBatch& got) -> Result<void> {
    RowBatch same = got;
    same.schema = schema;
    hash = comparable(std::move(same));
    rows += got.rows;
    return {};
  }));
  CHECK(rows == 3);
  CHECK(hash == comparable(sent));
  CHECK(engine.ask("SELECT count() FROM system.parts WHERE table = 'every_kind' AND active") == "1\n");
  CHECK(ok(loader->look(intent(1, {1}), sent, attempt(1, 1))).missing.empty());
}

TEST_CASE("look tells none, part and all of a batch apart, by key and version", "[clickhouse]") {
  const Embedded engine;
  const auto schema = simple();
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  const RowBatch batch = simple_rows(schema, 0, 5000);
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.size() == 5000);
  std::vector<std::uint32_t> half;
  for (std::uint32_t i = 0; i < 5000; i += 2) half.push_back(i);
  ok(loader->load(select_rows(batch, half), attempt(1, 1)));
  const auto part = ok(loader->look(intent(1, {1}), batch, attempt(1, 1)));
  REQUIRE(part.missing.size() == 2500);
  CHECK(part.missing[0] == 1);
  CHECK(part.missing.back() == 4999);
  ok(loader->load(select_rows(batch, part.missing), attempt(1, 2)));
  CHECK(ok(loader->look(intent(1, {1, 2}), batch, attempt(1, 2))).missing.empty());
  CHECK(engine.ask("SELECT count(), uniqExact(id) FROM simple") == "5000\t5000\n");
  RowBatch next = simple_rows(schema, 0, 10);
  next.version = 2;
  CHECK(ok(loader->look(intent(2, {3}), next, attempt(2, 3))).missing.size() == 10);
}

TEST_CASE("look finds rows of a table without key by batch and ordinal, also after a cut", "[clickhouse]") {
  const Embedded engine;
  const auto schema = simple({});
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  const RowBatch batch = simple_rows(schema, 0, 10);
  const std::vector<std::uint32_t> some{3, 7};
  ok(loader->load(select_rows(batch, some), attempt(1, 1)));
  const auto landed = ok(loader->look(intent(1, {1}), batch, attempt(1, 1)));
  CHECK(landed.missing == std::vector<std::uint32_t>{0, 1, 2, 4, 5, 6, 8, 9});
  CHECK(ok(loader->look(intent(2, {2}), batch, attempt(2, 2))).missing.size() == 10);
}

TEST_CASE("look on a plain existing table compares all values, and counts equal rows", "[clickhouse]") {
  const Embedded engine;
  engine.ask(
      "CREATE TABLE simple (id Int64, name LowCardinality(Nullable(String)), extra String DEFAULT 'x') ENGINE = "
      "MergeTree ORDER BY id");
  const auto schema = simple();
  const auto loader = engine.loader();
  CHECK(ok(loader->prepare(*schema)).can_look);
  RowBatch batch = Rows(schema)
                       .value<std::int32_t>(-1)
                       .text("a")
                       .value<std::int32_t>(-1)
                       .text("a")
                       .value<std::int32_t>(2)
                       .null()
                       .value<std::int32_t>(3)
                       .text("c")
                       .take();
  engine.ask("INSERT INTO simple (id, name) VALUES (-1, 'a'), (2, NULL), (3, 'other')");
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing == std::vector<std::uint32_t>{1, 3});
}

TEST_CASE("look finds keys of every kind that can be a key", "[clickhouse]") {
  const Embedded engine;
  const auto all = every_kind(true);
  const RowBatch values = edge_rows(all);
  for (std::size_t i = 0; i < all->columns.size(); ++i) {
    ColumnSpec spec = all->columns[i];
    if (spec.kind == Kind::float32 || spec.kind == Kind::float64 || spec.precision > 38) continue;
    spec.nullable = false;
    INFO("key column " << spec.name);
    const auto schema = table("key_" + spec.name, {spec, column("seq", Kind::int32)}, {spec.name, "seq"});
    Rows rows(schema);
    rows.bytes(values.columns[i].at(0, width_of(layout_of(spec)))).value<std::int32_t>(1);
    rows.bytes(values.columns[i].at(2, width_of(layout_of(spec)))).value<std::int32_t>(2);
    const RowBatch batch = rows.take();
    const auto loader = engine.loader();
    CHECK(ok(loader->prepare(*schema)).can_look);
    CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.size() == 2);
    ok(loader->load(batch, attempt(1, 1)));
    CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.empty());
    const auto single = table("single_" + spec.name, {spec}, {spec.name});
    const RowBatch one = Rows(single).bytes(values.columns[i].at(0, width_of(layout_of(spec)))).take();
    ok(loader->prepare(*single));
    ok(loader->load(one, attempt(1, 1)));
    CHECK(ok(loader->look(intent(1, {1}), one, attempt(1, 1))).missing.empty());
  }
}

TEST_CASE("look finds decimal keys with zeros at their end", "[clickhouse]") {
  const Embedded engine;
  const auto schema =
      table("prices", {column("price", Kind::decimal, false, 10, 2), column("big", Kind::decimal, false, 30, 0)},
            {"price", "big"});
  __extension__ using Wide = __int128;
  const RowBatch batch = Rows(schema)
                             .value<std::int64_t>(150)
                             .value<Wide>(1000)
                             .value<std::int64_t>(0)
                             .value<Wide>(0)
                             .value<std::int64_t>(-100'000)
                             .value<Wide>(-7)
                             .take();
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  ok(loader->load(batch, attempt(1, 1)));
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing == std::vector<std::uint32_t>{});
}

TEST_CASE("a batch larger than any default block size is still one part", "[clickhouse]") {
  const Embedded engine;
  const auto schema = table("many", {column("id", Kind::int32)}, {"id"});
  RowBatch batch;
  batch.reset(schema);
  batch.rows = 2'500'000;
  batch.columns[0].data.resize(batch.rows * 4);
  for (std::uint32_t i = 0; i < batch.rows; ++i) std::memcpy(batch.columns[0].data.data() + i * 4, &i, 4);
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  ok(loader->load(batch, attempt(1, 1)));
  CHECK(engine.ask(
            "SELECT count(), sum(rows), max(max_block_number) FROM system.parts WHERE table = 'many' AND active") ==
        "1\t2500000\t1\n");
}

TEST_CASE("the same attempt twice is dropped by its token, another attempt is not", "[clickhouse]") {
  const Embedded engine;
  const auto schema = simple({});
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  const RowBatch batch = simple_rows(schema, 0, 3);
  ok(loader->load(batch, attempt(1, 1)));
  ok(loader->load(batch, attempt(1, 1)));
  CHECK(engine.ask("SELECT count() FROM simple") == "3\n");
  ok(loader->load(batch, attempt(1, 2)));
  CHECK(engine.ask("SELECT count() FROM simple") == "6\n");
}

TEST_CASE("odd names of tables and columns go through unharmed", "[clickhouse]") {
  const Embedded engine;
  for (const std::string name : {"we`ird", "back\\slash", "a\\`b", "dot.ted", "sp ace", "\"quoted\"", "'single'", "😀",
                                 "SELECT", "new\nline", "; DROP TABLE x"}) {
    INFO(name);
    const auto schema = table(name, {column(name, Kind::int32), column(name + "2", Kind::text)}, {name});
    const auto loader = engine.loader();
    CHECK(ok(loader->prepare(*schema)).can_look);
    const RowBatch batch = Rows(schema).value<std::int32_t>(7).text("it's \\ `x`").take();
    ok(loader->load(batch, attempt(1, 1)));
    CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.empty());
    TargetOptions target;
    target.table = name;
    const auto described = ok(engine.session->describe(target));
    REQUIRE(described.has_value());
    CHECK(described->columns.size() == 2);
    CHECK(described->columns[0].name == name);
    CHECK(described->key_order == std::vector<std::string>{name});
  }
}

TEST_CASE("a target that does not fit is refused with the statement that mends it", "[clickhouse]") {
  const Embedded engine;
  const auto loader = engine.loader();
  const auto schema = simple();
  const auto refused = [&](const std::string& columns) {
    engine.ask("DROP TABLE IF EXISTS simple");
    engine.ask("CREATE TABLE simple (" + columns + ") ENGINE = MergeTree ORDER BY id");
    const Error e = error_of(loader->prepare(*schema));
    CHECK(e.code == Errc::schema);
    CHECK(e.recovery == Recovery::halt);
    return e.message;
  };
  CHECK_THAT(refused("id Int32"), Catch::Contains("ADD COLUMN `name` Nullable(String)"));
  CHECK_THAT(refused("id Int16, name Nullable(String)"),
             Catch::Contains("MODIFY COLUMN `id` Int32") && Catch::Contains("Int16"));
  CHECK_THAT(refused("id Int32, name String"),
             Catch::Contains("NULL") && Catch::Contains("MODIFY COLUMN `name` Nullable(String)"));
  CHECK_THAT(refused("id Int32, name Nullable(FixedString(9))"), Catch::Contains("FixedString(9)"));
  CHECK_THAT(refused("id Int32, name Nullable(String) MATERIALIZED 'x'"), Catch::Contains("MATERIALIZED"));
  TargetOptions missing;
  missing.table = "not_there";
  missing.create = false;
  const Error e = error_of(engine.loader(missing)->prepare(*schema));
  CHECK(e.code == Errc::not_found);
  CHECK_THAT(e.message, Catch::Contains("not_there"));
  const auto clash = table("clash", {column("id", Kind::int32), column("_version", Kind::int32)}, {"id"});
  const Error named = error_of(loader->prepare(*clash));
  CHECK(named.code == Errc::config);
  CHECK_THAT(named.message, Catch::Contains("table.rename"));
}

TEST_CASE("values outside of a narrower sign or date are refused as rows, never wrapped", "[clickhouse]") {
  const Embedded engine;
  engine.ask(
      "CREATE TABLE narrow (id UInt32, day Date, at DateTime64(9, 'UTC'), price Decimal(18, 4)) ENGINE = MergeTree "
      "ORDER BY id");
  const auto schema = table("narrow",
                            {column("id", Kind::int32), column("day", Kind::date),
                             column("at", Kind::timestamptz, false, 0, 6), column("price", Kind::decimal, false, 9, 2)},
                            {"id"});
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  const auto one = [&](std::int32_t id, std::int32_t day, std::int64_t at) {
    return Rows(schema).value(id).value(day).value(at).value<std::int32_t>(-12345).take();
  };
  ok(loader->load(one(5, 65535, 1'700'000'000'123'456), attempt(1, 1)));
  CHECK(engine.ask("SELECT * FROM narrow") == "5\t2149-06-06\t2023-11-14 22:13:20.123456000\t-123.45\n");
  for (const auto& bad : {one(-1, 0, 0), one(1, -1, 0), one(1, 65536, 0), one(1, 0, 9'300'000'000'000'000)}) {
    const Error e = error_of(loader->load(bad, attempt(2, 2)));
    CHECK(e.code == Errc::data);
    CHECK(e.recovery == Recovery::dead_letter);
    CHECK_FALSE(e.in_doubt);
  }
  CHECK(engine.ask("SELECT count() FROM narrow") == "1\n");
}

TEST_CASE("removed rows vanish from the current view, and versions win in any order", "[clickhouse]") {
  const Embedded engine;
  const auto schema = simple();
  TargetOptions target;
  target.ingested_at = true;
  const auto loader = engine.loader(target);
  ok(loader->prepare(*schema));
  RowBatch batch = simple_rows(schema, 0, 3);
  batch.versions = {10, 10, 10};
  ok(loader->load(batch, attempt(1, 1)));
  RowBatch removal = simple_rows(schema, 1, 1);
  removal.version = 11;
  removal.ops = {RowOp::remove};
  ok(loader->load(removal, attempt(2, 2)));
  CHECK(ok(loader->look(intent(2, {2}), removal, attempt(2, 2))).missing.empty());
  CHECK(engine.ask("SELECT id FROM simple_current ORDER BY id") == "0\n2\n");
  CHECK(engine.ask("SELECT count() FROM simple WHERE _ingested_at > now() - 3600") == "4\n");
}

TEST_CASE("a missing library says where it was looked for and how to get it", "[clickhouse]") {
  ClickHouseOptions options;
  const TemporaryDirectory directory;
  options.url = "chdb://" + directory.path();
  options.library = "/nowhere/libchdb.so";
  auto opened = open_clickhouse(options, context());
  if (opened) return;  // the library is loaded for good by another test of this process
  CHECK(opened.error().code == Errc::not_found);
  CHECK_THAT(opened.error().message, Catch::Contains("/nowhere/libchdb.so") && Catch::Contains("PGCH_LIBCHDB"));
}

TEST_CASE("a second directory in one process is refused with a sentence", "[clickhouse]") {
  const Embedded engine;
  ClickHouseOptions other = engine.options;
  const TemporaryDirectory directory;
  other.url = "chdb://" + directory.path();
  const Error e = error_of(open_clickhouse(other, context()));
  CHECK(e.code == Errc::conflict);
}

TEST_CASE("a text that the target's Enum does not know is a row's error, and nothing of the batch is written",
          "[clickhouse]") {
  const Embedded engine;
  engine.ask("CREATE TABLE moods (id Int32, mood Enum8('sad' = 1, 'ok' = 2)) ENGINE = MergeTree ORDER BY id");
  const auto schema = table("moods", {column("id", Kind::int32), column("mood", Kind::enumeration)}, {"id"});
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  const RowBatch good = Rows(schema).value<std::int32_t>(1).text("sad").take();
  ok(loader->load(good, attempt(1, 1)));
  CHECK(ok(loader->look(intent(1, {1}), good, attempt(1, 1))).missing.empty());
  const Error e = error_of(loader->load(
      Rows(schema).value<std::int32_t>(2).text("ok").value<std::int32_t>(3).text("merry").take(), attempt(2, 2)));
  CHECK(e.recovery == Recovery::dead_letter);
  CHECK_FALSE(e.in_doubt);
  CHECK_THAT(e.message, !Catch::Contains("merry"));
  CHECK(engine.ask("SELECT count() FROM moods") == "1\n");
}

TEST_CASE("a table that was changed while we run is looked at again before giving up", "[clickhouse]") {
  const Embedded engine;
  const auto schema = simple();
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  engine.ask("DROP TABLE simple");
  const RowBatch batch = simple_rows(schema, 0, 3);
  CHECK(error_of(loader->load(batch, attempt(1, 1))).recovery == Recovery::retry);
  ok(loader->load(batch, attempt(1, 2)));
  engine.ask("DROP TABLE simple");
  engine.ask("CREATE TABLE simple (id Int32) ENGINE = MergeTree ORDER BY id");
  const Error e = error_of(loader->load(batch, attempt(1, 3)));
  CHECK(e.recovery == Recovery::halt);
  CHECK_THAT(e.message, Catch::Contains("ADD COLUMN `name`"));
}

TEST_CASE("rows are not sent twice when a view behind the table fails after the table has them", "[clickhouse]") {
  const Embedded engine;
  const auto schema = simple({});
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  engine.ask("CREATE TABLE sums (s Int64) ENGINE = MergeTree ORDER BY s");
  engine.ask("CREATE MATERIALIZED VIEW failing TO sums AS SELECT throwIf(id = 2) + id AS s FROM simple");
  ok(loader->prepare(*schema));
  const RowBatch batch = simple_rows(schema, 0, 5);
  const auto loaded = loader->load(batch, attempt(1, 1));
  const std::string there = engine.ask("SELECT count() FROM simple");
  INFO(there << (loaded ? "" : loaded.error().message));
  // Either the table has all and the load says so (or leaves doubt), or it has nothing and the error is plain.
  if (loaded) CHECK(there == "5\n");
  if (!loaded && !loaded.error().in_doubt) CHECK(there == "0\n");
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.size() == (there == "5\n" ? 0 : 5));
}

TEST_CASE("a key that can't be looked up, or none at all, is said to be so", "[clickhouse]") {
  const Embedded engine;
  engine.ask("CREATE TABLE simple (id Int32, name Nullable(String)) ENGINE = MergeTree ORDER BY id");
  const auto traits = ok(engine.loader()->prepare(*simple({})));
  CHECK_FALSE(traits.can_look);
  CHECK_THAT(traits.why_not, Catch::Contains("_batch"));
  for (const char* merging : {"SummingMergeTree ORDER BY id", "AggregatingMergeTree ORDER BY id", "Null"}) {
    engine.ask("CREATE OR REPLACE TABLE simple (id Int32, name Nullable(String)) ENGINE = " + std::string(merging));
    const auto refused = ok(engine.loader()->prepare(*simple({"id"})));
    CHECK_FALSE(refused.can_look);
    CHECK_THAT(refused.why_not, Catch::Contains("materialized"));
  }
  // One row for each name: the others would be gone.
  engine.ask(
      "CREATE OR REPLACE TABLE simple (id Int32, name Nullable(String)) ENGINE = ReplacingMergeTree ORDER BY "
      "(ifNull(name, ''), `id` % 7)");
  const auto lossy = engine.loader()->prepare(*simple({"id"}));
  REQUIRE_FALSE(lossy);
  CHECK_THAT(lossy.error().message, Catch::Contains("would become one"));
  engine.ask(
      "CREATE OR REPLACE TABLE simple (id Int32, name Nullable(String)) ENGINE = ReplacingMergeTree ORDER BY "
      "(ifNull(name, ''), id)");
  CHECK(ok(engine.loader()->prepare(*simple({"id"}))).can_look);
  const auto by_float = table("by_float", {column("x", Kind::float64)}, {"x"});
  CHECK_FALSE(ok(engine.loader()->prepare(*by_float)).can_look);
}

TEST_CASE("a table whose JSON gives back another text is looked at by version, or not at all", "[clickhouse]") {
  const Embedded engine;
  const auto schema = table("docs", {column("id", Kind::int32), column("doc", Kind::json)}, {"id"});
  engine.ask("CREATE TABLE docs (id Int32, doc JSON) ENGINE = MergeTree ORDER BY id");
  const auto traits = ok(engine.loader()->prepare(*schema));
  CHECK_FALSE(traits.can_look);
  CHECK_THAT(traits.why_not, Catch::Contains("_version") && Catch::Contains("doc") && Catch::Contains("JSON"));
  const RowBatch batch = Rows(schema).value<std::int32_t>(1).text("{\"b\": 1, \"a\": 2}").take();
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  ok(loader->load(batch, attempt(1, 1)));
  CHECK(error_of(loader->look(intent(1, {1}), batch, attempt(1, 1))).code == Errc::unsupported);
  engine.ask("DROP TABLE docs");
  engine.ask("CREATE TABLE docs (id Int32, doc JSON, _version UInt64) ENGINE = MergeTree ORDER BY id");
  CHECK(ok(engine.loader()->prepare(*schema)).can_look);
}

TEST_CASE("a source without a key is not put into a table that keeps one row for each key", "[clickhouse]") {
  const Embedded engine;
  engine.ask("CREATE TABLE simple (id Int32, name Nullable(String)) ENGINE = ReplacingMergeTree ORDER BY id");
  const Error e = error_of(engine.loader()->prepare(*simple({})));
  CHECK(e.recovery == Recovery::halt);
  CHECK_THAT(e.message, Catch::Contains("simple") && Catch::Contains("has no key"));
}

TEST_CASE("times within an array are not put into an array of numbers, which would hold whole seconds",
          "[clickhouse]") {
  const Embedded engine;
  ColumnSpec times = column("times", Kind::array);
  times.elements = {column("", Kind::time, true, 0, 6)};
  times.source_type = "time without time zone[]";
  const auto schema = table("days", {column("id", Kind::int32), times}, {"id"});
  engine.ask("CREATE TABLE days (id Int32, times Array(Nullable(Int64))) ENGINE = MergeTree ORDER BY id");
  const Error e = error_of(engine.loader()->prepare(*schema));
  CHECK(e.code == Errc::schema);
  CHECK_THAT(e.message, Catch::Contains("whole seconds") && Catch::Contains("MODIFY COLUMN `times`"));
  // Nor without NULLs, for another reason.
  engine.ask("CREATE OR REPLACE TABLE days (id Int32, times Array(Int64)) ENGINE = MergeTree ORDER BY id");
  CHECK(error_of(engine.loader()->prepare(*schema)).code == Errc::schema);
  engine.ask(
      "CREATE OR REPLACE TABLE days (id Int32, times Array(Nullable(Time64(6)))) ENGINE = MergeTree ORDER BY id");
  ok(engine.loader()->prepare(*schema));
}

TEST_CASE("look finds rows by long keys, each larger than a parser's default limit", "[clickhouse]") {
  const Embedded engine;
  const auto schema = table("long_keys", {column("k", Kind::bytes), column("v", Kind::int32)}, {"k"});
  Rows rows(schema);
  for (std::int32_t i = 0; i < 8; ++i) rows.text(std::string(600'000, '\'') + std::to_string(i)).value(i);
  const RowBatch batch = rows.take();
  const auto loader = engine.loader();
  ok(loader->prepare(*schema));
  const std::vector<std::uint32_t> some{1, 6};
  ok(loader->load(select_rows(batch, some), attempt(1, 1)));
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing == std::vector<std::uint32_t>{0, 2, 3, 4, 5, 7});
}
