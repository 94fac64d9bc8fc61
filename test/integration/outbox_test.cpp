#include "pgch/extract/outbox.h"

#include <random>
#include <set>

#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

// As S4 has it: the note's key is the row's.
constexpr const char* s4 =
    "CREATE TABLE source_table (id serial PRIMARY KEY, name text, value float8);"
    "CREATE TABLE events_table (id integer PRIMARY KEY, created_at timestamptz DEFAULT now());"
    "CREATE FUNCTION log_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO events_table (id) VALUES "
    "(NEW.id) "
    "ON CONFLICT DO NOTHING; RETURN NEW; END';"
    "CREATE TRIGGER trg_capture_insert AFTER INSERT ON source_table FOR EACH ROW EXECUTE FUNCTION log_event();";

OutboxOptions outbox(const TestSchema& db, const std::string& table, const std::string& outbox = "") {
  OutboxOptions options;
  options.postgres = test_server();
  options.table = db.table(table);
  if (!outbox.empty()) options.outbox = db.table(outbox);
  return options;
}

void set_up(TestSchema& db, const OutboxOptions& options) {
  const auto described = db.session->describe(options.table, options.columns);
  REQUIRE(described);
  const auto statements = outbox_setup_sql(options, *described);
  REQUIRE(statements);
  for (int twice = 0; twice < 2; ++twice) {
    for (const std::string& s : *statements) db.run(s);
  }
}

std::unique_ptr<Extractor> opened(OutboxOptions options, const Context& context, std::vector<Intent> pending = {}) {
  auto made = make_outbox(std::move(options));
  if (!made) FAIL(made.error().message);
  auto ok = (*made)->open(context, std::move(pending));
  if (!ok) FAIL(ok.error().message);
  return std::move(*made);
}

std::string refused(OutboxOptions options, const Context& context) {
  auto made = make_outbox(std::move(options));
  if (!made) return made.error().message;
  auto ok = (*made)->open(context, {});
  REQUIRE_FALSE(ok);
  return ok.error().message;
}

// What ReplacingMergeTree(_version, _deleted) makes of the batches, in the order in which they came: key → version, and
// the value of the second column.
struct Replica {
  struct Row {
    std::uint64_t version = 0;
    bool removed = false;
    std::string value;
  };
  std::map<std::int64_t, Row> rows;
  std::uint64_t moved = 0;

  void load(const RowBatch& batch) {
    for (std::size_t r = 0; r < batch.rows; ++r) {
      std::int64_t key = 0;
      const std::size_t width = width_of(layout_of(batch.schema->columns[0]));
      std::memcpy(&key, batch.columns[0].at(r, width).data(), width);
      Row& row = rows[key];
      ++moved;
      const bool removed = batch.op_of(r) == RowOp::remove;
      std::string value(as_text(batch.columns[1].at(r, 0)));
      if (batch.version_of(r) >= row.version) row = {batch.version_of(r), removed, std::move(value)};
    }
  }
  std::string text() const {
    std::string out;
    for (const auto& [key, row] : rows) {
      if (!row.removed) out += std::to_string(key) + "=" + row.value + ";";
    }
    return out;
  }
};

std::size_t drain(Extractor& x, Replica& replica, const Context& context, BatchLimits limits = {}) {
  RowBatch batch;
  std::size_t batches = 0;
  while (next_batch(x, batch, context, limits)) {
    replica.load(batch);
    ++batches;
    REQUIRE(x.acknowledge(batch.stream, batch.position));
  }
  return batches;
}

std::string source_text(TestSchema& db, const std::string& table) {
  return db.one("SELECT coalesce(string_agg(id || '=' || name || ';', '' ORDER BY id), '') FROM " + table);
}

}  // namespace

TEST_CASE("an outbox of keys only, as S4 has it, is drained to the last row, each once") {
  TestSchema db;
  db.run(s4);
  db.run("INSERT INTO source_table (name, value) SELECT 'n' || g, g / 4.0 FROM generate_series(1, 1050) g");
  auto x = opened(outbox(db, "source_table", "events_table"), db.context);
  Replica replica;
  CHECK(drain(*x, replica, db.context, rows_at_once(100)) == 11);
  CHECK(replica.moved == 1050);
  CHECK(replica.text() == source_text(db, "source_table"));
  CHECK(db.one("SELECT count(*) FROM events_table") == "0");
  CHECK(x->take_acknowledged().size() == 11);
  db.run("INSERT INTO source_table (name, value) VALUES ('one more', 1)");
  CHECK(drain(*x, replica, db.context) == 1);
  CHECK(replica.moved == 1051);
}

TEST_CASE("inserts, updates, deletes, changes of a key and truncation are noted and moved") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL, born date NOT NULL DEFAULT now())");
  const OutboxOptions options = outbox(db, "t");
  set_up(db, options);
  auto x = opened(options, db.context);
  Replica replica;
  db.run("INSERT INTO t (id, name) SELECT g, 'n' || g FROM generate_series(1, 20) g");
  drain(*x, replica, db.context);
  CHECK(replica.text() == source_text(db, "t"));
  db.run("UPDATE t SET name = name || '!' WHERE id % 2 = 0; DELETE FROM t WHERE id % 5 = 0");
  db.run("UPDATE t SET id = id + 100 WHERE id < 4; INSERT INTO t (id, name) VALUES (5, 'again')");
  db.run("BEGIN; INSERT INTO t (id, name) VALUES (50, 'never'); ROLLBACK");
  drain(*x, replica, db.context, rows_at_once(7));
  CHECK(replica.text() == source_text(db, "t"));
  CHECK(replica.rows.count(50) == 0);
  CHECK(replica.rows[10].removed);
  CHECK(replica.rows[1].removed);
  db.run("TRUNCATE t");
  drain(*x, replica, db.context);
  CHECK(replica.text().empty());
  CHECK(db.one("SELECT count(*) FROM t_outbox") == "0");
}

TEST_CASE("several notes for one row move it once in a batch, and all of them are deleted") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
  const OutboxOptions options = outbox(db, "t");
  set_up(db, options);
  db.run("INSERT INTO t SELECT g, 'a' FROM generate_series(1, 10) g");
  for (int i = 0; i < 5; ++i) db.run("UPDATE t SET name = 'b" + std::to_string(i) + "'");
  auto x = opened(options, db.context);
  Replica replica;
  CHECK(drain(*x, replica, db.context) == 1);
  CHECK(replica.moved == 10);
  CHECK(replica.text() == source_text(db, "t"));
  CHECK(db.one("SELECT count(*) FROM t_outbox") == "0");
}

TEST_CASE("notes of a batch that was under way are read again with their places and version; those behind it stay") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
  const OutboxOptions options = outbox(db, "t");
  set_up(db, options);
  db.run("INSERT INTO t SELECT g, 'a' FROM generate_series(1, 10) g; UPDATE t SET name = 'b' WHERE id = 2");
  RowBatch batch;
  Intent intent;
  std::uint64_t version = 0;
  {
    auto x = opened(options, db.context);
    REQUIRE(next_batch(*x, batch, db.context));
    CHECK(batch.rows == 10);
    intent = intent_of(batch);
    version = batch.version;
  }
  db.run("UPDATE t SET name = 'c' WHERE id = 3; DELETE FROM t WHERE id = 4; DELETE FROM t_outbox WHERE id = 7");
  auto x = opened(options, db.context, {intent});
  REQUIRE(next_batch(*x, batch, db.context));
  REQUIRE(batch.intent);
  CHECK(batch.position == intent.position);
  CHECK(batch.version == version);
  CHECK(batch.ordinals == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 7, 8, 9});
  CHECK(batch.op_of(3) == RowOp::remove);
  Replica replica;
  replica.load(batch);
  // What changed while it was out is moved after it, in a higher version.
  db.run("UPDATE t SET name = 'd' WHERE id = 5");
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  CHECK(drain(*x, replica, db.context) == 1);
  CHECK(replica.moved == 12);
  CHECK(replica.rows[5].version > version);
  replica.rows[7] = {1, false, "a"};
  CHECK(replica.text() == source_text(db, "t"));
  CHECK(db.one("SELECT count(*) FROM t_outbox") == "0");
}

TEST_CASE("while rows change all the time and sessions are killed, the last state of each row arrives") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
  OutboxOptions options = outbox(db, "t");
  set_up(db, options);
  std::mt19937_64 random(20261121);
  Replica replica;
  auto x = opened(options, db.context);
  RowBatch batch;
  std::vector<std::pair<std::string, Position>> held;
  for (int step = 0; step < 400; ++step) {
    const auto id = std::to_string(random() % 40);
    switch (random() % 12) {
      case 0:
        db.run("DELETE FROM t WHERE id = " + id);
        break;
      case 1:
        db.run("UPDATE t SET id = id + 1000 WHERE id = " + id + " AND NOT EXISTS (SELECT FROM t WHERE id = 1000 + " +
               id + ")");
        break;
      case 2:
        if (random() % 4 == 0) kill_sessions(db);
        break;
      case 3:
      case 4:
      case 5:
      case 6: {
        auto got = x->fetch(batch, rows_at_once(static_cast<std::uint32_t>(1 + random() % 9)),
                            db.context.clock.now() + std::chrono::seconds(10));
        if (!got) {
          REQUIRE(got.error().recovery == Recovery::retry);
        } else if (*got == Fetch::rows) {
          replica.load(batch);
          held.emplace_back(batch.stream, batch.position);
        }
        break;
      }
      case 7:
        if (!held.empty()) {
          const std::size_t at = random() % held.size();
          const auto ok = x->acknowledge(held[at].first, held[at].second);
          if (!ok) REQUIRE(ok.error().recovery == Recovery::retry);
          held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
        }
        break;
      default:
        db.run("INSERT INTO t VALUES (" + id + ", 'v" + std::to_string(step) +
               "') ON CONFLICT (id) DO UPDATE SET name = excluded.name");
    }
  }
  for (const auto& [stream, position] : held) {
    const auto ok = x->acknowledge(stream, position);
    if (!ok) REQUIRE(ok.error().recovery == Recovery::retry);
  }
  for (int tries = 0; tries < 3; ++tries) {
    while (next_batch(*x, batch, db.context)) {
      replica.load(batch);
      const auto ok = x->acknowledge(batch.stream, batch.position);
      if (!ok) REQUIRE(ok.error().recovery == Recovery::retry);
    }
  }
  CHECK(replica.text() == source_text(db, "t"));
  CHECK(db.one("SELECT count(*) FROM t_outbox") == "0");
}

TEST_CASE("shares of an outbox keep each row's notes together") {
  TestSchema db;
  db.run("CREATE TABLE t (a bigint, name text, b text, PRIMARY KEY (a, b))");
  OutboxOptions options = outbox(db, "t");
  set_up(db, options);
  for (int i = 0; i < 3; ++i)
    db.run(
        "INSERT INTO t SELECT g, 'n', 'b' || g FROM generate_series(1, 200) g ON CONFLICT (a, b) DO UPDATE SET name = "
        "'m'");
  std::map<std::int64_t, std::set<int>> by;
  options.shares = 3;
  for (int share = 1; share <= 3; ++share) {
    options.share = static_cast<std::uint32_t>(share);
    auto x = opened(options, db.context);
    Replica replica;
    CHECK(drain(*x, replica, db.context, rows_at_once(50)) > 1);
    CHECK(replica.rows.size() > 20);
    for (const auto& [key, row] : replica.rows) by[key].insert(share);
  }
  CHECK(by.size() == 200);
  for (const auto& [key, shares] : by) CHECK(shares.size() == 1);
  CHECK(db.one("SELECT count(*) FROM t_outbox") == "0");
}

TEST_CASE("triggers find their outbox whatever the writer's search_path is, and need no rights of his") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
  auto described = db.session->describe("t", {});
  REQUIRE(described);
  OutboxOptions options;
  options.table = "t";
  const auto statements = outbox_setup_sql(options, *described);
  REQUIRE(statements);
  for (const std::string& s : *statements) db.run(s);
  db.run("DO 'BEGIN CREATE ROLE pgch_writer; EXCEPTION WHEN duplicate_object THEN END'");
  db.run("GRANT USAGE ON SCHEMA " + db.name + " TO pgch_writer; GRANT INSERT ON t TO pgch_writer");
  db.run("SET search_path = public; SET ROLE pgch_writer; INSERT INTO " + db.table("t") +
         " VALUES (1, 'a'); RESET ROLE");
  db.run("SET search_path = " + db.name);
  CHECK(db.one("SELECT id || ' ' || _op::text FROM t_outbox") == "1 I");
  db.run("DROP OWNED BY pgch_writer; DROP ROLE pgch_writer");
}

TEST_CASE("a partitioned table's outbox notes what is written to its partitions") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR "
      "VALUES "
      "FROM (0) TO (100); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200)");
  const OutboxOptions options = outbox(db, "t");
  set_up(db, options);
  db.run(
      "INSERT INTO t1 SELECT g, 'a' FROM generate_series(1, 50) g; INSERT INTO t SELECT g, 'b' FROM "
      "generate_series(101, 150) g");
  db.run("UPDATE t SET id = id + 150 WHERE id = 7; DELETE FROM t2 WHERE id = 110");
  auto x = opened(options, db.context);
  Replica replica;
  drain(*x, replica, db.context);
  CHECK(replica.text() == source_text(db, "t"));
  CHECK(replica.rows[7].removed);
  db.run("TRUNCATE t");
  drain(*x, replica, db.context);
  CHECK(replica.text().empty());
}

TEST_CASE(
    "rows that are gone can be skipped: their notes are deleted, also when a batch has no others, and after a crash") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
  OutboxOptions options = outbox(db, "t");
  set_up(db, options);
  options.skip_gone = true;
  db.run("INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 20) g; DELETE FROM t WHERE id > 5");
  std::vector<Intent> pending;
  {
    auto x = opened(options, db.context);
    RowBatch batch;
    REQUIRE(next_batch(*x, batch, db.context));
    CHECK(batch.rows == 5);
    CHECK(batch.ops.empty());
    pending.push_back(intent_of(batch));
  }
  {
    auto x = opened(options, db.context, pending);
    Replica replica;
    drain(*x, replica, db.context);
    CHECK(replica.text() == source_text(db, "t"));
    CHECK(replica.moved == 5);
  }
  CHECK(db.one("SELECT count(*) FROM " + options.table + "_outbox") == "0");
  db.run("DELETE FROM t");
  auto x = opened(options, db.context);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context));
  CHECK(batch.rows == 0);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  CHECK_FALSE(next_batch(*x, batch, db.context));
  CHECK(x->take_acknowledged().size() == 1);
  CHECK(db.one("SELECT count(*) FROM " + options.table + "_outbox") == "0");
}

TEST_CASE("a trigger that keeps notes is told, and none is deleted") {
  TestSchema db;
  db.run(s4);
  db.run(
      "INSERT INTO source_table (name) SELECT 'n' FROM generate_series(1, 5); "
      "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.id = 3 THEN RETURN NULL; END IF; RETURN "
      "OLD; END'; "
      "CREATE TRIGGER no BEFORE DELETE ON events_table FOR EACH ROW EXECUTE FUNCTION no()");
  auto x = opened(outbox(db, "source_table", "events_table"), db.context);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context));
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  std::optional<Error> error;
  for (int i = 0; i < 100 && !error; ++i) {
    auto got = x->fetch(batch, {}, db.context.clock.now() + std::chrono::seconds(1));
    if (!got) error = got.error();
  }
  REQUIRE(error);
  CHECK(error->recovery == Recovery::halt);
  CHECK_THAT(error->message, Catch::Matchers::Contains("let the DELETE through"));
  CHECK(x->take_acknowledged().empty());
  CHECK(db.one("SELECT count(*) FROM events_table") == "5");
}

TEST_CASE("a user who may not claim notes is told which GRANTs are missing, and with just them it works") {
  TestSchema db;
  db.run(s4);
  db.run("INSERT INTO source_table (name) SELECT 'n' FROM generate_series(1, 5)");
  const std::string role = db.name + "_reader";
  db.run("CREATE ROLE " + role + " LOGIN; GRANT USAGE ON SCHEMA " + db.name + " TO " + role +
         "; GRANT SELECT ON source_table, events_table TO " + role);
  OutboxOptions options = outbox(db, "source_table", "events_table");
  options.postgres.conninfo += " user=" + role;
  CHECK_THAT(refused(options, db.context), Catch::Matchers::Contains("GRANT SELECT, UPDATE, DELETE ON"));
  db.run("GRANT UPDATE, DELETE ON events_table TO " + role);
  Replica replica;
  {
    auto x = opened(options, db.context);
    drain(*x, replica, db.context);
  }
  CHECK(replica.moved == 5);
  db.run("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_CASE("what is wrong with an outbox has its sentence") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id bigint PRIMARY KEY, name text); CREATE TABLE bare (id bigint); CREATE TABLE o (note bigint "
      "PRIMARY KEY)");
  using Catch::Matchers::Contains;
  CHECK_THAT(refused(outbox(db, "t"), db.context), Contains("There is no outbox") && Contains("pgch setup"));
  CHECK_THAT(refused(outbox(db, "bare", "o"), db.context), Contains("has no key"));
  CHECK_THAT(refused(outbox(db, "t", "bare"), db.context), Contains("has no primary key"));
  CHECK_THAT(refused(outbox(db, "t", "o"), db.context), Contains("has no column \"id\"") && Contains("outbox_key"));
  auto options = outbox(db, "t", "o");
  options.key = {"note", "note"};
  CHECK_THAT(refused(options, db.context), Contains("names 2 columns"));
  options.key = {"note"};
  CHECK(opened(options, db.context));
  options.share = 3;
  CHECK_THAT(refused(options, db.context), Contains("share"));
}
