#include "extract/snapshot_table.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/try.h"

namespace pgch {
namespace {

using pg::number;

// c.relfilenode is read as of the transaction's snapshot, pg_relation_filenode() as it is now: a table that was
// truncated in between would look empty.
constexpr const char* parts_sql = R"(
WITH RECURSIVE tree AS (SELECT $1::pg_catalog.oid AS oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid)
SELECT c.oid::pg_catalog.int8, c.relkind, n.nspname, c.relname, c.relfilenode::pg_catalog.int8,
       coalesce(pg_catalog.pg_relation_filenode(c.oid)::pg_catalog.int8, 0),
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8 ELSE 0 END,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END,
       pg_catalog.current_setting('block_size')
  FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind <> 'p' ORDER BY 1)";

Result<void> read_parts(pg::Connection& connection, SnapshotTable& table, const SnapshotPoint* point,
                        const pg::Wait& wait) {
  const std::string oid = std::to_string(table.catalog.oid);
  const pg::Parameter p{oid};
  PGCH_ASSIGN(const pg::Answer got, connection.exec(parts_sql, {&p, 1}, "reading the catalog", wait));
  for (std::size_t r = 0; r < got.rows(); ++r) {
    SnapshotPart part;
    const char kind = got.cell(r, 1).front();
    part.oid = static_cast<std::uint32_t>(number(got.cell(r, 0)));
    part.name = std::string(got.cell(r, 2)) + "." + std::string(got.cell(r, 3));
    PGCH_ASSIGN(const std::string schema_name, quote_postgres(got.cell(r, 2)));
    PGCH_ASSIGN(const std::string table_name, quote_postgres(got.cell(r, 3)));
    part.quoted = schema_name + "." + table_name;
    part.by_ranges = kind == 'r' || kind == 'm';
    part.blocks = number(got.cell(r, 6));
    part.bytes = number(got.cell(r, 7));
    const std::uint64_t then = number(got.cell(r, 4)), now = number(got.cell(r, 5));
    part.file = part.by_ranges ? now : point == nullptr ? 0 : point->version;
    if (part.by_ranges && point != nullptr && then != 0 && then != now) {
      return halt(Errc::conflict, "Table " + part.name +
                                      " was rewritten (TRUNCATE, VACUUM FULL, ALTER TABLE) just after the snapshot was "
                                      "taken, so it can't be read as it was: start again.");
    }
    if (kind == 'r') part.quoted = "ONLY " + part.quoted;
    table.block_size = number(got.cell(r, 8));
    table.parts.push_back(std::move(part));
  }
  // A tuple takes at least its 24 bytes of header and 4 of line pointer.
  table.lines_max = table.block_size / 28;
  return {};
}

constexpr std::uint64_t xid_epoch = std::uint64_t{1} << 32;

}  // namespace

// Ages are counted back from now, so those of rows that came since are small, and those of rows from before any
// wraparound large or negative.
std::string SnapshotTable::came_since(std::uint64_t version) const {
  const Horizon& horizon = horizons.at(version);
  std::string out = "(pg_catalog.age(t.xmin) BETWEEN 0 AND pg_catalog.age('" + std::to_string(horizon.xid % xid_epoch) +
                    "'::pg_catalog.xid)";
  if (!horizon.open_xids.empty()) {
    std::string list;
    for (const std::uint32_t xid : horizon.open_xids) list += (list.empty() ? "" : ",") + std::to_string(xid);
    out += " OR t.xmin = ANY ('{" + list + "}'::pg_catalog.xid[])";
  }
  return out + ")";
}

std::string SnapshotTable::condition(PlaceRange range, std::uint64_t since, std::uint64_t before) const {
  std::string out = "t.ctid >= " + tid_literal(range.from) + "::pg_catalog.tid AND t.ctid < " + tid_literal(range.to) +
                    "::pg_catalog.tid";
  if (since != 0) out += " AND " + came_since(since);
  if (before != 0) out += " AND NOT " + came_since(before);
  if (!where.empty()) out += " AND (" + where + "\n)";
  return out;
}

std::string SnapshotTable::copy(const SnapshotPart& part, PlaceRange range, std::uint64_t since,
                                std::uint64_t before) const {
  return "COPY (SELECT " + selects + (keyed ? "" : ", t.ctid") + " FROM " + part.quoted + " t WHERE " +
         condition(range, since, before) + ") TO STDOUT (FORMAT binary)";
}

std::string SnapshotTable::copy_whole(const SnapshotPart& part) const {
  return "COPY (SELECT " + selects + (keyed ? "" : ", NULL::pg_catalog.tid") + " FROM " + part.quoted + " t" +
         (where.empty() ? "" : " WHERE (" + where + "\n)") + ") TO STDOUT (FORMAT binary)";
}

std::string SnapshotTable::count(const SnapshotPart& part, PlaceRange range, std::uint64_t since,
                                 std::uint64_t changed_since) const {
  return "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE " + came_since(changed_since) + ") FROM " +
         part.quoted + " t WHERE " + condition(range, since, 0);
}

std::uint64_t SnapshotTable::plan_hash(const std::string& target) const {
  std::string text;
  put_little(text, fingerprint_of(*schema));
  put_text(text, selects);
  put_text(text, where);
  put_text(text, target);
  return hash64(text);
}

Result<void> begin_at(pg::Connection& connection, const SnapshotPoint& point, const pg::Wait& wait) {
  const std::string sql =
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '" + point.id + "'";
  auto begun = connection.exec(sql, {}, "joining the snapshot", wait);
  if (begun) return {};
  const std::string& native = begun.error().native;
  if (native == "22023" || native == "42704") {
    return halt(Errc::connection,
                "The snapshot is gone: the connection that held it was lost. Start the same command again: it goes on "
                "with what is not finished.",
                native);
  }
  return std::move(begun).error();
}

Result<std::unique_ptr<pg::Connection>> connect_at(const SnapshotOptions& options, const Context& context) {
  PGCH_ASSIGN(auto connection, pg::Connection::open(options.postgres, context));
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(30), context.stop};
  // Compiling costs more than it saves for one range.
  PGCH_TRY(
      connection->exec("SET jit = off; SET max_parallel_workers_per_gather = 0", {}, "preparing the session", wait));
  PGCH_TRY(begin_at(*connection, *options.point, wait));
  return connection;
}

Result<SnapshotTable> describe_snapshot_table(pg::Connection& connection, const SnapshotOptions& options,
                                              const pg::Wait& wait) {
  SnapshotTable out;
  PGCH_ASSIGN(out.catalog, pg::describe(connection, options.table, options.columns, options.flag_column, wait));
  out.schema = std::make_shared<const TableSchema>(out.catalog.source.schema);
  out.name = display_name(*out.schema);
  out.keyed = !out.schema->key_order.empty();
  out.where = options.where;
  for (const std::string& s : out.catalog.selects) out.selects += (out.selects.empty() ? "" : ", ") + s;
  out.fields = out.catalog.fields;
  if (!out.keyed) out.fields.push_back({"ctid", "tid", pg::Decoder::raw, Layout::varlen, true, 0, 0});
  PGCH_TRY(read_parts(connection, out, options.point.get(), wait));
  return out;
}

}  // namespace pgch
