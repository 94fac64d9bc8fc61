// Two lanes at once, and what happens between them when one is lost.
#include <thread>

#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

// A table whose rows with keys above 0 can only be looked at while a gate is open: its policy waits for it. Rows are
// read one by one, in the key's order.
struct GatedTable {
  GatedTable() : role(db.name + "_mover"), gate("pg_catalog.hashtext('" + db.name + "')") {
    db.run(
        "CREATE TABLE t (id bigint PRIMARY KEY, note text, sent_to_kafka boolean DEFAULT false);"
        "CREATE FUNCTION passed(id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$BEGIN IF id > 0 THEN "
        "PERFORM pg_catalog.pg_advisory_lock_shared(" +
        gate + "); PERFORM pg_catalog.pg_advisory_unlock_shared(" + gate +
        "); END IF; RETURN true; END$$; CREATE POLICY gate ON t USING (passed(id)); ALTER TABLE t ENABLE ROW LEVEL "
        "SECURITY;"
        "INSERT INTO t SELECT g, '' FROM generate_series(1, 20) g;"
        "CREATE ROLE " +
        role + " LOGIN; ALTER ROLE " + role + " SET enable_seqscan = off; ALTER ROLE " + role +
        " SET enable_sort = off; ALTER ROLE " + role + " SET enable_bitmapscan = off; GRANT USAGE ON SCHEMA " +
        db.name + " TO " + role + "; GRANT SELECT, UPDATE ON t TO " + role);
  }
  ~GatedTable() { (void)db.session->query("DROP OWNED BY " + role + "; DROP ROLE " + role).operator bool(); }
  GatedTable(const GatedTable&) = delete;
  GatedTable& operator=(const GatedTable&) = delete;

  void close() { db.run("SELECT pg_catalog.pg_advisory_lock(" + gate + ")"); }
  void open() { db.run("SELECT pg_catalog.pg_advisory_unlock(" + gate + ")"); }
  /// Waits until a statement that begins so stands before the gate; its session, or "0" after a minute.
  std::string waiting(const std::string& statement) {
    for (int turn = 0; turn < 12'000; ++turn) {
      const auto found = db.run("SELECT pid::text FROM pg_catalog.pg_stat_activity WHERE usename = '" + role +
                                "' AND wait_event = 'advisory' AND query LIKE '" + statement + "%'");
      if (!found.empty()) return found.front().front().value_or("");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return "0";
  }

  TestSchema db;
  std::string role, gate;
};

}  // namespace

TEST_CASE("rows of a batch whose loss is noticed while another lane reads do not come under another position") {
  GatedTable t;
  auto options = t.db.flag("t");
  options.postgres.conninfo += " user=" + t.role;
  options.lanes = 2;
  options.lock_timeout_ms = 600'000;
  auto made = make_flag(options);
  REQUIRE(made);
  Extractor& x = **made;
  REQUIRE(x.open(t.db.context, {}));
  RowBatch batch;
  REQUIRE(next_batch(x, batch, t.db.context));
  REQUIRE(batch.rows == 20);
  const Position position = batch.position;

  t.db.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(-50, -1) g");
  t.close();
  REQUIRE(x.acknowledge(batch.stream, position));
  // The first lane's mark waits at the gate. When the second lane has read the new rows and waits there as well, the
  // first lane dies, which is noticed; then the gate opens, and the second sees rows that nobody holds.
  std::thread killer([&] {
    const std::string marking = t.waiting("UPDATE");
    t.waiting("COPY");
    t.db.run("SELECT pg_catalog.pg_terminate_backend(" + marking + ", 60000)");
    t.open();
  });
  auto got = x.fetch(batch, {}, t.db.context.clock.now() + std::chrono::minutes(2));
  killer.join();
  if (!got || *got != Fetch::rows) REQUIRE(next_batch(x, batch, t.db.context));
  REQUIRE(batch.position == position);
  REQUIRE(batch.rows == 20);
  REQUIRE(x.acknowledge(batch.stream, batch.position));
  Target target;
  drain(x, target, t.db.context);
  CHECK(target.rows == 50);
  CHECK(t.db.one("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") == "0");
  x.close();
}
