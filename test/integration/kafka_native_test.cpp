// The format native on the real broker: many rows a message, and the same promises.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "codec/native_message.h"
#include "kafka_fixture.h"

using namespace pgch;
using namespace pgch::test;

namespace {

struct NativeBroker : Broker {
  explicit NativeBroker(std::int32_t partitions = 3) : Broker(partitions) { options.format = "native"; }
};

std::shared_ptr<const TableSchema> keyless() {
  auto schema = std::make_shared<TableSchema>(*logins_schema());
  schema->key_order.clear();
  schema->columns[0].key = false;
  return schema;
}

Intent intent_of(const RowBatch& batch, std::vector<std::uint64_t> attempts, std::string mark) {
  return {batch.stream, 1, std::move(attempts), {}, batch.rows, 0, std::move(mark)};
}
Attempt attempt_of(const Intent& intent) { return {"p", intent.stream, 1, intent.sequence, intent.attempts.back()}; }

std::map<std::int64_t, int> each_once(std::int64_t first, std::int64_t rows) {
  std::map<std::int64_t, int> out;
  for (std::int64_t id = first; id < first + rows; ++id) out[id] = 1;
  return out;
}

}  // namespace

TEST_CASE("blocks of many rows arrive exactly, with version and operation, in few messages") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  NativeBroker broker;
  const auto schema = every_kind_schema(true);
  broker.options.schema = [schema] { return Result<TableSchema>(*schema); };
  broker.options.until_end = true;
  RowBatch batch = random_batch(random, schema, 3000);
  batch.stream = "s";
  for (std::uint32_t r = 0; r < batch.rows; ++r) {
    batch.versions.push_back(r + 100);
    batch.ops.push_back(static_cast<RowOp>(r % 3));
  }
  auto loader = broker.sender(*schema);
  must(loader->load(batch, {"p", "s", 1, 1, 1}));
  CHECK(broker.records() >= 3);
  CHECK(broker.records() < 20);
  Consuming consuming(broker);
  std::map<std::int64_t, RowHash> got;
  std::vector<std::size_t> all(schema->columns.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  RowBatch part;
  for (Fetch f = must(consuming.fetch(part)); f != Fetch::end; f = must(consuming.fetch(part))) {
    if (f != Fetch::rows) continue;
    CHECK(part.rejected.empty());
    const auto ids = ids_of(part);
    for (std::uint32_t r = 0; r < part.rows; ++r) {
      CHECK(part.version_of(r) == static_cast<std::uint64_t>(ids[r]) + 99);
      CHECK(part.op_of(r) == static_cast<RowOp>((ids[r] - 1) % 3));
      CHECK(got.emplace(ids[r], hash_row(part, r, all)).second);
    }
    consuming.settle(must(consuming.intend(part)));
  }
  REQUIRE(got.size() == 3000);
  for (std::uint32_t r = 0; r < batch.rows; ++r) CHECK(got.at(r + 1) == hash_row(batch, r, all));
}

TEST_CASE("rows of one key stay in one partition and in order; rows without a key go to all in turn") {
  NativeBroker broker;
  broker.options.until_end = true;
  auto loader = broker.sender();
  for (std::uint64_t n = 1; n <= 5; ++n) {
    RowBatch batch = logins(1, 300);
    batch.version = n;
    must(loader->load(batch, {"p", "s", 1, n, n}));
  }
  Consuming consuming(broker);
  std::map<std::int64_t, std::pair<std::string, std::uint64_t>> last;
  std::set<std::string> partitions;
  RowBatch part;
  for (Fetch f = must(consuming.fetch(part)); f != Fetch::end; f = must(consuming.fetch(part))) {
    if (f != Fetch::rows) continue;
    partitions.insert(part.stream);
    const auto ids = ids_of(part);
    for (std::uint32_t r = 0; r < part.rows; ++r) {
      auto& [where, version] = last[ids[r]];
      CHECK((where.empty() || where == part.stream));
      CHECK(part.version_of(r) == version + 1);
      where = part.stream;
      version = part.version_of(r);
    }
    consuming.settle(must(consuming.intend(part)));
  }
  CHECK(last.size() == 300);
  CHECK(partitions.size() == 3);

  NativeBroker turns;
  turns.options.schema = [] { return Result<TableSchema>(*keyless()); };
  auto other = turns.sender(*keyless());
  for (std::uint64_t n = 1; n <= 3; ++n) {
    RowBatch batch = logins(1, 10);
    batch.schema = keyless();
    must(other->load(batch, {"p", "s", 1, n, n}));
  }
  for (const PartitionInfo& p : must(describe_topic(turns.options, turns.context()))) CHECK(p.high == 1);
}

TEST_CASE("look finds which rows of a batch are in the topic's blocks") {
  NativeBroker broker;
  auto loader = broker.sender();
  const RowBatch batch = logins(1, 1000);
  const Intent intent = intent_of(batch, {3, 4}, must(loader->mark()));
  must(loader->load(logins(1, 100), {"p", "s", 1, 1, 2}));
  must(loader->load(logins(1, 100), {"p", "s", 2, 1, 3}));
  CHECK(must(loader->look(intent, batch, attempt_of(intent))).missing.size() == 1000);
  std::vector<std::uint32_t> some;
  for (std::uint32_t i = 0; i < 1000; i += 3) some.push_back(i);
  must(loader->load(select_rows(batch, some), {"p", "s", 1, 1, 3}));
  const auto part = must(loader->look(intent, batch, attempt_of(intent)));
  CHECK(part.missing.size() == 1000 - some.size());
  for (const std::uint32_t row : part.missing) CHECK(row % 3 != 0);
  must(loader->load(select_rows(batch, part.missing), {"p", "s", 1, 1, 4}));
  CHECK(must(loader->look(intent, batch, attempt_of(intent))).missing.empty());
  const RowBatch rest = select_rows(batch, std::vector<std::uint32_t>{5, 6, 7});
  CHECK(must(loader->look(intent, rest, attempt_of(intent))).missing.empty());
}

TEST_CASE("a look finds what was sent in the other format before a restart, too") {
  NativeBroker broker;
  auto native = broker.sender();
  const RowBatch batch = logins(1, 100);
  const Intent intent = intent_of(batch, {3, 4}, must(native->mark()));
  std::vector<std::uint32_t> even, odd;
  for (std::uint32_t i = 0; i < 98; ++i) (i % 2 == 0 ? even : odd).push_back(i);
  must(native->load(select_rows(batch, even), {"p", "s", 1, 1, 3}));
  broker.options.format = "json";
  auto json = broker.sender();
  must(json->load(select_rows(batch, odd), {"p", "s", 1, 1, 4}));
  const std::vector<std::uint32_t> missing{98, 99};
  CHECK(must(json->look(intent, batch, attempt_of(intent))).missing == missing);
  CHECK(must(native->look(intent, batch, attempt_of(intent))).missing == missing);
}

TEST_CASE("a producer of blocks that is killed while sending leaves what look can tell, and nothing is doubled") {
  const std::int32_t partitions = GENERATE(1, 3);
  NativeBroker broker(partitions);
  broker.options.until_end = true;
  broker.create();
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  std::uint64_t number = 0;
  const RowBatch batch = logins(1, 40'000, std::string(1000, 'x'));
  for (int round = 0; round < 5; ++round) {
    std::string mark;
    {
      auto loader = broker.sender();
      mark = must(loader->mark());
    }
    const pid_t child = fork();
    if (child == 0) {
      Context context{null_logger(), system_clock(), {}};
      auto transport = make_kafka(broker.options);
      auto loader = (*transport)->make_sender();
      if ((*loader)->open(context) && (*loader)->prepare(*batch.schema))
        (void)(*loader)->load(batch, {"p", "s", 1, 1, number + 1});
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(50'000 + random() % 500'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    auto loader = broker.sender();
    Intent intent = intent_of(batch, {number + 1}, mark);
    const auto found = must(loader->look(intent, batch, attempt_of(intent)));
    UNSCOPED_INFO("round " << round << ": " << batch.rows - found.missing.size() << " had landed");
    if (!found.missing.empty()) must(loader->load(select_rows(batch, found.missing), {"p", "s", 1, 1, number + 2}));
    intent.attempts.push_back(number + 2);
    CHECK(must(loader->look(intent, batch, attempt_of(intent))).missing.empty());
    number += 2;
  }
  std::map<std::int64_t, int> want;
  for (std::int64_t id = 1; id <= batch.rows; ++id) want[id] = 5;
  CHECK(Consuming(broker).drain() == want);
}

TEST_CASE("a batch of blocks under way when its owner ends comes back to the next one exactly") {
  NativeBroker broker(1);
  auto loader = broker.sender();
  for (std::uint64_t n = 0; n < 4; ++n)
    must(loader->load(logins(1 + static_cast<std::int64_t>(n) * 1000, 1000), {"p", "s", 1, n + 1, n + 1}));
  CHECK(broker.records() == 4);
  BatchLimits limits;
  limits.rows_max = 1500;  // a message is not cut: two are a batch
  std::uint64_t content = 0;
  {
    Consuming consuming(broker);
    RowBatch batch = consuming.next(limits);
    REQUIRE(batch.rows == 2000);
    content = content_hash(batch);
    must(consuming.intend(batch));
  }
  limits.rows_max = 10;
  broker.options.until_end = true;
  Consuming consuming(broker);
  RowBatch batch = consuming.next(limits);
  REQUIRE(batch.intent.has_value());
  CHECK(content_hash(batch) == content);
  CHECK(batch.intent->content == content);
  consuming.settle(must(consuming.intend(batch)));
  CHECK(consuming.drain() == each_once(2001, 2000));
}

TEST_CASE("a message is at most one mebibyte or what the topic takes, and a row that is larger is a dead letter") {
  NativeBroker broker(1);
  broker.options.message_bytes_max = 100'000;
  auto loader = broker.sender();
  must(loader->load(logins(1, 1000, std::string(1000, 'x')), {"p", "s", 1, 1, 1}));
  CHECK(broker.records() > 10);
  CHECK(broker.records() < 13);
  const auto refused = loader->load(logins(1, 3, std::string(100'000, 'x')), {"p", "s", 1, 2, 2});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().recovery == Recovery::dead_letter);
  CHECK(refused.error().message.find("max.message.bytes") != std::string::npos);
}

TEST_CASE("a consumer with another format than the producer's stops and says so; nothing becomes a dead letter") {
  NativeBroker broker(1);
  auto loader = broker.sender();
  must(loader->load(logins(1, 10), {"p", "s", 1, 1, 1}));
  broker.options.format = "json";
  Consuming consuming(broker);
  RowBatch batch;
  Result<Fetch> fetched = Fetch::idle;
  for (int i = 0; i < 60 && fetched; ++i) fetched = consuming.fetch(batch);
  REQUIRE_FALSE(fetched);
  CHECK(fetched.error().recovery == Recovery::halt);
  CHECK(fetched.error().message.find("kafka.format") != std::string::npos);
}

TEST_CASE("messages that are no blocks lie among good ones and become dead letters whole") {
  NativeBroker broker(1);
  broker.create();
  codec::NativeEncoder encoder;
  must(encoder.open(logins_schema()));
  std::string block;
  must(encoder.append_block(logins(1, 10), 0, 10, block));
  broker.produce({{"", "junk"}, {"", block}, {"", block.substr(0, block.size() - 1)}, {"", "(none)"}, {"", ""}});
  Consuming consuming(broker);
  RowBatch batch = consuming.next();
  for (int i = 0; i < 20 && batch.rejected.size() < 4; ++i) {
    RowBatch more;
    if (must(consuming.fetch(more)) == Fetch::rows) FAIL("all lie in one batch");
  }
  CHECK(batch.rows == 10);
  REQUIRE(batch.rejected.size() == 4);
  CHECK(batch.rejected[0].payload == "junk");
  CHECK(batch.rejected[1].payload == block.substr(0, block.size() - 1));
  CHECK(batch.rejected[2].payload_is_null);
  for (std::uint32_t r = 0; r < batch.rows; ++r) CHECK(batch.version_of(r) == 7);
}
