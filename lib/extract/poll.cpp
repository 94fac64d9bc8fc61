#include "extract/poll_extractor.h"

#include <algorithm>

#include "base/hash.h"
#include "base/try.h"
#include "pg/notifications.h"

namespace pgch {
namespace {

constexpr std::uint64_t batches_in_copy = 16;

}  // namespace

Result<void> PollExtractor::open(const Context& context, std::vector<Intent> pending) {
  close();
  context_.emplace(context);
  acknowledged_.clear();
  news_ = true;
  PGCH_ASSIGN(auto guard, StreamGuard::open(options_.postgres, *context_));
  PGCH_ASSIGN(table_, describe_poll_table(guard->connection(), options_, *context_));
  stream_ = options_.stream.empty() ? "poll:" + display_name(*table_->schema) : options_.stream;
  PGCH_TRY(claim(*guard));
  guard_ = std::move(guard);
  cut_.emplace(*table_);
  store_ = options_.store == PollStore::file ? make_cursor_file(options_.directory, options_.pipeline)
                                             : make_cursor_row(table_->schema_quoted, options_.pipeline, stream_);
  PGCH_TRY(load_cursor(pending));
  return take_pending(std::move(pending));
}

Result<void> PollExtractor::claim(StreamGuard& guard) const {
  auto claimed = guard.claim(stream_, {}, *context_);
  if (claimed || claimed.error().code != Errc::conflict) return claimed;
  return halt(Errc::conflict, "Another pgch already reads stream \"" + stream_ +
                                  "\" from this database, and a table has one reader that polls: stop it first.");
}

Result<void> PollExtractor::guard() {
  if (guard_) return {};
  PGCH_ASSIGN(auto guard, StreamGuard::open(options_.postgres, *context_));
  PGCH_TRY(claim(*guard));
  // It may be another server by now, under the same name.
  guard_ = std::move(guard);
  if (auto fits = check_time(next_); !fits) {
    guard_.reset();
    return fits;
  }
  return {};
}

Result<void> PollExtractor::connect() {
  PGCH_TRY(guard());
  if (options_.listen && !listener_) {
    PGCH_ASSIGN(auto listener, pg::Connection::open(options_.postgres, *context_));
    PGCH_TRY(pg::listen(*listener, notify_channel(*table_->schema), patience()));
    listener_ = std::move(listener);
    news_ = true;  // what was sent before is not heard
  }
  if (reader_) return {};
  PGCH_ASSIGN(auto connection, pg::Connection::open(options_.postgres, *context_));
  // In the order of its index a table of any size is read without a sort, and a batch comes at once.
  const std::string sql = std::string("SELECT pg_catalog.set_config('jit', 'off', false)") +
                          (table_->indexed ? ", pg_catalog.set_config('enable_sort', 'off', false)" : "");
  PGCH_TRY(connection->exec(sql, {}, "preparing the session", patience()));
  reader_ = std::move(connection);
  return {};
}

// Whatever was handed out needs no connection: only what is being read is read again.
Error PollExtractor::failed(Error error) {
  reading_.reset();
  reader_.reset();
  if (guard_ && !guard_->check(*context_)) guard_.reset();
  return error;
}

Result<Fetch> PollExtractor::fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) {
  const pg::Wait wait{deadline, context_->stop};
  if (context_->stop.stop_requested())
    return Error{Errc::stopped, Recovery::halt, false, "pgch was asked to stop.", {}};
  if (auto ready = connect(); !ready) return failed(std::move(ready).error());
  PGCH_TRY(save());
  if (!replays_.empty()) return replay(into);
  cut_->begin(into);
  for (;;) {
    bool fresh = false;
    if (!reading_) {
      if (options_.listen) {
        auto due = await_news(wait);
        if (!due) return failed(std::move(due).error());
        if (!*due) return Fetch::idle;
      }
      auto begun = begin(limits);
      if (!begun) return failed(std::move(begun).error());
      if (*begun == Begun::later) news_ = true;
      if (*begun != Begun::reading) return *begun == Begun::later ? Fetch::busy : Fetch::idle;
      fresh = true;
    }
    auto got = read(into, limits, wait);
    if (!got) return failed(std::move(got).error());
    if (*got == Read::timeout) return Fetch::busy;
    if (*got == Read::rows) {
      seal(into);
      return Fetch::rows;
    }
    end_of_round();
    // A whole pass without a row. (Else what came while the last rows were read is looked for at once.)
    if (fresh && whole_) return samples_.size() > 1 ? Fetch::busy : Fetch::idle;
    news_ = true;
  }
}

// True: it is time to look for rows. While the caller has batches of ours it wants to be back soon, to acknowledge
// them.
Result<bool> PollExtractor::await_news(const pg::Wait& wait) {
  const auto lost = [this](Error e) {
    listener_.reset();
    return e;
  };
  const auto soon = context_->clock.now() + std::chrono::milliseconds(5);
  const auto until = std::min({wait.until, look_at_, outs_.empty() ? wait.until : soon});
  for (;;) {
    // Taken before the look: one that comes during it makes another.
    auto heard = pg::take_notifications(*listener_);
    if (!heard) return lost(std::move(heard).error());
    const auto now = context_->clock.now();
    if (*heard || news_ || now >= look_at_) {
      news_ = false;
      look_at_ = now + options_.interval;
      return true;
    }
    if (now >= until) return false;
    pg::Connection* listener = listener_.get();
    auto waited = pg::wait_for({&listener, 1}, context_->clock, {until, wait.stop});
    if (!waited && waited.error().code != Errc::timeout) return std::move(waited).error();
  }
}

Result<PollExtractor::Begun> PollExtractor::begin(const BatchLimits& limits) {
  const std::string doing = "reading " + display_name(*table_->schema);
  static constexpr const char* now_sql = "SELECT pg_catalog.pg_current_snapshot()";
  if (table_->form == PollForm::snapshots && next_.round.empty() && !next_.seen.empty()) {
    PGCH_ASSIGN(const pg::Answer now, reader_->exec(now_sql, {}, doing, patience()));
    if (now.cell(0, 0) == next_.seen) return Begun::nothing;
  }
  std::vector<std::string> bound;
  PGCH_ASSIGN(const Begun worth, find_bound(bound));
  if (worth != Begun::reading) return worth;
  // Before the rows are read, so that whoever changes one of them later is above it.
  PGCH_ASSIGN(const StreamGuard::Mark mark, guard_->mark({}, *context_));
  PGCH_TRY(check_timeline(mark.version));
  version_ = std::max(mark.version, next_.version + 1);
  PGCH_ASSIGN(
      const pg::Answer now,
      reader_->exec(std::string("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ") + now_sql, {}, doing, patience()));
  PGCH_TRY(guard_->flush(*context_));
  // Its rows may be committed, and heard of, and still wait for others that run.
  const SnapshotBounds bounds = bounds_of(now.cell(0, 0));
  const bool waits = table_->form == PollForm::xid || table_->form == PollForm::xmin;
  if (waits && bounds.xmin < bounds.xmax)
    look_at_ = std::min(look_at_, context_->clock.now() + std::chrono::milliseconds(50));
  if (table_->form == PollForm::snapshots && next_.round.empty()) next_.round = now.cell(0, 0);
  PGCH_TRY(start_copy(std::string(now.cell(0, 0)), bound, limits));
  return Begun::reading;
}

// Plain form with a lag: the highest key that was the highest that long ago.
Result<PollExtractor::Begun> PollExtractor::find_bound(std::vector<std::string>& bound) {
  if (table_->form != PollForm::plain || options_.lag.count() == 0) return Begun::reading;
  const auto now = context_->clock.now();
  const auto step = std::max<std::chrono::milliseconds>(options_.lag / 10, std::chrono::milliseconds(10));
  if (samples_.empty() || now - samples_.back().at >= step) {
    PGCH_ASSIGN(const pg::Answer last,
                reader_->exec(table_->select_last(), {}, "looking for the last row", patience()));
    Sample sample{now, {}};
    for (std::size_t k = 0; k < table_->keys.size() && last.rows() != 0; ++k) sample.key.emplace_back(last.cell(0, k));
    if (samples_.empty() || samples_.back().key != sample.key) samples_.push_back(std::move(sample));
  }
  while (samples_.size() > 1 && now - samples_[1].at >= options_.lag) samples_.pop_front();
  const Sample& oldest = samples_.front();
  const bool settled = samples_.size() == 1;
  if (oldest.key.empty() || (next_.between && oldest.key == next_.after))
    return settled ? Begun::nothing : Begun::later;
  if (now - oldest.at < options_.lag) return Begun::later;
  bound = oldest.key;
  return Begun::reading;
}

Result<void> PollExtractor::start_copy(const std::string& now, const std::vector<std::string>& bound,
                                       const BatchLimits& limits) {
  const std::string doing = "reading " + display_name(*table_->schema);
  const auto set = [&](const std::string& sql, const std::vector<std::string>& values) -> Result<void> {
    if (values.empty()) return {};
    std::vector<pg::Parameter> parameters;
    for (const std::string& v : values) parameters.push_back({v});
    PGCH_TRY(reader_->exec(sql, parameters, doing, patience()));
    return {};
  };
  PGCH_TRY(set(table_->set_hint(), next_.after));
  PGCH_TRY(set(table_->set_bound(), bound));
  Reading reading;
  reading.limit = batches_in_copy * limits.rows_max;
  PGCH_TRY(reader_->send(table_->select(next_, now, reading.limit, !bound.empty()), {}, doing));
  PGCH_ASSIGN(const pg::Answer answer, reader_->answer({Clock::TimePoint::max(), context_->stop}));
  if (!answer.is_copy_out()) return halt(Errc::internal, "While " + doing + ": PostgreSQL did not begin to copy.");
  reading.copy.emplace(*reader_);
  reading_ = std::move(reading);
  return {};
}

Result<PollExtractor::Read> PollExtractor::read(RowBatch& into, const BatchLimits& limits, const pg::Wait& wait) {
  for (;;) {
    if (!reading_->message.empty()) {
      PGCH_ASSIGN(const bool all, cut_->take(reading_->message, into, limits, reading_->taken));
      if (!all) return Read::rows;
    }
    const bool some = into.rows + into.rejected.size() > 0;
    PGCH_ASSIGN(const pg::CopyStream::Step step, reading_->copy->next());
    if (step == pg::CopyStream::Step::message) {
      reading_->message = reading_->copy->data();
      if (!reading_->began && !pg::TupleDecoder::take_header(reading_->message)) {
        return halt(Errc::corrupt, "While reading " + display_name(*table_->schema) +
                                       ": PostgreSQL did not answer with a binary copy.");
      }
      reading_->began = true;
    } else if (step == pg::CopyStream::Step::end) {
      PGCH_TRY(end_of_rows());
      return some ? Read::rows : Read::none;
    } else {
      pg::Connection* connection = reader_.get();
      if (auto waited = pg::wait_for({&connection, 1}, context_->clock, wait); !waited) {
        if (waited.error().code != Errc::timeout) return std::move(waited).error();
        return some ? Read::rows : Read::timeout;
      }
    }
  }
}

Result<void> PollExtractor::end_of_rows() {
  whole_ = reading_->taken < reading_->limit;
  reading_.reset();
  PGCH_TRY(reader_->exec("COMMIT", {}, "ending a transaction", patience()));
  return {};
}

// All of the round was handed out: the next one begins where it ended.
void PollExtractor::end_of_round() {
  if (table_->form != PollForm::snapshots || !whole_ || reading_) return;
  next_.seen = std::move(next_.round);
  next_.round.clear();
  next_.between = false;
  next_.stamp = 0;
  next_.after.clear();
}

// Gives the batch that was read its position, and moves on behind it.
void PollExtractor::seal(RowBatch& into) {
  PollPosition position;
  position.rows = cut_->end(into, version_).rows;
  news_ = true;
  ++next_.number;
  next_.version = version_;
  next_.between = true;
  next_.stamp = cut_->last_stamp();
  next_.after = cut_->last_key();
  end_of_round();
  position.cursor = next_;
  into.stream = stream_;
  into.position = encode(position);
  Out out;
  out.position = into.position;
  out.cursor = next_;
  outs_.push_back(std::move(out));
}

// Reads the rows of a lost batch again, by their keys, and hands out those that are still as they were.
Result<Fetch> PollExtractor::replay(RowBatch& into) {
  if (reading_) {
    reading_.reset();
    reader_.reset();
    if (auto ready = connect(); !ready) return failed(std::move(ready).error());
  }
  PGCH_ASSIGN(const PollPosition position, decode_poll_position(replays_.front().position));
  const std::vector<std::string> arrays = key_arrays(position.rows, {});
  std::vector<pg::Parameter> parameters;
  for (const std::string& a : arrays) parameters.push_back({a, pg::oid::text_array, true});
  auto answer = reader_->exec(table_->select_again(), parameters, "reading " + display_name(*table_->schema) + " again",
                              patience(), true);
  if (!answer) return failed(std::move(answer).error());
  auto found = cut_->again(*answer, position.rows, into);
  if (!found) return failed(std::move(found).error());
  Out out = std::move(replays_.front());
  replays_.pop_front();
  into.stream = stream_;
  into.position = out.position;
  into.intent = out.intent;
  const auto later = [&](const Out& o) { return o.cursor.number > out.cursor.number; };
  outs_.insert(std::find_if(outs_.begin(), outs_.end(), later), std::move(out));
  return Fetch::rows;
}

Result<void> PollExtractor::acknowledge(const std::string& stream, const Position& position) {
  if (stream != stream_)
    return halt(Errc::internal, "Stream \"" + stream + "\" is not this extractor's; this is a defect of the caller.");
  const auto at =
      std::find_if(outs_.begin(), outs_.end(), [&](const Out& o) { return o.position == position && !o.delivered; });
  if (at == outs_.end())
    return halt(Errc::internal, "A batch was acknowledged that is not out; this is a defect of the caller.");
  at->delivered = true;
  if (auto saved = save(); !saved) {
    if (saved.error().recovery != Recovery::retry) return saved;
    // fetch() tries it again, and says so.
    if (guard_ && !guard_->connection().alive()) guard_.reset();
  }
  return {};
}

// In order: the cursor says that everything before it is at the target.
Result<void> PollExtractor::save() {
  std::size_t ready = 0;
  while (ready < outs_.size() && outs_[ready].delivered &&
         (replays_.empty() || replays_.front().cursor.number > outs_[ready].cursor.number))
    ++ready;
  if (ready == 0) return {};
  const PollCursor& reached = outs_[ready - 1].cursor;
  if (reached.number > saved_.number) {
    PGCH_TRY(store_->save(reached, guard_ ? &guard_->connection() : nullptr, *context_));
    saved_ = reached;
  }
  for (; ready != 0; --ready) {
    acknowledged_.push_back({stream_, std::move(outs_.front().position)});
    outs_.pop_front();
  }
  return {};
}

std::vector<Acknowledged> PollExtractor::take_acknowledged() { return std::exchange(acknowledged_, {}); }

void PollExtractor::abandon(const std::string& stream, const Position& position) noexcept {
  if (stream != stream_) return;
  const auto at =
      std::find_if(outs_.begin(), outs_.end(), [&](const Out& o) { return o.position == position && !o.delivered; });
  if (at == outs_.end()) return;
  // The cursor can't pass it, so it comes again.
  const auto later = [&](const Out& o) { return o.cursor.number > at->cursor.number; };
  replays_.insert(std::find_if(replays_.begin(), replays_.end(), later), std::move(*at));
  outs_.erase(at);
}

void PollExtractor::close() noexcept {
  if (store_ && context_) {
    if (auto saved = save(); !saved)
      context_->log.write(
          LogLevel::warning,
          "The cursor could not be saved; its batches are looked for at the next start. " + saved.error().message);
  }
  reading_.reset();
  reader_.reset();
  listener_.reset();
  guard_.reset();
  store_.reset();
  outs_.clear();
  replays_.clear();
  samples_.clear();
}

std::string notify_channel(const TableSchema& table) {
  // A channel's name is as short as a table's: one of schema and table would not always fit.
  return "pgch_" + std::to_string(hash64(display_name(table)));
}

Result<std::unique_ptr<Extractor>> make_poll(PollOptions options) {
  if (options.table.empty()) return halt(Errc::config, "The poll method needs a table: set the setting table.");
  PGCH_TRY(quote_postgres_table(options.table));
  PGCH_TRY(quote_postgres(options.xid_column));
  if (!options.cursor.empty() && options.form != PollForm::plain) {
    return halt(Errc::config,
                "table.poll_cursor names columns for the plain form only; the others order rows by transaction.");
  }
  return std::unique_ptr<Extractor>(new PollExtractor(std::move(options)));
}

}  // namespace pgch
