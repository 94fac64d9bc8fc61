#include <condition_variable>
#include <set>
#include <thread>

#include "kafka_fixture.h"

using namespace pgch;
using namespace pgch::test;

namespace {

// Hashes of all rows, however they are cut.
std::multiset<std::pair<std::uint64_t, std::uint64_t>> hashes(const RowBatch& batch) {
  std::vector<std::size_t> all(batch.columns.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  std::multiset<std::pair<std::uint64_t, std::uint64_t>> out;
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    const RowHash h = hash_row(batch, row, all);
    out.emplace(h.low, h.high);
  }
  return out;
}

}  // namespace

TEST_CASE("random rows of every kind arrive exactly, with version and operation") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  Broker broker;
  const auto schema = every_kind_schema(true);
  broker.options.schema = [schema] { return Result<TableSchema>(*schema); };
  broker.options.until_end = true;
  RowBatch batch = random_batch(random, schema, 3000);
  batch.stream = "s";
  batch.version = 42;
  auto loader = broker.sender(*schema);
  must(loader->load(batch, {"p", "s", 1, 1, 1}));
  Consuming consuming(broker);
  std::multiset<std::pair<std::uint64_t, std::uint64_t>> got;
  RowBatch part;
  for (Fetch f = must(consuming.fetch(part)); f != Fetch::end; f = must(consuming.fetch(part))) {
    if (f != Fetch::rows) continue;
    CHECK(part.rejected.empty());
    CHECK(part.version_of(0) == 42);
    CHECK(part.op_of(0) == RowOp::insert);
    got.merge(hashes(part));
    consuming.settle(must(consuming.intend(part)));
  }
  CHECK(got == hashes(batch));
}

TEST_CASE("updates keep their operation and removals arrive as keys") {
  Broker broker(1);
  RowBatch batch = logins(1, 4);
  batch.ops = {RowOp::insert, RowOp::update, RowOp::remove, RowOp::insert};
  batch.versions = {10, 11, 12, 13};
  auto loader = broker.sender();
  must(loader->load(batch, {"p", "s", 1, 1, 1}));
  Consuming consuming(broker);
  const RowBatch got = consuming.next();
  REQUIRE(got.rows == 4);
  CHECK(ids_of(got) == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(got.ops == batch.ops);
  CHECK(got.versions == batch.versions);
  CHECK(got.columns[1].is_null(2));
}

TEST_CASE("a batch has one partition's records only, and limits cut it") {
  Broker broker;
  auto loader = broker.sender();
  must(loader->load(logins(1, 1000), {"p", "s", 1, 1, 1}));
  Consuming consuming(broker);
  BatchLimits limits;
  limits.rows_max = 100;
  std::size_t rows = 0;
  while (rows < 1000) {
    RowBatch batch = consuming.next(limits);
    CHECK(batch.rows <= 100);
    CHECK(batch.stream.find(broker.options.topic + "/") == 0);
    rows += batch.rows;
    consuming.settle(must(consuming.intend(batch)));
  }
  CHECK(rows == 1000);
}

TEST_CASE("offsets are committed behind what is done, and a restart goes on there") {
  Broker broker;
  broker.options.until_end = true;
  auto loader = broker.sender();
  must(loader->load(logins(1, 500), {"p", "s", 1, 1, 1}));
  CHECK(Consuming(broker).drain().size() == 500);
  for (const PartitionInfo& p : must(describe_topic(broker.options, broker.context()))) CHECK(p.committed == p.high);
  CHECK(Consuming(broker).drain().empty());
  must(loader->load(logins(501, 10), {"p", "s", 1, 2, 2}));
  CHECK(Consuming(broker).drain().size() == 10);
}

TEST_CASE("a batch under way when its owner ends comes back to the next one exactly, with its intent") {
  Broker broker(1);
  auto loader = broker.sender();
  must(loader->load(logins(1, 1000), {"p", "s", 1, 1, 1}));
  BatchLimits limits;
  limits.rows_max = 300;
  Intent first;
  std::uint64_t content = 0;
  {
    Consuming consuming(broker);
    RowBatch batch = consuming.next(limits);
    REQUIRE(batch.rows == 300);
    first = must(consuming.intend(batch));
    Intent again = first;
    again.attempts.push_back(must(consuming.receiver.journal->intend(first, true)));
    content = content_hash(batch);
    first = again;
    const RowBatch behind = consuming.next(limits);
    CHECK(behind.rows == 300);
  }
  limits.rows_max = 77;  // the limits of now do not matter
  {
    Consuming consuming(broker);
    RowBatch batch = consuming.next(limits);
    REQUIRE(batch.intent.has_value());
    CHECK(batch.rows == 300);
    CHECK(content_hash(batch) == content);
    CHECK(batch.intent->content == content);
    CHECK(batch.intent->sequence == first.sequence);
    CHECK(batch.intent->attempts == first.attempts);
    CHECK(batch.intent->rows == 300);
    consuming.settle(must(consuming.intend(batch)));
    RowBatch after = consuming.next(limits);
    CHECK_FALSE(after.intent.has_value());
    CHECK(ids_of(after).front() == 301);
    const Intent second = must(consuming.intend(after));
    CHECK(second.sequence == first.sequence + 1);
    CHECK(second.attempts.front() > first.attempts.back() + 1);
  }
}

TEST_CASE("an abandoned batch is handed out again, with its intent if it had one") {
  Broker broker(1);
  auto loader = broker.sender();
  must(loader->load(logins(1, 200), {"p", "s", 1, 1, 1}));
  Consuming consuming(broker);
  BatchLimits limits;
  limits.rows_max = 100;
  RowBatch batch = consuming.next(limits);
  RowBatch behind = consuming.next(limits);
  consuming.receiver.extractor->abandon(batch.stream, batch.position);
  CHECK(consuming.intend(behind).error().recovery == Recovery::abandon);
  consuming.receiver.extractor->abandon(behind.stream, behind.position);
  RowBatch again = consuming.next(limits);
  CHECK(ids_of(again) == ids_of(batch));
  CHECK_FALSE(again.intent.has_value());
  const Intent intent = must(consuming.intend(again));
  consuming.receiver.extractor->abandon(again.stream, again.position);
  RowBatch third = consuming.next(limits);
  CHECK(ids_of(third) == ids_of(batch));
  REQUIRE(third.intent.has_value());
  CHECK(third.intent->attempts == intent.attempts);
  consuming.settle(must(consuming.intend(third)));
  CHECK(ids_of(consuming.next(limits)).front() == 101);
}

TEST_CASE("a batch that is told late, at a stop, does not close the intent of the one behind it") {
  Broker broker(1);
  auto loader = broker.sender();
  must(loader->load(logins(1, 200), {"p", "s", 1, 1, 1}));
  BatchLimits limits;
  limits.rows_max = 100;
  std::vector<std::int64_t> ids;
  Intent open;
  {
    Consuming consuming(broker);
    RowBatch first = consuming.next(limits);
    RowBatch second = consuming.next(limits);
    must(consuming.intend(first));
    open = must(consuming.intend(second));
    ids = ids_of(second);
    // The first is at the target; whether the second is, nobody knows when the time to stop is over.
    must(consuming.receiver.extractor->acknowledge(first.stream, first.position));
    consuming.receiver.extractor->abandon(second.stream, second.position);
  }
  Consuming consuming(broker);
  RowBatch again = consuming.next(limits);
  CHECK(ids_of(again) == ids);
  REQUIRE(again.intent.has_value());
  CHECK(again.intent->attempts == open.attempts);
}

TEST_CASE("records that a producer repeated are left out, also after a restart") {
  Broker broker(1);
  broker.options.until_end = true;
  auto loader = broker.sender();
  must(loader->load(logins(1, 100), {"p", "s", 1, 1, 5}));
  CHECK(Consuming(broker).drain().size() == 100);
  must(loader->load(logins(1, 100), {"p", "s", 1, 1, 5}));
  must(loader->load(logins(101, 5), {"p", "s", 1, 2, 6}));
  must(loader->load(logins(1, 50), {"p", "s", 1, 1, 4}));
  const auto seen = Consuming(broker).drain();
  CHECK(seen.size() == 5);
  CHECK(broker.log.has("repeated records were left out"));
  CHECK(Consuming(broker).drain().empty());
  for (const PartitionInfo& p : must(describe_topic(broker.options, broker.context()))) CHECK(p.committed == p.high);
}

TEST_CASE("poison records become dead letters with reason and origin, and the rest goes on") {
  Broker broker(1);
  broker.options.until_end = true;
  broker.create();
  broker.produce({{"1", R"({"id":1,"name":"a"})"},
                  {"", "not json"},
                  {"2", R"({"id":"two","name":"a"})"},
                  {"3", R"({"id":3,"name":"c","unknown":1})"},
                  {"4", "(none)"},
                  {"", "(none)"},
                  {"not a key", "(none)"},
                  {"5", ""},
                  {"6", std::string("\xff\xfe", 2)},
                  {"", R"({"id":7})"}});
  Consuming consuming(broker);
  RowBatch batch = consuming.next();
  CHECK(ids_of(batch) == std::vector<std::int64_t>{1, 4, 7});
  CHECK(batch.op_of(1) == RowOp::remove);
  CHECK(batch.version_of(0) == 1);
  CHECK(batch.version_of(2) == 10);
  REQUIRE(batch.rejected.size() == 7);
  CHECK(batch.rejected[0].origin == broker.options.topic + "/0@1");
  CHECK(batch.rejected[0].payload == "not json");
  CHECK(batch.rejected[1].reason == "the field \"id\" is not an integer of 64 bits");
  CHECK(batch.rejected[1].key == "2");
  must(consuming.receiver.dead_letters->put(batch.stream, batch.rejected));
  consuming.settle(must(consuming.intend(batch)));
  RowBatch none;
  CHECK(must(consuming.fetch(none)) == Fetch::end);

  KafkaOptions dlq = broker.options;
  dlq.topic += ".dlq";
  auto reader = must(kafka::Consumer::read(dlq, broker.context()));
  must(reader->assign({{0, 0}}));
  kafka::Records records;
  while (records.size() < 7) {
    reader->take(0, records, 7 - records.size(), 0);
    must(reader->poll(5));
  }
  CHECK(records[0].value() == "not json");
  const std::vector<std::string_view> names = {"pgch-reason", "pgch-topic", "pgch-partition", "pgch-offset"};
  std::vector<std::optional<std::string_view>> values(4);
  const kafka::RecordHeaders headers(records[1]);
  headers.find(names, values);
  CHECK(values[0] == batch.rejected[1].reason);
  CHECK(values[1] == broker.options.topic);
  CHECK(values[2] == "0");
  CHECK(values[3] == "2");
  CHECK(records[1].key() == "2");
  records.clear();
}

TEST_CASE("too many poison records in a row stop the consumer with a sentence") {
  Broker broker(1);
  broker.create();
  broker.produce(std::vector<std::pair<std::string, std::string>>(1500, {"", "{}"}));
  Consuming consuming(broker);
  RowBatch batch;
  Result<Fetch> fetched = Fetch::idle;
  for (int i = 0; i < 20 && fetched; ++i) fetched = consuming.fetch(batch);
  REQUIRE_FALSE(fetched);
  CHECK(fetched.error().code == Errc::schema);
  CHECK(fetched.error().recovery == Recovery::halt);
}

TEST_CASE("a message of 10 MB is cut for the dead letters, and named") {
  Broker broker(1);
  broker.options.until_end = true;
  broker.options.json_bytes_max = 1000;
  broker.create();
  broker.produce({{"", std::string(900'000, 'x')}});
  Consuming consuming(broker);
  RowBatch batch = consuming.next();
  REQUIRE(batch.rejected.size() == 1);
  CHECK(batch.rows == 0);
  batch.rejected[0].payload.assign(10'000'000, 'y');
  must(consuming.receiver.dead_letters->put(batch.stream, batch.rejected));
  consuming.settle(must(consuming.intend(batch)));
  CHECK(must(consuming.fetch(batch)) == Fetch::end);
}

TEST_CASE("metadata that are not ours begin plainly at their offset, damaged ones stop") {
  Broker broker(1);
  auto loader = broker.sender();
  must(loader->load(logins(1, 20), {"p", "s", 1, 1, 1}));
  const auto commit = [&](std::int64_t offset, const std::string& metadata) {
    auto member = must(kafka::Consumer::join(broker.options, 1, broker.context()));
    while (member->rebalance().kind != kafka::Rebalance::Kind::assigned) must(member->poll(50));
    must(member->assign({{0, 0}}));
    must(member->commit(0, offset, metadata));
    member->close();
  };
  commit(5, "somebody else's");
  {
    Consuming consuming(broker);
    CHECK(ids_of(consuming.next()).front() == 6);
  }
  commit(5, "pgch1:AAAA");
  auto receiver = must(broker.transport()->make_receiver());
  const auto opened = receiver.extractor->open(broker.context(), {});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Errc::corrupt);
  receiver.extractor->close();
  commit(500, "");
  Consuming consuming(broker);
  RowBatch batch;
  Result<Fetch> fetched = Fetch::idle;
  for (int i = 0; i < 20 && fetched; ++i) fetched = consuming.fetch(batch);
  REQUIRE_FALSE(fetched);
  CHECK(fetched.error().recovery == Recovery::halt);
  CHECK(fetched.error().message.find("500") != std::string::npos);
}

TEST_CASE("offset_reset latest skips what was there at the first start only") {
  Broker broker(1);
  broker.options.offset_reset = "latest";
  auto loader = broker.sender();
  must(loader->load(logins(1, 10), {"p", "s", 1, 1, 1}));
  {
    Consuming consuming(broker);
    RowBatch batch;
    CHECK(must(consuming.fetch(batch)) != Fetch::rows);
  }
  must(loader->load(logins(11, 10), {"p", "s", 1, 2, 2}));
  CHECK(ids_of(Consuming(broker).next()).front() == 11);
}

TEST_CASE("a topic that is missing stops the consumer with a sentence") {
  Broker broker;
  broker.options.create_topic = false;
  auto receiver = must(broker.transport()->make_receiver());
  const auto opened = receiver.extractor->open(broker.context(), {});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Errc::not_found);
  broker.options.create_topic = true;
  RowBatch none;
  CHECK(must(Consuming(broker).fetch(none)) == Fetch::idle);
  CHECK(must(describe_topic(broker.options, broker.context())).size() == 3);
}

namespace {

// One member of a group: reads and settles on two threads, as the pipeline does, until told to stop.
class Member {
 public:
  Member(Broker& broker, std::map<std::int64_t, int>& seen, std::mutex& mutex, std::uint64_t seed)
      : consuming_(broker), seen_(seen), mutex_(mutex), random_(seed), reader_([this] { read(); }), loader_([this] {
          load();
        }) {}
  ~Member() { stop(); }
  void stop() {
    stop_ = true;
    if (reader_.joinable()) reader_.join();
    if (loader_.joinable()) loader_.join();
  }
  std::string error;

 private:
  struct Settled {
    std::string stream;
    Position position;
    bool durable;
  };
  void read() {
    BatchLimits limits;
    limits.rows_max = 200;
    while (!stop_) {
      std::vector<Settled> settled;
      {
        const std::lock_guard lock(tasks_);
        settled.swap(settled_);
      }
      for (const Settled& s : settled) {
        if (s.durable) {
          (void)consuming_.receiver.extractor->acknowledge(s.stream, s.position);
        } else {
          consuming_.receiver.extractor->abandon(s.stream, s.position);
        }
      }
      RowBatch batch;
      auto fetched = consuming_.fetch(batch, limits, 50);
      if (!fetched) {
        if (fetched.error().recovery == Recovery::halt) {
          error = fetched.error().message;
          return;
        }
        continue;
      }
      const std::lock_guard lock(tasks_);
      if (*fetched == Fetch::rows) queue_.push_back(std::move(batch));
    }
  }
  void load() {
    while (!stop_) {
      RowBatch batch;
      {
        const std::lock_guard lock(tasks_);
        if (!queue_.empty()) {
          batch = std::move(queue_.front());
          queue_.erase(queue_.begin());
        }
      }
      if (!batch.schema) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        continue;
      }
      // A batch with an intent may have landed: here the model target is asked row by row.
      const bool look = batch.intent.has_value();
      auto intent = consuming_.intend(batch);
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 20));
      // Now and then a load fails for certain, and the same batch is tried again under a new attempt.
      while (intent && random_() % 8 == 0) {
        auto number = consuming_.receiver.journal->intend(*intent, true);
        if (number) intent->attempts.push_back(*number);
        if (!number) intent = number.error();
      }
      if (intent) {
        const std::lock_guard lock(mutex_);
        for (const std::int64_t id : ids_of(batch)) {
          if (!look || seen_.count(id) == 0) ++seen_[id];
        }
      }
      const std::lock_guard lock(tasks_);
      settled_.push_back({batch.stream, batch.position, static_cast<bool>(intent)});
    }
  }

  Consuming consuming_;
  std::map<std::int64_t, int>& seen_;
  std::mutex& mutex_;
  Random random_;
  std::atomic<bool> stop_{false};
  std::mutex tasks_;
  std::vector<RowBatch> queue_;
  std::vector<Settled> settled_;
  std::thread reader_, loader_;
};

}  // namespace

TEST_CASE("members that come and go lose and double nothing") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  Broker broker(4);
  auto loader = broker.sender();
  std::map<std::int64_t, int> seen;
  std::mutex mutex;
  std::int64_t sent = 0;
  std::vector<std::unique_ptr<Member>> members;
  for (int round = 0; round < 12; ++round) {
    must(loader->load(logins(sent + 1, 3000),
                      {"p", "s", 1, static_cast<std::uint64_t>(round + 1), static_cast<std::uint64_t>(round + 1)}));
    sent += 3000;
    if (members.size() < 3 && (members.empty() || random() % 2 == 0)) {
      members.push_back(std::make_unique<Member>(broker, seen, mutex, random()));
    } else if (members.size() > 1) {
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(random() % members.size()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + random() % 700));
  }
  for (int i = 0; i < 600; ++i) {
    {
      const std::lock_guard lock(mutex);
      if (seen.size() == static_cast<std::size_t>(sent)) break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::string state = broker.log.all();
  for (const PartitionInfo& p : must(describe_topic(broker.options, broker.context()))) {
    state += "partition " + std::to_string(p.id) + ": committed " + std::to_string(p.committed) + " of " +
             std::to_string(p.high) + "\n";
  }
  INFO(state);
  for (auto& member : members) {
    member->stop();
    CHECK(member->error == "");
  }
  members.clear();
  const std::lock_guard lock(mutex);
  CHECK(seen.size() == static_cast<std::size_t>(sent));
  std::size_t doubled = 0;
  for (const auto& [id, times] : seen) doubled += times != 1 ? 1 : 0;
  CHECK(doubled == 0);
}
