// How many rows lie behind the saved cursor, asked from outside, while a reader may be at work.
#include "base/try.h"
#include "extract/poll_store.h"
#include "extract/poll_table.h"

namespace pgch {
namespace {

Result<std::uint64_t> count(pg::Connection& connection, const PollTable& table, const PollCursor& cursor,
                            const std::string& now, const pg::Wait& wait) {
  PGCH_TRY(connection.exec("BEGIN READ ONLY", {}, "counting rows", wait));
  if (cursor.between) {
    std::vector<pg::Parameter> after;
    for (const std::string& one : cursor.after) after.push_back({one});
    PGCH_TRY(connection.exec(table.set_hint(), after, "counting rows", wait));
  }
  PGCH_ASSIGN(const pg::Answer got, connection.exec(table.count(cursor, now), {}, "counting the rows not sent", wait));
  const std::uint64_t rows = std::strtoull(std::string(got.cell(0, 0)).c_str(), nullptr, 10);
  PGCH_TRY(connection.exec("ROLLBACK", {}, "counting rows", wait));
  return rows;
}

}  // namespace

Result<std::optional<std::uint64_t>> poll_unsent(const PollOptions& options, const Context& context) {
  const Context quiet{null_logger(), context.clock, context.stop};
  const pg::Wait wait{Clock::TimePoint::max(), context.stop};
  PGCH_ASSIGN(const auto connection, pg::Connection::open(options.postgres, quiet));
  PGCH_ASSIGN(const PollTable table, describe_poll_table(*connection, options, quiet));
  const std::string stream = options.stream.empty() ? "poll:" + display_name(*table.schema) : options.stream;
  const auto store = options.store == PollStore::file ? make_cursor_file(options.directory, options.pipeline)
                                                      : make_cursor_row(table.schema_quoted, options.pipeline, stream);
  PGCH_ASSIGN(std::optional<PollCursor> cursor, store->load(*connection, quiet));
  if (!cursor && options.from_now) return std::optional<std::uint64_t>();
  if (!cursor) {
    cursor.emplace();
    cursor->form = table.form;
  } else if (cursor->source != table.source || cursor->form != table.form || cursor->columns != table.order_names()) {
    return std::optional<std::uint64_t>();  // of something else: the start will say so
  }
  PGCH_ASSIGN(const pg::Answer got,
              connection->exec("SELECT pg_catalog.pg_current_snapshot()", {}, "asking for the snapshot of now", wait));
  const std::string now(got.cell(0, 0));
  // Also what can't be read yet, since a transaction runs that began before: it waits.
  const std::string latest = std::to_string(bounds_of(now).xmax);
  const std::string all = latest + ":" + latest + ":";
  if (table.form != PollForm::snapshots) {
    PGCH_ASSIGN(const std::uint64_t rows, count(*connection, table, *cursor, all, wait));
    return std::optional(rows);
  }
  std::uint64_t rows = 0;
  if (!cursor->round.empty()) {  // what is left of the round, and then what came after it
    PGCH_ASSIGN(rows, count(*connection, table, *cursor, now, wait));
    cursor->seen = cursor->round;
    cursor->between = false;
  }
  cursor->round = now;
  PGCH_ASSIGN(const std::uint64_t later, count(*connection, table, *cursor, now, wait));
  return std::optional(rows + later);
}

}  // namespace pgch
