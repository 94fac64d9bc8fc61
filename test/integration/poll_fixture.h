// What the tests of the poll method share.
#pragma once

#include "pgch/extract/poll.h"
#include "test/integration/postgres_fixture.h"
#include "test/support/scratch.h"

namespace pgch::testing {

/// The column and its index, as `pgch setup` makes them.
inline void add_xid(TestSchema& db, const std::string& table) {
  db.run("ALTER TABLE " + table + " ADD COLUMN _pgch_xid xid8 NOT NULL DEFAULT '0'");
  db.run("ALTER TABLE " + table + " ALTER COLUMN _pgch_xid SET DEFAULT pg_current_xact_id()");
  db.run("CREATE INDEX ON " + table + " (_pgch_xid, id)");
}

/// And the trigger that renews it.
inline void add_renewal(TestSchema& db, const std::string& table) {
  db.run(
      "CREATE FUNCTION renew() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW._pgch_xid := pg_current_xact_id(); "
      "RETURN NEW; END$$");
  db.run("CREATE TRIGGER renew BEFORE INSERT OR UPDATE ON " + table + " FOR EACH ROW EXECUTE FUNCTION renew()");
}

inline PollOptions poll_options(const TestSchema& db, const std::string& table, const ::test::Scratch& state,
                                PollForm form = PollForm::snapshots) {
  PollOptions options;
  options.postgres = test_server();
  options.table = db.table(table);
  options.form = form;
  options.directory = state.path();
  return options;
}

inline std::unique_ptr<Extractor> opened(PollOptions options, const Context& context,
                                         std::vector<Intent> pending = {}) {
  auto made = make_poll(std::move(options));
  if (!made) FAIL(made.error().message);
  auto ok = (*made)->open(context, std::move(pending));
  if (!ok) FAIL(ok.error().message);
  return std::move(*made);
}

inline Error refused(PollOptions options, const Context& context, std::vector<Intent> pending = {}) {
  auto made = make_poll(std::move(options));
  if (!made) return made.error();
  auto ok = (*made)->open(context, std::move(pending));
  REQUIRE_FALSE(ok);
  return ok.error();
}

inline bool says(const Error& e, std::string_view part) {
  INFO(e.message);
  CHECK(e.message.find(part) != std::string::npos);
  return e.message.find(part) != std::string::npos;
}

inline void make_table(TestSchema& db, int rows) {
  db.run("CREATE TABLE t (id bigserial PRIMARY KEY, note text)");
  db.run("INSERT INTO t (note) SELECT 'n' || g FROM generate_series(1, " + std::to_string(rows) + ") g");
  add_xid(db, "t");
}

inline void insert(TestSchema& db, int rows) {
  db.run("INSERT INTO t (note) SELECT 'more' FROM generate_series(1, " + std::to_string(rows) + ")");
}

// Another session, for transactions that stay open.
struct Other {
  explicit Other(const TestSchema& db) {
    auto opened = open_postgres(test_server(), db.context);
    if (!opened) FAIL(opened.error().message);
    session = std::move(*opened);
    run("SET search_path = " + db.name);
  }
  void run(const std::string& sql) {
    auto answer = session->query(sql);
    if (!answer) FAIL(answer.error().message << " in " << sql);
  }
  std::unique_ptr<PostgresSession> session;
};

}  // namespace pgch::testing
