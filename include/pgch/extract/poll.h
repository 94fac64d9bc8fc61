/// Poll method: new rows are found by a cursor; nothing is written to the table. Needs SELECT, and a key whose columns
/// are NOT NULL. Ids are not committed in the order in which they are given, so the forms differ in what the cursor is:
///   snapshots  a column xid8 NOT NULL DEFAULT pg_current_xact_id(); a round is what one snapshot of the database sees
///              and the one before did not. Nothing is lost, and a long transaction holds nothing up.
///   xid        the same column, read in its order below the oldest transaction that runs: waits for long ones.
///   xmin       the rows' own xmin in place of the column: reads the whole table each time, so for small ones; updates
///              are seen, too. A row that nobody touched for four billion transactions is sent once more.
///   plain      rows above the last cursor. Rows that are committed below it later are LOST: bounded risk, never
///   exactly
///              once. Any relation, views too; a column like updated_at shows updates.
/// With the column, an update is only seen if a trigger renews it (`pgch setup` with table.poll_updates). Deletions are
/// never seen. One stream has one reader, held by an advisory lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/postgres.h"

namespace pgch {

enum class PollForm : std::uint8_t { snapshots, xid, xmin, plain };
/// Where the cursor is kept: a file beside the journal, or the table pgch_cursor in the source table's schema.
enum class PollStore : std::uint8_t { file, database };

struct PollOptions {
  PostgresOptions postgres;
  std::string table;  ///< "table" or "schema.table"
  ColumnSelection columns;
  PollForm form = PollForm::snapshots;
  std::string xid_column = "_pgch_xid";  ///< never moved
  std::vector<std::string> cursor;       ///< plain: columns that rise; empty: the key
  std::chrono::milliseconds lag{0};      ///< plain: a row is read when its cursor was passed that long ago
  bool after_failover = false;           ///< go on although another server took over: see docs/GUARANTEES.md
  bool from_now = false;                 ///< at the first start: leave out what is there
  std::string stream;                    ///< empty: "poll:<schema.table>"
  PollStore store = PollStore::file;
  /// Notify method: fetch() itself waits, for a notification on notify_channel() (a trigger of each statement sends
  /// it), and looks for new rows at one, after each reconnection, and `interval` after the last look. What a
  /// notification says is not looked at, and a lost one costs time only.
  bool listen = false;
  std::chrono::milliseconds interval{10'000};
  std::string directory = "./pgch-state";  ///< of the cursor's file: <directory>/<pipeline>.cursor
  std::string pipeline = "pgch";
};
/// Batches' versions rise: (timeline - 1) in the upper 12 bits, below it the WAL's flush position, read before the
/// rows. The cursor is saved when a batch is acknowledged, before that is told; one that can't be read stops open().
PGCH_EXPORT Result<std::unique_ptr<Extractor>> make_poll(PollOptions options);

/// How many rows wait behind the saved cursor, which a reader may be moving meanwhile; nullopt if that can't be told
/// (there is no cursor yet and the start is `from_now`, or it is of another table). The xmin form reads the whole
/// table.
PGCH_EXPORT Result<std::optional<std::uint64_t>> poll_unsent(const PollOptions& options, const Context& context);

/// The channel that a table's trigger notifies.
PGCH_EXPORT std::string notify_channel(const TableSchema& table);

}  // namespace pgch
