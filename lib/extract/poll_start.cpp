// Where the poll method begins: the saved cursor, if it fits what is there now, and what was under way.
#include <algorithm>

#include "base/try.h"
#include "extract/poll_extractor.h"
#include "model/source_version.h"

namespace pgch {
namespace {

const char* name_of(PollForm form) noexcept {
  switch (form) {
    case PollForm::snapshots:
      return "snapshots";
    case PollForm::xid:
      return "xid";
    case PollForm::xmin:
      return "xmin";
    case PollForm::plain:
      break;
  }
  return "plain";
}

}  // namespace

Result<void> PollExtractor::load_cursor(const std::vector<Intent>& pending) {
  PGCH_ASSIGN(std::optional<PollCursor> found, store_->load(guard_->connection(), *context_));
  if (found) {
    PGCH_TRY(check_cursor(*found));
    PGCH_TRY(check_time(*found));
    saved_ = *std::move(found);
  } else {
    if (!pending.empty()) {
      PGCH_ASSIGN(const PollPosition first, decode_poll_position(pending.front().position));
      if (first.cursor.number > 1) {
        return halt(Errc::corrupt, "The cursor in " + store_->where() +
                                       " is missing, but the journal holds batches of a reader that was far beyond the "
                                       "beginning. Put it back from a copy; or remove the journal, too, and everything "
                                       "is sent again.");
      }
    }
    PGCH_ASSIGN(saved_, first_cursor());
    PGCH_TRY(store_->save(saved_, &guard_->connection(), *context_));
  }
  next_ = saved_;
  return {};
}

Result<PollCursor> PollExtractor::first_cursor() {
  PollCursor cursor;
  cursor.form = table_->form;
  cursor.source = table_->source;
  cursor.columns = table_->order_names();
  PGCH_ASSIGN(const StreamGuard::Mark mark, guard_->mark({}, *context_));
  cursor.version = mark.version;
  if (!options_.from_now) return cursor;
  if (table_->form == PollForm::plain) {
    PGCH_ASSIGN(const pg::Answer last,
                guard_->connection().exec(table_->select_last(), {}, "looking for the last row", patience()));
    if (last.rows() == 0) return cursor;
    cursor.between = true;
    for (std::size_t k = 0; k < cursor.columns.size(); ++k) cursor.after.emplace_back(last.cell(0, k));
    return cursor;
  }
  PGCH_ASSIGN(const pg::Answer now, guard_->connection().exec("SELECT pg_catalog.pg_current_snapshot()", {},
                                                              "asking for the snapshot of now", patience()));
  PGCH_TRY(guard_->flush(*context_));
  if (table_->form == PollForm::snapshots) {
    cursor.seen = now.cell(0, 0);
  } else {
    cursor.floor = bounds_of(now.cell(0, 0)).xmin;
  }
  return cursor;
}

// A cursor that belongs to something else would leave rows out, or send them again.
Result<void> PollExtractor::check_cursor(const PollCursor& cursor) const {
  const std::string name = display_name(*table_->schema);
  if (cursor.source != table_->source) {
    return halt(
        Errc::config,
        "The cursor in " + store_->where() + " is of another server, database or table than " + name +
            " is now (restored, or the table or its column made anew?), and says nothing about this one. Use another "
            "pipeline name or state directory: then everything is sent, or with table.poll_start "
            "= \"now\" only what is new.");
  }
  if (cursor.form != table_->form || cursor.columns != table_->order_names()) {
    return halt(Errc::config, "The cursor of " + name + " was saved by the form " + name_of(cursor.form) +
                                  " or for another key, and can't be read by the form " + name_of(table_->form) +
                                  ": use the settings it was started with, or another pipeline name.");
  }
  return {};
}

// Transactions are numbered upwards for ever; a server that is behind what was read from it has lost some.
Result<void> PollExtractor::check_time(const PollCursor& cursor) {
  PGCH_ASSIGN(const pg::Answer now, guard_->connection().exec("SELECT pg_catalog.pg_current_snapshot()", {},
                                                              "asking for the snapshot of now", patience()));
  const std::uint64_t read = std::max({bounds_of(cursor.seen).xmax, bounds_of(cursor.round).xmax, cursor.floor,
                                       cursor.form == PollForm::plain ? 0 : cursor.stamp});
  if (bounds_of(now.cell(0, 0)).xmax >= read) return {};
  return halt(Errc::data,
              "PostgreSQL is behind what was read from it before: it was restored, or another server took "
              "over without its last transactions. Rows that were written since would be left out: use "
              "another pipeline name, or `pgch verify` and `pgch repair`.");
}

// A server that took over may lack what was read from the one before, and gives its transactions' numbers to others:
// what these write would count as read.
Result<void> PollExtractor::check_timeline(std::uint64_t version) {
  if (timeline_of(version) == timeline_of(next_.version)) return {};
  const std::string what = "Another server has taken over, or this one was restored (the log's timeline has changed)";
  if (!options_.after_failover || version < next_.version) {
    return halt(Errc::data, what +
                                ". If it may lack transactions that pgch had read, rows of others that got their "
                                "numbers would be left out. If it lacks none (synchronous standby, planned switch), "
                                "start once with table.poll_failover = \"continue\"; else also let `pgch verify` and "
                                "`pgch repair` follow.");
  }
  context_->log.write(LogLevel::warning, what + "; going on, as table.poll_failover says.");
  next_.version = version;
  return {};
}

Result<void> PollExtractor::take_pending(std::vector<Intent> pending) {
  for (Intent& intent : pending) {
    if (intent.stream != stream_) {
      return halt(Errc::config, "The journal holds batches of stream \"" + intent.stream +
                                    "\", but this pipeline reads \"" + stream_ +
                                    "\": use the settings it was started with, or another pipeline name.");
    }
    PGCH_ASSIGN(PollPosition position, decode_poll_position(intent.position));
    PGCH_TRY(check_cursor(position.cursor));
    // What is behind the cursor was acknowledged, and only the journal had not heard of it.
    if (position.cursor.number > next_.number + 1) {
      return halt(Errc::corrupt, "Between the cursor in " + store_->where() +
                                     " and the batches under way in the journal others are missing: they are not of "
                                     "the same time. Put both back from the same copy.");
    }
    if (position.cursor.number > next_.number) next_ = position.cursor;
    Out out;
    out.position = intent.position;
    out.cursor = std::move(position.cursor);
    out.intent = std::move(intent);
    replays_.push_back(std::move(out));
  }
  return {};
}

}  // namespace pgch
