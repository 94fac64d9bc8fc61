#include "pgch/verify.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <numeric>
#include <thread>

#include "base/try.h"

namespace pgch {
namespace {

// What one side adds up to.
struct Side {
  std::uint64_t rows = 0, rejected = 0;
  Checksum sum;

  void add(const RowBatch& batch, bool checksum) {
    rows += batch.rows;
    if (!checksum) return;
    columns_.resize(batch.columns.size());
    std::iota(columns_.begin(), columns_.end(), std::size_t{0});
    for (std::size_t row = 0; row < batch.rows; ++row) {
      const RowHash hash = hash_row(batch, row, columns_);
      const std::uint64_t low = sum.low + hash.low;
      sum.high += hash.high + (low < sum.low ? 1 : 0);
      sum.low = low;
    }
  }

 private:
  std::vector<std::size_t> columns_;
};

class Progress {
 public:
  explicit Progress(const VerifyOptions& options) : options_(options) {}
  void source(std::uint64_t rows) { source_ = rows, tell(); }
  void target(std::uint64_t rows) { target_ = rows, tell(); }

 private:
  void tell() const {
    if (options_.progress) options_.progress(source_, target_);
  }
  const VerifyOptions& options_;
  std::atomic<std::uint64_t> source_{0}, target_{0};
};

Result<std::uint64_t> to_number(std::string_view text, std::string_view what) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size())
    return halt(Errc::corrupt, fmt::format("The answer to {} is not a number.", what));
  return value;
}

Result<std::uint64_t> count_source(PostgresSession& source, const VerifyOptions& options, bool unsent_only) {
  PGCH_ASSIGN(const std::string table, quote_postgres_table(options.table));
  std::string sql = "SELECT count(*) FROM " + table;
  if (unsent_only) {
    PGCH_ASSIGN(const std::string flag, quote_postgres(options.flag_column));
    sql += " WHERE " + flag + " IS NOT TRUE";
  }
  PGCH_ASSIGN(const auto rows, source.query(sql));
  if (rows.size() != 1 || rows[0].size() != 1 || !rows[0][0])
    return halt(Errc::corrupt, "PostgreSQL's answer to a count is no number.");
  return to_number(*rows[0][0], "a count");
}

Result<Side> read_source(Extractor& scan, const TableSchema& schema, const VerifyOptions& options,
                         const Context& context, Progress& progress) {
  PGCH_TRY(scan.open(context, {}));
  Side side;
  RowBatch batch;
  const BatchLimits limits;
  while (true) {
    if (context.stop.stop_requested()) return halt(Errc::stopped, "Stopped before everything was compared.");
    PGCH_ASSIGN(const Fetch found, scan.fetch(batch, limits, context.clock.now() + std::chrono::seconds(60)));
    if (found == Fetch::end) break;
    if (found == Fetch::busy)
      return halt(Errc::internal, "The scan waits for an acknowledgement that verify doesn't give.");
    if (found != Fetch::rows) continue;
    // Equal hashes need equal layouts on both sides.
    if (batch.schema->columns != schema.columns)
      return halt(Errc::conflict,
                  fmt::format("The columns of table {} changed during the comparison; run it again.", options.table));
    side.add(batch, options.checksum);
    side.rejected += batch.rejected.size();
    progress.source(side.rows);
  }
  side.rows += side.rejected;
  return side;
}

Result<Side> read_target(ClickHouse& target, const TableSchema& schema, const VerifyOptions& options,
                         const Context& context, Progress& progress) {
  Side side;
  PGCH_TRY(target.read(options.target, schema, true, [&](const RowBatch& batch) -> Result<void> {
    if (context.stop.stop_requested()) return halt(Errc::stopped, "Stopped before everything was compared.");
    side.add(batch, options.checksum);
    progress.target(side.rows);
    return {};
  }));
  return side;
}

// The target has fewer columns than are moved: reading it would fail with the engine's words.
Result<void> check_columns(const TableSchema& source, const TableSchema& target, const VerifyOptions& options) {
  for (const ColumnSpec& column : source.columns) {
    if (column_index(target, column.name) == npos) {
      return halt(Errc::schema, fmt::format("The ClickHouse table {} has no column \"{}\", which table {} in "
                                            "PostgreSQL has; add it, or leave it out with \"exclude\".",
                                            options.target.table, column.name, options.table));
    }
  }
  return {};
}

}  // namespace

bool VerifyReport::equal() const noexcept {
  return target_exists && source_rows == target_rows && unsent.value_or(0) == 0 && source_rejected == 0 &&
         source_checksum == target_checksum;
}

std::vector<std::string> VerifyReport::messages() const {
  std::vector<std::string> out;
  if (!target_exists) out.push_back(fmt::format("There is no ClickHouse table {} yet.", target_table));
  if (source_rows != target_rows) {
    out.push_back(fmt::format("The row counts differ: PostgreSQL table {} has {} rows, ClickHouse table {} has {}.",
                              source_table, source_rows, target_table, target_rows));
  }
  if (unsent.value_or(0) != 0)
    out.push_back(
        fmt::format("Table {} in PostgreSQL has {} rows that still have to be moved.", source_table, *unsent));
  if (source_rejected != 0) {
    out.push_back(
        fmt::format("Table {} in PostgreSQL has {} rows with values that no ClickHouse column can hold (infinity, or "
                    "out of range).",
                    source_table, source_rejected));
  }
  if (target_exists && source_rows == target_rows && source_checksum != target_checksum) {
    out.push_back(fmt::format(
        "The rows differ: PostgreSQL table {} and ClickHouse table {} have as many rows, but not the same values.",
        source_table, target_table));
  }
  return out;
}

Result<VerifyReport> verify(PostgresSession& source, Extractor& scan, ClickHouse& target, const VerifyOptions& options,
                            const Context& context) {
  VerifyReport report;
  report.source_table = options.table;
  report.target_table = options.target_name.empty() ? options.target.table : options.target_name;
  ColumnSelection columns = options.columns;
  if (!options.flag_column.empty()) columns.exclude.push_back(options.flag_column);
  PGCH_ASSIGN(const SourceTable described, source.describe(options.table, columns));
  if (!options.flag_column.empty()) {
    PGCH_ASSIGN(report.unsent, count_source(source, options, true));
  }
  PGCH_ASSIGN(const auto there, target.describe(options.target));
  report.target_exists = there.has_value();
  if (!report.target_exists) {
    PGCH_ASSIGN(report.source_rows, count_source(source, options, false));
    return report;
  }
  PGCH_TRY(check_columns(described.schema, *there, options));
  PGCH_ASSIGN(const std::string raw, target.query("SELECT count() FROM " + quote_clickhouse(options.target.table)));
  PGCH_ASSIGN(report.target_raw_rows, to_number(raw, "a count"));

  Progress progress(options);
  std::optional<Result<Side>> target_side;
  std::optional<Result<Side>> source_side;
  {
    const std::jthread reader(
        [&] { target_side.emplace(read_target(target, described.schema, options, context, progress)); });
    source_side.emplace(read_source(scan, described.schema, options, context, progress));
    scan.close();
  }
  if (!*source_side) return std::move(*source_side).error();
  if (!*target_side) return std::move(*target_side).error();
  report.source_rows = (*source_side)->rows;
  report.source_rejected = (*source_side)->rejected;
  report.target_rows = (*target_side)->rows;
  if (options.checksum) {
    report.source_checksum = (*source_side)->sum;
    report.target_checksum = (*target_side)->sum;
  }
  return report;
}

}  // namespace pgch
