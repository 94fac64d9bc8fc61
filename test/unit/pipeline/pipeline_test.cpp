// The pipeline's threads, with stages in memory: order, budget, stop and drain, halts, dead letters.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "pgch/checkpoint/file.h"
#include "pgch/pipeline.h"
#include "support/catch.h"

namespace {

using namespace pgch;
using namespace std::chrono_literals;

std::shared_ptr<const TableSchema> one_column() {
  static const auto schema =
      std::make_shared<const TableSchema>(TableSchema{"", "t", {{"id", Kind::int64, false, true, 0, 0, ""}}, {"id"}});
  return schema;
}

// Counts up to `end` in batches of `size`; remembers what was acknowledged.
class Counter final : public Extractor {
 public:
  Counter(std::int64_t end, std::int64_t size, std::vector<std::int64_t>& acknowledged)
      : end_(end), size_(size), acknowledged_(acknowledged) {}
  ExtractorTraits traits() const noexcept override { return {true, "counter"}; }
  Result<void> open(const Context&, std::vector<Intent>) override { return {}; }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits&, Clock::TimePoint) override {
    if (next_ == end_) return Fetch::end;
    into.reset(one_column());
    into.stream = "counter";
    put_little(into.position.bytes, next_);
    for (std::int64_t i = 0; i < size_ && next_ != end_; ++i, ++next_) {
      append_value(into.columns[0], Layout::fixed8, false, std::as_bytes(std::span(&next_, 1)));
      ++into.rows;
    }
    return Fetch::rows;
  }
  Result<void> acknowledge(const std::string& stream, const Position& position) override {
    acknowledged_.push_back(ByteReader(position.bytes).little<std::int64_t>());
    told_.push_back({stream, position});
    return {};
  }
  std::vector<Acknowledged> take_acknowledged() override { return std::exchange(told_, {}); }
  void abandon(const std::string&, const Position&) noexcept override {}
  void close() noexcept override {}

 private:
  std::int64_t next_ = 0, end_, size_;
  std::vector<std::int64_t>& acknowledged_;
  std::vector<Acknowledged> told_;
};

struct Target {
  std::mutex mutex;
  std::vector<std::int64_t> rows;
  std::atomic<bool> blocked{false};
  std::atomic<std::size_t> loads{0};
  LoaderTraits traits{true, {}};
  std::function<Result<void>(std::size_t)> answer;  // by the number of the load
};

class ToMemory final : public Loader {
 public:
  explicit ToMemory(Target& target) : target_(target) {}
  Result<void> open(const Context& context) override {
    context_ = &context;
    return {};
  }
  Result<LoaderTraits> prepare(const TableSchema&) override { return target_.traits; }
  Result<std::string> mark() override { return std::string{}; }
  Result<void> load(const RowBatch& batch, const Attempt&) override {
    while (target_.blocked && !context_->stop.stop_requested())
      context_->clock.sleep_until(context_->clock.now() + 1ms, context_->stop);
    if (context_->stop.stop_requested()) return in_doubt(Errc::stopped, "stopped");
    if (target_.answer) {
      if (auto r = target_.answer(target_.loads++); !r) return r;
    }
    const std::lock_guard lock(target_.mutex);
    for (std::size_t i = 0; i < batch.rows; ++i) {
      std::int64_t v = 0;
      std::memcpy(&v, batch.columns[0].at(i, 8).data(), 8);
      target_.rows.push_back(v);
    }
    return {};
  }
  Result<Landed> look(const Intent&, const RowBatch& batch, const Attempt&) override {
    Landed all;
    for (std::uint32_t i = 0; i < batch.rows; ++i) all.missing.push_back(i);
    return all;
  }
  void close() noexcept override {}

 private:
  Target& target_;
  const Context* context_ = nullptr;
};

class DeadInMemory final : public DeadLetters {
 public:
  explicit DeadInMemory(std::vector<Rejected>& all) : all_(all) {}
  Result<void> open(const Context&) override { return {}; }
  Result<void> put(const std::string&, const std::vector<Rejected>& rejected) override {
    all_.insert(all_.end(), rejected.begin(), rejected.end());
    return {};
  }
  void close() noexcept override {}

 private:
  std::vector<Rejected>& all_;
};

struct Run {
  Target target;
  std::vector<std::int64_t> acknowledged;
  std::vector<Rejected> dead;
  PipelineOptions options;
  Result<Pipeline> make(std::int64_t end, std::int64_t size) {
    Stages stages;
    stages.extractor = std::make_unique<Counter>(end, size, acknowledged);
    stages.loader = std::make_unique<ToMemory>(target);
    stages.journal = make_memory_journal();
    stages.dead_letters = std::make_shared<DeadInMemory>(dead);
    options.backoff_min = 1ms;
    options.backoff_max = 2ms;
    return Pipeline::create(std::move(stages), options, null_logger(), system_clock());
  }
};

}  // namespace

TEST_CASE("every row arrives in order and every batch is acknowledged in order") {
  Run run;
  auto pipeline = run.make(10'000, 7);
  REQUIRE(pipeline);
  REQUIRE(pipeline->run(std::stop_source().get_token()));
  REQUIRE(run.target.rows.size() == 10'000);
  for (std::int64_t i = 0; i < 10'000; ++i) REQUIRE(run.target.rows[static_cast<std::size_t>(i)] == i);
  REQUIRE(run.acknowledged.size() == 1429);
  CHECK(std::is_sorted(run.acknowledged.begin(), run.acknowledged.end()));
  CHECK(pipeline->stats().produce.rows_delivered == 10'000);
}

TEST_CASE("what is in flight stays within the budget of bytes") {
  Run run;
  run.options.batch.bytes_max = 1000;
  run.options.in_flight_bytes_max = 4000;
  run.target.blocked = true;
  auto pipeline = run.make(1'000'000, 50);
  REQUIRE(pipeline);
  std::stop_source stop;
  run.options.drain = 0ms;
  std::jthread thread([&] { CHECK(pipeline->run(stop.get_token())); });
  std::uint64_t most = 0;
  for (int i = 0; i < 100; ++i) {
    most = std::max(most, pipeline->stats().produce.bytes_in_flight);
    system_clock().sleep_until(system_clock().now() + 1ms, {});
  }
  CHECK(most > 0);
  CHECK(most <= 4000);
  run.target.blocked = false;
  stop.request_stop();
}

TEST_CASE("a stop drains what is under way and acknowledges it, and takes nothing new") {
  Run run;
  auto pipeline = run.make(1'000'000'000, 100);
  REQUIRE(pipeline);
  std::stop_source stop;
  std::jthread stopper([&] {
    while (run.target.loads == 0 && pipeline->stats().produce.batches < 20)
      system_clock().sleep_until(system_clock().now() + 1ms, {});
    stop.request_stop();
  });
  REQUIRE(pipeline->run(stop.get_token()));
  CHECK(run.target.rows.size() == run.acknowledged.size() * 100);
  CHECK(run.target.rows.size() == pipeline->stats().produce.rows_extracted);
}

TEST_CASE("a stop whose drain takes too long ends all the same, and acknowledges nothing that is in doubt") {
  Run run;
  run.options.drain = 30ms;
  run.target.blocked = true;
  auto pipeline = run.make(1000, 100);
  REQUIRE(pipeline);
  std::stop_source stop;
  stop.request_stop();
  std::jthread thread([&] { CHECK(pipeline->run(stop.get_token())); });
  thread.join();
  CHECK(run.acknowledged.empty());
}

TEST_CASE("a refused load is repeated until it is taken") {
  Run run;
  run.target.answer = [](std::size_t n) -> Result<void> {
    if (n % 3 != 2) return retry(Errc::connection, "refused");
    return {};
  };
  auto pipeline = run.make(100, 10);
  REQUIRE(pipeline);
  REQUIRE(pipeline->run(std::stop_source().get_token()));
  CHECK(run.target.rows.size() == 100);
  CHECK(pipeline->stats().produce.retries == 20);
}

TEST_CASE("an error that needs a person ends the run with its sentence") {
  Run run;
  run.target.answer = [](std::size_t n) -> Result<void> {
    if (n == 3) return halt(Errc::permission, "No right to insert.");
    return {};
  };
  auto pipeline = run.make(100, 10);
  REQUIRE(pipeline);
  const auto ended = pipeline->run(std::stop_source().get_token());
  REQUIRE_FALSE(ended);
  CHECK(ended.error().message == "No right to insert.");
  CHECK(run.acknowledged.size() <= 3);
  CHECK(pipeline->stats().last_error == "No right to insert.");
}

TEST_CASE("a batch that is too big for the target twice goes in halves") {
  Run run;
  run.target.answer = [](std::size_t n) -> Result<void> {
    if (n >= 2) return {};
    Error e = in_doubt(Errc::limit, "no memory");
    e.too_big = true;
    return e;
  };
  auto pipeline = run.make(100, 100);
  REQUIRE(pipeline);
  REQUIRE(pipeline->run(std::stop_source().get_token()));
  CHECK(run.target.rows.size() == 100);
  CHECK(run.target.loads == 4);
}

TEST_CASE("tries can be limited") {
  Run run;
  run.options.retries_max = 4;
  run.target.answer = [](std::size_t) -> Result<void> { return retry(Errc::connection, "refused"); };
  auto pipeline = run.make(100, 10);
  REQUIRE(pipeline);
  const auto ended = pipeline->run(std::stop_source().get_token());
  REQUIRE_FALSE(ended);
  CHECK(run.target.loads == 5);
}

TEST_CASE("waits grow although each doubt is settled by a look that succeeds, and the log does not grow with them") {
  // Waits only in its own time.
  class Impatient final : public Clock {
   public:
    TimePoint now() override { return TimePoint(at.load()); }
    void sleep_until(TimePoint until, const std::stop_token&) override {
      const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(until - now());
      at = until.time_since_epoch();
      const std::lock_guard lock(mutex);
      pauses.push_back(pause);
    }
    std::atomic<TimePoint::duration> at{TimePoint::clock::now().time_since_epoch()};
    std::mutex mutex;
    std::vector<std::chrono::milliseconds> pauses;
  } clock;
  struct Counting final : Logger {
    void write(LogLevel level, std::string_view) override {
      if (level >= LogLevel::warning) ++warnings;
    }
    std::atomic<int> warnings{0};
  } log;
  Run run;
  run.target.answer = [](std::size_t n) -> Result<void> {
    if (n >= 14) return {};
    return in_doubt(Errc::io, "no room");
  };
  Stages stages;
  stages.extractor = std::make_unique<Counter>(10, 10, run.acknowledged);
  stages.loader = std::make_unique<ToMemory>(run.target);
  stages.journal = make_memory_journal();
  run.options.backoff_min = 100ms;
  run.options.backoff_max = 15s;
  auto pipeline = Pipeline::create(std::move(stages), run.options, log, clock);
  REQUIRE(pipeline);
  REQUIRE(pipeline->run(std::stop_source().get_token()));
  CHECK(run.target.rows.size() == 10);
  REQUIRE(clock.pauses.size() == 14);
  CHECK(clock.pauses[0] <= 100ms);
  for (std::size_t i = 10; i < 14; ++i) CHECK((clock.pauses[i] >= 7s && clock.pauses[i] <= 15s));
  CHECK(log.warnings <= 3);
}

TEST_CASE("a target is made ready before the first batch, and also without any") {
  class Empty final : public Extractor {
   public:
    ExtractorTraits traits() const noexcept override { return {true, "empty"}; }
    Result<void> open(const Context&, std::vector<Intent>) override { return {}; }
    std::shared_ptr<const TableSchema> known_schema() const override { return one_column(); }
    Result<Fetch> fetch(RowBatch&, const BatchLimits&, Clock::TimePoint) override { return Fetch::end; }
    Result<void> acknowledge(const std::string&, const Position&) override { return {}; }
    std::vector<Acknowledged> take_acknowledged() override { return {}; }
    void abandon(const std::string&, const Position&) noexcept override {}
    void close() noexcept override {}
  };
  class Prepared final : public Loader {
   public:
    explicit Prepared(int& times) : times_(times) {}
    Result<void> open(const Context&) override { return {}; }
    Result<LoaderTraits> prepare(const TableSchema& schema) override {
      ++times_;
      CHECK(schema == *one_column());
      return LoaderTraits{true, {}};
    }
    Result<std::string> mark() override { return std::string{}; }
    Result<void> load(const RowBatch&, const Attempt&) override { return {}; }
    Result<Landed> look(const Intent&, const RowBatch&, const Attempt&) override { return Landed{}; }
    void close() noexcept override {}

   private:
    int& times_;
  };
  int times = 0;
  Stages stages;
  stages.extractor = std::make_unique<Empty>();
  stages.loader = std::make_unique<Prepared>(times);
  stages.journal = make_memory_journal();
  auto pipeline = Pipeline::create(std::move(stages), {}, null_logger(), system_clock());
  REQUIRE(pipeline);
  REQUIRE(pipeline->run(std::stop_source().get_token()));
  CHECK(times == 1);
}

TEST_CASE("one bad row goes to the dead letters and the rest of its batch arrives") {
  Run run;
  // A batch is refused as long as it holds row 13.
  class Picky final : public Loader {
   public:
    explicit Picky(Target& t) : t_(t) {}
    Result<void> open(const Context&) override { return {}; }
    Result<LoaderTraits> prepare(const TableSchema&) override { return LoaderTraits{true, {}}; }
    Result<std::string> mark() override { return std::string{}; }
    Result<void> load(const RowBatch& batch, const Attempt&) override {
      std::vector<std::int64_t> rows(batch.rows);
      std::memcpy(rows.data(), batch.columns[0].data.data(), batch.rows * 8);
      if (std::find(rows.begin(), rows.end(), 13) != rows.end())
        return Error{Errc::data, Recovery::dead_letter, false, "13 is not wanted", "6"};
      t_.rows.insert(t_.rows.end(), rows.begin(), rows.end());
      return {};
    }
    Result<Landed> look(const Intent&, const RowBatch&, const Attempt&) override { return Landed{}; }
    void close() noexcept override {}
    Target& t_;
  };
  Stages stages;
  stages.extractor = std::make_unique<Counter>(100, 100, run.acknowledged);
  stages.loader = std::make_unique<Picky>(run.target);
  stages.journal = make_memory_journal();
  stages.dead_letters = std::make_shared<DeadInMemory>(run.dead);
  auto pipeline = Pipeline::create(std::move(stages), run.options, null_logger(), system_clock());
  REQUIRE(pipeline);
  REQUIRE(pipeline->run(std::stop_source().get_token()));
  CHECK(run.target.rows.size() == 99);
  REQUIRE(run.dead.size() == 1);
  CHECK(run.dead[0].reason == "13 is not wanted");
  CHECK(run.acknowledged.size() == 1);
  CHECK(pipeline->stats().produce.rows_rejected == 1);
}

TEST_CASE("a combination that can't keep its promise is refused with the reason") {
  PipelineOptions options;
  CHECK_FALSE(Pipeline::create({}, options, null_logger(), system_clock()));
  Run run;
  run.options.id = "a b";
  const auto named = run.make(1, 1);
  REQUIRE_FALSE(named);
  CHECK(named.error().code == Errc::config);
  Run small;
  small.options.in_flight_bytes_max = 10;
  CHECK_FALSE(small.make(1, 1));
}

TEST_CASE(
    "exactly once is refused where a row can't be seen afterwards, before any row is moved; at least once is not") {
  Run run;
  run.target.traits = {false, "t has no key."};
  auto refused = run.make(10, 5);
  REQUIRE(refused);
  const auto stopped = refused->run(std::stop_source().get_token());
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == Errc::unsupported);
  CHECK(stopped.error().message.find("t has no key.") != std::string::npos);
  CHECK(stopped.error().message.find("at_least_once") != std::string::npos);
  CHECK(run.target.rows.empty());
  CHECK(run.acknowledged.empty());
  Run relaxed;
  relaxed.target.traits = run.target.traits;
  relaxed.options.delivery = Delivery::at_least_once;
  auto pipeline = relaxed.make(10, 5);
  REQUIRE(pipeline);
  REQUIRE(pipeline->run(std::stop_source().get_token()));
  CHECK(relaxed.target.rows.size() == 10);
}
