/// Snapshot: every row of a table once, as of one point, over several connections, cut into ranges of ctid. Killed at
/// any moment it goes on with the ranges that are not finished; docs/decisions/0004-snapshot.md says how and why.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/postgres.h"

namespace pgch {

/// One point of the source's history that all tables of a run are read at. It holds a connection with an exported
/// snapshot, and a lock that keeps the tables from being rewritten (not from being written to), until it is destroyed.
/// Any thread may use it; what it names never changes.
class PGCH_EXPORT SnapshotPoint {
 public:
  virtual ~SnapshotPoint() = default;
  std::string id;             ///< of the exported snapshot, for SET TRANSACTION SNAPSHOT
  std::string name;           ///< for people: "0/1A2B3C8 (timeline 1) at 2026-01-31 12:00:00 UTC"
  std::uint64_t version = 0;  ///< what _version becomes: (timeline - 1) above the WAL's flush position before it
  std::uint64_t horizon = 0;  ///< a row is older than the point if its xmin is below, and not among …
  std::vector<std::uint32_t> open_xids;  ///< … the transactions and subtransactions that were under way
  std::uint64_t xid_max = 0;             ///< transactions from here on had not begun
  std::string system_identifier;         ///< server and database, so that a progress file is not taken for another's
};
/// `tables` are locked (ACCESS SHARE) as long as the point lives. The context stays valid for as long.
PGCH_EXPORT Result<std::shared_ptr<SnapshotPoint>> take_snapshot_point(const PostgresOptions& postgres,
                                                                       const std::vector<std::string>& tables,
                                                                       const Context& context);

/// What a snapshot has done so far, and what it came to. The numbers may be read at any time, the rest after the end.
struct SnapshotStatus {
  std::atomic<std::uint64_t> bytes_total{0};    ///< of the table's files, to be read in all
  std::atomic<std::uint64_t> bytes_skipped{0};  ///< of them, finished by an earlier process
  std::atomic<std::uint64_t> bytes_read{0};     ///< of them, read, also by an earlier process
  std::atomic<std::uint64_t> bytes_done{0};     ///< of them, durable at the target, also by an earlier process
  std::atomic<std::uint64_t> rows_done{0};      ///< likewise
  std::atomic<bool> already{false};             ///< an earlier process had finished it; nothing was read
  std::atomic<bool> ended{false};               ///< the whole table is at the target; from then on what follows counts
  bool consistent = true;                       ///< as of the last of `points`
  std::vector<std::string> points;              ///< names of all points that rows were read at, oldest first
  std::vector<std::string> warnings;            ///< a sentence each
};

/// What is known of the target before the first row.
enum class SnapshotTarget : std::uint8_t {
  unknown,  ///< a topic
  empty,    ///< not there, or without rows: what an earlier process had copied is not there any more
  filled,   ///< has rows
};

struct SnapshotOptions {
  PostgresOptions postgres;
  std::string table;  ///< "table" or "schema.table"; partitioned tables and views, too
  ColumnSelection columns;
  std::string flag_column;  ///< left out of what is moved, if the table has it
  std::string where;        ///< SQL condition on the table's columns; empty: all rows
  std::uint32_t connections = 2;
  std::size_t queue_bytes_max = 64u << 20;  ///< read and not yet fetched; beside it each connection reads one batch
  std::string directory = "./pgch-state";   ///< of the progress file: <directory>/<pipeline>.snapshot
  std::string pipeline = "pgch";
  std::string target;  ///< names it: a snapshot that was begun into another is not gone on with
  SnapshotTarget target_state = SnapshotTarget::unknown;
  bool again = false;            ///< forget what an earlier process did
  bool repeats_allowed = false;  ///< at-least-once: what can only be had by repeating rows may be repeated
  std::shared_ptr<SnapshotPoint> point;
  std::shared_ptr<SnapshotStatus> status;  ///< may be null
};
/// Batches come in as many streams, "snapshot:<schema.table>/<n>", as there are connections. Ends with Fetch::end. If
/// the point's connection is lost it fails (halt): start again with a new point.
PGCH_EXPORT Result<std::unique_ptr<Extractor>> make_snapshot(SnapshotOptions options);

/// What a snapshot of the table would read, for a plan that is only shown.
struct SnapshotPlan {
  SourceTable table;
  std::uint64_t bytes = 0;
  std::uint64_t parts = 0;  ///< tables with rows of their own: 1, or the partitions
  bool by_ranges = true;    ///< false: a view or foreign table, read as a whole by one connection
};
PGCH_EXPORT Result<SnapshotPlan> plan_snapshot(const SnapshotOptions& options, const Context& context);

}  // namespace pgch
