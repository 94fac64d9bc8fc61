#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "kafka_fixture.h"

using namespace pgch;
using namespace pgch::test;

namespace {

Attempt attempt_of(const Intent& intent) { return {"p", intent.stream, 1, intent.sequence, intent.attempts.back()}; }

Intent intent_of(const RowBatch& batch, std::vector<std::uint64_t> attempts, std::string mark) {
  return {batch.stream, 1, std::move(attempts), {}, batch.rows, 0, std::move(mark)};
}

}  // namespace

TEST_CASE("a missing topic is made by the sender, or is an error that says so") {
  Broker broker;
  broker.options.create_topic = false;
  auto loader = must(broker.transport()->make_sender());
  must(loader->open(broker.context()));
  const auto refused = loader->prepare(*logins_schema());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::not_found);
  CHECK(refused.error().message.find(broker.options.topic) != std::string::npos);
  broker.options.create_topic = true;
  broker.sender();
  CHECK(must(describe_topic(broker.options, broker.context())).size() == 3);
}

TEST_CASE("look finds none, a part, or all of a batch in the topic") {
  Broker broker;
  auto loader = broker.sender();
  const RowBatch batch = logins(1, 1000);
  const std::string mark = must(loader->mark());
  const Intent intent = intent_of(batch, {3, 4}, mark);
  CHECK(must(loader->look(intent, batch, attempt_of(intent))).missing.size() == 1000);
  // Another stream and another attempt are not this batch.
  RowBatch other = logins(1, 100);
  other.stream = "other";
  must(loader->load(other, {"p", "other", 1, 1, 3}));
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
  // A replay with fewer rows, named by their ordinals.
  const RowBatch rest = select_rows(batch, std::vector<std::uint32_t>{5, 6, 7});
  CHECK(must(loader->look(intent, rest, attempt_of(intent))).missing.empty());
}

TEST_CASE("a producer killed while sending leaves what look can tell, and nothing is doubled") {
  Broker broker;
  broker.create();
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  std::uint64_t number = 0;
  const RowBatch batch = logins(1, 60'000, std::string(200, 'x'));
  for (int round = 0; round < 6; ++round) {
    std::string mark;
    {
      auto loader = broker.sender();
      mark = must(loader->mark());
    }
    const pid_t child = fork();
    if (child == 0) {
      // Only what is safe in a child of this process: a fresh client, and no test macros.
      Context context{null_logger(), system_clock(), {}};
      auto transport = make_kafka(broker.options);
      auto loader = (*transport)->make_sender();
      if ((*loader)->open(context) && (*loader)->prepare(*batch.schema))
        (void)(*loader)->load(batch, {"p", "s", 1, 1, number + 1});
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(100'000 + random() % 400'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    auto loader = broker.sender();
    Intent intent = intent_of(batch, {number + 1}, mark);
    const auto found = must(loader->look(intent, batch, attempt_of(intent)));
    UNSCOPED_INFO("round " << round << ": " << batch.rows - found.missing.size() << " had landed");
    const std::int64_t before = broker.records();
    if (!found.missing.empty()) must(loader->load(select_rows(batch, found.missing), {"p", "s", 1, 1, number + 2}));
    CHECK(broker.records() - before == static_cast<std::int64_t>(found.missing.size()));
    intent.attempts.push_back(number + 2);
    CHECK(must(loader->look(intent, batch, attempt_of(intent))).missing.empty());
    CHECK(broker.records() == (round + 1) * static_cast<std::int64_t>(batch.rows));
    number += 2;
  }
}

TEST_CASE("a row larger than the topic takes is a dead letter, and nothing of its batch is sent") {
  Broker broker;
  auto loader = broker.sender();
  RowBatch batch = logins(1, 10);
  const std::string large(2'000'000, 'x');
  const std::int64_t id = 11;
  append_value(batch.columns[0], Layout::fixed8, false, {reinterpret_cast<const std::byte*>(&id), 8});
  append_value(batch.columns[1], Layout::varlen, true,
               {reinterpret_cast<const std::byte*>(large.data()), large.size()});
  batch.rows = 11;
  const auto refused = loader->load(batch, {"p", "s", 1, 1, 1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().recovery == Recovery::dead_letter);
  CHECK_FALSE(refused.error().in_doubt);
  CHECK(refused.error().message.find("max.message.bytes") != std::string::npos);
  CHECK(broker.records() == 0);
  must(loader->load(select_rows(batch, std::vector<std::uint32_t>{0, 1, 2}), {"p", "s", 1, 1, 2}));
  CHECK(broker.records() == 3);
}

TEST_CASE("a stop ends a load that waits for a broker, and leaves it in doubt") {
  Broker broker;
  auto loader = broker.sender();
  broker.stop.request_stop();
  const auto stopped = loader->load(logins(1, 10), {"p", "s", 1, 1, 1});
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().in_doubt);
  broker.stop = std::stop_source();
}

TEST_CASE("offsets that retention has taken stop a look with a sentence") {
  Broker broker(1);
  auto loader = broker.sender();
  const RowBatch batch = logins(1, 10);
  const Intent intent = intent_of(batch, {1}, std::string("\x01\x01\x64", 3));  // noted: one partition, end 100
  const auto halted = loader->look(intent, batch, attempt_of(intent));
  REQUIRE_FALSE(halted);
  CHECK(halted.error().recovery == Recovery::halt);
  CHECK(halted.error().message.find("made anew") != std::string::npos);
  const auto corrupt = loader->look(intent_of(batch, {1}, "garbage"), batch, attempt_of(intent));
  REQUIRE_FALSE(corrupt);
  CHECK(corrupt.error().code == Errc::corrupt);
}

TEST_CASE("an unreachable broker is a retry, and a setting that is not allowed is refused") {
  Broker broker;
  KafkaOptions away = broker.options;
  away.bootstrap = "127.0.0.1:1";
  away.librdkafka["socket.connection.setup.timeout.ms"] = "1000";
  for (const char* name : {"plugin.library.paths", "ssl.engine.location", "ssl.providers", "enable.idempotence", "acks",
                           "sasl.kerberos.kinit.cmd", "group.id"}) {
    KafkaOptions wrong = broker.options;
    wrong.librdkafka[name] = "x";
    const auto refused = make_kafka(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::config);
    CHECK(refused.error().message.find(name) != std::string::npos);
  }
  KafkaOptions wrong = broker.options;
  wrong.librdkafka["security.protocol"] = "nonsense";
  auto loader = must(must(make_kafka(wrong))->make_sender());
  const auto failed = loader->open(broker.context());
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Errc::config);
  loader = must(must(make_kafka(away))->make_sender());
  const auto unreachable = loader->open(broker.context());
  REQUIRE_FALSE(unreachable);
  CHECK(unreachable.error().recovery == Recovery::retry);
}
