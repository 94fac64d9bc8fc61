/// Outbox method: triggers note the keys of changed rows in a table of their own, the outbox; its notes are locked (FOR
/// UPDATE SKIP LOCKED), the rows they name are looked up in the same statement and delivered, and exactly those notes
/// are deleted in the same transaction. So inserts, updates and deletes are moved, whatever the order of their commits.
/// A row that is gone comes as RowOp::remove. Several notes for one row in a batch move it once, as it is now. The
/// outbox is any table with a primary key and the columns of the source's key (`pgch setup` makes one, with its
/// triggers; S4's `events_table(id, created_at)` is one, too). Notes are taken in the order of the outbox's key. Needs:
/// SELECT on the table; SELECT, UPDATE and DELETE on the outbox.
/// Where the outbox's key is the source's key (INSERT … ON CONFLICT DO NOTHING), a row that is deleted and inserted
/// anew under the same key while its note is under way is not noted again: an outbox with a key of its own has no such
/// gap.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/postgres.h"

namespace pgch {

struct OutboxOptions {
  PostgresOptions postgres;
  std::string table;   ///< whose rows are moved: "table" or "schema.table"
  std::string outbox;  ///< empty: "<table>_outbox"; without a schema: in the table's
  ColumnSelection columns;
  std::vector<std::string>
      key;                 ///< columns of the outbox that hold the source's key, in its order; empty: of its names
  std::string stream;      ///< name of the stream in the journal and on Kafka; empty: "outbox:<schema.table>"
  bool skip_gone = false;  ///< false: a row that is gone moves as RowOp::remove; true: its note is deleted, no more
  /// Several drainers, exactly once and in order for each row: each takes the notes whose row's key hashes to its
  /// share.
  std::uint32_t share = 1, shares = 1;
  std::uint32_t lanes = 2;  ///< connections that take turns: one is read while another is settled; 1 … 8
  std::uint32_t lock_timeout_ms = 10'000;
};
/// Batches' versions rise, as with flag; the rows are as they are when they are read, which may be after the change
/// that was noted, never before it.
PGCH_EXPORT Result<std::unique_ptr<Extractor>> make_outbox(OutboxOptions options);

/// The outbox's name, quoted; in `schema` (the table's), if that is given and the outbox is named without one.
PGCH_EXPORT Result<std::string> outbox_name(const OutboxOptions& options, const std::string& schema = {});
/// What makes the outbox and its triggers (per statement; per row on partitioned tables): statements to be run in
/// order, each harmless if it was run before. Errc::schema if the table has no key.
PGCH_EXPORT Result<std::vector<std::string>> outbox_setup_sql(const OutboxOptions& options,
                                                              const SourceTable& described);
PGCH_EXPORT Result<std::vector<std::string>> outbox_teardown_sql(const OutboxOptions& options);

}  // namespace pgch
