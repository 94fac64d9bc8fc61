#include "pgch/extract/snapshot.h"

#include <set>

#include "test/integration/postgres_fixture.h"
#include "test/support/scratch.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

// A snapshot of one table with its progress file; each run() has a point of its own, as each start of the command has.
struct Copy {
  explicit Copy(TestSchema& schema, const std::string& table) : db(schema) {
    options.postgres = test_server();
    options.table = db.table(table);
    options.directory = scratch.path();
    options.connections = 2;
  }
  Extractor& open(std::vector<Intent> pending = {}) {
    auto opened = try_open(std::move(pending));
    if (!opened) FAIL(opened.error().message);
    return *extractor;
  }
  Result<void> try_open(std::vector<Intent> pending = {}) {
    extractor.reset();
    options.point.reset();
    auto point = take_snapshot_point(options.postgres, {options.table}, db.context);
    if (!point) FAIL(point.error().message);
    options.point = *point;
    options.status = status = std::make_shared<SnapshotStatus>();
    auto made = make_snapshot(options);
    if (!made) FAIL(made.error().message);
    extractor = std::move(*made);
    return extractor->open(db.context, std::move(pending));
  }
  Intent intent_of(const RowBatch& batch) {
    Intent intent;
    intent.stream = batch.stream;
    intent.sequence = ++sequence;
    intent.attempts = {sequence};
    intent.position = batch.position;
    intent.rows = batch.rows;
    return intent;
  }
  void kill() { extractor.reset(); }  // nothing more is written down: as good as SIGKILL for the progress file
  TestSchema& db;
  test::Scratch scratch;
  SnapshotOptions options;
  std::shared_ptr<SnapshotStatus> status;
  std::unique_ptr<Extractor> extractor;
  std::uint64_t sequence = 0;
};

BatchLimits small(std::uint32_t rows, std::size_t bytes = 32U << 20) {
  BatchLimits limits;
  limits.rows_max = rows;
  limits.bytes_max = bytes;
  return limits;
}

std::string batches_of(const Target& target, std::int64_t id) {
  const auto found = target.seen.find(id);
  return std::to_string(found == target.seen.end() ? 0 : found->second);
}

}  // namespace

TEST_CASE("a snapshot copies every row once over several connections, and a second start has nothing to do") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint PRIMARY KEY, x text); INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(1, "
      "20000) g; ANALYZE t");
  Copy copy(db, "t");
  Target target;
  Extractor& x = copy.open();
  db.run(
      "DELETE FROM t WHERE id <= 100; UPDATE t SET id = id + 1000000 WHERE id > 19900; INSERT INTO t VALUES (0, "
      "'new')");
  const std::size_t batches = drain(x, target, db.context, small(1000));
  CHECK(batches >= 20);
  CHECK(target.rows == 20000);
  CHECK_FALSE(target.has_duplicates());
  CHECK(target.seen.rbegin()->first == 20000);
  CHECK(copy.status->ended);
  CHECK(copy.status->consistent);
  CHECK(copy.status->rows_done == 20000);
  CHECK(copy.status->points.size() == 1);
  Extractor& again = copy.open();
  RowBatch batch;
  CHECK(fetch(again, batch, db.context) == Fetch::end);
  CHECK(copy.status->already);
  copy.options.again = true;
  Target second;
  drain(copy.open(), second, db.context, small(1000));
  CHECK(second.rows == 19901);
}

TEST_CASE("an empty table ends at once, and a condition leaves rows out") {
  TestSchema db;
  db.run(
      "CREATE TABLE e (id bigint PRIMARY KEY); CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t SELECT g FROM "
      "generate_series(1, 3000) g");
  Copy empty(db, "e");
  RowBatch batch;
  CHECK(next_batch(empty.open(), batch, db.context) == false);
  CHECK(empty.status->ended);
  Copy some(db, "t");
  some.options.where = "id % 3 = 0 -- every third";
  Target target;
  drain(some.open(), target, db.context, small(100));
  CHECK(target.rows == 1000);
}

TEST_CASE("a range that large values make too big is read in halves, down to one row") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint PRIMARY KEY, x text); ALTER TABLE t ALTER x SET STORAGE EXTERNAL;"
      "INSERT INTO t SELECT g, CASE WHEN g % 10 = 0 THEN repeat('x', 50000) ELSE 'y' END FROM generate_series(1, 1000) "
      "g; ANALYZE t");
  Copy copy(db, "t");
  Extractor& x = copy.open();
  Target target;
  RowBatch batch;
  while (next_batch(x, batch, db.context, small(100000, 120000))) {
    CHECK(batch.bytes() < 130000);
    target.load(batch);
    REQUIRE(x.acknowledge(batch.stream, batch.position));
  }
  CHECK(target.rows == 1000);
  CHECK_FALSE(target.has_duplicates());
  // One row is larger than a batch may be: it goes alone.
  Copy tight(db, "t");
  Target all;
  drain(tight.open(), all, db.context, small(100000, 20000));
  CHECK(all.rows == 1000);
  CHECK_FALSE(all.has_duplicates());
}

TEST_CASE("a killed snapshot goes on with what is not finished, and nothing that changed says so") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint, x text); INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(1, 10000) g");
  db.run("VACUUM ANALYZE t");
  Copy copy(db, "t");
  Target target;
  std::vector<Intent> pending;
  std::map<std::string, std::vector<std::uint32_t>> ordinals;
  {
    Extractor& x = copy.open();
    RowBatch batch;
    for (int i = 0; i < 5; ++i) {
      REQUIRE(next_batch(x, batch, db.context, small(500)));
      target.load(batch);
      if (i < 3) {
        REQUIRE(x.acknowledge(batch.stream, batch.position));
      } else {
        pending.push_back(copy.intent_of(batch));
        ordinals[batch.position.bytes] = batch.ordinals;
      }
    }
    copy.kill();
  }
  Extractor& x = copy.open(pending);
  RowBatch batch;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(next_batch(x, batch, db.context, small(500)));
    REQUIRE(batch.intent);
    CHECK(ordinals.at(batch.position.bytes) == batch.ordinals);
    CHECK(batch.rows == batch.intent->rows);
    REQUIRE(x.acknowledge(batch.stream, batch.position));
  }
  while (next_batch(x, batch, db.context, small(500))) {
    CHECK_FALSE(batch.intent);
    target.load(batch);
    REQUIRE(x.acknowledge(batch.stream, batch.position));
  }
  CHECK(target.rows == 10000);
  CHECK_FALSE(target.has_duplicates());
  CHECK(copy.status->ended);
  CHECK(copy.status->consistent);
  CHECK(copy.status->points.size() == 2);
}

TEST_CASE(
    "after a kill, rows that moved into finished ranges are found, and it says that the copy is not of one point") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint PRIMARY KEY, x int) WITH (fillfactor = 50);"
      "INSERT INTO t SELECT g, 0 FROM generate_series(1, 10000) g");
  db.run("VACUUM ANALYZE t");
  Copy copy(db, "t");
  std::map<std::int64_t, std::pair<std::uint64_t, std::int32_t>> current;
  const auto load = [&](const RowBatch& batch) {
    for (std::size_t r = 0; r < batch.rows; ++r) {
      std::int64_t id = 0;
      std::int32_t x = 0;
      std::memcpy(&id, batch.columns[0].at(r, 8).data(), 8);
      std::memcpy(&x, batch.columns[1].at(r, 4).data(), 4);
      auto& there = current[id];
      if (batch.version_of(r) >= there.first) there = {batch.version_of(r), x};
    }
  };
  std::vector<Intent> pending;
  RowBatch batch;
  {
    Extractor& x = copy.open();
    for (int i = 0; i < 8; ++i) {
      REQUIRE(next_batch(x, batch, db.context, small(500)));
      if (i != 7) load(batch);
      if (i < 6) {
        REQUIRE(x.acknowledge(batch.stream, batch.position));
      } else {
        pending.push_back(copy.intent_of(batch));
      }
    }
    copy.kill();
  }
  copy.options.point.reset();
  // Free places in the first blocks, which are finished, are filled by rows from the end, which are not.
  db.run("DELETE FROM t WHERE id BETWEEN 1 AND 1500");
  db.run("VACUUM t");
  db.run("UPDATE t SET x = 1 WHERE id % 3 = 0; INSERT INTO t SELECT g, 2 FROM generate_series(20001, 21000) g");
  Extractor& x = copy.open(pending);
  while (next_batch(x, batch, db.context, small(500))) {
    load(batch);
    REQUIRE(x.acknowledge(batch.stream, batch.position));
  }
  CHECK(copy.status->ended);
  CHECK_FALSE(copy.status->consistent);
  for (const auto& row : db.run("SELECT id, x FROM t")) {
    const std::int64_t id = std::stoll(*row[0]);
    INFO("id " << id);
    REQUIRE(current.count(id) == 1);
    CHECK(current[id].second == std::stoi(*row[1]));
  }
}

TEST_CASE("a table that only grew between a kill and the next start is copied once, also without a key") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint, x text); INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(1, 5000) g; "
      "ANALYZE t");
  Copy copy(db, "t");
  Target target;
  RowBatch batch;
  std::vector<Intent> pending;
  {
    Extractor& x = copy.open();
    for (int i = 0; i < 4; ++i) {
      REQUIRE(next_batch(x, batch, db.context, small(500)));
      target.load(batch);
      if (i == 3)
        pending.push_back(copy.intent_of(batch));
      else
        REQUIRE(x.acknowledge(batch.stream, batch.position));
    }
    copy.kill();
  }
  db.run("INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(5001, 8000) g");
  Extractor& x = copy.open(pending);
  while (next_batch(x, batch, db.context, small(500))) {
    if (!batch.intent) target.load(batch);  // it had landed
    REQUIRE(x.acknowledge(batch.stream, batch.position));
  }
  CHECK(target.rows == 8000);
  CHECK_FALSE(target.has_duplicates());
}

TEST_CASE("a rewritten table is planned anew with a key, and refused without one") {
  TestSchema db;
  for (const bool keyed : {true, false}) {
    const std::string name = keyed ? "k" : "n";
    db.run("CREATE TABLE " + name + " (id bigint" + (keyed ? " PRIMARY KEY" : "") + "); INSERT INTO " + name +
           " SELECT g FROM generate_series(1, 5000) g; ANALYZE " + name);
    Copy copy(db, name);
    RowBatch batch;
    std::vector<Intent> pending;
    std::uint64_t first_version = 0;
    {
      Extractor& x = copy.open();
      for (int i = 0; i < 2; ++i) {
        REQUIRE(next_batch(x, batch, db.context, small(500)));
        if (i == 0) REQUIRE(x.acknowledge(batch.stream, batch.position));
      }
      pending.push_back(copy.intent_of(batch));
      first_version = batch.version;
      copy.kill();
      copy.options.point.reset();
    }
    db.run("VACUUM FULL " + name);
    if (!keyed) {
      const auto refused = copy.try_open(pending);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().message.find("--again") != std::string::npos);
      continue;
    }
    Extractor& x = copy.open(pending);
    Target target;
    while (next_batch(x, batch, db.context, small(500))) {
      if (batch.intent) {
        CHECK(batch.rows == 0);
      } else {
        CHECK(batch.version > first_version);
      }
      target.load(batch);
      REQUIRE(x.acknowledge(batch.stream, batch.position));
    }
    CHECK(target.rows == 5000);
    CHECK_FALSE(target.has_duplicates());
    CHECK(db.log.text.find("was rewritten") != std::string::npos);
  }
}

TEST_CASE("a partitioned table is copied by its partitions, an inherited one with its children, each row once") {
  TestSchema db;
  db.run(
      "CREATE TABLE p (id bigint, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
      "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 (at int NOT NULL, gone int, id "
      "bigint NOT NULL);"
      "ALTER TABLE p2 DROP gone; ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);"
      "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30) PARTITION BY LIST (at); CREATE TABLE p3d PARTITION "
      "OF p3 DEFAULT;"
      "INSERT INTO p SELECT g, g % 30 FROM generate_series(1, 6000) g;"
      "CREATE TABLE parent (id bigint); CREATE TABLE child (more int) INHERITS (parent);"
      "INSERT INTO parent SELECT g FROM generate_series(1, 1000) g; INSERT INTO child SELECT g, 1 FROM "
      "generate_series(1001, 2000) g");
  Copy copy(db, "p");
  Target target;
  drain(copy.open(), target, db.context, small(500));
  CHECK(target.rows == 6000);
  CHECK_FALSE(target.has_duplicates());
  Copy inherited(db, "parent");
  Target both;
  drain(inherited.open(), both, db.context, small(500));
  CHECK(both.rows == 2000);
  CHECK_FALSE(both.has_duplicates());
}

TEST_CASE("a view is read as a whole: begun anew after a kill with a key, refused without one") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t SELECT g FROM generate_series(1, 3000) g; CREATE VIEW v "
      "AS SELECT id FROM t");
  Copy copy(db, "v");
  const auto refused = copy.try_open();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("table.key") != std::string::npos);
  copy.options.columns.key = {"id"};
  RowBatch batch;
  std::vector<Intent> pending;
  {
    Extractor& x = copy.open();
    REQUIRE(next_batch(x, batch, db.context, small(500)));
    REQUIRE(x.acknowledge(batch.stream, batch.position));
    REQUIRE(next_batch(x, batch, db.context, small(500)));
    pending.push_back(copy.intent_of(batch));
    copy.kill();
  }
  Target target;
  drain(copy.open(pending), target, db.context, small(500));
  CHECK(target.rows == 3000);
  CHECK_FALSE(target.has_duplicates());
  CHECK(batches_of(target, 1) == "1");
}

TEST_CASE("a transaction that was under way at the point, with savepoints, is found when the copy goes on") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint); INSERT INTO t SELECT g FROM generate_series(1, 2000) g; ANALYZE t");
  TestSchema other;
  other.run("BEGIN");
  other.run("SAVEPOINT a");
  other.run("INSERT INTO " + db.table("t") + " SELECT g FROM generate_series(2001, 2010) g");
  other.run("RELEASE a");
  // Later numbers than the savepoint's, committed before the point.
  db.run("INSERT INTO t SELECT g FROM generate_series(2011, 2020) g");
  Copy copy(db, "t");
  Target target;
  RowBatch batch;
  {
    Extractor& x = copy.open();
    for (int i = 0; i < 6; ++i) {
      REQUIRE(next_batch(x, batch, db.context, small(100)));
      target.load(batch);
      if (i < 5) REQUIRE(x.acknowledge(batch.stream, batch.position));
    }
  }
  const Intent last = copy.intent_of(batch);
  copy.kill();
  other.run("COMMIT");
  Extractor& x = copy.open({last});
  while (next_batch(x, batch, db.context, small(100))) {
    if (!batch.intent) target.load(batch);
    REQUIRE(x.acknowledge(batch.stream, batch.position));
  }
  CHECK(target.rows == 2020);
  CHECK_FALSE(target.has_duplicates());
}
