// One exported snapshot, and what the progress file has to know of it.
#include <fmt/format.h>

#include <set>

#include "base/try.h"
#include "model/source_version.h"
#include "pg/connection.h"
#include "pgch/extract/snapshot.h"

namespace pgch {
namespace {

constexpr int calm_tries = 20;
constexpr std::size_t open_xids_max = 10'000;
constexpr std::uint64_t xid_epoch = std::uint64_t{1} << 32;

class HeldPoint final : public SnapshotPoint {
 public:
  void hold(std::unique_ptr<pg::Connection> connection) { connection_ = std::move(connection); }

 private:
  std::unique_ptr<pg::Connection> connection_;  // its transaction is what keeps the snapshot
};

using pg::number;

// Of the row's changes after this point each has a position in the log above it; so it is read before the snapshot.
constexpr const char* log_sql = R"(
SELECT l.lsn - '0/0'::pg_catalog.pg_lsn, l.lsn, l.timeline, pg_catalog.pg_is_in_recovery(), c.system_identifier || '/' || d.oid
  FROM (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END AS lsn,
               CASE WHEN pg_catalog.pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())::pg_catalog.int8
                    ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8))::pg_catalog.bit(32)::pg_catalog.int8 END AS timeline) l,
       pg_catalog.pg_control_system() c, pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database())";
constexpr const char* point_sql = R"(
SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_snapshot_xmin(s), pg_catalog.pg_snapshot_xmax(s),
       pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
       (SELECT coalesce(pg_catalog.string_agg(x::pg_catalog.text, ','), '') FROM pg_catalog.pg_snapshot_xip(s) x)
  FROM pg_catalog.pg_current_snapshot() s)";
// Subtransactions under way are in no snapshot that SQL can see, but each holds the lock of its own number, as the
// transaction it belongs to does. Asked before the snapshot: what begins later has a number from the horizon on.
constexpr const char* horizon_sql = "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())";
constexpr const char* locks_sql = R"(
SELECT l.transactionid, l.virtualtransaction FROM pg_catalog.pg_locks l
 WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock')";
constexpr const char* begin_sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

struct LogPlace {
  std::uint64_t lsn = 0, timeline = 1;
  std::string text, system;
  bool standby = false;
};

Result<LogPlace> read_log(pg::Connection& connection, const pg::Wait& wait) {
  PGCH_ASSIGN(const pg::Answer got, connection.exec(log_sql, {}, "reading the log's position", wait));
  if (got.rows() != 1) return halt(Errc::internal, "PostgreSQL did not say how far its log is.");
  return LogPlace{number(got.cell(0, 0)), number(got.cell(0, 2)), std::string(got.cell(0, 1)),
                  std::string(got.cell(0, 4)), got.cell(0, 3) == "t"};
}

// Which numbers were under way at the point, of those below `horizon`: the transactions that the snapshot names, and
// their subtransactions.
std::vector<std::uint32_t> open_at(const pg::Answer& locks, std::string_view in_progress, std::uint64_t horizon) {
  std::set<std::uint32_t> open;
  while (!in_progress.empty()) {
    const std::size_t comma = std::min(in_progress.find(','), in_progress.size());
    const std::uint64_t xid = number(in_progress.substr(0, comma));
    if (xid < horizon) open.insert(static_cast<std::uint32_t>(xid % xid_epoch));
    in_progress.remove_prefix(std::min(comma + 1, in_progress.size()));
  }
  std::set<std::string_view> owners;
  const auto xid_in = [&](std::size_t row) { return static_cast<std::uint32_t>(number(locks.cell(row, 0))); };
  for (std::size_t r = 0; r < locks.rows(); ++r) {
    if (open.count(xid_in(r)) != 0) owners.insert(locks.cell(r, 1));
  }
  for (std::size_t r = 0; r < locks.rows(); ++r) {
    if (owners.count(locks.cell(r, 1)) != 0) open.insert(xid_in(r));
  }
  return {open.begin(), open.end()};
}

Result<void> lock_tables(pg::Connection& connection, const std::vector<std::string>& tables, const pg::Wait& wait) {
  if (tables.empty()) return {};
  PGCH_TRY(connection.exec("SET LOCAL lock_timeout = '30s'", {}, "preparing the session", wait));
  for (const std::string& table : tables) {
    PGCH_ASSIGN(const std::string quoted, quote_postgres_table(table));
    // Reading locks whatever kind of relation it is, until the transaction's end; LOCK TABLE takes only some.
    PGCH_TRY(connection.exec("SELECT FROM " + quoted + " LIMIT 0", {}, "locking " + table + " against being rewritten",
                             wait));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<SnapshotPoint>> take_snapshot_point(const PostgresOptions& postgres,
                                                           const std::vector<std::string>& tables,
                                                           const Context& context) {
  PGCH_ASSIGN(auto connection, pg::Connection::open(postgres, context));
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(60), context.stop};
  auto out = std::make_shared<HeldPoint>();
  for (int tries = 1;; ++tries) {
    PGCH_ASSIGN(const LogPlace place, read_log(*connection, wait));
    PGCH_ASSIGN(const pg::Answer before, connection->exec(horizon_sql, {}, "taking a snapshot", wait));
    PGCH_ASSIGN(const pg::Answer locks, connection->exec(locks_sql, {}, "taking a snapshot", wait));
    PGCH_TRY(connection->exec(begin_sql, {}, "beginning a snapshot", wait));
    PGCH_ASSIGN(const pg::Answer got, connection->exec(point_sql, {}, "exporting a snapshot", wait));
    out->id = got.cell(0, 0);
    out->xid_max = number(got.cell(0, 2));
    out->horizon = number(before.cell(0, 0));
    out->open_xids = open_at(locks, got.cell(0, 4), out->horizon);
    if (place.standby || out->open_xids.size() > open_xids_max) {
      // Not known one by one: everything from the oldest on counts as having come later.
      out->horizon = number(got.cell(0, 1));
      out->open_xids.clear();
    }
    out->name = fmt::format("{} (timeline {}) at {} UTC", place.text, place.timeline, got.cell(0, 3));
    out->version = source_version(place.timeline, place.lsn);
    out->system_identifier = place.system;
    // Best is a moment in which no transaction began: then each row's xmin says clearly on which side it is.
    if (out->horizon == out->xid_max || tries == calm_tries) break;
    PGCH_TRY(connection->exec("ROLLBACK", {}, "beginning a snapshot", wait));
    context.clock.sleep_until(context.clock.now() + std::chrono::milliseconds(5), context.stop);
  }
  PGCH_TRY(lock_tables(*connection, tables, wait));
  out->hold(std::move(connection));
  return std::shared_ptr<SnapshotPoint>(std::move(out));
}

}  // namespace pgch
