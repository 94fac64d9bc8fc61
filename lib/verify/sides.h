// Both sides of one table, open: what they look like, and their rows with their hashes, by key range.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pgch/verify.h"
#include "verify/ranges.h"
#include "verify/row_sum.h"

namespace pgch::comparing {

// Some rows of one side: a batch, and for each row what is compared.
struct Rows {
  const RowBatch* batch = nullptr;      // the moved columns first
  std::vector<std::uint64_t> key, sum;  // hashes; without a key `key` is `sum`
  std::vector<std::uint32_t> range;
  std::vector<std::uint8_t> mark;      // source: not sent yet; target: deleted (only where all rows are read)
  std::vector<std::uint64_t> version;  // target, if it has them and what is current is read
};
using RowSink = std::function<Result<void>(const Rows&)>;

// Runs of ranges [first, last].
using Runs = std::vector<std::pair<std::size_t, std::size_t>>;

class Sides {
 public:
  // Sums by the database fall away (by_database() is false) if a column's type does not allow them.
  static Result<std::unique_ptr<Sides>> open(const VerifySides& sides, const VerifyOptions& options,
                                             const Context& context);

  bool target_exists() const noexcept { return target_exists_; }
  bool has_key() const noexcept { return !key_.empty(); }
  bool replaces() const noexcept { return replaces_; }
  bool has_version() const noexcept { return has_version_; }
  bool has_deleted() const noexcept { return has_deleted_; }
  bool by_database() const noexcept { return !rows_.sql().empty(); }
  void stream_instead(const std::string& why);
  const std::string& why_streamed() const noexcept { return why_streamed_; }
  const TableSchema& schema() const noexcept { return table_.schema; }
  const std::vector<std::size_t>& key() const noexcept { return key_; }
  const Ranges& ranges() const noexcept { return ranges_; }
  // The source's rows that are expected, to stand behind FROM: the table with the alias t, and a condition.
  std::string source_rows() const { return source_rows({}); }
  std::string source_rows(const std::string& more) const;
  std::string quoted_target() const { return quote_clickhouse(options_.target.table); }
  // "database = … AND table = …", for ClickHouse's system tables.
  std::string target_condition(const char* name = "table") const;
  // The flag, quoted, over the alias t; empty: none.
  const std::string& flag() const noexcept { return flag_; }
  const RowSum& row_sum() const noexcept { return rows_; }
  const RowSum& key_sum() const noexcept { return keys_; }
  std::string ranges_where(const Runs& runs) const;  // at the source, without what is expected at all
  std::string source_where(const Runs& runs) const;
  std::string target_where(const Runs& runs) const;

  PostgresSession& source() noexcept { return *source_; }
  ClickHouse& target() noexcept { return *target_; }
  // The source's rows of these ranges; how many could not be read as columns is added to `rejected`.
  Result<void> read_source(const Runs& runs, const RowSink& sink, std::uint64_t& rejected);
  // `current`: only what counts; else every stored row, with `mark` telling the deleted ones. On a thread of its own.
  Result<void> read_target(const Runs& runs, bool current, const RowSink& sink);
  // Both at once; what the source says counts first.
  Result<void> read_both(const Runs& runs, bool current, const RowSink& source, const RowSink& target,
                         std::uint64_t& rejected);
  Result<std::uint64_t> count(const std::string& clickhouse_sql);

 private:
  Sides(const VerifySides& sides, const VerifyOptions& options, const Context& context)
      : sides_(sides), options_(options), context_(context) {}
  Result<bool> has_column(const std::string& name);
  Result<void> describe();
  Result<void> describe_target();
  void hash(const RowBatch& batch, Rows& out) const;

  const VerifySides& sides_;
  VerifyOptions options_;
  Context context_;
  std::unique_ptr<PostgresSession> source_;
  std::unique_ptr<ClickHouse> target_;
  SourceTable table_;
  std::vector<std::size_t> key_;
  std::string quoted_, flag_, why_streamed_;
  bool target_exists_ = false, replaces_ = false, has_version_ = false, has_deleted_ = false;
  RowSum rows_, keys_;
  Ranges ranges_;
};

Result<std::uint64_t> to_number(std::string_view text);

}  // namespace pgch::comparing
