// The flag method under a whole pipeline, watched and stopped from other threads; built with ThreadSanitizer as well.
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "pgch/checkpoint/file.h"
#include "pgch/pipeline.h"
#include "support/scratch.h"
#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;
using namespace std::chrono_literals;

namespace {

struct Rows {
  std::mutex mutex;
  std::multiset<std::int64_t> ids;
};

class ToRows final : public Loader {
 public:
  explicit ToRows(Rows& rows) : rows_(rows) {}
  Result<void> open(const Context&) override { return {}; }
  Result<LoaderTraits> prepare(const TableSchema&) override { return LoaderTraits{true, {}}; }
  Result<std::string> mark() override { return std::string{}; }
  Result<void> load(const RowBatch& batch, const Attempt&) override {
    const std::lock_guard lock(rows_.mutex);
    for (std::size_t r = 0; r < batch.rows; ++r) rows_.ids.insert(id_of(batch, r));
    return {};
  }
  Result<Landed> look(const Intent&, const RowBatch& batch, const Attempt&) override {
    const std::lock_guard lock(rows_.mutex);
    Landed landed;
    for (std::uint32_t r = 0; r < batch.rows; ++r) {
      if (!rows_.ids.contains(id_of(batch, r))) landed.missing.push_back(r);
    }
    return landed;
  }
  void close() noexcept override {}

 private:
  static std::int64_t id_of(const RowBatch& batch, std::size_t row) {
    std::int64_t id = 0;
    std::memcpy(&id, batch.columns[0].at(row, 8).data(), 8);
    return id;
  }
  Rows& rows_;
};

Pipeline made(const TestSchema& db, const std::string& state, Rows& rows, bool once) {
  FlagOptions flag = db.flag("t");
  flag.lanes = 3;
  FileJournalOptions journal;
  journal.directory = state;
  journal.pipeline = "threads";
  Stages stages;
  stages.extractor = std::move(*make_flag(flag));
  stages.loader = std::make_unique<ToRows>(rows);
  stages.journal = *make_file_journal(journal);
  stages.dead_letters = *make_file_dead_letters(journal);
  PipelineOptions options;
  options.id = "threads";
  options.once = once;
  options.batch.rows_max = 100;
  options.poll = 10ms;
  auto pipeline = Pipeline::create(std::move(stages), options, null_logger(), system_clock());
  if (!pipeline) FAIL(pipeline.error().message);
  return std::move(*pipeline);
}

}  // namespace

TEST_CASE("a pipeline over lanes that is watched and stopped by other threads moves every row once") {
  TestSchema db;
  db.run("CREATE TABLE t (id bigserial PRIMARY KEY, sent_to_kafka boolean DEFAULT false)");
  const ::test::Scratch state;
  Rows rows;
  for (int round = 0; round < 3; ++round) {
    db.run("INSERT INTO t (sent_to_kafka) SELECT false FROM generate_series(1, 2000)");
    Pipeline pipeline = made(db, state.path(), rows, false);
    std::stop_source stop;
    Result<void> ended;
    std::atomic<bool> over{false};
    std::thread mover([&] {
      ended = pipeline.run(stop.get_token());
      over = true;
    });
    while (!over && pipeline.stats().produce.rows_delivered < 500) std::this_thread::sleep_for(1ms);
    stop.request_stop();
    mover.join();
    REQUIRE(ended);
    CHECK(pipeline.stats().last_error.empty());
  }
  Pipeline rest = made(db, state.path(), rows, true);
  REQUIRE(rest.run(std::stop_source().get_token()));
  CHECK(rows.ids.size() == 6000);
  CHECK(std::set<std::int64_t>(rows.ids.begin(), rows.ids.end()).size() == 6000);
  CHECK(db.one("SELECT count(*) FROM t WHERE sent_to_kafka IS NOT TRUE") == "0");
}
