#include "codec/json_row.h"
#include "kafka_fixture.h"
#include "transport/batch_filler.h"

using namespace pgch;
using namespace pgch::test;
using namespace pgch::transport;

namespace {

// Reads JSON, and says of one message, as often as it is told to, that it can't be read just now.
class Faltering final : public codec::RowDecoder {
 public:
  Faltering(std::string part, int* times) : json_(logins_schema(), {}), part_(std::move(part)), times_(times) {}
  Result<codec::Decoded> append(const codec::MessageView& message, RowBatch& batch) override {
    if (*times_ > 0 && message.value.find(part_) != std::string_view::npos) {
      --*times_;
      return retry(Errc::connection, "the server that knows the row is away");
    }
    return json_.append(message, batch);
  }
  const std::string& reason() const noexcept override { return json_.reason(); }

 private:
  codec::JsonRowDecoder json_;
  std::string part_;
  int* times_;
};

}  // namespace

TEST_CASE("a record that can't be read just now is the next one wanted, and is not counted as seen") {
  Broker broker(1);
  auto loader = broker.sender();
  must(loader->load(logins(1, 10), {"p", "s", 1, 1, 1}));
  const auto consumer = must(kafka::Consumer::read(broker.options, broker.context()));
  must(consumer->assign({{0, 0}}));
  int times = 3;
  BatchFiller filler(broker.options, broker.context(), logins_schema(), *consumer,
                     std::make_unique<Faltering>("\"id\":4,", &times));
  Reading reading;
  std::vector<std::int64_t> ids;
  const auto fill = [&] {
    must(consumer->poll(50));
    RowBatch batch;
    batch.reset(logins_schema());
    BatchLimits limits;
    limits.rows_max = 10;
    auto full =
        filler.fill(reading, batch, limits, system_clock().now() + std::chrono::seconds(20), [] { return false; });
    for (const std::int64_t id : ids_of(batch)) ids.push_back(id);
    CHECK(batch.versions.size() == batch.rows);
    CHECK(batch.places.size() == batch.rows);
    return full;
  };
  Result<bool> full = false;
  for (int i = 0; i < 100 && ids.empty(); ++i) full = fill();
  REQUIRE_FALSE(full);
  CHECK(full.error().recovery == Recovery::retry);
  CHECK(ids == std::vector<std::int64_t>{1, 2, 3});
  CHECK(reading.next == 3);
  const HighWaters before = reading.waters;
  for (int i = 0; i < 2; ++i) REQUIRE_FALSE(fill());
  CHECK(reading.next == 3);
  CHECK(reading.waters.entries() == before.entries());
  CHECK(before.entries().front().sequence.minor == 2);
  for (int i = 0; i < 100 && ids.size() < 10; ++i) must(fill());
  CHECK(ids == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK(reading.next == 10);
}
