// Messages that hold only keys: what PostgreSQL says of them, and the consumer that asks it.
#include "pgch/lookup.h"

#include "codec/json_row.h"
#include "test/integration/kafka_fixture.h"
#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::test;
using pgch::testing::kill_sessions;
using pgch::testing::rows_at_once;
using pgch::testing::test_server;
using pgch::testing::TestSchema;

namespace {

LookupOptions lookup_options(const TestSchema& db, const std::string& table) {
  return {test_server(), db.table(table), {}, "sent_to_kafka"};
}

TableSchema described(TestSchema& db, const std::string& table) {
  auto source = db.session->describe(db.table(table), {});
  REQUIRE(source);
  return source->schema;
}

struct Keys {
  Keys(const TableSchema& schema, const std::vector<std::string>& messages)
      : decoder(std::make_shared<const TableSchema>(schema), only_keys()) {
    batch.reset(std::make_shared<const TableSchema>(schema));
    for (const std::string& m : messages) {
      INFO(m);
      REQUIRE(must(decoder.append({{}, m, true}, batch)) == codec::Decoded::rows);
    }
  }
  static codec::JsonRowOptions only_keys() {
    codec::JsonRowOptions options;
    options.keys_only = true;
    return options;
  }
  codec::JsonRowDecoder decoder;
  RowBatch batch;
};

std::string as_json(const RowBatch& batch, std::size_t row) {
  const codec::JsonRowEncoder encoder(batch.schema, false);
  std::string out;
  REQUIRE(encoder.append_value(batch, row, out) == npos);
  return out;
}

struct KeyBroker : Broker {
  KeyBroker(TestSchema& db, const std::string& table) : Broker(1) {
    options.format = "key";
    options.schema = [&db, table] { return Result<TableSchema>(described(db, table)); };
    options.lookup = [&db, table] { return make_lookup(lookup_options(db, table)); };
  }
};

}  // namespace

TEST_CASE("rows are found by keys of every readable type, and those that are gone are in neither list") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (a text, b uuid, c timestamptz, d numeric(12,3), e date, f bool, g bytea, h smallint, note text, "
      "PRIMARY KEY (a, b, c, d, e, f, g, h)); INSERT INTO t VALUES "
      "('it''s \"x\", {}', '00000000-0000-0000-0000-00000000002a', '2024-02-29 12:34:56.789012+00', -1.250, "
      "'1944-03-15', "
      "true, '\\x00ff27', -3, 'one'), "
      "('', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '1999-12-31 23:59:59+00', 0, '2024-01-01', false, '', 0, NULL)");
  const TableSchema schema = described(db, "t");
  const auto all = db.run("SELECT a, b, c, d, e, f, g, h, note FROM t ORDER BY a");
  auto lookup = must(make_lookup(lookup_options(db, "t")));
  must(lookup->open(db.context));
  const Keys keys(
      schema,
      {R"({"a":"it's \"x\", {}","b":"00000000-0000-0000-0000-00000000002a","c":"2024-02-29T12:34:56.789012Z","d":"-1.250","e":"1944-03-15","f":true,"g":"AP8n","h":-3})",
       R"({"a":"gone","b":"00000000-0000-0000-0000-00000000002a","c":"2024-02-29T12:34:56.789012Z","d":"-1.250","e":"1944-03-15","f":true,"g":"AP8n","h":-3})",
       R"(["","ffffffff-ffff-ffff-ffff-ffffffffffff","1999-12-31T23:59:59Z","0.000","2024-01-01",false,"",0])"});
  const Found found = must(lookup->look_up(keys.batch, ~std::size_t{0}));
  REQUIRE(found.rows.rows == 2);
  CHECK(found.unfit.empty());
  std::map<std::uint32_t, std::string> rows;
  for (std::uint32_t r = 0; r < 2; ++r) rows[found.rows.ordinals[r]] = as_json(found.rows, r);
  CHECK(rows[0].find(R"("h":-3,"note":"one"})") != std::string::npos);
  CHECK(rows[2].find(R"("h":0,"note":null})") != std::string::npos);
}

TEST_CASE("many keys take several statements, and a lost connection is made again") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id int8 PRIMARY KEY, name text); INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, "
      "25000, 2) i");
  auto lookup = must(make_lookup(lookup_options(db, "t")));
  must(lookup->open(db.context));
  std::vector<std::string> messages;
  for (int i = 1; i <= 25'000; ++i) messages.push_back(std::to_string(i));
  const Keys keys(described(db, "t"), messages);
  Found found = must(lookup->look_up(keys.batch, ~std::size_t{0}));
  REQUIRE(found.rows.rows == 12'500);
  for (std::uint32_t r = 0; r < found.rows.rows; ++r) {
    const auto id = static_cast<std::int64_t>(found.rows.ordinals[r]) + 1;
    REQUIRE(as_json(found.rows, r) == "{\"id\":" + std::to_string(id) + ",\"name\":\"n" + std::to_string(id) + "\"}");
  }
  kill_sessions(db);
  const auto lost = lookup->look_up(keys.batch, ~std::size_t{0});
  REQUIRE_FALSE(lost);
  CHECK(lost.error().recovery == Recovery::retry);
  found = must(lookup->look_up(keys.batch, ~std::size_t{0}));
  CHECK(found.rows.rows == 12'500);
}

TEST_CASE("keys that PostgreSQL refuses are set aside without their value, and the others are found") {
  TestSchema db;
  db.run(
      "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE t (m mood, note text, PRIMARY KEY (m, note)); "
      "INSERT INTO t VALUES ('good', 'a'), ('bad', 'b')");
  auto lookup = must(make_lookup(lookup_options(db, "t")));
  must(lookup->open(db.context));
  const Keys keys(described(db, "t"),
                  {R"(["good","a"])", R"(["awful","secret"])", R"(["bad","b"])", R"(["bad","gone"])"});
  const Found found = must(lookup->look_up(keys.batch, ~std::size_t{0}));
  CHECK(found.rows.rows == 2);
  REQUIRE(found.unfit.size() == 1);
  CHECK(found.unfit[0].key == 1);
  CHECK(found.unfit[0].reason.find("22P02") != std::string::npos);
  CHECK(found.unfit[0].reason.find("awful") == std::string::npos);
}

TEST_CASE("rows that are larger than the catalog says are looked up in smaller batches, once that is known") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id int8 PRIMARY KEY, name text); ALTER TABLE t ALTER name SET STORAGE EXTERNAL; "
      "INSERT INTO t SELECT i, repeat('x', 20000) FROM generate_series(1, 1000) i; ANALYZE t");
  KeyBroker broker(db, "t");
  broker.create();
  std::vector<std::pair<std::string, std::string>> messages;
  for (int i = 1; i <= 1000; ++i) messages.emplace_back(std::to_string(i), std::to_string(i));
  broker.produce(messages);
  Consuming consumer(broker);
  BatchLimits limits;
  limits.bytes_max = 2u << 20;
  std::map<std::int64_t, int> seen;
  int larger = 0;
  RowBatch batch;
  for (int i = 0; i < 300 && seen.size() < 1000; ++i) {
    const auto fetched = consumer.fetch(batch, limits);
    if (!fetched) {
      CHECK(fetched.error().code == Errc::limit);
      CHECK(fetched.error().recovery == Recovery::retry);
      ++larger;
    } else if (*fetched == Fetch::rows) {
      CHECK(batch.bytes() <= 3 * limits.bytes_max);
      for (const std::int64_t id : ids_of(batch)) ++seen[id];
      consumer.settle(must(consumer.intend(batch)));
    }
  }
  CHECK(larger == 1);
  CHECK(seen.size() == 1000);
  for (const auto& [id, times] : seen) REQUIRE(times == 1);
}

TEST_CASE(
    "keys that are stored as another type than PostgreSQL reads are refused, since a row not found is a deletion") {
  TestSchema db;
  db.run("CREATE TABLE t (a inet PRIMARY KEY, n text)");
  LookupOptions options = lookup_options(db, "t");
  options.columns.types.as["inet"] = "ipv6";
  auto lookup = must(make_lookup(options));
  const auto refused = lookup->open(db.context);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("\"a\"") != std::string::npos);
}

TEST_CASE("a look-up refuses what it can't tell apart: a table without a key, two rows for one key, other columns") {
  TestSchema db;
  db.run(
      "CREATE TABLE keyless (a int8); CREATE TABLE twice (id int8 NOT NULL, n text); INSERT INTO twice VALUES (1, "
      "'a'), (1, 'b'); "
      "CREATE TABLE t (id int8 PRIMARY KEY, n text)");
  auto lookup = must(make_lookup(lookup_options(db, "keyless")));
  CHECK(lookup->open(db.context).error().message.find("has no key") != std::string::npos);
  LookupOptions options = lookup_options(db, "twice");
  options.columns.key = {"id"};
  lookup = must(make_lookup(options));
  must(lookup->open(db.context));
  auto schema = db.session->describe(db.table("twice"), options.columns);
  REQUIRE(schema);
  const Keys twice(schema->schema, {"1"});
  CHECK(lookup->look_up(twice.batch, ~std::size_t{0}).error().message.find("several rows for one key") !=
        std::string::npos);
  lookup = must(make_lookup(lookup_options(db, "t")));
  must(lookup->open(db.context));
  db.run("ALTER TABLE t ADD COLUMN more int");
  const Keys more(described(db, "t"), {"1"});
  const auto other = lookup->look_up(more.batch, ~std::size_t{0});
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Errc::schema);
  CHECK(make_lookup({test_server(), "", {}, ""}).error().code == Errc::config);
}

TEST_CASE(
    "a consumer of keys hands out rows as they are now, deletions of those that are gone, and sets aside what fits no "
    "column") {
  TestSchema db;
  db.run(
      "CREATE TABLE t (id int8 PRIMARY KEY, at timestamptz); INSERT INTO t VALUES (1, '2024-01-01'), (3, "
      "'2024-01-03'), "
      "(4, '20000-01-01')");
  KeyBroker broker(db, "t");
  broker.create();
  broker.produce(
      {{"1", R"({"id":1})"}, {"2", R"({"id":2})"}, {"3", "(none)"}, {"4", "4"}, {"5", R"({"id":"five"})"}, {"1", ""}});
  db.run("UPDATE t SET at = '2025-05-05' WHERE id = 1");
  Consuming consumer(broker);
  const RowBatch batch = consumer.next();
  CHECK(batch.rows == 4);
  std::map<std::uint64_t, std::string> rows;
  for (std::uint32_t r = 0; r < batch.rows; ++r) {
    rows[batch.places[r]] = (batch.op_of(r) == RowOp::remove ? "gone " : "") + as_json(batch, r);
    CHECK(batch.version_of(r) == batch.places[r] + 1);
  }
  CHECK(rows[0] == rows[5]);
  CHECK(rows[0].find("2025-05-05") != std::string::npos);
  CHECK(rows[1] == R"(gone {"id":2,"at":null})");
  CHECK(rows[2].find("2024-01-03") != std::string::npos);
  REQUIRE(batch.rejected.size() == 2);
  const std::string place = broker.options.topic + "/0@";
  CHECK(batch.rejected[0].origin == place + "4");
  CHECK(batch.rejected[1].origin == place + "3");
  CHECK(batch.rejected[1].reason.find("\"at\"") != std::string::npos);
  CHECK(batch.rejected[1].key == "4");
  CHECK(batch.rejected[1].payload == R"({"id":4})");
  CHECK_FALSE(consumer.receiver.extractor->traits().exact_replay);
}

TEST_CASE("of keys whose rows are gone nothing comes, if that is wanted, also when they are all") {
  TestSchema db;
  db.run("CREATE TABLE t (id int8 PRIMARY KEY, name text); INSERT INTO t VALUES (2, 'two')");
  KeyBroker broker(db, "t");
  broker.options.skip_gone = true;
  broker.create();
  broker.produce({{"1", R"({"id":1})"}, {"2", R"({"id":2})"}, {"3", "(none)"}});
  Consuming consumer(broker);
  RowBatch batch = consumer.next();
  CHECK(ids_of(batch) == std::vector<std::int64_t>{2});
  CHECK(batch.ordinals == std::vector<std::uint32_t>{1});
  consumer.settle(must(consumer.intend(batch)));
  broker.produce({{"1", R"({"id":1})"}});
  batch = consumer.next();
  CHECK(batch.rows == 0);
  consumer.settle(must(consumer.intend(batch)));
}

TEST_CASE("while PostgreSQL can't be asked no key is lost: they are read again from the topic, also after a crash") {
  TestSchema db;
  db.run("CREATE TABLE t (id int8 PRIMARY KEY, name text); INSERT INTO t SELECT i, 'n' FROM generate_series(1, 30) i");
  KeyBroker broker(db, "t");
  broker.create();
  std::vector<std::pair<std::string, std::string>> messages;
  for (int i = 1; i <= 30; ++i) messages.emplace_back(std::to_string(i), "{\"id\":" + std::to_string(i) + "}");
  broker.produce(messages);
  std::vector<std::int64_t> first;
  {
    Consuming consumer(broker);
    RowBatch batch = consumer.next(rows_at_once(10));
    const Intent settled = must(consumer.intend(batch));
    kill_sessions(db);
    RowBatch failed;
    Result<Fetch> lost = Fetch::idle;
    for (int i = 0; i < 60 && lost && *lost != Fetch::rows; ++i) lost = consumer.fetch(failed, rows_at_once(10));
    REQUIRE_FALSE(lost);
    CHECK(lost.error().recovery == Recovery::retry);
    consumer.settle(settled);
    batch = consumer.next(rows_at_once(10));
    first = ids_of(batch);
    CHECK(first.front() == 11);
    (void)must(consumer.intend(batch));
  }
  // The batch that was begun comes again, whole, with its intent; then the rest.
  db.run("DELETE FROM t WHERE id = 11");
  Consuming consumer(broker);
  RowBatch batch = consumer.next(rows_at_once(10));
  REQUIRE(batch.intent);
  std::vector<std::int64_t> ids = ids_of(batch);
  std::sort(ids.begin(), ids.end());
  CHECK(ids == first);
  CHECK(std::count(batch.ops.begin(), batch.ops.end(), RowOp::remove) == 1);
  consumer.settle(must(consumer.intend(batch)));
  const auto rest = consumer.drain();
  CHECK(rest.size() == 10);
  CHECK(rest.begin()->first == 21);
}

TEST_CASE("a consumer of rows stops at keys that pgch wrote, rather than to make rows of NULLs of them") {
  Broker broker(1);
  broker.create();
  KafkaOptions rows = broker.options;
  broker.options.format = "key";
  must(broker.sender()->load(logins(1, 3), {"p", "s", 1, 1, 1}));
  broker.options = rows;
  Consuming consumer(broker);
  RowBatch batch;
  Result<Fetch> fetched = Fetch::idle;
  for (int i = 0; i < 60 && fetched && *fetched != Fetch::rows; ++i) fetched = consumer.fetch(batch);
  REQUIRE_FALSE(fetched);
  CHECK(fetched.error().recovery == Recovery::halt);
  CHECK(fetched.error().message.find("in the format key") != std::string::npos);
}

TEST_CASE("a consumer of keys without a look-up, and a producer of keys without a key, are refused") {
  Broker broker(1);
  broker.options.format = "key";
  broker.create();
  const auto receiver = broker.transport()->make_receiver();
  REQUIRE_FALSE(receiver);
  CHECK(receiver.error().code == Errc::config);
  TableSchema keyless = *logins_schema();
  keyless.key_order.clear();
  keyless.columns[0].key = false;
  auto loader = must(broker.transport()->make_sender());
  must(loader->open(broker.context()));
  const auto prepared = loader->prepare(keyless);
  REQUIRE_FALSE(prepared);
  CHECK(prepared.error().message.find("has no key") != std::string::npos);
}
