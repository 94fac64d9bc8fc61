// Format avro on a real broker and a real schema registry.
#include "avro/row_encoder.h"
#include "avro/row_schema.h"
#include "base/bytes.h"
#include "registry/schema_registry.h"
#include "test/integration/kafka_fixture.h"

using namespace pgch;
using namespace pgch::test;

namespace {

struct AvroBroker : Broker {
  explicit AvroBroker(std::int32_t partitions = 3) : Broker(partitions) {
    const char* url = std::getenv("PGCH_TEST_REGISTRY");
    REQUIRE(url != nullptr);
    options.format = "avro";
    options.schema_registry.url = url;
  }
  std::unique_ptr<registry::SchemaRegistry> registry() {
    return must(registry::make_schema_registry(options.schema_registry, context()));
  }
};

// Nobody listens there.
constexpr const char* nowhere = "http://127.0.0.1:1/apis";

TableSchema wider(bool nullable) {
  TableSchema schema = *logins_schema();
  schema.columns.push_back({"more", Kind::int32, nullable, false, 0, 0, ""});
  return schema;
}

// The error of the first fetch that has one.
Error first_error(Consuming& consuming) {
  RowBatch batch;
  Result<Fetch> fetched = Fetch::idle;
  for (int i = 0; i < 60 && fetched; ++i) fetched = consuming.fetch(batch);
  REQUIRE_FALSE(fetched);
  return fetched.error();
}

}  // namespace

TEST_CASE("rows go through a topic in Avro and come back, deletions too") {
  AvroBroker broker;
  auto loader = broker.sender();
  RowBatch sent = logins(1, 1000, "grüß");
  must(loader->load(sent, {"p", "s", 1, 1, 1}));
  RowBatch removed = logins(1, 2);
  removed.ops = {RowOp::remove, RowOp::update};
  removed.version = 8;
  must(loader->load(removed, {"p", "s", 1, 2, 2}));
  broker.options.until_end = true;
  Consuming consuming(broker);
  std::map<std::int64_t, std::pair<std::uint64_t, RowOp>> last;
  RowBatch batch;
  for (Fetch f = must(consuming.fetch(batch)); f != Fetch::end; f = must(consuming.fetch(batch))) {
    if (f != Fetch::rows) continue;
    CHECK(batch.rejected.empty());
    const auto ids = ids_of(batch);
    for (std::uint32_t r = 0; r < batch.rows; ++r) {
      last[ids[r]] = {batch.version_of(r), batch.op_of(r)};
      if (batch.version_of(r) == 7) CHECK(as_text(batch.columns[1].at(r, 0)) == "grüß");
    }
    consuming.settle(must(consuming.intend(batch)));
  }
  CHECK(last.size() == 1000);
  CHECK(last[1] == std::pair<std::uint64_t, RowOp>{8, RowOp::remove});
  CHECK(last[2] == std::pair<std::uint64_t, RowOp>{8, RowOp::update});
  CHECK(last[3] == std::pair<std::uint64_t, RowOp>{7, RowOp::insert});
}

TEST_CASE("look finds rows that were sent in Avro, whatever the schema's number") {
  AvroBroker broker;
  auto loader = broker.sender();
  const RowBatch batch = logins(1, 100);
  Intent intent;
  intent.stream = "s";
  intent.attempts = {3};
  intent.mark = must(loader->mark());
  must(loader->load(select_rows(batch, std::vector<std::uint32_t>{5, 6, 7}), {"p", "s", 1, 1, 3}));
  CHECK(must(loader->look(intent, batch, {"p", "s", 1, 1, 3})).missing.size() == 97);
}

TEST_CASE("a column that may be NULL makes a new version, and both versions are read; a schema keeps its number") {
  AvroBroker broker(1);
  must(broker.sender()->load(logins(1, 10), {"p", "s", 1, 1, 1}));
  RowBatch more;
  more.reset(std::make_shared<const TableSchema>(wider(true)));
  const RowBatch old = logins(11, 1);
  for (std::size_t i = 0; i < 2; ++i) more.columns[i] = old.columns[i];
  append_null(more.columns[2], Layout::fixed4);
  more.rows = 1;
  more.stream = "s";
  must(broker.sender(wider(true))->load(more, {"p", "s", 1, 2, 2}));
  broker.options.schema = [] { return Result<TableSchema>(wider(true)); };
  broker.options.until_end = true;
  CHECK(Consuming(broker).drain().size() == 11);

  const auto registry = broker.registry();
  const std::string subject = broker.options.topic + "-value";
  const std::string schema = *avro::row_schema(*logins_schema());
  const std::uint32_t number = must(registry->number_of(subject, schema));
  CHECK(must(registry->number_of(subject, schema)) == number);
  CHECK(must(registry->schema_of(number)) == schema);
  CHECK(must(registry->schema_of(2'000'000'000)) == std::nullopt);
  CHECK(must(registry->schema_of(0)) == std::nullopt);
}

TEST_CASE("a registry that is away is waited for by both halves, and its secrets are in no message") {
  AvroBroker broker(1);
  must(broker.sender()->load(logins(1, 10), {"p", "s", 1, 1, 1}));
  broker.options.schema_registry.url = nowhere;
  broker.options.schema_registry.user = "me";
  broker.options.schema_registry.password = Secret("hunter2");
  auto transport = broker.transport();
  auto loader = must(transport->make_sender());
  must(loader->open(broker.context()));
  const auto prepared = loader->prepare(*logins_schema());
  REQUIRE_FALSE(prepared);
  CHECK(prepared.error().recovery == Recovery::retry);
  CHECK(prepared.error().message.find("http://127.0.0.1:1/apis") != std::string::npos);
  Consuming consuming(broker);
  const Error error = first_error(consuming);
  CHECK(error.recovery == Recovery::retry);
  CHECK(error.message.find("schema registry") != std::string::npos);
  CHECK(prepared.error().message.find("hunter2") == std::string::npos);
  CHECK((error.message + broker.log.all()).find("hunter2") == std::string::npos);
}

TEST_CASE("messages that are no rows in Avro lie among good ones and become dead letters") {
  AvroBroker broker(1);
  broker.create();
  avro::AvroRowEncoder encoder(broker.registry(), broker.options.topic + "-value");
  must(encoder.open(logins_schema()));
  std::string good;
  REQUIRE(encoder.append_value(logins(5, 1), 0, good) == npos);
  const std::string unknown = std::string("\0\x7F\xFF\xFF\xFF", 5) + good.substr(5);
  broker.produce({{"1", "{\"id\":1}"}, {"2", good}, {"3", unknown}, {"4", good.substr(0, good.size() - 1)}, {"5", ""}});
  Consuming consuming(broker);
  const RowBatch batch = consuming.next();
  CHECK(batch.rows == 1);
  CHECK(ids_of(batch) == std::vector<std::int64_t>{5});
  REQUIRE(batch.rejected.size() == 4);
  CHECK(batch.rejected[0].reason == "the message is not Avro in Confluent's wire form");
  CHECK(batch.rejected[1].reason == "the schema registry has no schema of the number 2147483647");
  CHECK(batch.rejected[1].payload == unknown);
}

TEST_CASE(
    "pgch's own messages in JSON stop a consumer of Avro, and the other way round; nothing becomes a dead letter") {
  const std::string written = GENERATE(as<std::string>(), "json", "avro");
  AvroBroker broker(1);
  broker.options.format = written;
  must(broker.sender()->load(logins(1, 10), {"p", "s", 1, 1, 1}));
  broker.options.format = written == "json" ? "avro" : "json";
  Consuming consuming(broker);
  const Error error = first_error(consuming);
  CHECK(error.recovery == Recovery::halt);
  CHECK(error.message.find("kafka.format") != std::string::npos);
}

TEST_CASE("an address that can't be a registry's is refused at once, without what it holds of secrets") {
  AvroBroker broker(1);
  for (const std::string url : {"", "ftp://host", "http://me:hunter2@host:8081", "http://host:8081/?key=hunter2"}) {
    broker.options.schema_registry.url = url;
    auto transport = make_kafka(broker.options);
    Result<std::unique_ptr<registry::SchemaRegistry>> made =
        registry::make_schema_registry(broker.options.schema_registry, broker.context());
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Errc::config);
    CHECK(made.error().message.find("hunter2") == std::string::npos);
    CHECK(static_cast<bool>(transport) == !url.empty());
  }
  // Something else than a registry answers there.
  const std::string registry_url = std::getenv("PGCH_TEST_REGISTRY");
  broker.options.schema_registry.url = registry_url.substr(0, registry_url.find("/apis")) + "/nothing";
  const auto answered = broker.registry()->schema_of(1);
  REQUIRE_FALSE(answered);
  CHECK(answered.error().code == Errc::config);
}
