#include "pg/connection.h"

#include "pg/catalog.h"
#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

Error refused(const PostgresOptions& options, const Context& context) {
  auto opened = open_postgres(options, context);
  REQUIRE_FALSE(opened);
  INFO(opened.error().message);
  CHECK(opened.error().message.find("hunter2") == std::string::npos);
  return opened.error();
}

PostgresOptions with(const std::string& conninfo) {
  PostgresOptions options;
  options.conninfo = conninfo;
  options.connect_timeout_s = 5;
  return options;
}

}  // namespace

TEST_CASE("a connection that can't be had has a sentence, and never shows the password") {
  TestSchema db;
  PostgresOptions options = with("host=127.0.0.1 port=1 user=x dbname=x");
  options.password = Secret("hunter2");
  Error e = refused(options, db.context);
  CHECK(e.code == Errc::connection);
  CHECK(e.recovery == Recovery::retry);
  CHECK(e.message.find("Nothing listens") != std::string::npos);
  e = refused(with("host=/nonexistent user=x dbname=x"), db.context);
  CHECK(e.message.find("no PostgreSQL socket") != std::string::npos);
  e = refused(with("postgresql://x:hunter2@no-such-host.invalid/x?sslmode=disable"), db.context);
  CHECK(e.code == Errc::connection);
  e = refused(with("postgresql://x:hun@ter2@127.0.0.1/x"), db.context);
  CHECK(e.code == Errc::config);
  e = refused(with("this is no=conninfo='hunter2"), db.context);
  CHECK(e.code == Errc::config);
  options = test_server();
  options.conninfo += " dbname=no_such_database";
  e = refused(options, db.context);
  CHECK(e.code == Errc::not_found);
  CHECK(e.native == "3D000");
}

TEST_CASE("a wrong password stops at once, and is not shown") {
  const char* tcp = std::getenv("PGCH_TEST_PG_TCP");
  if (tcp == nullptr) return;  // the server that somebody lends may trust everybody
  TestSchema db;
  PostgresOptions options = with(tcp);
  options.password = Secret("hunter2");
  const Error e = refused(options, db.context);
  CHECK(e.code == Errc::authentication);
  CHECK(e.recovery == Recovery::halt);
}

TEST_CASE("off loopback the server's certificate is verified unless something else is said") {
  TestSchema db;
  // 192.0.2.0/24 is for documentation: nobody answers, so only the time that is waited is short.
  PostgresOptions options = with("host=192.0.2.1 user=x dbname=x");
  options.connect_timeout_s = 1;
  const Error e = refused(options, db.context);
  CHECK((e.code == Errc::timeout || e.code == Errc::connection || e.code == Errc::authentication));
}

TEST_CASE("parameters are values, whatever they hold, and NULL is NULL") {
  TestSchema db;
  const auto rows =
      db.session->query("SELECT $1::text, $2::text IS NULL, $3::int + 1", {"'; DROP TABLE x; --", std::nullopt, "41"});
  REQUIRE(rows);
  CHECK((*rows)[0][0] == "'; DROP TABLE x; --");
  CHECK((*rows)[0][1] == "t");
  CHECK((*rows)[0][2] == "42");
}

TEST_CASE("an error in a statement leaves the session usable") {
  TestSchema db;
  const auto failed = db.session->query("SELECT * FROM nowhere");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Errc::not_found);
  CHECK(failed.error().native == "42P01");
  CHECK(db.one("SELECT 1") == "1");
  CHECK_FALSE(db.session->query("SELECT 1; SELECT 1 / 0; SELECT 2"));
  CHECK(db.one("SELECT 3") == "3");
}

TEST_CASE("a statement ends at its deadline, and at a stop; the connection can still be used") {
  TestSchema db;
  auto connection = pg::Connection::open(test_server(), db.context);
  REQUIRE(connection);
  auto slow =
      (*connection)
          ->exec("SELECT pg_sleep(30)", {}, "sleeping", {db.context.clock.now() + std::chrono::milliseconds(50), {}});
  REQUIRE_FALSE(slow);
  CHECK(slow.error().code == Errc::timeout);
  REQUIRE((*connection)->alive());
  CHECK((*connection)->exec("SELECT 1", {}, "asking", {}));
  std::stop_source stop;
  stop.request_stop();
  // Often, since a request that reaches the backend before the statement does has no effect.
  for (int i = 0; i < 200; ++i) {
    slow = (*connection)->exec("SELECT pg_sleep(30)", {}, "sleeping", {Clock::TimePoint::max(), stop.get_token()});
    REQUIRE_FALSE(slow);
    CHECK(slow.error().code == Errc::stopped);
    REQUIRE((*connection)->exec("SELECT 1", {}, "asking", {}));
  }
}

TEST_CASE("a killed backend is a lost connection, worth another try") {
  TestSchema db;
  auto connection = pg::Connection::open(test_server(), db.context);
  REQUIRE(connection);
  db.run("SELECT pg_terminate_backend(" + std::to_string((*connection)->backend_pid()) + ", 5000)");
  auto answer = (*connection)->exec("SELECT 1", {}, "asking", {});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().recovery == Recovery::retry);
  CHECK(answer.error().code == Errc::connection);
  CHECK_FALSE((*connection)->alive());
}

TEST_CASE("the key is the primary key, else the narrowest unique index on columns that can't be NULL") {
  TestSchema db;
  db.run(
      "CREATE TABLE p (a int, b int, PRIMARY KEY (b, a)); CREATE TABLE u (a int NOT NULL, b int NOT NULL, c int "
      "UNIQUE, UNIQUE (a, b)); CREATE UNIQUE INDEX ON u (b) WHERE a > 1;"
      "CREATE UNIQUE INDEX ON u ((a + 1)); CREATE TABLE n (a int UNIQUE); CREATE TABLE child () INHERITS (n)");
  auto p = db.session->describe("p", {});
  REQUIRE(p);
  CHECK(p->schema.key_order == std::vector<std::string>{"b", "a"});
  CHECK(p->schema.columns[0].key);
  CHECK_FALSE(p->schema.columns[0].nullable);
  CHECK(p->plain_table);
  auto u = db.session->describe("u", {});
  REQUIRE(u);
  CHECK(u->schema.key_order == std::vector<std::string>{"a", "b"});
  auto n = db.session->describe("n", {});
  REQUIRE(n);
  CHECK(n->schema.key_order.empty());
  CHECK_FALSE(n->plain_table);
  ColumnSelection half;
  half.exclude = {"a"};
  p = db.session->describe("p", half);
  REQUIRE(p);
  CHECK(p->schema.key_order.empty());
  CHECK_FALSE(p->schema.columns[0].key);
}

TEST_CASE("names with quotes, dots, spaces, capitals and Unicode are found as they are") {
  TestSchema db;
  db.run("CREATE TABLE \"Odd.na\"\"me ü\" (\"Id.x\" int PRIMARY KEY, \"select\" text)");
  auto found = db.session->describe(db.name + ".\"Odd.na\"\"me ü\"", {});
  REQUIRE(found);
  CHECK(found->schema.table == "Odd.na\"me ü");
  CHECK(found->source_columns == std::vector<std::string>{"Id.x", "select"});
}
