#include "pgch/load/postgres.h"

#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

TableSchema schema_of(const std::vector<ColumnSpec>& columns, std::vector<std::string> key) {
  TableSchema schema;
  schema.table = "t";
  schema.columns = columns;
  schema.key_order = std::move(key);
  return schema;
}

ColumnSpec column(const char* name, Kind kind, bool key = false) {
  ColumnSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.key = key;
  spec.nullable = !key;
  if (kind == Kind::timestamptz) spec.scale = 6;
  return spec;
}

RowBatch batch_of(const std::vector<std::pair<std::int64_t, std::optional<std::string>>>& rows,
                  const char* text = "name") {
  RowBatch batch;
  batch.reset(std::make_shared<const TableSchema>(
      schema_of({column("id", Kind::int64, true), column(text, Kind::text)}, {"id"})));
  for (const auto& [id, name] : rows) {
    append_value(batch.columns[0], Layout::fixed8, false, std::as_bytes(std::span(&id, 1)));
    if (name)
      append_value(batch.columns[1], Layout::varlen, true, as_bytes(*name));
    else
      append_null(batch.columns[1], Layout::varlen);
    ++batch.rows;
  }
  return batch;
}

std::unique_ptr<Loader> opened(TestSchema& db, bool create) {
  PostgresTargetOptions options;
  options.postgres = test_server();
  options.table = db.table("t");
  options.create = create;
  auto made = make_postgres_loader(options);
  REQUIRE(made);
  auto ok = (*made)->open(db.context);
  if (!ok) FAIL(ok.error().message);
  return std::move(*made);
}

const Attempt attempt{"p", "s", 1, 1, 1};

}  // namespace

TEST_CASE("the loader makes the table with its flag, writes odd text exactly, and leaves known keys alone") {
  TestSchema db;
  auto loader = opened(db, true);
  const RowBatch batch = batch_of({{1, "a\tb\\c\nd\re"}, {2, std::nullopt}, {3, ""}, {4, "\\N"}, {5, "grüß 😀"}});
  const auto traits = loader->prepare(*batch.schema);
  REQUIRE(traits);
  CHECK(traits->can_look);
  auto loaded = loader->load(batch, attempt);
  if (!loaded) FAIL(loaded.error().message);
  CHECK(db.one("SELECT count(*) FROM t WHERE sent_to_kafka = false") == "5");
  CHECK(db.one("SELECT name FROM t WHERE id = 1") == "a\tb\\c\nd\re");
  CHECK(db.one("SELECT name IS NULL FROM t WHERE id = 2") == "t");
  CHECK(db.one("SELECT name FROM t WHERE id = 4") == "\\N");
  REQUIRE(loader->load(batch_of({{5, "other"}, {6, "new"}}), attempt));
  CHECK(db.one("SELECT count(*) FROM t") == "6");
  CHECK(db.one("SELECT name FROM t WHERE id = 5") == "grüß 😀");
}

TEST_CASE("a look tells which rows are missing") {
  TestSchema db;
  auto loader = opened(db, true);
  REQUIRE(loader->prepare(*batch_of({}).schema));
  REQUIRE(loader->load(batch_of({{1, "a"}, {3, "c"}}), attempt));
  const auto landed = loader->look({}, batch_of({{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}}), attempt);
  if (!landed) FAIL(landed.error().message);
  CHECK(landed->missing == std::vector<std::uint32_t>{1, 3});
}

TEST_CASE(
    "a value that the target refuses is a matter of data: nothing of the batch is written, and the loader goes on") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint PRIMARY KEY, name varchar(3))");
  auto loader = opened(db, false);
  REQUIRE(loader->prepare(*batch_of({}).schema));
  const auto failed = loader->load(batch_of({{1, "ok"}, {2, "too long"}}), attempt);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Errc::data);
  CHECK(failed.error().recovery == Recovery::dead_letter);
  CHECK(failed.error().message.find("too long") == std::string::npos);
  CHECK(db.one("SELECT count(*) FROM t") == "0");
  REQUIRE(loader->load(batch_of({{1, "ok"}}), attempt));
  CHECK(db.one("SELECT count(*) FROM t") == "1");
}

TEST_CASE("a missing table or column, or another key, has its sentence") {
  TestSchema db;
  auto loader = opened(db, false);
  auto traits = loader->prepare(*batch_of({}).schema);
  REQUIRE_FALSE(traits);
  CHECK(traits.error().code == Errc::not_found);
  db.run("CREATE TABLE t (id bigint, name text)");
  traits = loader->prepare(*batch_of({}, "nickname").schema);
  REQUIRE_FALSE(traits);
  CHECK(traits.error().code == Errc::schema);
  traits = loader->prepare(*batch_of({}).schema);
  REQUIRE(traits);
  CHECK_FALSE(traits->can_look);
  CHECK_FALSE(traits->why_not.empty());
}
