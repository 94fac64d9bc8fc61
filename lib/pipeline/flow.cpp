#include "pipeline/flow.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/try.h"

namespace pgch {

Flow::Flow(FlowParts parts, const PipelineOptions& options, Logger& log, Clock& clock, std::string name)
    : parts_(std::move(parts)),
      options_(options),
      log_(log),
      clock_(clock),
      name_(std::move(name)),
      context_{log, clock, hard_stop_.get_token()} {
  lanes_.resize(parts_.loaders.size());
}

Result<void> Flow::open(const std::stop_token& stop) {
  PGCH_TRY(open_patiently(stop, [&] { return parts_.journal->open(context_); }));
  if (parts_.dead_letters != nullptr) {
    PGCH_TRY(open_patiently(stop, [&] { return parts_.dead_letters->open(context_); }));
  }
  const bool exact_replay = parts_.extractor->traits().exact_replay;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    PGCH_TRY(open_patiently(stop, [&] { return parts_.loaders[i]->open(context_); }));
    lanes_[i].settler = std::make_unique<Settler>(options_, *parts_.loaders[i], *parts_.journal, parts_.dead_letters,
                                                  counters_, *lanes_[i].due, context_, exact_replay);
  }
  PGCH_ASSIGN(const auto pending, parts_.journal->pending());
  if (!pending.empty()) {
    log_.write(LogLevel::info,
               fmt::format("{}: {} batches were under way when an earlier process ended; settling them first", name_,
                           pending.size()));
  }
  for (const Intent& intent : pending) intended_[{intent.stream, intent.position.bytes}] = intent;
  PGCH_TRY(open_patiently(stop, [&] { return parts_.extractor->open(context_, pending); }));
  // What doesn't fit is found before the first row, and a table without rows has its target, too.
  const auto schema = parts_.extractor->known_schema();
  if (schema == nullptr) return {};
  for (const Lane& lane : lanes_) PGCH_TRY(open_patiently(stop, [&] { return lane.settler->prepare(schema); }));
  return {};
}

Result<void> Flow::open_patiently(const std::stop_token& stop, const std::function<Result<void>()>& open) {
  for (std::uint32_t failures = 1;; ++failures) {
    auto opened = open();
    if (opened || options_.once || opened.error().recovery != Recovery::retry) return opened;
    if (options_.retries_max != 0 && failures > options_.retries_max) return opened;
    const auto pause = std::min(options_.backoff_min * (1U << std::min(failures - 1, 16U)), options_.backoff_max);
    log_.write(LogLevel::warning, fmt::format("{}: cannot start yet, trying again in {} ms: {}", name_, pause.count(),
                                              opened.error().message));
    clock_.sleep_until(clock_.now() + pause, stop);
    if (stop.stop_requested()) {
      return Error{Errc::stopped, Recovery::halt, false, "Stopped while waiting for the servers.", {}};
    }
  }
}

Result<Flow::Step> Flow::extract_step(bool draining) {
  PGCH_TRY(pass_acknowledgements());
  {
    const std::lock_guard lock(mutex_);
    counters_.bytes_in_flight = ledger_.bytes();
    // Acknowledgements that are still under way are seen through by close().
    if (draining) return ledger_.empty() ? Step::finished : Step::waiting;
    if (clock_.now() < fetch_not_before_) return Step::waiting;
    const bool room =
        ledger_.bytes() == 0 || ledger_.bytes() + options_.batch.bytes_max <= options_.in_flight_bytes_max;
    if (!room) return Step::waiting;
    if (last_fetch_ == Fetch::end) return ledger_.empty() && intended_.empty() ? Step::finished : Step::waiting;
  }
  auto batch = blank_batch();
  auto fetched = parts_.extractor->fetch(*batch, options_.batch, clock_.now() + options_.batch.linger);
  if (!fetched) return std::move(fetched).error();
  fetch_failures_ = 0;
  const std::lock_guard lock(mutex_);
  last_fetch_ = *fetched;
  if (*fetched != Fetch::rows) {
    blanks_.push_back(std::move(batch));
    const bool all_settled = ledger_.empty() && intended_.empty();
    if (all_settled && (*fetched == Fetch::end || (*fetched == Fetch::idle && options_.once))) return Step::finished;
    return Step::waiting;
  }
  counters_.rows_extracted += batch->rows;
  // A batch that the source hands out again, because it lost it: its intent is known here, so it is looked for. Ours
  // names the attempts made since the start as well; the source's copy, from open(), does not.
  if (auto known = intended_.find({batch->stream, batch->position.bytes}); known != intended_.end())
    batch->intent = known->second;
  const std::uint64_t ticket = ledger_.open(batch->stream, batch->position, batch->bytes());
  Lane& lane = lanes_[lane_of_.emplace(batch->stream, lane_of_.size() % lanes_.size()).first->second];
  lane.tasks.push_back({std::move(batch), ticket});
  wake_loaders_.notify_all();
  return Step::progressed;
}

Result<void> Flow::pass_acknowledgements() {
  std::vector<Ledger::Ready> ready;
  {
    const std::lock_guard lock(mutex_);
    ready = ledger_.take_ready();
  }
  for (auto& [batch, durable] : ready) {
    if (!durable) {
      parts_.extractor->abandon(batch.stream, batch.position);
      continue;
    }
    auto begun = parts_.extractor->acknowledge(batch.stream, batch.position);
    if (begun) continue;
    if (begun.error().recovery != Recovery::retry) return std::move(begun).error();
    // Its intent stays open: the source hands it out again, and it is looked for before anything is repeated.
    log_.write(LogLevel::warning,
               fmt::format("{}: could not acknowledge a batch yet: {}", name_, begun.error().message));
  }
  // Each is told once: those that the journal can't take now are kept.
  for (Acknowledged& a : parts_.extractor->take_acknowledged()) told_.push_back(std::move(a));
  while (!told_.empty()) {
    const PlaceKey place{told_.front().stream, told_.front().position.bytes};
    std::optional<std::uint64_t> sequence;
    {
      const std::lock_guard lock(mutex_);
      if (const auto known = intended_.find(place); known != intended_.end()) sequence = known->second.sequence;
    }
    if (sequence) {
      PGCH_TRY(parts_.journal->done(place.first, *sequence));
      const std::lock_guard lock(mutex_);
      intended_.erase(place);
    }
    told_.pop_front();
  }
  return {};
}

Result<Flow::Step> Flow::settle_step(std::size_t loader) {
  Task task;
  {
    const std::lock_guard lock(mutex_);
    if (lanes_[loader].tasks.empty()) return Step::waiting;
    task = std::move(lanes_[loader].tasks.front());
    lanes_[loader].tasks.pop_front();
  }
  lanes_[loader].due->at(clock_.now());
  const std::string stream = task.batch->stream;
  const std::string position = task.batch->position.bytes;
  auto settled = lanes_[loader].settler->settle(*task.batch, [&](const Intent& intent) {
    const std::lock_guard lock(mutex_);
    intended_[{stream, position}] = intent;
  });
  lanes_[loader].due->never();
  recycle(std::move(task.batch));
  {
    const std::lock_guard lock(mutex_);
    if (settled) {
      ledger_.durable(stream, task.ticket);
    } else {
      ledger_.abandoned(stream, task.ticket);
      if (settled.error().recovery == Recovery::abandon)
        intended_.erase({stream, position});  // another owner settles it
    }
    ++settled_;
  }
  wake_extractor_.notify_all();
  if (!settled && settled.error().recovery != Recovery::abandon) return std::move(settled).error();
  return Step::progressed;
}

void Flow::close() {
  (void)pass_acknowledgements();
  parts_.extractor->close();  // finishes acknowledgements under way, unless the hard stop is on
  (void)pass_acknowledgements();
  hard_stop_.request_stop();
  parts_.journal->close();
  for (Loader* loader : parts_.loaders) loader->close();
  if (parts_.dead_letters != nullptr) parts_.dead_letters->close();
}

Result<void> Flow::run(std::stop_token stop) {
  auto opened = [&] {
    // Nothing is under way yet, so there is nothing to drain.
    const std::stop_callback at_once(stop, [this] { hard_stop_.request_stop(); });
    return open(stop);
  }();
  if (opened && hard_stop_.stop_requested())
    opened = Error{Errc::stopped, Recovery::halt, false, "Stopped while starting.", {}};
  if (!opened) {
    const bool stopped = opened.error().code == Errc::stopped;
    hard_stop_.request_stop();
    parts_.extractor->close();
    parts_.journal->close();
    for (Loader* loader : parts_.loaders) loader->close();
    if (stopped) return {};
    return opened;
  }
  begun_ = true;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < lanes_.size(); ++i) threads.emplace_back([this, i] { settle_loop(i); });
  auto ended = extract_loop(stop);
  extractor_due_.never();
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    if (ended && error_) ended = *error_;
  }
  if (!ended) hard_stop_.request_stop();
  wake_loaders_.notify_all();
  for (std::thread& t : threads) t.join();
  close();
  if (!ended && ended.error().code == Errc::stopped && stop.stop_requested()) return {};
  return ended;
}

// Until finished, failed, or stopped and drained.
Result<void> Flow::extract_loop(const std::stop_token& stop) {
  std::optional<Clock::TimePoint> drain_until;
  for (;;) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard lock(mutex_);
      if (error_) return *error_;
      seen = settled_;
    }
    if (stop.stop_requested() && !drain_until) {
      drain_until = clock_.now() + options_.drain;
      log_.write(LogLevel::info, fmt::format("{}: stopping; batches under way have {} s to settle", name_,
                                             options_.drain.count() / 1000));
    }
    extractor_due_.at(clock_.now());
    auto step = extract_step(drain_until.has_value());
    auto pause = options_.poll;
    if (!step) {
      if (step.error().recovery != Recovery::retry) return std::move(step).error();
      ++fetch_failures_;
      ++counters_.retries;
      if (options_.retries_max != 0 && fetch_failures_ > options_.retries_max) {
        Error e = std::move(step).error();
        e.recovery = Recovery::halt;
        return e;
      }
      pause = std::min(options_.backoff_min * (1U << std::min(fetch_failures_ - 1, 16U)), options_.backoff_max);
      fetch_not_before_ = clock_.now() + pause;
      log_.write(LogLevel::warning, fmt::format("{}: reading failed, trying again in {} ms: {}", name_, pause.count(),
                                                step.error().message));
    } else if (*step == Step::finished) {
      return {};
    } else if (*step == Step::progressed) {
      continue;
    }
    if (drain_until && clock_.now() >= *drain_until) {
      log_.write(
          LogLevel::warning,
          fmt::format("{}: the drain's time is over; what is under way will be settled at the next start", name_));
      hard_stop_.request_stop();
      return {};
    }
    std::unique_lock lock(mutex_);
    // Soon again: a source that waits by itself has just done so, one that is busy waits for us, and acknowledgements
    // may be under way at the source without any settlement to wake us.
    const bool waited = step && parts_.extractor->traits().waits;
    if (waited) pause = std::chrono::milliseconds(1);
    if (step && (!intended_.empty() || drain_until || last_fetch_ == Fetch::busy))
      pause = std::min<std::chrono::milliseconds>(pause, std::chrono::milliseconds(10));
    extractor_due_.at(clock_.now() + pause);
    const auto news = [&] { return settled_ != seen || error_.has_value(); };
    if (drain_until)
      wake_extractor_.wait_until(lock, std::min(clock_.now() + pause, *drain_until), news);
    else
      wake_extractor_.wait_until(lock, stop, clock_.now() + pause, news);
  }
}

void Flow::settle_loop(std::size_t loader) {
  for (;;) {
    auto step = settle_step(loader);
    if (!step) {
      if (step.error().code != Errc::stopped)
        log_.write(LogLevel::error, fmt::format("{}: {}", name_, step.error().message));
      fail(std::move(step).error());
      return;
    }
    if (*step == Step::progressed) continue;
    std::unique_lock lock(mutex_);
    wake_loaders_.wait(lock, [&] { return done_ || error_ || !lanes_[loader].tasks.empty(); });
    if ((done_ || error_) && lanes_[loader].tasks.empty()) return;
    if (error_) return;
  }
}

std::unique_ptr<RowBatch> Flow::blank_batch() {
  const std::lock_guard lock(mutex_);
  if (blanks_.empty()) return std::make_unique<RowBatch>();
  auto batch = std::move(blanks_.back());
  blanks_.pop_back();
  return batch;
}

void Flow::recycle(std::unique_ptr<RowBatch> batch) {
  const std::lock_guard lock(mutex_);
  if (blanks_.size() < 2 + 2 * lanes_.size()) blanks_.push_back(std::move(batch));
}

void Flow::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    ++settled_;
  }
  wake_extractor_.notify_all();
  wake_loaders_.notify_all();
}

std::chrono::milliseconds Flow::overdue() const {
  const auto now = clock_.now();
  auto late = extractor_due_.late(now);
  for (const Lane& lane : lanes_) late = std::max(late, lane.due->late(now));
  return late;
}

FlowStats Flow::stats() const {
  FlowStats s;
  s.rows_extracted = counters_.rows_extracted;
  s.rows_delivered = counters_.rows_delivered;
  s.rows_rejected = counters_.rows_rejected;
  s.bytes_delivered = counters_.bytes_delivered;
  s.batches = counters_.batches;
  s.retries = counters_.retries;
  s.in_doubt = counters_.in_doubt;
  s.rows_found_landed = counters_.rows_found_landed;
  s.bytes_in_flight = counters_.bytes_in_flight;
  return s;
}

}  // namespace pgch
