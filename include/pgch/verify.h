/// Proof that both sides are equal: counts, unsent rows, and a checksum of every row that doesn't depend on their
/// order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
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
  std::string flag_column;  ///< empty: unsent rows are not counted
  TargetOptions target;
  std::string target_name;  ///< for messages; empty: target.table
  bool checksum = true;     ///< false: counts only
  /// Rows read so far on each side; called from two threads, not too often.
  std::function<void(std::uint64_t source, std::uint64_t target)> progress;
};

/// Sum, modulo 2^128, of the hashes of all rows.
struct Checksum {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Checksum&) const = default;
};

struct VerifyReport {
  std::string source_table, target_table;
  bool target_exists = false;
  std::uint64_t source_rows = 0;
  std::uint64_t source_rejected = 0;  ///< of them, rows whose values no ClickHouse column can hold
  std::uint64_t target_rows = 0;      ///< what is current
  std::uint64_t target_raw_rows = 0;  ///< with older versions and repetitions; only told, not a difference
  std::optional<std::uint64_t> unsent;
  std::optional<Checksum> source_checksum, target_checksum;
  bool equal() const noexcept;
  /// The differences, a sentence each; empty if equal.
  std::vector<std::string> messages() const;
};

/// Streams both sides, in bounded memory. `scan` (make_scan) is not opened yet; it is opened and closed here. Blocks;
/// ends with Errc::stopped at the context's stop. Each of the three is used by one thread at a time.
PGCH_EXPORT Result<VerifyReport> verify(PostgresSession& source, Extractor& scan, ClickHouse& target,
                                        const VerifyOptions& options, const Context& context);

}  // namespace pgch
