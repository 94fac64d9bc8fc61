#include "extract/stream_guard.h"

#include "base/hash.h"
#include "base/try.h"
#include "model/source_version.h"
#include "pg/array.h"
#include "pg/types.h"

namespace pgch {
namespace {

pg::Wait patience(const Context& context) { return {context.clock.now() + std::chrono::seconds(30), context.stop}; }

}  // namespace

Result<std::unique_ptr<StreamGuard>> StreamGuard::open(const PostgresOptions& options, const Context& context) {
  PGCH_ASSIGN(auto connection, pg::Connection::open(options, context));
  PGCH_TRY(
      connection->exec("SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE "
                       "pg_catalog.current_setting('synchronous_commit') = 'off'",
                       {}, "preparing the session", patience(context)));
  return std::unique_ptr<StreamGuard>(new StreamGuard(std::move(connection)));
}

Result<void> StreamGuard::claim(const std::string& stream, const std::string& of_table, const Context& context) {
  const std::string key = std::to_string(static_cast<std::int64_t>(hash64(stream)));
  const std::string table_key = std::to_string(static_cast<std::int64_t>(hash64(of_table)));
  const pg::Parameter parameters[] = {{key}, {table_key}};
  // In this order, so that a whole table's producer and one of a share never both have half of what they need.
  const char* sql = of_table.empty() ? "SELECT pg_catalog.pg_try_advisory_lock($1::pg_catalog.int8)"
                                     : "SELECT pg_catalog.pg_try_advisory_lock_shared($2::pg_catalog.int8) AND "
                                       "pg_catalog.pg_try_advisory_lock($1::pg_catalog.int8)";
  const auto until = context.clock.now() + std::chrono::seconds(3);
  for (;;) {
    PGCH_ASSIGN(const pg::Answer got, connection_->exec(sql, std::span(parameters, of_table.empty() ? 1 : 2),
                                                        "claiming the stream", patience(context)));
    if (got.rows() == 1 && got.cell(0, 0) == "t") return {};
    if (context.stop.stop_requested())
      return Error{Errc::stopped, Recovery::halt, false, "pgch was asked to stop.", {}};
    if (context.clock.now() >= until) {
      return halt(
          Errc::conflict,
          "Another pgch is already producing stream \"" + stream +
              "\" (or the whole table) from this database: stop it, or give every producer of the table its share "
              "(share = \"1/2\", \"2/2\").");
    }
    context.clock.sleep_until(context.clock.now() + std::chrono::milliseconds(100), context.stop);
  }
}

Result<void> StreamGuard::check(const Context& context) {
  PGCH_TRY(connection_->exec("SELECT 1", {}, "checking that the stream is still ours", patience(context)));
  return {};
}

Result<void> StreamGuard::flush(const Context& context) {
  static constexpr const char* sql =
      "SELECT pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_current_wal_insert_lsn() <= "
      "pg_catalog.pg_current_wal_flush_lsn()";
  PGCH_ASSIGN(const pg::Answer got, connection_->exec(sql, {}, "reading the log's position", patience(context)));
  if (got.rows() == 1 && got.cell(0, 1) == "t") return {};
  // The commit of a record of our own is waited for, and what lies before it is on the disk with it.
  auto written = connection_->exec("SELECT pg_catalog.pg_logical_emit_message(true, 'pgch', '')", {},
                                   "flushing the log", patience(context));
  if (!written && written.error().code != Errc::permission) return std::move(written).error();
  if (written) return {};
  // The server's own writer does it within moments.
  const std::string target(got.cell(0, 0));
  const pg::Parameter p{target};
  const auto until = context.clock.now() + std::chrono::seconds(10);
  while (context.clock.now() < until && !context.stop.stop_requested()) {
    PGCH_ASSIGN(const pg::Answer flushed,
                connection_->exec("SELECT $1::pg_catalog.pg_lsn <= pg_catalog.pg_current_wal_flush_lsn()", {&p, 1},
                                  "waiting for the log", patience(context)));
    if (flushed.cell(0, 0) == "t") return {};
    context.clock.sleep_until(context.clock.now() + std::chrono::milliseconds(50), context.stop);
  }
  return retry(Errc::timeout, "PostgreSQL has not flushed its log within 10 s.");
}

Result<StreamGuard::Mark> StreamGuard::mark(const std::vector<std::string>& transactions, const Context& context) {
  if (advance_) {
    // A change of a row that was read before, committed asynchronously, may lie at the very position that was given to
    // it then. A record of our own that is flushed lies above.
    auto written = connection_->exec("SELECT pg_catalog.pg_logical_emit_message(true, 'pgch', '')", {},
                                     "moving the log's position", patience(context));
    if (!written && written.error().code != Errc::permission) return std::move(written).error();
    advance_ = false;
  }
  static constexpr const char* sql =
      "SELECT pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_catalog.pg_lsn,"
      " ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, "
      "8))::pg_catalog.bit(32)::pg_catalog.int8,"
      " EXISTS (SELECT FROM pg_catalog.unnest($1::pg_catalog.text[]) x WHERE "
      "pg_catalog.pg_xact_status(x::pg_catalog.xid8) = 'aborted')";
  pg::ArrayWriter array(pg::oid::text);
  for (const std::string& x : transactions) array.add(x);
  const pg::Parameter p{array.finish(), pg::oid::text_array, true};
  PGCH_ASSIGN(const pg::Answer got, connection_->exec(sql, {&p, 1}, "reading the log's position", patience(context)));
  if (got.rows() != 1) return halt(Errc::internal, "PostgreSQL did not say how far its log is.");
  return Mark{source_version(pg::number(got.cell(0, 1)), pg::number(got.cell(0, 0))), got.cell(0, 2) == "t"};
}

}  // namespace pgch
