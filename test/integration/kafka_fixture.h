// A topic of its own on the real broker, both ends of the transport on it, and small steps that tests are made of.
#pragma once

#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "kafka/admin.h"
#include "kafka/consumer.h"
#include "kafka/producer.h"
#include "pgch/batch.h"
#include "pgch/transport/kafka.h"
#include "test/support/catch.h"
#include "test/unit/codec/random_rows.h"

namespace pgch::test {

class KeptLog final : public Logger {
 public:
  void write(LogLevel level, std::string_view message) override {
    const std::lock_guard lock(mutex_);
    if (level != LogLevel::debug) lines_.emplace_back(message);
  }
  bool has(std::string_view part) {
    const std::lock_guard lock(mutex_);
    for (const std::string& line : lines_) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }

  std::string all() {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const std::string& line : lines_) out += line + "\n";
    return out;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

template <class T>
T must(Result<T> result) {
  if (!result) {
    INFO(result.error().message);
    REQUIRE(false);
  }
  return std::move(result).value();
}
inline void must(Result<void> result) {
  if (!result) {
    INFO(result.error().message);
    REQUIRE(false);
  }
}

inline std::shared_ptr<const TableSchema> logins_schema() {
  auto schema = std::make_shared<TableSchema>();
  schema->schema = "public";
  schema->table = "user_logins";
  schema->columns = {{"id", Kind::int64, false, true, 0, 0, ""}, {"name", Kind::text, true, false, 0, 0, ""}};
  schema->key_order = {"id"};
  return schema;
}

inline RowBatch logins(std::int64_t first, std::uint32_t rows, const std::string& name = "x") {
  RowBatch batch;
  batch.reset(logins_schema());
  for (std::uint32_t i = 0; i < rows; ++i) {
    const std::int64_t id = first + i;
    append_value(batch.columns[0], Layout::fixed8, false, {reinterpret_cast<const std::byte*>(&id), 8});
    append_value(batch.columns[1], Layout::varlen, true,
                 {reinterpret_cast<const std::byte*>(name.data()), name.size()});
  }
  batch.rows = rows;
  batch.version = 7;
  batch.stream = "s";
  return batch;
}

inline std::vector<std::int64_t> ids_of(const RowBatch& batch) {
  std::vector<std::int64_t> ids;
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    std::int64_t id = 0;
    std::memcpy(&id, batch.columns[0].at(row, 8).data(), 8);
    ids.push_back(id);
  }
  return ids;
}

struct Broker {
  explicit Broker(std::int32_t partitions = 3) {
    const char* bootstrap = std::getenv("PGCH_TEST_KAFKA");
    REQUIRE(bootstrap != nullptr);
    static std::random_device random;
    options.bootstrap = bootstrap;
    options.topic = "pgch-test-" + std::to_string(random()) + std::to_string(random());
    options.group = options.topic + "-group";
    options.partitions = partitions;
    options.schema = [] { return Result<TableSchema>(*logins_schema()); };
  }
  ~Broker() {
    (void)delete_topic(options, context());
    KafkaOptions dlq = options;
    dlq.topic += ".dlq";
    (void)delete_topic(dlq, context());
  }
  Context context() { return {log, system_clock(), stop.get_token()}; }
  std::unique_ptr<Transport> transport() { return must(make_kafka(options)); }
  std::unique_ptr<Loader> sender(const TableSchema& schema = *logins_schema()) {
    auto loader = must(transport()->make_sender());
    must(loader->open(context()));
    CHECK(must(loader->prepare(schema)).can_look);
    return loader;
  }
  void create() { must(create_topic(options, context())); }
  /// Records as they are, of no producer of ours.
  void produce(const std::vector<std::pair<std::string, std::string>>& records) {
    auto producer = must(kafka::Producer::open(options, options.topic, 20'000'000, context()));
    for (const auto& [key, value] : records) {
      kafka::Outgoing message;
      message.key = key;
      message.has_key = !key.empty();
      message.value = value;
      message.tombstone = value == "(none)";
      must(producer->send(message));
    }
    must(producer->finish());
  }
  std::int64_t records() {
    std::int64_t n = 0;
    for (const PartitionInfo& p : must(describe_topic(options, context()))) n += p.high - p.low;
    return n;
  }

  KafkaOptions options;
  KeptLog log;
  std::stop_source stop;
};

/// The receiving half as the pipeline would drive it, one step at a time.
struct Consuming {
  explicit Consuming(Broker& broker) : broker(broker), receiver(must(broker.transport()->make_receiver())) {
    must(receiver.journal->open(broker.context()));
    must(receiver.dead_letters->open(broker.context()));
    must(receiver.extractor->open(broker.context(), must(receiver.journal->pending())));
  }
  ~Consuming() { receiver.extractor->close(); }
  Result<Fetch> fetch(RowBatch& batch, BatchLimits limits = {}, int ms = 500) {
    return receiver.extractor->fetch(batch, limits, system_clock().now() + std::chrono::milliseconds(ms));
  }
  /// The next batch; waits through what is not one.
  RowBatch next(BatchLimits limits = {}) {
    RowBatch batch;
    for (int i = 0; i < 60; ++i) {
      if (must(fetch(batch, limits)) == Fetch::rows) return batch;
    }
    FAIL("no batch came");
    return batch;
  }
  Result<Intent> intend(RowBatch& batch) {
    Intent intent;
    if (batch.intent) {
      intent = *batch.intent;
    } else {
      intent = {batch.stream,
                receiver.journal->next_sequence(batch.stream),
                {},
                batch.position,
                batch.rows,
                content_hash(batch),
                ""};
    }
    auto number = receiver.journal->intend(intent, true);
    if (!number) return number.error();
    intent.attempts.push_back(*number);
    return intent;
  }
  void settle(const Intent& intent) {
    must(receiver.extractor->acknowledge(intent.stream, intent.position));
    for (const Acknowledged& a : receiver.extractor->take_acknowledged()) CHECK(a.position == intent.position);
    must(receiver.journal->done(intent.stream, intent.sequence));
  }
  /// Everything up to the end; each batch settled.
  std::map<std::int64_t, int> drain() {
    std::map<std::int64_t, int> seen;
    RowBatch batch;
    for (int idle = 0; idle < 3;) {
      const Fetch fetched = must(fetch(batch));
      if (fetched == Fetch::end) break;
      if (fetched == Fetch::idle) ++idle;
      if (fetched != Fetch::rows) continue;
      idle = 0;
      if (!batch.rejected.empty()) must(receiver.dead_letters->put(batch.stream, batch.rejected));
      for (const std::int64_t id : ids_of(batch)) ++seen[id];
      settle(must(intend(batch)));
    }
    return seen;
  }
  Broker& broker;
  Receiver receiver;
};

}  // namespace pgch::test
