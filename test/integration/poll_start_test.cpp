// Where poll begins: its cursor, and what must be there.
#include <fstream>

#include "extract/poll_store.h"
#include "test/integration/poll_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

std::string cursor_file(const ::test::Scratch& state) { return state.path() + "/pgch.cursor"; }

}  // namespace

TEST_CASE("a cursor that is damaged, or missing while batches are under way, or of another table, stops the start") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 30);
  RowBatch batch;
  {
    auto x = opened(poll_options(db, "t", state), db.context);
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
    REQUIRE(x->acknowledge(batch.stream, batch.position));
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
  }
  CHECK(says(refused(poll_options(db, "t", state, PollForm::xid), db.context), "by the form snapshots"));
  std::string whole;
  {
    std::ifstream in(cursor_file(state), std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  REQUIRE(whole.size() > 20);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{5}, whole.size() / 2, whole.size() - 1}) {
    std::ofstream(cursor_file(state), std::ios::binary | std::ios::trunc) << whole.substr(0, cut);
    CHECK(says(refused(poll_options(db, "t", state), db.context), "is damaged"));
  }
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 1);
  std::ofstream(cursor_file(state), std::ios::binary | std::ios::trunc) << flipped;
  CHECK(says(refused(poll_options(db, "t", state), db.context), "is damaged"));
  std::remove(cursor_file(state).c_str());
  CHECK(says(refused(poll_options(db, "t", state), db.context, {intent_of(batch)}), "is missing"));
  std::ofstream(cursor_file(state), std::ios::binary | std::ios::trunc) << whole;
  db.run("ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old INCLUDING ALL)");
  CHECK(says(refused(poll_options(db, "t", state), db.context), "another server, database or table"));
  db.run("DROP TABLE t; ALTER TABLE old RENAME TO t; ALTER TABLE t DROP COLUMN _pgch_xid");
  add_xid(db, "t");
  CHECK(says(refused(poll_options(db, "t", state), db.context), "another server, database or table"));
}

TEST_CASE("the cursor can be kept in the source database") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 30);
  PollOptions options = poll_options(db, "t", state);
  options.store = PollStore::database;
  CHECK(says(refused(options, db.context), "pgch setup"));
  db.run(
      "CREATE TABLE pgch_cursor (pipeline text, stream text, state bytea NOT NULL, saved_at timestamptz NOT NULL "
      "DEFAULT now(), PRIMARY KEY (pipeline, stream))");
  Target target;
  auto x = opened(options, db.context);
  drain(*x, target, db.context, rows_at_once(7));
  x->close();
  insert(db, 3);
  x = opened(options, db.context);
  drain(*x, target, db.context);
  CHECK(target.rows == 33);
  CHECK_FALSE(target.has_duplicates());
  x->close();
  db.run("UPDATE pgch_cursor SET state = set_byte(state, 30, get_byte(state, 30) # 1)");
  CHECK(says(refused(options, db.context), "is damaged"));
}

TEST_CASE("how many rows wait behind the cursor is told for each form, before the first start as well") {
  for (const PollForm form : {PollForm::snapshots, PollForm::xid, PollForm::xmin, PollForm::plain}) {
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 30);
    PollOptions options = poll_options(db, "t", state, form);
    const auto waiting = [&] {
      const auto rows = poll_unsent(options, db.context);
      if (!rows) FAIL(rows.error().message);
      return rows->value_or(9999);
    };
    INFO(static_cast<int>(form));
    CHECK(waiting() == 30);
    Target target;
    {
      auto x = opened(options, db.context);
      drain(*x, target, db.context, rows_at_once(7));
    }
    CHECK(target.rows == 30);
    CHECK(waiting() == 0);
    insert(db, 13);
    CHECK(waiting() == 13);
  }
}

TEST_CASE("a start from now leaves out what is there, and finds what is committed later by transactions that run") {
  for (const PollForm form : {PollForm::snapshots, PollForm::xid, PollForm::xmin, PollForm::plain}) {
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 30);
    Other late(db);
    late.run("BEGIN; INSERT INTO t (note) VALUES ('late')");
    PollOptions options = poll_options(db, "t", state, form);
    options.from_now = true;
    Target target;
    auto x = opened(options, db.context);
    drain(*x, target, db.context);
    CHECK(target.rows == 0);
    late.run("COMMIT");
    insert(db, 2);
    drain(*x, target, db.context);
    CHECK(target.rows == 3);
  }
}

TEST_CASE("a table without the column, or with one that does not show every row, is refused with what mends it") {
  TestSchema db;
  const ::test::Scratch state;
  db.run(
      "CREATE TABLE t (id bigserial PRIMARY KEY, note text); CREATE TABLE keyless (note text);"
      "CREATE VIEW v AS SELECT * FROM t");
  CHECK(says(refused(poll_options(db, "t", state), db.context), "pgch setup"));
  db.run("ALTER TABLE t ADD COLUMN _pgch_xid bigint");
  CHECK(says(refused(poll_options(db, "t", state), db.context), "is no xid8"));
  db.run("ALTER TABLE t DROP COLUMN _pgch_xid; ALTER TABLE t ADD COLUMN _pgch_xid xid8 NOT NULL DEFAULT '0'");
  CHECK(says(refused(poll_options(db, "t", state), db.context), "DEFAULT pg_current_xact_id()"));
  CHECK(says(refused(poll_options(db, "keyless", state), db.context), "has no key"));
  CHECK(says(refused(poll_options(db, "v", state), db.context), "is not a table"));
}

TEST_CASE("a server of another timeline than the cursor's, or one that is behind it, stops poll") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 5);
  Target target;
  {
    auto x = opened(poll_options(db, "t", state), db.context);
    drain(*x, target, db.context);
  }
  insert(db, 5);
  auto connection = pg::Connection::open(test_server(), db.context);
  REQUIRE(connection);
  auto store = make_cursor_file(state.path(), "pgch");
  const auto found = store->load(**connection, db.context);
  REQUIRE(found);
  REQUIRE(*found);
  PollCursor cursor = **found;
  cursor.version += std::uint64_t{1} << 52;
  REQUIRE(store->save(cursor, nullptr, db.context));
  PollOptions options = poll_options(db, "t", state);
  // Told to go on it does so into a later timeline, never into an earlier one.
  for (const bool on : {false, true}) {
    options.after_failover = on;
    auto x = opened(options, db.context);
    RowBatch batch;
    const auto got = x->fetch(batch, {}, db.context.clock.now() + std::chrono::seconds(5));
    REQUIRE_FALSE(got);
    CHECK(says(got.error(), "taken over"));
    CHECK(got.error().recovery == Recovery::halt);
  }
  cursor = **found;
  cursor.seen = "1:999999999999:";
  REQUIRE(store->save(cursor, nullptr, db.context));
  CHECK(says(refused(options, db.context), "is behind what was read"));
}

TEST_CASE("a stream has one reader") {
  TestSchema db;
  const ::test::Scratch state, elsewhere;
  make_table(db, 1);
  auto x = opened(poll_options(db, "t", state), db.context);
  CHECK(says(refused(poll_options(db, "t", elsewhere), db.context), "one reader that polls"));
}
