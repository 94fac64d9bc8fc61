// Eight writers against every form at once: late commits, rollbacks, a cached sequence, explicit ids, one long
// transaction. The exact forms must lose and double nothing; the same test must catch the plain one.
#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "test/integration/poll_fixture.h"

using namespace pgch;
using namespace pgch::testing;
using namespace std::chrono_literals;

namespace {

constexpr int writers = 8, rows_per_writer = 130'000;

std::unique_ptr<PostgresSession> session_of(const TestSchema& db) {
  auto opened = open_postgres(test_server(), db.context);
  if (!opened) return nullptr;
  if (!(*opened)->query("SET search_path = " + db.name + "; SET synchronous_commit = off")) return nullptr;
  return std::move(*opened);
}

// Ids come from the sequence, a block to each session, or are chosen; below those that were committed before, as a
// rule.
void write(const TestSchema& db, int number, std::atomic<bool>& failed) {
  const auto session = session_of(db);
  if (!session) {
    failed = true;
    return;
  }
  std::mt19937 random(static_cast<unsigned>(number));
  std::int64_t chosen = -1'000'000'000LL * (number + 1);
  for (int written = 0; written < rows_per_writer;) {
    const int rows = 1 + static_cast<int>(random() % 1500);
    const bool explicit_ids = random() % 4 == 0, undone = random() % 8 == 0, nested = random() % 4 == 0;
    std::string sql = "BEGIN; ";
    if (explicit_ids) {
      sql += "INSERT INTO t (id, writer) SELECT g, 1 FROM generate_series(" + std::to_string(chosen) + "::bigint, " +
             std::to_string(chosen + rows - 1) + ") g; ";
      chosen += rows;
    } else {
      sql += "INSERT INTO t (writer) SELECT " + std::to_string(number) + " FROM generate_series(1, " +
             std::to_string(rows) + "); ";
    }
    if (nested) sql += "SAVEPOINT s; INSERT INTO t (writer) VALUES (0); ROLLBACK TO s; ";
    if (random() % 3 == 0) sql += "SELECT pg_sleep(" + std::to_string(random() % 40) + " / 1000.0); ";
    sql += undone ? "ROLLBACK" : "COMMIT";
    if (!session->query(sql)) {
      failed = true;
      return;
    }
    if (!undone) written += rows;
  }
}

struct Reader {
  PollForm form;
  std::vector<std::int64_t> ids;
  std::string error;
  bool done = false;
};

// Reads until the writers are done and a whole pass after that finds nothing.
void follow(const TestSchema& db, const std::string& state, Reader& reader, const std::atomic<bool>& over) {
  KeepingLogger log;
  const Context context{log, system_clock(), db.stop.get_token()};
  PollOptions options;
  options.postgres = test_server();
  options.table = db.table("t");
  options.form = reader.form;
  options.stream = "race:" + db.name + std::to_string(static_cast<int>(reader.form));
  options.directory = state;
  options.pipeline = "race" + std::to_string(static_cast<int>(reader.form));
  auto made = make_poll(options);
  auto ok = made ? (*made)->open(context, {}) : Result<void>(made.error());
  while (ok) {
    const bool last = over;
    RowBatch batch;
    auto got = (*made)->fetch(batch, {}, context.clock.now() + 1s);
    if (!got) {
      ok = got.error();
    } else if (*got == Fetch::rows) {
      for (std::size_t r = 0; r < batch.rows; ++r) {
        std::int64_t id = 0;
        std::memcpy(&id, batch.columns[0].at(r, 8).data(), 8);
        reader.ids.push_back(id);
      }
      ok = (*made)->acknowledge(batch.stream, batch.position);
    } else if (last && *got == Fetch::idle) {
      reader.done = true;
      return;
    } else {
      // The form that reads the whole table each time must not be all that the machine does.
      context.clock.sleep_until(context.clock.now() + (reader.form == PollForm::xmin ? 700ms : 5ms), context.stop);
    }
  }
  reader.error = ok.error().message;
}

}  // namespace

TEST_CASE(
    "under eight writers the exact forms of poll lose and double none of a million rows, and the plain one loses") {
  TestSchema db;
  const ::test::Scratch state;
  db.run(
      "CREATE SEQUENCE ids CACHE 50; CREATE UNLOGGED TABLE t (id bigint PRIMARY KEY DEFAULT nextval('ids'), writer "
      "int)");
  add_xid(db, "t");
  std::vector<Reader> readers{{PollForm::snapshots, {}, {}, false},
                              {PollForm::xid, {}, {}, false},
                              {PollForm::xmin, {}, {}, false},
                              {PollForm::plain, {}, {}, false}};
  std::atomic<bool> failed{false}, over{false};
  std::vector<std::thread> reading, writing;
  const auto slow = session_of(db);
  REQUIRE(slow);
  REQUIRE(slow->query("BEGIN; INSERT INTO t (writer) SELECT -1 FROM generate_series(1, 1000)"));
  for (Reader& one : readers) reading.emplace_back([&] { follow(db, state.path(), one, over); });
  for (int w = 0; w < writers; ++w) writing.emplace_back([&db, w, &failed] { write(db, w, failed); });
  // The long transaction ends when half of the writers are through.
  for (int w = 0; w < writers; ++w) {
    if (w == writers / 2) CHECK(slow->query("COMMIT"));
    writing[static_cast<std::size_t>(w)].join();
  }
  over = true;
  for (std::thread& t : reading) t.join();
  REQUIRE_FALSE(failed);
  const auto truth = db.run("SELECT count(*), sum(id), bit_xor(id) FROM t").front();
  REQUIRE(std::stoll(truth[0].value_or("0")) >= 1'000'000);
  for (Reader& one : readers) {
    INFO("form " << static_cast<int>(one.form) << ": " << one.error);
    REQUIRE(one.done);
    std::sort(one.ids.begin(), one.ids.end());
    CHECK(std::adjacent_find(one.ids.begin(), one.ids.end()) == one.ids.end());
    const std::string count = std::to_string(one.ids.size());
    if (one.form == PollForm::plain) {
      CHECK(one.ids.size() < static_cast<std::size_t>(std::stoll(truth[0].value_or("0"))));
      continue;
    }
    CHECK(count == truth[0]);
    std::int64_t sum = 0, mixed = 0;
    for (const std::int64_t id : one.ids) {
      sum += id;
      mixed ^= id;
    }
    CHECK(std::to_string(sum) == truth[1]);
    CHECK(std::to_string(mixed) == truth[2]);
  }
}
