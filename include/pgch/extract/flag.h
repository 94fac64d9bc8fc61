/// Flag method: a boolean column says which rows were sent. Rows are locked (FOR NO KEY UPDATE SKIP LOCKED), delivered,
/// and exactly those rows are marked in the same transaction. NULL counts as not sent. Needs: SELECT on the table,
/// UPDATE on the flag column, a key whose columns are NOT NULL; a partial index on the key WHERE flag IS NOT TRUE keeps
/// it fast. An UPDATE of a sent row is sent again only if it resets the flag. One stream has one writer (an advisory
/// lock on a session of its own), and a whole table none beside it. Producers with different stream names of their own
/// may share a table without shares: SKIP LOCKED keeps them apart while they live. But if one dies between delivery and
/// mark, another may take its rows before it is back: at least once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/postgres.h"

namespace pgch {

struct FlagOptions {
  PostgresOptions postgres;
  std::string table;  ///< "table" or "schema.table"
  std::string flag_column = "sent_to_kafka";
  ColumnSelection columns;
  std::string stream;  ///< name of the stream in the journal and on Kafka; empty: "flag:<schema.table>"
  /// Several producers of one table, exactly once: each takes the rows whose key hashes to its share, so nobody can
  /// take what a killed one had under way. share is 1 … shares; the default stream's name holds both. Each needs a
  /// journal of its own.
  std::uint32_t share = 1, shares = 1;
  std::uint32_t lanes = 2;  ///< connections that take turns: one is read while another is marked; 1 … 8
  std::uint32_t lock_timeout_ms = 10'000;  ///< for marking; reading never waits for a lock
};
/// Batches' versions rise for each row: (timeline - 1) in the upper 12 bits, below it the WAL's flush position, read
/// after the rows were locked. Rows whose values no column can hold come in RowBatch::rejected, and are marked with
/// their batch.
PGCH_EXPORT Result<std::unique_ptr<Extractor>> make_flag(FlagOptions options);

}  // namespace pgch
