#include "extract/claim_extractor.h"

#include <algorithm>

#include "base/try.h"

namespace pgch {
namespace {

using State = ClaimLane::State;

// The transaction's id is asked for, so that it can be told later whether it still lives.
constexpr const char* begin_sql = "BEGIN; SELECT pg_catalog.pg_current_xact_id()";

}  // namespace

Result<void> ClaimExtractor::open(const Context& context, std::vector<Intent> pending) {
  close();
  context_copy_.emplace(context);
  context_ = &*context_copy_;
  acknowledged_.clear();
  failure_.reset();
  hint_.clear();
  PGCH_ASSIGN(auto guard, StreamGuard::open(options_.postgres, *context_));
  PGCH_ASSIGN(table_, options_.describe(guard->connection(), *context_));
  stream_ = options_.stream;
  if (stream_.empty()) {
    stream_ = options_.method + (":" + display_name(*table_->schema));
    if (options_.shares > 1) stream_ += "#" + std::to_string(options_.share) + "/" + std::to_string(options_.shares);
  }
  PGCH_TRY(guard->claim(stream_, shared_table(), *context_));
  guard_ = std::move(guard);
  cut_.emplace(*table_);
  lanes_.resize(options_.lanes);
  for (Intent& intent : pending) {
    if (intent.stream != stream_) {
      return halt(Errc::config, "The journal holds batches of stream \"" + intent.stream +
                                    "\", but this pipeline reads \"" + stream_ +
                                    "\": use the settings it was started with, or another pipeline name.");
    }
    PGCH_ASSIGN(const KeyedPosition position, decode_keyed_position(intent.position));
    const auto cells = table_->key_cells();
    const bool same = std::equal(cells.begin(), cells.end(), position.keys.begin(), position.keys.end(),
                                 [](const KeyCells& a, const KeyCells& b) { return a.name == b.name; });
    if (!same) {
      return halt(Errc::schema,
                  "The key of table " + table_->name +
                      " has changed while batches were under way: restore it, let pgch settle them, then change it.");
    }
    ClaimOut out;
    out.position = intent.position;
    out.intent = std::move(intent);
    replays_.push_back(std::move(out));
  }
  return {};
}

Result<void> ClaimExtractor::connect(ClaimLane& lane) {
  if (lane.connection) return {};
  PGCH_ASSIGN(auto connection, pg::Connection::open(options_.postgres, *context_));
  const pg::Wait wait{context_->clock.now() + std::chrono::seconds(10), context_->stop};
  // A mark that a crash of the server may undo would send its rows twice: never asynchronous commit, whatever the
  // role's default.
  const std::string sql = "SELECT pg_catalog.set_config('lock_timeout', '" + std::to_string(options_.lock_timeout_ms) +
                          "', false); SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE "
                          "pg_catalog.current_setting('synchronous_commit') = 'off'";
  PGCH_TRY(connection->exec(sql, {}, "preparing the session", wait));
  lane.connection = std::move(connection);
  lane.state = State::free;
  return {};
}

// The lane's transaction is gone: what was delivered is looked for again, what is still under way first comes back to
// us.
void ClaimExtractor::drop(ClaimLane& lane) {
  if (!lane.outs.empty()) ++losses_;
  if (lane.withholds) ++releases_;
  for (ClaimOut& o : lane.outs) {
    o.picked.clear();
    o.tids.clear();
    if (o.state == ClaimOut::State::delivered)
      replays_.push_back(std::move(o));
    else if (o.state == ClaimOut::State::out)
      orphans_.push_back(std::move(o));
  }
  lane = ClaimLane{};
  if (guard_) guard_->forget();
}

void ClaimExtractor::drop_all() {
  for (ClaimLane& lane : lanes_) drop(lane);
  guard_.reset();
}

Error ClaimExtractor::failed(ClaimLane& lane, Error error) {
  drop(lane);
  return error;
}

void ClaimExtractor::finish(ClaimLane& lane) {
  for (ClaimOut& o : lane.outs) {
    if (o.state == ClaimOut::State::delivered) acknowledged_.push_back({stream_, std::move(o.position)});
  }
  lane.outs.clear();
  if (std::exchange(lane.withholds, false)) ++releases_;
}

void ClaimExtractor::pump() {
  for (ClaimLane& lane : lanes_) {
    if (!lane.marking()) continue;
    auto over = lane.advance(*table_);
    if (!over) {
      Error e = failed(lane, std::move(over).error());
      if (!failure_) failure_ = std::move(e);
    } else if (*over) {
      finish(lane);
    }
  }
}

Result<void> ClaimExtractor::wait_marks(const pg::Wait& wait) {
  std::vector<pg::Connection*> marking;
  for (const ClaimLane& lane : lanes_) {
    if (lane.marking()) marking.push_back(lane.connection.get());
  }
  if (marking.empty()) return {};
  return pg::wait_for(marking, context_->clock, wait);
}

ClaimLane* ClaimExtractor::free_lane() {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    ClaimLane& lane = lanes_[(turn_ + i) % lanes_.size()];
    if (lane.state != State::free) continue;
    turn_ = (turn_ + i) % lanes_.size();
    return &lane;
  }
  return nullptr;
}

bool ClaimExtractor::anything_out() const {
  return !orphans_.empty() || std::any_of(lanes_.begin(), lanes_.end(), [](const ClaimLane& l) { return l.has_out(); });
}

Result<Fetch> ClaimExtractor::fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) {
  const pg::Wait wait{deadline, context_->stop};
  for (;;) {
    if (context_->stop.stop_requested())
      return Error{Errc::stopped, Recovery::halt, false, "pgch was asked to stop.", {}};
    pump();
    if (failure_) {
      Error e = std::move(*failure_);
      failure_.reset();
      return e;
    }
    if (!guard_) {
      PGCH_ASSIGN(guard_, StreamGuard::open(options_.postgres, *context_));
      if (auto claimed = guard_->claim(stream_, shared_table(), *context_); !claimed) {
        guard_.reset();
        return std::move(claimed).error();
      }
    }
    const auto reading =
        std::find_if(lanes_.begin(), lanes_.end(), [](const ClaimLane& l) { return l.state == State::reading; });
    ClaimLane* lane = reading != lanes_.end() ? &*reading : free_lane();
    const bool replaying = !replays_.empty();
    if (replaying && reading != lanes_.end()) lane = free_lane();
    bool idle = false;
    std::uint64_t releases = 0;
    if (lane != nullptr && replaying) return replay(*lane, into);
    if (lane != nullptr && orphans_.empty()) {
      PGCH_ASSIGN(const std::optional<Fetch> got, fetch_new(*lane, into, limits, wait));
      if (!got) continue;
      if (*got != Fetch::idle) return *got;
      idle = true;
      releases = lane->releases;
    }
    PGCH_TRY(await_marks(wait, idle));
    if (failure_) continue;
    if (idle) {
      const bool saw_all = releases == releases_ &&
                           std::none_of(lanes_.begin(), lanes_.end(), [](const ClaimLane& l) { return l.withholds; });
      return saw_all ? Fetch::idle : Fetch::busy;
    }
    if (free_lane() == nullptr || !orphans_.empty()) return Fetch::busy;
  }
}

// No lane is free, or there is nothing to read: see marks through, but not past the deadline. While the caller has
// batches of ours it wants to be back soon, to acknowledge them.
Result<void> ClaimExtractor::await_marks(const pg::Wait& wait, bool all) {
  pg::Wait soon = wait;
  if (anything_out()) soon.until = std::min(wait.until, context_->clock.now() + std::chrono::milliseconds(20));
  while (std::any_of(lanes_.begin(), lanes_.end(), [](const ClaimLane& l) { return l.marking(); })) {
    if (auto waited = wait_marks(soon); !waited) {
      if (waited.error().code == Errc::timeout) return {};
      return waited;
    }
    pump();
    if (failure_ || (!all && free_lane() != nullptr)) return {};
  }
  return {};
}

// idle: nothing found by a whole pass from the start. busy: the deadline came first. nullopt: the lane was read to its
// end without a further row; look for another.
Result<std::optional<Fetch>> ClaimExtractor::fetch_new(ClaimLane& lane, RowBatch& into, const BatchLimits& limits,
                                                       const pg::Wait& wait) {
  cut_->begin(into);
  for (;;) {
    if (lane.state == State::free) {
      if (auto r = connect(lane); !r) return failed(lane, std::move(r).error());
      if (auto r = select(lane, limits, {context_->clock.now() + std::chrono::seconds(30), context_->stop}); !r)
        return failed(lane, std::move(r).error());
    }
    auto got = read(lane, into, limits, wait);
    if (!got) return failed(lane, std::move(got).error());
    if (*got == Read::timeout) return std::optional(Fetch::busy);
    if (*got == Read::rows) {
      PGCH_TRY(seal(lane, into));
      return std::optional(Fetch::rows);
    }
    if (!lane.outs.empty()) {
      // The last of several batches was handed out before the end was seen.
      set_hint(lane);
      if (lane.decided()) {
        if (auto r = lane.start_mark(*table_); !r) return failed(lane, std::move(r).error());
      }
      return std::optional<Fetch>();
    }
    if (auto r = lane.connection->exec("ROLLBACK", {}, "ending a transaction",
                                       {context_->clock.now() + std::chrono::seconds(10), context_->stop});
        !r) {
      return failed(lane, std::move(r).error());
    }
    lane.state = State::free;
    if (lane.from_start) return std::optional(Fetch::idle);
    hint_.clear();  // behind the hint there was nothing: once more from the start
  }
}

Result<void> ClaimExtractor::select(ClaimLane& lane, const BatchLimits& limits, const pg::Wait& wait) {
  const std::string doing = "reading " + table_->name;
  PGCH_ASSIGN(const pg::Answer begun, lane.connection->exec(begin_sql, {}, doing, wait));
  lane.xid = begun.cell(0, 0);
  lane.from_start = hint_.empty();
  lane.losses = losses_;
  lane.releases = releases_;
  if (!hint_.empty()) {
    std::vector<pg::Parameter> parameters;
    for (const std::string& k : hint_) parameters.push_back({k});
    PGCH_TRY(lane.connection->exec(table_->set_hint(), parameters, doing, wait));
  }
  // As many rows as one batch may have, and by their usual size no more than its bytes: what is locked is what is read.
  const double fit = cut_->row_bytes() > 1 ? static_cast<double>(limits.bytes_max) / cut_->row_bytes()
                                           : static_cast<double>(limits.rows_max);
  lane.limit = static_cast<std::uint64_t>(std::clamp(fit, 1.0, static_cast<double>(limits.rows_max)));
  lane.taken = 0;
  lane.began = false;
  lane.message = {};
  PGCH_TRY(lane.connection->send(table_->select(lane.limit, !hint_.empty()), {}, doing));
  PGCH_ASSIGN(const pg::Answer answer, lane.connection->answer({Clock::TimePoint::max(), wait.stop}));
  if (!answer.is_copy_out()) return halt(Errc::internal, "While " + doing + ": PostgreSQL did not begin to copy.");
  lane.copy.emplace(*lane.connection);
  lane.state = State::reading;
  return {};
}

Result<ClaimExtractor::Read> ClaimExtractor::read(ClaimLane& lane, RowBatch& into, const BatchLimits& limits,
                                                  const pg::Wait& wait) {
  for (;;) {
    if (!lane.message.empty()) {
      PGCH_ASSIGN(const bool all, cut_->take(lane.message, into, limits, lane.taken));
      if (!all) return Read::rows;
    }
    PGCH_ASSIGN(const pg::CopyStream::Step step, lane.copy->next());
    if (step == pg::CopyStream::Step::message) {
      lane.message = lane.copy->data();
      if (!lane.began && !pg::TupleDecoder::take_header(lane.message)) {
        return halt(Errc::corrupt, "While reading " + table_->name + ": PostgreSQL did not answer with a binary copy.");
      }
      lane.began = true;
      continue;
    }
    const bool some = cut_->taken(into) > 0;
    if (step == pg::CopyStream::Step::end) {
      end_of_rows(lane);
      return some ? Read::rows : Read::none;
    }
    // Marks under way on other lanes go on while this one waits.
    std::vector<pg::Connection*> all{lane.connection.get()};
    for (const ClaimLane& other : lanes_) {
      if (other.marking()) all.push_back(other.connection.get());
    }
    if (auto waited = pg::wait_for(all, context_->clock, wait); !waited) {
      if (waited.error().code != Errc::timeout) return std::move(waited).error();
      return some ? Read::rows : Read::timeout;
    }
    pump();
  }
}

void ClaimExtractor::end_of_rows(ClaimLane& lane) {
  lane.copy.reset();
  lane.state = State::held;
  turn_ = (turn_ + 1) % lanes_.size();
}

// Gives the batch that was read its position and version, and notes it as handed out.
Result<void> ClaimExtractor::seal(ClaimLane& lane, RowBatch& into) {
  // If another lane's transaction died before these rows were locked, they may be the very rows it had handed out.
  std::vector<std::string> others;
  for (const ClaimLane& other : lanes_) {
    if (&other != &lane && !other.outs.empty()) others.push_back(other.xid);
  }
  if (!table_->locks_rows) guard_->forget();
  auto mark = guard_->mark(others, *context_);
  // Or it was noticed and dropped since this statement began, which may have locked its rows as soon as they were free.
  if (!mark || mark->aborted || lane.losses != losses_) {
    drop_all();
    if (!mark) return std::move(mark).error();
    return retry(Errc::connection,
                 "A transaction that held rows of " + table_->name + " was lost; they are read again.");
  }
  lane.outs.push_back(out_of(cut_->end(into, mark->version)));
  into.position = lane.outs.back().position;
  into.stream = stream_;
  if (!cut_->last_key().empty()) last_key_ = cut_->last_key();
  if (lane.state == State::held) set_hint(lane);
  return {};
}

// Where the next select begins: behind the last key, or at the start when the table's end was seen.
void ClaimExtractor::set_hint(const ClaimLane& lane) {
  if (lane.taken < lane.limit)
    hint_.clear();
  else
    hint_ = last_key_;
}

// Locks the rows of a lost batch again and hands out those that are still as they were.
Result<Fetch> ClaimExtractor::replay(ClaimLane& lane, RowBatch& into) {
  const pg::Wait wait{
      context_->clock.now() + std::chrono::milliseconds(options_.lock_timeout_ms) + std::chrono::seconds(30),
      context_->stop};
  PGCH_ASSIGN(const KeyedPosition position, decode_keyed_position(replays_.front().position));
  if (auto r = connect(lane); !r) return failed(lane, std::move(r).error());
  const std::string doing = "reading " + table_->name + " again";
  auto begun = lane.connection->exec(begin_sql, {}, doing, wait);
  if (!begun) return failed(lane, std::move(begun).error());
  const std::vector<std::string> arrays = key_arrays(position, {});
  std::vector<pg::Parameter> parameters;
  for (const std::string& a : arrays) parameters.push_back({a, pg::oid::text_array, true});
  lane.xid = begun->cell(0, 0);
  auto answer = lane.connection->exec(table_->select_again(), parameters, doing, wait, true);
  if (!answer) return failed(lane, std::move(answer).error());

  ClaimOut out = std::move(replays_.front());
  replays_.pop_front();
  out.state = ClaimOut::State::out;
  auto found = cut_->again(*answer, position, into);
  if (!found) {
    replays_.push_front(std::move(out));
    return failed(lane, std::move(found).error());
  }
  out.found(*std::move(found));
  into.stream = stream_;
  into.position = out.position;
  into.intent = out.intent;
  lane.withholds = answer->rows() > out.rows;
  if (out.rows > 0) {
    lane.outs.push_back(std::move(out));
    lane.state = State::held;
  } else {
    hollow_.push_back(std::move(out));
    if (auto r = lane.start_rollback(); !r) drop(lane);
  }
  turn_ = (turn_ + 1) % lanes_.size();
  return Fetch::rows;
}

Result<void> ClaimExtractor::acknowledge(const std::string& stream, const Position& position) {
  if (stream != stream_)
    return halt(Errc::internal, "Stream \"" + stream + "\" is not this extractor's; this is a defect of the caller.");
  pump();
  const auto same = [&](const ClaimOut& o) { return o.position == position && o.state == ClaimOut::State::out; };
  if (const auto at = std::find_if(hollow_.begin(), hollow_.end(), same); at != hollow_.end()) {
    acknowledged_.push_back({stream_, std::move(at->position)});
    hollow_.erase(at);
    return {};
  }
  for (ClaimLane& lane : lanes_) {
    const auto at = std::find_if(lane.outs.begin(), lane.outs.end(), same);
    if (at == lane.outs.end()) continue;
    at->state = ClaimOut::State::delivered;
    if (lane.state != State::held || !lane.decided()) return {};
    // Whoever lost the stream's lock may not mark: another process may be at work in its name.
    if (auto alive = guard_->check(*context_); !alive) {
      drop_all();
      return std::move(alive).error();
    }
    if (auto r = lane.start_mark(*table_); !r) return failed(lane, std::move(r).error());
    return {};
  }
  if (const auto at = std::find_if(orphans_.begin(), orphans_.end(), same); at != orphans_.end()) {
    replays_.push_back(std::move(*at));
    orphans_.erase(at);
    return retry(Errc::connection, "The transaction that held this batch of " + table_->name +
                                       " was lost before it could be marked; its rows are read again.");
  }
  return halt(Errc::internal, "A batch was acknowledged that is not out; this is a defect of the caller.");
}

void ClaimExtractor::abandon(const std::string& stream, const Position& position) noexcept {
  if (stream != stream_) return;
  const auto same = [&](const ClaimOut& o) { return o.position == position && o.state == ClaimOut::State::out; };
  std::erase_if(hollow_, same);
  std::erase_if(orphans_, same);
  if (guard_) guard_->forget();
  for (ClaimLane& lane : lanes_) {
    const auto at = std::find_if(lane.outs.begin(), lane.outs.end(), same);
    if (at == lane.outs.end()) continue;
    at->state = ClaimOut::State::abandoned;
    lane.withholds = true;
    if (lane.state != State::held || !lane.decided()) return;
    if (auto r = lane.start_mark(*table_); !r) drop(lane);
    return;
  }
}

std::vector<Acknowledged> ClaimExtractor::take_acknowledged() {
  if (table_) pump();
  return std::exchange(acknowledged_, {});
}

// The rest of the rows is read and thrown away: to cancel the statement would undo the transaction, and with it the
// locks.
Result<void> ClaimExtractor::drain_reading(ClaimLane& lane, const pg::Wait& wait) {
  for (;;) {
    PGCH_ASSIGN(const pg::CopyStream::Step step, lane.copy->next());
    if (step == pg::CopyStream::Step::end) break;
    pg::Connection* connection = lane.connection.get();
    if (step == pg::CopyStream::Step::wait) PGCH_TRY(pg::wait_for({&connection, 1}, context_->clock, wait));
  }
  end_of_rows(lane);
  return {};
}

void ClaimExtractor::close() noexcept {
  if (context_ != nullptr) {
    const pg::Wait wait{context_->clock.now() + std::chrono::seconds(20), context_->stop};
    for (ClaimLane& lane : lanes_) {
      for (ClaimOut& o : lane.outs) {
        if (o.state == ClaimOut::State::out) o.state = ClaimOut::State::abandoned;
      }
      const bool delivered = std::any_of(lane.outs.begin(), lane.outs.end(),
                                         [](const ClaimOut& o) { return o.state == ClaimOut::State::delivered; });
      if (!delivered || lane.marking() || !guard_ || !guard_->check(*context_)) continue;
      if (lane.state == State::reading && !drain_reading(lane, wait)) continue;
      if (!lane.start_mark(*table_)) drop(lane);
    }
    pump();
    while (std::any_of(lanes_.begin(), lanes_.end(), [](const ClaimLane& l) { return l.marking(); })) {
      if (!wait_marks(wait)) break;
      pump();
    }
    if (failure_)
      context_->log.write(
          LogLevel::warning,
          "Some rows could not be marked before the end; they are looked for at the next start. " + failure_->message);
  }
  lanes_.clear();
  guard_.reset();
  replays_.clear();
  orphans_.clear();
  hollow_.clear();
  failure_.reset();
  context_ = nullptr;
}

std::string ClaimExtractor::shared_table() const {
  return options_.shares > 1 ? options_.method + (":" + display_name(*table_->schema)) : std::string();
}

Result<void> check_claim_options(const ClaimOptions& options) {
  if (options.share < 1 || options.share > options.shares) {
    return halt(Errc::config, "The setting share must be one of its number, as in \"2/4\", but is \"" +
                                  std::to_string(options.share) + "/" + std::to_string(options.shares) + "\".");
  }
  if (options.lanes < 1 || options.lanes > 8)
    return halt(Errc::config, "The setting lanes must be 1 to 8, but is " + std::to_string(options.lanes) + ".");
  return {};
}

}  // namespace pgch
