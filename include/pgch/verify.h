/// Proof that both sides are equal, or which rows are not; and mending those.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/load/clickhouse.h"
#include "pgch/postgres.h"

namespace pgch {

struct VerifyOptions {
  std::string table;        ///< at PostgreSQL
  ColumnSelection columns;  ///< as the pipeline has it
  std::string flag_column;  ///< empty: there is none; rows whose flag isn't set are not expected at the target
  std::string own_column;   ///< left out, if the table has it; empty: none
  /// SQL condition on the source's rows: only those are expected, others at the target count as extra; but repair does
  /// not delete these. Empty: all.
  std::string where;
  TargetOptions target;
  std::string target_name;    ///< for messages; empty: target.table
  bool checksum = true;       ///< false: counts only
  bool by_database = true;    ///< PostgreSQL adds up what it can; false: every row is read
  bool show_values = false;   ///< RowDifference has values, too
  std::size_t max_rows = 20;  ///< of RowDifference; all are counted
  std::uint32_t looks = 5;    ///< how often rows that differ are looked at again before they are told
  std::uint32_t workers = 1;  ///< parallel workers of PostgreSQL that a query may use, beside its own process
  std::chrono::milliseconds pause{1000};  ///< between looks
  /// Rows read so far on each side; called from two threads, not too often.
  std::function<void(std::uint64_t source, std::uint64_t target)> progress;
};

/// How to reach both sides; each call gives a new one. All may be called from the thread that verifies only.
struct VerifySides {
  std::function<Result<std::unique_ptr<PostgresSession>>()> source;
  /// Not opened yet; all of `columns`, of the rows for which the SQL condition (over the alias t) holds.
  std::function<Result<std::unique_ptr<Extractor>>(const ColumnSelection& columns, const std::string& where)> scan;
  std::function<Result<std::unique_ptr<ClickHouse>>()> target;
  /// Only for repair: not opened yet.
  std::function<Result<std::unique_ptr<Loader>>()> loader;
};

enum class DifferenceKind : std::uint8_t {
  lost,     ///< at the source only
  doubled,  ///< more often at the target than at the source
  altered,  ///< other values
  stale,    ///< other values, and the source's row was changed after it had been sent
  extra,    ///< at the target only
};
PGCH_EXPORT const char* name_of(DifferenceKind kind) noexcept;

struct RowDifference {
  DifferenceKind kind = DifferenceKind::lost;
  std::vector<std::pair<std::string, std::string>> key;  ///< column and value, as PostgreSQL prints it
  std::vector<std::string> columns;                      ///< of altered and stale rows: those that differ
  /// Beside `columns`, with VerifyOptions::show_values; nullopt is NULL.
  std::vector<std::optional<std::string>> source_values, target_values;
};

struct DifferenceCounts {
  std::uint64_t lost = 0, doubled = 0, altered = 0, stale = 0, extra = 0;
  std::uint64_t total() const noexcept { return lost + doubled + altered + stale + extra; }
};

struct VerifyReport {
  std::string source_table, target_table;
  bool target_exists = false;
  bool rows_compared = false;           ///< false: counts only
  bool has_key = false;                 ///< false: rows that differ are counted, and can't be named
  std::uint64_t source_rows = 0;        ///< while rows arrive: of a moment
  std::uint64_t source_rejected = 0;    ///< of them, rows whose values no ClickHouse column can hold
  std::uint64_t target_rows = 0;        ///< what is current
  std::uint64_t target_raw_rows = 0;    ///< with older versions and repetitions; only told, not a difference
  std::optional<std::uint64_t> unsent;  ///< that waited at the beginning and still do
  /// Sum of the rows' hashes, modulo 2^64; equal for equal rows of the same schema, whatever their order.
  std::optional<std::uint64_t> source_checksum, target_checksum;
  DifferenceCounts differences;
  std::vector<RowDifference> rows;            ///< the first of them
  std::string streamed_for;                   ///< why every row was read; empty: PostgreSQL added them up
  std::uint64_t ranges = 1, ranges_read = 0;  ///< key ranges; those that differed at first sight and were read
  bool equal() const noexcept;
  /// The differences, a sentence each; empty if equal.
  std::vector<std::string> messages() const;
};

/// Compares sums by key range, and reads the rows of ranges whose sums differ, in bounded memory. What differs is
/// looked at again before it is told, so rows may arrive meanwhile. Blocks; ends with Errc::stopped at the context's
/// stop.
PGCH_EXPORT Result<VerifyReport> verify(const VerifySides& sides, const VerifyOptions& options, const Context& context);

struct RepairReport {
  VerifyReport before, after;  ///< `after` is empty with `dry_run`, and if there was nothing to mend
  std::uint64_t written = 0;   ///< rows copied again
  std::uint64_t deleted = 0;   ///< rows or keys deleted at the target
};

/// Verifies; copies lost, altered and stale rows again, deletes extra rows, leaves one of each double; verifies again.
/// Extra rows stay where some rows of the source can't be read as the columns have it, or `where` leaves some out.
/// Needs a key. May be interrupted at any moment and repeated. With `dry_run` nothing is changed.
PGCH_EXPORT Result<RepairReport> repair(const VerifySides& sides, const VerifyOptions& options, bool dry_run,
                                        const Context& context);

}  // namespace pgch
