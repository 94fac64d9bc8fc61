#include <atomic>
#include <thread>

#include "test/integration/flag_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

Error refused(FlagOptions options, const Context& context) {
  auto made = make_flag(std::move(options));
  if (!made) return made.error();
  auto ok = (*made)->open(context, {});
  REQUIRE_FALSE(ok);
  return ok.error();
}

bool says(const Error& e, std::string_view part) {
  INFO(e.message);
  CHECK(e.message.find(part) != std::string::npos);
  return e.message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every unsent row is delivered once and marked, NULL flags included; a second run finds nothing") {
  TestSchema db;
  db.run(logins);
  fill(db, 2500);
  db.run(
      "UPDATE user_logins SET sent_to_kafka = NULL WHERE id % 3 = 0; UPDATE user_logins SET sent_to_kafka = true WHERE "
      "id > 2400");
  Target target;
  auto x = opened(db.flag("user_logins"), db.context);
  CHECK(drain(*x, target, db.context, rows_at_once(300)) == 8);
  CHECK(target.rows == 2400);
  CHECK_FALSE(target.has_duplicates());
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
  CHECK(x->take_acknowledged().size() == 8);
  CHECK(drain(*x, target, db.context) == 0);
  fill(db, 10);
  CHECK(drain(*x, target, db.context) == 1);
  CHECK(target.rows == 2410);
  CHECK_FALSE(target.has_duplicates());
}

TEST_CASE("a batch holds what the table holds, with the flag left out and columns renamed") {
  TestSchema db;
  db.run(logins);
  db.run("INSERT INTO user_logins VALUES (7, 42, 'login', '2024-02-29 12:34:56.789012+00', '{\"a\": 1}')");
  auto options = db.flag("user_logins");
  options.columns.rename = {{"event_type", "kind"}};
  options.columns.exclude = {"user_id"};
  auto x = opened(options, db.context);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context));
  REQUIRE(batch.schema->columns.size() == 4);
  CHECK(batch.schema->columns[1].name == "kind");
  CHECK(batch.schema->key_order == std::vector<std::string>{"id"});
  CHECK(as_text(batch.columns[1].at(0, 0)) == "login");
  std::int64_t at = 0;
  std::memcpy(&at, batch.columns[2].at(0, 8).data(), 8);
  CHECK(at == 1709210096789012);
  CHECK(as_text(batch.columns[3].at(0, 0)) == "{\"a\": 1}");
  CHECK(batch.version > 0);
  CHECK(batch.stream == "flag:" + db.table("user_logins"));
}

TEST_CASE("a row that is not acknowledged is not marked") {
  TestSchema db;
  db.run(logins);
  fill(db, 30);
  {
    auto x = opened(db.flag("user_logins"), db.context);
    RowBatch batch;
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
    REQUIRE(x->acknowledge(batch.stream, batch.position));
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
    x->close();
    CHECK(x->take_acknowledged().size() == 1);
  }
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka") == "10");
}

TEST_CASE("abandoned rows come again in another batch, with a higher version") {
  TestSchema db;
  db.run(logins);
  fill(db, 5);
  auto x = opened(db.flag("user_logins"), db.context);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context));
  const auto version = batch.version;
  x->abandon(batch.stream, batch.position);
  Target target;
  REQUIRE(next_batch(*x, batch, db.context));
  CHECK(batch.rows == 5);
  CHECK(batch.version > version);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  CHECK_FALSE(next_batch(*x, batch, db.context));
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka") == "5");
}

TEST_CASE("rows locked by somebody else are skipped, and come when they are free") {
  TestSchema db;
  db.run(logins);
  fill(db, 10);
  db.run("BEGIN; SELECT * FROM user_logins WHERE id IN (3, 4) FOR UPDATE");
  Target target;
  auto x = opened(db.flag("user_logins"), db.context);
  drain(*x, target, db.context);
  CHECK(target.rows == 8);
  db.run("ROLLBACK");
  drain(*x, target, db.context);
  CHECK(target.rows == 10);
  CHECK_FALSE(target.has_duplicates());
}

TEST_CASE("concurrent inserters and several producers: nothing lost, nothing twice") {
  TestSchema db;
  db.run(logins);
  fill(db, 3000);
  std::atomic<bool> writing{true};
  std::vector<std::thread> writers;
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([&] {
      KeepingLogger log;
      const Context context{log, system_clock(), {}};
      auto session = open_postgres(test_server(), context);
      for (int i = 0; session && i < 100; ++i) {
        (void)(*session)
            ->query("INSERT INTO " + db.table("user_logins") + " (user_id) SELECT generate_series(1, 20)")
            .
            operator bool();
      }
    });
  }
  std::vector<Target> targets(3);
  std::vector<std::thread> producers;
  std::atomic<int> failures{0};
  for (std::size_t p = 0; p < targets.size(); ++p) {
    producers.emplace_back([&, p] {
      KeepingLogger log;
      const Context context{log, system_clock(), {}};
      auto options = db.flag("user_logins");
      options.stream = "producer-" + std::to_string(p);
      auto x = make_flag(options);
      if (!x || !(*x)->open(context, {})) {
        ++failures;
        return;
      }
      RowBatch batch;
      int idle = 0;
      while (idle < 3) {
        const bool last = !writing;
        auto got = (*x)->fetch(batch, rows_at_once(170), context.clock.now() + std::chrono::seconds(5));
        if (!got) {
          ++failures;
          return;
        }
        if (*got == Fetch::rows) {
          targets[p].load(batch);
          if (!(*x)->acknowledge(batch.stream, batch.position)) ++failures;
        } else if (*got == Fetch::idle && last) {
          ++idle;
        }
      }
    });
  }
  for (auto& t : writers) t.join();
  writing = false;
  for (auto& t : producers) t.join();
  CHECK(failures == 0);
  Target all;
  for (const Target& t : targets) {
    for (const auto& [value, n] : t.seen) all.seen[value] += n;
    all.rows += t.rows;
  }
  CHECK(all.rows == 7000);
  CHECK(all.seen.size() == 7000);
  CHECK_FALSE(all.has_duplicates());
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("a stream has one writer; another name may work beside it") {
  TestSchema db;
  db.run(logins);
  auto first = opened(db.flag("user_logins"), db.context);
  const Error e = refused(db.flag("user_logins"), db.context);
  CHECK(e.code == Errc::conflict);
  says(e, "Another pgch is already producing stream");
  auto options = db.flag("user_logins");
  options.stream = "second";
  auto second = opened(options, db.context);
  first->close();
  auto third = opened(db.flag("user_logins"), db.context);
}

TEST_CASE("shares of a table hold every row once, and no producer of the whole table works beside them") {
  TestSchema db;
  db.run(logins);
  fill(db, 3000);
  Target target;
  auto options = db.flag("user_logins");
  options.shares = 2;
  auto first = opened(options, db.context);
  const Error whole = refused(db.flag("user_logins"), db.context);
  CHECK(whole.code == Errc::conflict);
  CHECK(refused(options, db.context).code == Errc::conflict);
  options.share = 2;
  auto second = opened(options, db.context);
  drain(*first, target, db.context, rows_at_once(200));
  CHECK(target.rows > 1000);
  CHECK(target.rows < 2000);
  drain(*second, target, db.context, rows_at_once(200));
  CHECK(target.rows == 3000);
  CHECK_FALSE(target.has_duplicates());
  options.share = 3;
  CHECK_FALSE(make_flag(options));
}

TEST_CASE("composite and text keys of odd values are read, moved past and marked") {
  TestSchema db;
  db.run(
      "CREATE TABLE odd (n bigint NOT NULL, \"a \"\"key\" text NOT NULL, day date NOT NULL, sent_to_kafka boolean, "
      "PRIMARY KEY (\"a \"\"key\", day))");
  db.run(
      "INSERT INTO odd SELECT g, CASE g % 4 WHEN 0 THEN '' WHEN 1 THEN E'\\\\' || g WHEN 2 THEN '{\"x\",' || g ELSE "
      "'grüß' || g END, date '2000-01-01' + g FROM generate_series(1, 400) g");
  auto options = db.flag("odd");
  options.columns.exclude = {"day"};
  Target target;
  auto x = opened(options, db.context);
  drain(*x, target, db.context, rows_at_once(37));
  CHECK(target.rows == 400);
  CHECK_FALSE(target.has_duplicates());
  CHECK(db.one("SELECT count(*) FROM odd WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("a batch with a composite key that was under way when a process ended is read again") {
  TestSchema db;
  db.run("CREATE TABLE pair (a int, b text, n int, sent_to_kafka boolean, PRIMARY KEY (a, b))");
  db.run("INSERT INTO pair SELECT g, 'b' || g, g FROM generate_series(1, 20) g");
  RowBatch batch;
  std::vector<Intent> pending;
  {
    auto x = opened(db.flag("pair"), db.context);
    REQUIRE(next_batch(*x, batch, db.context));
    CHECK(batch.rows == 20);
    pending.push_back(intent_of(batch));
  }
  auto x = opened(db.flag("pair"), db.context, pending);
  REQUIRE(next_batch(*x, batch, db.context));
  CHECK(batch.intent.has_value());
  CHECK(batch.rows == 20);
  Target target;
  drain(*x, target, db.context, rows_at_once(5));
}

TEST_CASE("partitioned tables and children are marked by key") {
  TestSchema db;
  db.run(
      "CREATE TABLE parts (id bigint PRIMARY KEY, sent_to_kafka boolean DEFAULT false) PARTITION BY RANGE (id);"
      "CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);"
      "CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (1000);"
      "INSERT INTO parts SELECT generate_series(0, 199)");
  Target target;
  auto x = opened(db.flag("parts"), db.context);
  drain(*x, target, db.context, rows_at_once(60));
  CHECK(target.rows == 200);
  CHECK_FALSE(target.has_duplicates());
  CHECK(db.one("SELECT count(*) FROM parts WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("a batch that is cut by bytes goes on in the same transaction, and is marked when all of it is delivered") {
  TestSchema db;
  db.run(logins);
  fill(db, 1000);
  BatchLimits limits;
  limits.bytes_max = 8000;
  // Few rows are expected from the statistics; wide rows then overflow the batch.
  db.run(
      "ANALYZE user_logins; UPDATE user_logins SET payload = jsonb_build_object('x', repeat('y', 900)) WHERE id > 100");
  Target target;
  auto x = opened(db.flag("user_logins"), db.context);
  RowBatch batch;
  std::size_t batches = 0;
  std::vector<Position> held;
  while (next_batch(*x, batch, db.context, limits)) {
    CHECK((batch.rows == 1 || batch.bytes() < 12'000));
    target.load(batch);
    ++batches;
    REQUIRE(x->acknowledge(batch.stream, batch.position));
  }
  CHECK(batches > 50);
  CHECK(target.rows == 1000);
  CHECK_FALSE(target.has_duplicates());
  x->close();
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE(
    "after a crash the open intent's rows come first, without those that were changed, with their old places and "
    "version") {
  TestSchema db;
  db.run(logins);
  fill(db, 10);
  RowBatch batch;
  Intent intent;
  std::uint64_t version = 0;
  {
    auto x = opened(db.flag("user_logins"), db.context);
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(6)));
    intent = intent_of(batch);
    version = batch.version;
  }
  db.run(
      "UPDATE user_logins SET user_id = 999 WHERE id = 3; DELETE FROM user_logins WHERE id = 5; UPDATE user_logins SET "
      "sent_to_kafka = true WHERE id = 1");
  auto x = opened(db.flag("user_logins"), db.context, {intent});
  REQUIRE(next_batch(*x, batch, db.context));
  REQUIRE(batch.intent);
  CHECK(batch.intent->sequence == 1);
  CHECK(batch.position == intent.position);
  CHECK(batch.version == version);
  CHECK(batch.ordinals == std::vector<std::uint32_t>{1, 3, 5});
  Target target;
  target.load(batch);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  drain(*x, target, db.context);
  CHECK(target.rows == 8);
  CHECK_FALSE(target.has_duplicates());
  CHECK(target.seen.count(3) == 1);
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("there is not nothing left while a batch's own transaction still locks a row that it will not mark") {
  TestSchema db;
  db.run(logins);
  fill(db, 10);
  RowBatch batch;
  Intent intent;
  {
    auto x = opened(db.flag("user_logins"), db.context);
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(6)));
    intent = intent_of(batch);
  }
  // Row 3 has changed, so it is locked with the replayed batch but not part of it; and that batch's mark takes long.
  db.run(
      "UPDATE user_logins SET user_id = 999 WHERE id = 3; CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'; CREATE TRIGGER slow AFTER UPDATE ON user_logins FOR EACH ROW "
      "WHEN "
      "(NEW.id = 2) EXECUTE FUNCTION slow()");
  auto x = opened(db.flag("user_logins"), db.context, {intent});
  REQUIRE(next_batch(*x, batch, db.context));
  CHECK(batch.rows == 5);
  Target target;
  target.load(batch);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  drain(*x, target, db.context);
  CHECK(target.rows == 10);
  CHECK(target.seen.count(3) == 1);
  CHECK_FALSE(target.has_duplicates());
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("an intent whose rows were all marked gives an empty batch, which is acknowledged at once") {
  TestSchema db;
  db.run(logins);
  fill(db, 4);
  RowBatch batch;
  Intent intent;
  {
    auto x = opened(db.flag("user_logins"), db.context);
    REQUIRE(next_batch(*x, batch, db.context));
    intent = intent_of(batch);
    REQUIRE(x->acknowledge(batch.stream, batch.position));
  }
  auto x = opened(db.flag("user_logins"), db.context, {intent});
  REQUIRE(next_batch(*x, batch, db.context));
  CHECK(batch.rows == 0);
  REQUIRE(batch.intent);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  CHECK(x->take_acknowledged().size() == 1);
  CHECK_FALSE(next_batch(*x, batch, db.context));
}

TEST_CASE("when the server ends the sessions, a batch that was out comes again before anything new") {
  TestSchema db;
  db.run(logins);
  fill(db, 100);
  auto x = opened(db.flag("user_logins"), db.context);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
  const Position position = batch.position;
  kill_sessions(db);
  // Nothing new may be read while the first batch's rows are unlocked: they would come under two intents.
  auto got = x->fetch(batch, rows_at_once(50), db.context.clock.now() + std::chrono::seconds(1));
  if (got) CHECK(*got == Fetch::busy);
  const auto done = x->acknowledge("flag:" + db.table("user_logins"), position);
  REQUIRE_FALSE(done);
  CHECK(done.error().recovery == Recovery::retry);
  REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
  CHECK(batch.position == position);
  CHECK(batch.rows == 10);
  Target target;
  target.load(batch);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  drain(*x, target, db.context, rows_at_once(10));
  CHECK(target.rows == 100);
  CHECK_FALSE(target.has_duplicates());
}

TEST_CASE(
    "when only the transaction that holds a batch dies, no other lane hands its rows out under another position") {
  TestSchema db;
  db.run(logins);
  fill(db, 20);
  auto x = opened(db.flag("user_logins"), db.context);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context));
  REQUIRE(batch.rows == 20);
  const Position position = batch.position;
  kill_sessions(db, true);
  const auto got = x->fetch(batch, {}, db.context.clock.now() + std::chrono::seconds(1));
  if (got) CHECK(*got != Fetch::rows);
  CHECK_FALSE(x->acknowledge("flag:" + db.table("user_logins"), position));
  REQUIRE(next_batch(*x, batch, db.context));
  CHECK(batch.position == position);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  CHECK_FALSE(next_batch(*x, batch, db.context));
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("killed again and again at random, with a model of the pipeline's journal, nothing is lost or doubled") {
  TestSchema db;
  db.run(logins);
  fill(db, 500);
  int filled = 500;
  auto options = db.flag("user_logins");
  options.lanes = 3;
  auto x = opened(options, db.context);
  // What the pipeline does: an intent before the load, closed when the acknowledgement is durable; known positions are
  // looked for at the target before they are loaded.
  std::map<std::string, int> intents;
  Target target;
  RowBatch batch;
  std::vector<Position> out;
  unsigned random = GENERATE(1U, 22U, 333U, 4444U);
  const auto next = [&random] { return random = random * 1664525U + 1013904223U, random >> 16; };
  for (int step = 0; target.seen.size() < 4000 || !intents.empty() || !out.empty(); ++step) {
    REQUIRE(step < 20'000);
    if (filled < 4000 && next() % 2 == 0) {
      fill(db, 50);
      filled += 50;
    }
    if (next() % 20 == 0) kill_sessions(db, next() % 2 == 0);
    // A limit beyond the table's end makes the next select begin at the start again.
    auto got = x->fetch(batch, rows_at_once(next() % 4 == 0 ? 9000 : 100),
                        db.context.clock.now() + std::chrono::milliseconds(200));
    if (!got) REQUIRE(got.error().recovery == Recovery::retry);
    if (got && *got == Fetch::rows) {
      if (intents.count(batch.position.bytes) != 0) {
        for (std::size_t r = 0; r < batch.rows; ++r) {
          std::int64_t id = 0;
          std::memcpy(&id, batch.columns[0].at(r, 8).data(), 8);
          CHECK(target.seen.count(id) == 1);  // loaded before, so found
        }
      } else {
        intents[batch.position.bytes] = 1;
        target.load(batch);
      }
      out.push_back(batch.position);
    }
    if (!out.empty() && (!got || *got != Fetch::rows || next() % 2 == 0)) {
      auto done = x->acknowledge("flag:" + db.table("user_logins"), out.front());
      if (!done) REQUIRE(done.error().recovery == Recovery::retry);
      out.erase(out.begin());
    }
    for (const Acknowledged& a : x->take_acknowledged()) intents.erase(a.position.bytes);
  }
  CHECK(target.rows == 4000);
  CHECK_FALSE(target.has_duplicates());
  x->close();
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("rows with values that no column can hold are set aside with their reason, marked, and stop nobody") {
  TestSchema db;
  db.run(
      "CREATE TABLE edges (id bigint PRIMARY KEY, d date, n numeric(6,2), sent_to_kafka boolean DEFAULT false);"
      "INSERT INTO edges VALUES (1, '2024-01-01', 1.5), (2, 'infinity', 1), (3, '1800-01-01', 1), (4, NULL, 'NaN'), "
      "(5, NULL, NULL)");
  auto x = opened(db.flag("edges"), db.context);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context));
  CHECK(batch.rows == 2);
  REQUIRE(batch.rejected.size() == 3);
  CHECK(batch.rejected[0].reason.find("\"d\" (date)") != std::string::npos);
  CHECK(batch.rejected[2].reason.find("\"n\" (numeric(6,2))") != std::string::npos);
  CHECK_FALSE(batch.rejected[0].payload.empty());
  CHECK(batch.columns[1].nulls.size() == 2);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  CHECK_FALSE(next_batch(*x, batch, db.context));
  CHECK(db.one("SELECT count(*) FROM edges WHERE sent_to_kafka IS NOT TRUE") == "0");
}

TEST_CASE("a trigger that keeps the mark from a row, or takes it off again, is told, and nothing is marked") {
  TestSchema db;
  db.run(logins);
  fill(db, 5);
  const char* what = GENERATE("RETURN NULL", "NEW.sent_to_kafka := false");
  db.run(std::string("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.id = 3 THEN ") + what +
         "; END IF; RETURN NEW; END';"
         "CREATE TRIGGER no BEFORE UPDATE ON user_logins FOR EACH ROW EXECUTE FUNCTION no()");
  auto x = opened(db.flag("user_logins"), db.context);
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
  says(*error, "trigger");
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka") == "0");
}

TEST_CASE("everything that can be wrong with the source has its sentence") {
  TestSchema db;
  db.run(logins);
  db.run(
      "CREATE TABLE no_flag (id int PRIMARY KEY); CREATE TABLE text_flag (id int PRIMARY KEY, sent_to_kafka text); "
      "CREATE TABLE no_key (id int, sent_to_kafka boolean);"
      "CREATE VIEW a_view AS SELECT * FROM user_logins");
  CHECK(says(refused(db.flag("missing"), db.context), "There is no table"));
  CHECK(says(refused(db.flag("no_flag"), db.context), "pgch setup"));
  CHECK(says(refused(db.flag("text_flag"), db.context), "of type text"));
  CHECK(says(refused(db.flag("no_key"), db.context), "has no key"));
  CHECK(says(refused(db.flag("a_view"), db.context), "is not a table"));
  auto options = db.flag("user_logins");
  options.columns.include = {"id", "user_idd"};
  const Error e = refused(options, db.context);
  CHECK(e.code == Errc::not_found);
  CHECK(says(e, "\"user_idd\""));
  options = db.flag("no_key");
  options.columns.key = {"id"};
  CHECK(says(refused(options, db.context), "may be NULL"));
  options = db.flag("user_logins");
  options.table = "a.b.c";
  CHECK(refused(options, db.context).code == Errc::config);
  options = db.flag("user_logins");
  options.lanes = 0;
  CHECK(says(refused(options, db.context), "lanes"));
  CHECK(db.log.text.find("partial index") == std::string::npos);
  db.run("DROP INDEX user_logins_id_idx");
  auto x = opened(db.flag("user_logins"), db.context);
  CHECK(db.log.text.find("partial index") != std::string::npos);
}

TEST_CASE("a user without the right to update is told which GRANT is missing") {
  TestSchema db;
  db.run(logins);
  const std::string role = db.name + "_reader";
  db.run("CREATE ROLE " + role + " LOGIN; GRANT USAGE ON SCHEMA " + db.name + " TO " + role +
         "; GRANT SELECT ON user_logins TO " + role);
  auto options = db.flag("user_logins");
  options.postgres.conninfo += " user=" + role;
  const Error e = refused(options, db.context);
  CHECK(e.code == Errc::permission);
  CHECK(says(e, "GRANT"));
  db.run("GRANT UPDATE (sent_to_kafka) ON user_logins TO " + role);
  fill(db, 3);
  Target target;
  {
    auto x = opened(options, db.context);
    drain(*x, target, db.context);
  }
  CHECK(target.rows == 3);
  db.run("DROP OWNED BY " + role + "; DROP ROLE " + role);
}
