#include "test/integration/poll_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

constexpr PollForm exact_forms[] = {PollForm::snapshots, PollForm::xid, PollForm::xmin};

}  // namespace

TEST_CASE("each form of poll delivers every row once, in batches, and goes on behind its cursor after a restart") {
  for (const PollForm form : {PollForm::snapshots, PollForm::xid, PollForm::xmin, PollForm::plain}) {
    INFO("form " << static_cast<int>(form));
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 2500);
    Target target;
    auto x = opened(poll_options(db, "t", state, form), db.context);
    CHECK(x->known_schema()->columns.size() == 2);
    CHECK(drain(*x, target, db.context, rows_at_once(300)) == 9);
    CHECK(target.rows == 2500);
    CHECK(x->take_acknowledged().size() == 9);
    CHECK(drain(*x, target, db.context) == 0);
    insert(db, 10);
    CHECK(drain(*x, target, db.context) == 1);
    x->close();
    insert(db, 5);
    x = opened(poll_options(db, "t", state, form), db.context);
    CHECK(drain(*x, target, db.context) == 1);
    CHECK(target.rows == 2515);
    CHECK_FALSE(target.has_duplicates());
  }
}

TEST_CASE("rows that are committed late, below others that were sent, are found; the plain form loses them") {
  for (const PollForm form : {PollForm::snapshots, PollForm::xid, PollForm::xmin, PollForm::plain}) {
    INFO("form " << static_cast<int>(form));
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 3);
    Target target;
    auto x = opened(poll_options(db, "t", state, form), db.context);
    Other late(db);
    late.run("BEGIN; INSERT INTO t (note) VALUES ('late'), ('late')");
    insert(db, 4);
    drain(*x, target, db.context);
    // A long transaction holds up xid and xmin, but not snapshots.
    CHECK(target.rows == (form == PollForm::snapshots || form == PollForm::plain ? 7 : 3));
    late.run("COMMIT");
    drain(*x, target, db.context);
    CHECK(target.rows == (form == PollForm::plain ? 7 : 9));
    CHECK_FALSE(target.has_duplicates());
  }
}

TEST_CASE("what a rolled back transaction or a subtransaction wrote is read as it ended") {
  for (const PollForm form : exact_forms) {
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 0);
    Target target;
    auto x = opened(poll_options(db, "t", state, form), db.context);
    Other other(db);
    other.run(
        "BEGIN; INSERT INTO t (note) VALUES ('a'); SAVEPOINT s; INSERT INTO t (note) VALUES ('b'); ROLLBACK TO s;"
        " SAVEPOINT s2; INSERT INTO t (note) VALUES ('c')");
    drain(*x, target, db.context);
    CHECK(target.rows == 0);
    other.run("COMMIT");
    db.run("BEGIN; INSERT INTO t (note) VALUES ('d'); ROLLBACK");
    drain(*x, target, db.context);
    CHECK(target.rows == 2);
    CHECK_FALSE(target.has_duplicates());
  }
}

TEST_CASE("a batch under way at a crash comes again, exactly, before anything new") {
  for (const PollForm form : {PollForm::snapshots, PollForm::xid, PollForm::xmin, PollForm::plain}) {
    INFO("form " << static_cast<int>(form));
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 50);
    std::vector<RowBatch> out(3);
    {
      auto x = opened(poll_options(db, "t", state, form), db.context);
      for (RowBatch& batch : out) REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
      REQUIRE(x->acknowledge(out[0].stream, out[0].position));
    }
    insert(db, 7);
    auto x = opened(poll_options(db, "t", state, form), db.context,
                    {intent_of(out[0], 1), intent_of(out[1], 2), intent_of(out[2], 3)});
    Target target;
    RowBatch batch;
    for (const RowBatch& before : out) {
      REQUIRE(next_batch(*x, batch, db.context));
      CHECK(batch.position == before.position);
      REQUIRE(batch.intent);
      CHECK(batch.version == before.version);
      CHECK(batch.columns[0].data == before.columns[0].data);
      target.load(batch);
      REQUIRE(x->acknowledge(batch.stream, batch.position));
    }
    CHECK(x->take_acknowledged().size() == 3);
    drain(*x, target, db.context, rows_at_once(15));
    CHECK(target.rows == 57);
    CHECK_FALSE(target.has_duplicates());
    // The cursor has not gone back.
    x->close();
    x = opened(poll_options(db, "t", state, form), db.context);
    CHECK(drain(*x, target, db.context) == 0);
  }
}

TEST_CASE("rows that were deleted are missing from a batch that comes again; the others keep their places") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 10);
  RowBatch batch;
  REQUIRE(next_batch(*opened(poll_options(db, "t", state), db.context), batch, db.context));
  REQUIRE(batch.rows == 10);
  db.run("DELETE FROM t WHERE id IN (2, 5)");
  RowBatch again;
  auto x = opened(poll_options(db, "t", state), db.context, {intent_of(batch)});
  REQUIRE(next_batch(*x, again, db.context));
  CHECK(again.rows == 8);
  CHECK(again.ordinals == std::vector<std::uint32_t>{0, 2, 3, 5, 6, 7, 8, 9});
}

TEST_CASE("an update that renews the column goes once more, with a higher version, also from a lost batch") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 10);
  add_renewal(db, "t");
  RowBatch batch;
  {
    auto x = opened(poll_options(db, "t", state), db.context);
    REQUIRE(next_batch(*x, batch, db.context));
  }
  db.run("UPDATE t SET note = 'changed' WHERE id = 3");
  auto x = opened(poll_options(db, "t", state), db.context, {intent_of(batch)});
  RowBatch again, changed;
  REQUIRE(next_batch(*x, again, db.context));
  CHECK(again.rows == 9);
  REQUIRE(x->acknowledge(again.stream, again.position));
  REQUIRE(next_batch(*x, changed, db.context));
  CHECK(changed.rows == 1);
  CHECK(changed.version > again.version);
  REQUIRE(x->acknowledge(changed.stream, changed.position));
  CHECK_FALSE(next_batch(*x, changed, db.context));
}

TEST_CASE("the form xmin sees updates by itself") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 10);
  Target target;
  auto x = opened(poll_options(db, "t", state, PollForm::xmin), db.context);
  drain(*x, target, db.context);
  db.run("UPDATE t SET note = 'changed' WHERE id <= 3");
  drain(*x, target, db.context);
  CHECK(target.rows == 13);
  CHECK(target.seen[2] == 2);
}

TEST_CASE("connections that are lost in the middle of a round lose and double nothing") {
  for (const PollForm form : exact_forms) {
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 20'000);
    Target target;
    auto x = opened(poll_options(db, "t", state, form), db.context);
    RowBatch batch;
    int batches = 0;
    while (next_batch(*x, batch, db.context, rows_at_once(500))) {
      if (++batches % 7 == 3) {
        db.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pgch-test' AND "
            "pid <> pg_backend_pid()");
      }
      target.load(batch);
      REQUIRE(x->acknowledge(batch.stream, batch.position));
      if (batches == 20) insert(db, 100);
    }
    CHECK(target.rows == 20'100);
    CHECK_FALSE(target.has_duplicates());
    CHECK(x->take_acknowledged().size() == static_cast<std::size_t>(batches));
  }
}

TEST_CASE("acknowledgements are told in order, when the cursor is saved; an abandoned batch comes again as it was") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 30);
  auto x = opened(poll_options(db, "t", state), db.context);
  std::vector<RowBatch> out(3);
  for (RowBatch& batch : out) REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
  x->abandon(out[1].stream, out[1].position);
  REQUIRE(x->acknowledge(out[0].stream, out[0].position));
  REQUIRE(x->acknowledge(out[2].stream, out[2].position));
  CHECK(x->take_acknowledged().size() == 1);
  RowBatch again;
  REQUIRE(next_batch(*x, again, db.context));
  CHECK(again.position == out[1].position);
  CHECK(again.columns[0].data == out[1].columns[0].data);
  REQUIRE(x->acknowledge(again.stream, again.position));
  CHECK(x->take_acknowledged().size() == 2);
  CHECK_FALSE(next_batch(*x, again, db.context));
}

TEST_CASE("a transaction that runs through several rounds is read once, in the one that it ends before") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 10);
  Other slow(db);
  slow.run("BEGIN; INSERT INTO t (note) VALUES ('slow')");
  for (int i = 0; i < 20; ++i) insert(db, 100);
  Target target;
  auto x = opened(poll_options(db, "t", state), db.context);
  drain(*x, target, db.context);
  CHECK(target.rows == 2010);
  insert(db, 1);
  drain(*x, target, db.context);
  CHECK(target.rows == 2011);
  slow.run("COMMIT");
  drain(*x, target, db.context);
  CHECK(target.rows == 2012);
  CHECK_FALSE(target.has_duplicates());
}

TEST_CASE("a notification wakes the reader, which else looks after its interval; before that it looks at nothing") {
  for (const PollForm form : exact_forms) {
    INFO("form " << static_cast<int>(form));
    TestSchema db;
    const ::test::Scratch state;
    make_table(db, 5);
    PollOptions options = poll_options(db, "t", state, form);
    options.listen = true;
    options.interval = std::chrono::hours(1);
    Target target;
    auto x = opened(options, db.context);
    CHECK(x->traits().waits);
    const std::string notify = "NOTIFY " + notify_channel(*x->known_schema());
    drain(*x, target, db.context);
    CHECK(target.rows == 5);
    const auto soon = [&] { return db.context.clock.now() + std::chrono::milliseconds(100); };
    RowBatch batch;
    insert(db, 1);
    auto got = x->fetch(batch, {}, soon());
    REQUIRE(got);
    // The others look again soon while any transaction runs.
    if (form == PollForm::snapshots) CHECK(*got == Fetch::idle);
    if (*got == Fetch::rows) continue;
    db.run(notify + "; " + notify);
    REQUIRE(next_batch(*x, batch, db.context));
    CHECK(batch.rows == 1);
    REQUIRE(x->acknowledge(batch.stream, batch.position));
    CHECK_FALSE(next_batch(*x, batch, db.context, {}));
    // Whoever was away does not know what was said meanwhile.
    insert(db, 1);
    db.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'pgch-test' AND pid "
        "<> pg_backend_pid()");
    REQUIRE(next_batch(*x, batch, db.context));
    CHECK(batch.rows == 1);
    REQUIRE(x->acknowledge(batch.stream, batch.position));
    x->close();
    options.interval = std::chrono::milliseconds(50);
    x = opened(options, db.context);
    drain(*x, target, db.context);
    insert(db, 1);
    do {
      got = x->fetch(batch, {}, soon());
      REQUIRE(got);
    } while (*got != Fetch::rows);
    CHECK(batch.rows == 1);
  }
}

TEST_CASE("partitioned tables, and keys of several columns and odd values, are read and read again") {
  for (const PollForm form : {PollForm::snapshots, PollForm::xid, PollForm::xmin, PollForm::plain}) {
    INFO("form " << static_cast<int>(form));
    TestSchema db;
    const ::test::Scratch state;
    db.run(
        "CREATE TABLE p (id bigint, a text COLLATE \"C\", b numeric, PRIMARY KEY (a, b, id)) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (50); CREATE TABLE p2 PARTITION OF p DEFAULT;"
        "INSERT INTO p SELECT g, E'q\"\\\\''\\t,{}' || (g % 7), g / 3.0 FROM generate_series(1, 100) g");
    add_xid(db, "p");
    db.run("INSERT INTO p SELECT g, 'grüß' || chr(10) || (g % 3), -g FROM generate_series(101, 150) g");
    Target target;
    RowBatch out, again;
    {
      auto x = opened(poll_options(db, "p", state, form), db.context);
      REQUIRE(next_batch(*x, out, db.context, rows_at_once(13)));
    }
    auto x = opened(poll_options(db, "p", state, form), db.context, {intent_of(out)});
    REQUIRE(next_batch(*x, again, db.context, rows_at_once(13)));
    CHECK(again.columns[0].data == out.columns[0].data);
    target.load(again);
    REQUIRE(x->acknowledge(again.stream, again.position));
    drain(*x, target, db.context, rows_at_once(13));
    CHECK(target.rows == 150);
    CHECK_FALSE(target.has_duplicates());
  }
}

TEST_CASE("rows that no column can hold are set aside once, also when there is nothing else") {
  TestSchema db;
  const ::test::Scratch state;
  db.run("CREATE TABLE t (id bigserial PRIMARY KEY, at timestamptz)");
  db.run("INSERT INTO t (at) SELECT 'infinity' FROM generate_series(1, 25)");
  add_xid(db, "t");
  auto x = opened(poll_options(db, "t", state), db.context);
  RowBatch batch;
  std::size_t rejected = 0;
  while (next_batch(*x, batch, db.context, rows_at_once(10))) {
    CHECK(batch.rows == 0);
    rejected += batch.rejected.size();
    REQUIRE(x->acknowledge(batch.stream, batch.position));
  }
  CHECK(rejected == 25);
}

TEST_CASE("the plain form goes by the columns that it is given, over views as well, and says that it is at a risk") {
  TestSchema db;
  const ::test::Scratch state;
  db.run(
      "CREATE TABLE t (id bigserial PRIMARY KEY, at timestamptz);"
      "INSERT INTO t (at) SELECT '2024-01-01'::timestamptz + (1000 - g) * interval '1 s' FROM generate_series(1, "
      "1000) g; INSERT INTO t (at) VALUES (NULL); CREATE VIEW v AS SELECT * FROM t");
  PollOptions options = poll_options(db, "v", state, PollForm::plain);
  options.cursor = {"at"};
  options.columns.key = {"id"};
  Target target;
  auto x = opened(options, db.context);
  CHECK(db.log.text.find("Bounded risk") != std::string::npos);
  RowBatch batch;
  REQUIRE(next_batch(*x, batch, db.context, rows_at_once(64)));
  CHECK(batch.schema->key_order == std::vector<std::string>{"id"});
  target.load(batch);
  CHECK(target.seen.count(1000) == 1);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  drain(*x, target, db.context, rows_at_once(64));
  CHECK(target.rows == 1000);
  CHECK_FALSE(target.has_duplicates());
  db.run("UPDATE t SET at = '2024-06-01' WHERE id = 5");
  drain(*x, target, db.context);
  CHECK(target.seen[5] == 2);
}

TEST_CASE("with a lag the plain form waits for rows that are committed a little late") {
  TestSchema db;
  const ::test::Scratch state;
  make_table(db, 3);
  PollOptions options = poll_options(db, "t", state, PollForm::plain);
  options.lag = std::chrono::milliseconds(300);
  Target target;
  auto x = opened(options, db.context);
  Other late(db);
  late.run("BEGIN; INSERT INTO t (note) VALUES ('late')");
  insert(db, 1);
  RowBatch batch;
  REQUIRE(x->fetch(batch, {}, db.context.clock.now() + std::chrono::seconds(5)));
  late.run("COMMIT");
  drain(*x, target, db.context);
  CHECK(target.rows == 5);
}
