// The workers of a snapshot: each has a connection, takes what is next, reads it, and puts it where fetch() finds it.
#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "extract/snapshot_extractor.h"

namespace pgch {
namespace {

constexpr int tries_max = 5;

}  // namespace

void SnapshotExtractor::work_loop(std::size_t worker) {
  const Context own{context_->log, context_->clock, stop_.get_token()};
  SnapshotReader reader(*table_, options_, own);
  if (worker == 0) reader.adopt(std::move(first_connection_));
  for (;;) {
    std::optional<Work> work;
    {
      std::unique_lock lock(mutex_);
      wake_workers_.wait(lock, [&] {
        if (over_ || failure_ || stop_.stop_requested()) return true;
        if (ready_bytes_ >= options_.queue_bytes_max) return false;
        work = next_work();
        return work.has_value();
      });
      if (!work) return;
      ++active_;
    }
    Result<void> done;
    for (int tries = 1;; ++tries) {
      done = perform(reader, *work);
      if (done || done.error().recovery != Recovery::retry || tries == tries_max || stop_.stop_requested()) break;
      own.log.write(LogLevel::warning,
                    fmt::format("{}: reading a range failed, trying again: {}", table_->name, done.error().message));
      own.clock.sleep_until(own.clock.now() + std::chrono::milliseconds(200) * (1 << tries), own.stop);
    }
    {
      const std::lock_guard lock(mutex_);
      --active_;
      if (!done && !failure_) {
        failure_ = std::move(done).error();
        failure_->recovery = Recovery::halt;
      }
    }
    wake_fetch_.notify_all();
    wake_workers_.notify_all();
  }
}

// With the lock held. Until all batches that an earlier process had under way were handed out, nothing else is begun.
std::optional<SnapshotExtractor::Work> SnapshotExtractor::next_work() {
  for (auto* from : {&replays_, &rechecks_, &queue_}) {
    if (from != &replays_ && replays_left_ != 0) return std::nullopt;
    if (from->empty()) continue;
    Work work = std::move(from->front());
    from->pop_front();
    return work;
  }
  if (gaps_.empty()) return std::nullopt;
  auto& [part, gap] = gaps_.front();
  Work work;
  work.piece.part = part;
  const Place end = std::min(gap.to, place_of(block_of(gap.from) + tapered(blocks_of_range(*part))));
  ++cut_;
  work.piece.range = {gap.from, end};
  gap.from = end;
  if (gap.from >= gap.to) gaps_.pop_front();
  return work;
}

// So many that a batch is full to a half by bytes or to three quarters by rows.
std::uint64_t SnapshotExtractor::blocks_of_range(const SnapshotPart& part) const {
  constexpr std::uint64_t blocks_max = 1U << 20;
  const auto known = density_.find(&part);
  const std::uint64_t rows_wanted = std::max<std::uint64_t>(1, std::uint64_t{limits_.rows_max} * 3 / 4);
  const std::uint64_t bytes_wanted = std::max<std::uint64_t>(1, limits_.bytes_max / 2);
  std::uint64_t by_rows = 0, by_bytes = 0;
  if (known != density_.end() && known->second.blocks != 0) {
    const Density& d = known->second;
    by_rows = rows_wanted * d.blocks / std::max<std::uint64_t>(1, d.rows);
    by_bytes = bytes_wanted * d.blocks / std::max<std::uint64_t>(1, d.bytes);
  } else {
    const double row_bytes = std::max(40.0, table_->catalog.source.row_bytes_estimate);
    by_rows = static_cast<std::uint64_t>(static_cast<double>(rows_wanted) * row_bytes /
                                         static_cast<double>(table_->block_size));
    by_bytes = bytes_wanted / std::max(table_->block_size, part.block_bytes());
  }
  std::uint64_t blocks = std::min({by_rows, by_bytes, blocks_max});
  if (known != density_.end() && known->second.guess != 0) blocks = std::min(blocks, known->second.guess);
  return std::max<std::uint64_t>(1, blocks);
}

// Large batches cost the target least, but while the first is read it has nothing to do, and while the last is loaded
// nobody reads: so ranges grow at the beginning and shrink towards the end.
std::uint64_t SnapshotExtractor::tapered(std::uint64_t blocks) const {
  constexpr std::uint64_t smallest = 8;  // parts of a whole range
  const std::uint64_t workers = std::max<std::uint64_t>(1, options_.connections);
  const std::uint64_t least = std::max<std::uint64_t>(1, blocks / smallest);
  const std::uint64_t grown = least << std::min<std::uint64_t>(cut_ / workers, 3);
  std::uint64_t left = 0;
  for (const auto& [part, gap] : gaps_) left += block_of(gap.to) - block_of(gap.from);
  return std::clamp(std::min(grown, left / (2 * workers)), least, blocks);
}

void SnapshotExtractor::learn(const Work& work, const SnapshotReader& reader, const RowBatch& batch) {
  const PlaceRange range = work.piece.range;
  if (work.piece.since != 0 || line_of(range.from) != 0 || line_of(range.to) != 0) return;
  const std::lock_guard lock(mutex_);
  Density& d = density_[work.piece.part];
  d.guess = 0;
  // What was read last weighs as much as all before: tables are not equally dense everywhere.
  d.blocks = d.blocks / 2 + (block_of(range.to) - block_of(range.from));
  d.rows = d.rows / 2 + batch.rows + batch.rejected.size();
  d.bytes = d.bytes / 2 + reader.bytes();
  if (batch.rows == 0) return;
  d.column_bytes.clear();
  for (const Column& c : batch.columns) d.column_bytes.push_back(static_cast<double>(c.data.size()) / batch.rows);
}

// A batch grows by doubling, and each time all of it is copied into fresh memory; so it gets its size at once.
void SnapshotExtractor::reserve(const SnapshotPiece& piece, RowBatch& batch) const {
  constexpr double margin = 1.05;
  Density d;
  {
    const std::lock_guard lock(mutex_);
    const auto known = density_.find(piece.part);
    if (known == density_.end() || known->second.blocks == 0) return;
    d = known->second;
  }
  const double rows = margin * static_cast<double>(d.rows) / static_cast<double>(d.blocks) *
                      static_cast<double>(block_of(piece.range.to) - block_of(piece.range.from));
  const auto most = static_cast<double>(limits_.bytes_max);
  batch.reset(table_->schema);
  for (std::size_t i = 0; i < batch.columns.size() && i < d.column_bytes.size(); ++i) {
    Column& c = batch.columns[i];
    const ColumnSpec& spec = table_->schema->columns[i];
    c.data.reserve(static_cast<std::size_t>(std::min(most, rows * d.column_bytes[i])));
    const auto slots = static_cast<std::size_t>(std::min<double>(limits_.rows_max, rows));
    if (layout_of(spec) == Layout::varlen) c.ends.reserve(slots);
    if (spec.nullable) c.nulls.reserve(slots);
  }
}

void SnapshotExtractor::split(const Work& work) {
  const auto two = halves(work.piece.range, table_->lines_max);
  const std::lock_guard lock(mutex_);
  Density& d = density_[work.piece.part];
  d.guess = std::max<std::uint64_t>(1, (block_of(work.piece.range.to) - block_of(work.piece.range.from)) / 2);
  for (const PlaceRange& half : {two->second, two->first}) {
    Work one = work;
    one.piece.range = half;
    one.rows_after.reset();
    queue_.push_front(std::move(one));
  }
}

Result<void> SnapshotExtractor::perform(SnapshotReader& reader, Work& work) {
  switch (work.kind) {
    case Work::Kind::read:
      return work.whole ? perform_whole(reader, work) : perform_read(reader, work);
    case Work::Kind::replay:
      return perform_replay(reader, work);
    case Work::Kind::recheck:
      return perform_recheck(reader, work);
  }
  return {};
}

SnapshotPosition SnapshotExtractor::position_of(const Work& work, std::uint64_t rows) const {
  const SnapshotPart& part = *work.piece.part;
  return {part.oid, part.file, work.piece.range, work.piece.since, version_, rows};
}

std::uint64_t SnapshotExtractor::disk_bytes(const SnapshotPart& part, PlaceRange range) const noexcept {
  const auto blocks = static_cast<double>(range.to - range.from) / static_cast<double>(place_of(1));
  return static_cast<std::uint64_t>(blocks * static_cast<double>(part.block_bytes()));
}

Result<void> SnapshotExtractor::perform_read(SnapshotReader& reader, const Work& work) {
  RowBatch batch = blank();
  reserve(work.piece, batch);
  PGCH_ASSIGN(const SnapshotReader::Outcome outcome, reader.read(work.piece, limits_, batch));
  if (outcome == SnapshotReader::Outcome::too_big) {
    split(work);
    return {};
  }
  const std::uint64_t rows = batch.rows + batch.rejected.size();
  learn(work, reader, batch);
  const SnapshotPart& part = *work.piece.part;
  const bool since = work.piece.since != 0;
  const FinishedRange finished{work.piece.range, version_, since ? work.rows_after : std::optional(rows)};
  const std::uint64_t bytes = since ? 0 : disk_bytes(part, work.piece.range);
  if (rows == 0) {
    status_->bytes_read += bytes;
    const std::lock_guard lock(mutex_);
    notes_.push_back({part.oid, finished, bytes});
    blanks_.push_back(std::move(batch));
    return {};
  }
  hand_over(std::move(batch), position_of(work, rows), {part.oid, finished, bytes, std::nullopt}, std::nullopt);
  return {};
}

Result<void> SnapshotExtractor::perform_whole(SnapshotReader& reader, const Work& work) {
  const SnapshotPart& part = *work.piece.part;
  RowBatch batch = blank();
  Work piece = work;
  auto read = reader.read_whole(part, limits_, batch, [&](RowBatch& full) -> Result<void> {
    const std::uint64_t rows = full.rows + full.rejected.size();
    piece.piece.range = {piece.piece.range.to, piece.piece.range.to + rows};
    const FinishedRange finished{piece.piece.range, version_, rows};
    hand_over(std::exchange(full, blank()), position_of(piece, rows), {part.oid, finished, 0, std::nullopt},
              std::nullopt);
    std::unique_lock lock(mutex_);
    wake_workers_.wait(lock,
                       [&] { return over_ || stop_.stop_requested() || ready_bytes_ < options_.queue_bytes_max; });
    if (over_ || stop_.stop_requested())
      return Error{Errc::stopped, Recovery::halt, false, "pgch was asked to stop.", {}};
    return {};
  });
  // It can't be read again in the same rows.
  if (!read) read.error().recovery = Recovery::halt;
  return read;
}

// The rows that a batch had when an earlier process ended, as far as they are still there.
Result<void> SnapshotExtractor::perform_replay(SnapshotReader& reader, Work& work) {
  RowBatch batch = blank();
  batch.reset(table_->schema);
  const SnapshotPosition& old = work.old;
  SnapshotPiece piece = work.piece;  // work stays as it is: after a lost connection it is performed once more
  Out out;
  if (work.piece.part != nullptr) {
    BatchLimits unlimited;
    unlimited.rows_max = ~0U;
    unlimited.bytes_max = ~std::size_t{0};
    out.part = work.piece.part->oid;
    const bool same_point = old.version == version_;
    SnapshotReader::Counted now{old.rows, 0};
    if (!same_point) {
      PGCH_ASSIGN(now, reader.count(work.piece, old.version));
    }
    const bool same = now.rows == old.rows && now.changed == 0;
    FinishedRange finished{old.range, old.version, old.since == 0 ? std::optional(old.rows) : std::nullopt};
    if (!same) {
      note_change("rows of " + work.piece.part->name + " changed while their batch was under way at a kill");
      Work then = work;
      then.kind = Work::Kind::read;
      then.intent.reset();
      if (table_->keyed) {
        // Which of the rows the batch had can't be told by their order any more. They are read anew, as a newer
        // version: by their keys they replace what may have landed.
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(then));
      } else {
        // Each row is known by its place. Those that came since go their own way, afterwards.
        piece.before = old.version;
        finished.rows.reset();
        then.piece.since = old.version;
        out.then = std::move(then);
      }
    }
    if (same || !table_->keyed) {
      PGCH_ASSIGN([[maybe_unused]] const SnapshotReader::Outcome read, reader.read(piece, unlimited, batch));
      out.finished = finished;
      out.bytes = old.since == 0 ? disk_bytes(*work.piece.part, old.range) : 0;
    }
  }
  hand_over(std::move(batch), old, std::move(out), std::move(work.intent));
  return {};
}

Result<void> SnapshotExtractor::perform_recheck(SnapshotReader& reader, Work& work) {
  SnapshotPiece all = work.piece;
  all.since = 0;
  PGCH_ASSIGN(const SnapshotReader::Counted now, reader.count(all, work.piece.since));
  if (now.changed == 0 && work.rows_before && now.rows == *work.rows_before) return {};
  note_change("rows of " + work.piece.part->name + " that had been copied were changed or deleted, or new ones came " +
              "among them, before the copy went on");
  if (now.changed == 0) return {};
  work.kind = Work::Kind::read;
  work.rows_after = now.rows;
  return perform_read(reader, work);
}

void SnapshotExtractor::note_change(const std::string& sentence) {
  const std::lock_guard lock(mutex_);
  if (std::find(changes_.begin(), changes_.end(), sentence) == changes_.end()) changes_.push_back(sentence);
}

void SnapshotExtractor::hand_over(RowBatch&& batch, const SnapshotPosition& position, Out out,
                                  std::optional<Intent> intent) {
  Ready ready{std::move(batch), std::move(out), intent.has_value(), 0};
  ready.batch.version = position.version;
  if (intent) {
    ready.batch.stream = intent->stream;
    ready.batch.position = intent->position;
    ready.batch.intent = std::move(intent);
  } else {
    ready.batch.position = encode(position);
  }
  ready.size = ready.batch.bytes();
  status_->bytes_read += ready.out.bytes;
  {
    const std::lock_guard lock(mutex_);
    ready_bytes_ += ready.size;
    ready_.push_back(std::move(ready));
  }
  wake_fetch_.notify_all();
}

RowBatch SnapshotExtractor::blank() {
  const std::lock_guard lock(mutex_);
  if (blanks_.empty()) return {};
  RowBatch out = std::move(blanks_.back());
  blanks_.pop_back();
  return out;
}

}  // namespace pgch
