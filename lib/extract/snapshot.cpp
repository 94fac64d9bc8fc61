// The caller's side of a snapshot: hands out what the workers read, writes down what is finished.
#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "extract/snapshot_extractor.h"

namespace pgch {

void SnapshotExtractor::start(const BatchLimits& limits) {
  limits_ = limits;
  started_ = true;
  for (std::size_t i = 0; i < options_.connections; ++i) workers_.emplace_back([this, i] { work_loop(i); });
}

// Nothing is being read and nothing is left to be read; what is out may still bring something.
bool SnapshotExtractor::finished_reading() const {
  return replays_.empty() && rechecks_.empty() && queue_.empty() && gaps_.empty() && active_ == 0 && ready_.empty();
}

Result<Fetch> SnapshotExtractor::fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) {
  if (!context_) return halt(Errc::internal, "The snapshot was not opened; this is a defect of the caller.");
  if (!started_ && !ended_) start(limits);
  std::unique_lock lock(mutex_);
  wake_fetch_.wait_until(
      lock, deadline, [this] { return !ready_.empty() || failure_ || stop_.stop_requested() || finished_reading(); });
  if (failure_) return *failure_;
  if (!ready_.empty()) {
    Ready next = std::move(ready_.front());
    ready_.pop_front();
    ready_bytes_ -= next.size;
    if (next.replay) --replays_left_;
    std::swap(into, next.batch);
    if (blanks_.size() < options_.connections) blanks_.push_back(std::move(next.batch));
    lock.unlock();
    wake_workers_.notify_all();
    if (into.stream.empty()) into.stream = stream_ + std::to_string(handed_out_++ % options_.connections);
    out_[{into.stream, into.position.bytes}] = std::move(next.out);
    return Fetch::rows;
  }
  if (!finished_reading()) return Fetch::busy;
  lock.unlock();
  PGCH_TRY(write_notes());
  if (out_.empty() && !ended_) PGCH_TRY(write_end());
  const bool more = std::any_of(out_.begin(), out_.end(), [](const auto& o) { return o.second.then.has_value(); });
  return more ? Fetch::busy : Fetch::end;
}

// What needs no batch: ranges without rows, and what was found to have changed.
Result<void> SnapshotExtractor::write_notes() {
  std::vector<Note> notes;
  std::vector<std::string> changes;
  {
    const std::lock_guard lock(mutex_);
    notes.swap(notes_);
    changes.swap(changes_);
  }
  for (const std::string& one : changes) PGCH_TRY(progress_->changed(one));
  for (const Note& one : notes) {
    PGCH_TRY(progress_->done(one.part, one.finished, one.bytes));
    status_->bytes_done += one.bytes;
  }
  return {};
}

Result<void> SnapshotExtractor::acknowledge(const std::string& stream, const Position& position) {
  const auto at = out_.find({stream, position.bytes});
  if (at == out_.end())
    return halt(Errc::internal, "A batch was acknowledged that is not out; this is a defect of the caller.");
  Out out = std::move(at->second);
  out_.erase(at);
  PGCH_TRY(write_notes());
  if (out.finished) {
    PGCH_TRY(progress_->done(out.part, *out.finished, out.bytes));
    status_->bytes_done += out.bytes;
    status_->rows_done += out.finished->rows.value_or(0);
  }
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    if (out.then) queue_.push_back(*std::move(out.then));
    over = finished_reading() && out_.empty() && !failure_;
  }
  if (over && !ended_ && !incomplete_) {
    PGCH_TRY(write_end());
  } else {
    PGCH_TRY(progress_->sync());
  }
  wake_workers_.notify_all();
  acknowledged_.push_back({stream, position});
  return {};
}

Result<void> SnapshotExtractor::write_end() {
  if (incomplete_) return {};
  PGCH_TRY(write_notes());
  PGCH_TRY(progress_->ended());
  PGCH_TRY(progress_->sync());
  ended_ = true;
  tell_end();
  return {};
}

void SnapshotExtractor::tell_end() {
  const SnapshotRecords& records = progress_->records();
  status_->consistent = records.changes.empty();
  status_->points.clear();
  for (const auto& point : records.points) status_->points.push_back(point.name);
  status_->warnings = records.changes;
  status_->ended = true;  // last: who sees it may read the others
}

void SnapshotExtractor::abandon(const std::string& stream, const Position& position) noexcept {
  if (out_.erase({stream, position.bytes}) != 0) incomplete_ = true;
}

void SnapshotExtractor::close() noexcept {
  stop_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_workers_.notify_all();
  for (std::thread& t : workers_) t.join();
  workers_.clear();
  if (progress_ && context_) {
    if (auto written = write_notes(); !written)
      context_->log.write(LogLevel::warning, "The progress file could not be completed: " + written.error().message);
  }
  pass_stop_.reset();
  first_connection_.reset();
  replays_.clear();
  rechecks_.clear();
  queue_.clear();
  gaps_.clear();
  ready_.clear();
  blanks_.clear();
  notes_.clear();
  changes_.clear();
  density_.clear();
  out_.clear();
  failure_.reset();
  ready_bytes_ = replays_left_ = active_ = 0;
  progress_.reset();
  context_.reset();
}

Result<std::unique_ptr<Extractor>> make_snapshot(SnapshotOptions options) {
  PGCH_TRY(quote_postgres_table(options.table));
  if (options.connections < 1 || options.connections > 64) {
    return halt(Errc::config, "The setting snapshot.connections must be 1 to 64, but is " +
                                  std::to_string(options.connections) + ".");
  }
  if (options.point == nullptr)
    return halt(Errc::config, "A snapshot needs a point to read at: make one with take_snapshot_point().");
  if (options.status == nullptr) options.status = std::make_shared<SnapshotStatus>();
  return std::unique_ptr<Extractor>(new SnapshotExtractor(std::move(options)));
}

Result<SnapshotPlan> plan_snapshot(const SnapshotOptions& options, const Context& context) {
  PGCH_ASSIGN(auto connection, pg::Connection::open(options.postgres, context));
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(30), context.stop};
  PGCH_ASSIGN(SnapshotTable table, describe_snapshot_table(*connection, options, wait));
  SnapshotPlan out;
  out.table = std::move(table.catalog.source);
  out.parts = table.parts.size();
  for (const SnapshotPart& part : table.parts) {
    out.bytes += part.bytes;
    out.by_ranges = out.by_ranges && part.by_ranges;
  }
  return out;
}

}  // namespace pgch
