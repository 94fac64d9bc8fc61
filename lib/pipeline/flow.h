// Flow: one extractor, some loaders, one journal. `run` drives the steps below with one thread for the extractor and
// one for each loader; test/sim drives the very same steps by hand, in any order, and crashes between and inside them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "pgch/pipeline.h"
#include "pipeline/due.h"
#include "pipeline/ledger.h"
#include "pipeline/settler.h"

namespace pgch {

struct FlowParts {
  Extractor* extractor = nullptr;
  std::vector<Loader*> loaders;  // batches of one stream always go to the same one
  Journal* journal = nullptr;
  DeadLetters* dead_letters = nullptr;
};

class Flow {
 public:
  Flow(FlowParts parts, const PipelineOptions& options, Logger& log, Clock& clock, std::string name);
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  // Opens journal, dead letters, loaders and extractor, in this order: nothing is read before the memory is ours.
  // A service (not `once`) waits for servers that are not there yet; `stop` ends the wait.
  Result<void> open(const std::stop_token& stop = {});
  enum class Step : std::uint8_t { progressed, waiting, finished };
  // Extractor's thread: passes acknowledgements on, then fetches at most one batch. `draining`: fetches nothing more.
  Result<Step> extract_step(bool draining);
  // Loader's thread: settles at most one batch.
  Result<Step> settle_step(std::size_t loader);
  // Finishes acknowledgements and closes everything, also after an error.
  void close();

  // open, steps in threads, close. Blocks.
  Result<void> run(std::stop_token stop);

  FlowStats stats() const;
  // Any thread: it has opened everything; how late the latest of its threads is.
  bool begun() const noexcept { return begun_; }
  std::chrono::milliseconds overdue() const;

 private:
  struct Task {
    std::unique_ptr<RowBatch> batch;
    std::uint64_t ticket = 0;
  };
  struct Lane {
    std::deque<Task> tasks;
    std::unique_ptr<Settler> settler;
    std::unique_ptr<Due> due = std::make_unique<Due>();
  };
  using PlaceKey = std::pair<std::string, std::string>;  // stream, position

  Result<void> open_patiently(const std::stop_token& stop, const std::function<Result<void>()>& open);
  Result<void> pass_acknowledgements();
  Result<void> extract_loop(const std::stop_token& stop);
  void settle_loop(std::size_t loader);
  std::unique_ptr<RowBatch> blank_batch();
  void recycle(std::unique_ptr<RowBatch> batch);
  void fail(Error error);

  FlowParts parts_;
  const PipelineOptions& options_;
  Logger& log_;
  Clock& clock_;
  std::string name_;
  std::stop_source hard_stop_;  // what the stages see: only when the drain's time is over, or all is done
  Context context_;
  FlowCounters counters_;
  std::atomic<bool> begun_{false};
  Due extractor_due_;

  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable_any wake_extractor_, wake_loaders_;
  Ledger ledger_;
  std::vector<Lane> lanes_;
  std::map<PlaceKey, Intent> intended_;  // intents not yet closed, to recognise a batch that the source hands out again
  std::map<std::string, std::size_t> lane_of_;  // by stream, dealt out in the order in which they come
  std::vector<std::unique_ptr<RowBatch>> blanks_;
  std::optional<Error> error_;
  std::uint64_t settled_ = 0;  // counts settlements, so that waiting for one misses none
  bool done_ = false;
  // The extractor's thread alone:
  std::deque<Acknowledged> told_;  // durable at the source, not yet closed in the journal
  Clock::TimePoint fetch_not_before_{};
  Fetch last_fetch_ = Fetch::rows;
  std::uint32_t fetch_failures_ = 0;
};

}  // namespace pgch
