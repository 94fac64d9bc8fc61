// From sums by range down to the rows that differ.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "verify/sides.h"

namespace pgch::comparing {

// A key that is not the same on both sides (without a key: a row).
struct Found {
  std::uint64_t key = 0;
  std::uint32_t range = 0;
  DifferenceKind kind = DifferenceKind::lost;
  std::uint64_t times = 1;               // without a key: how many such rows
  std::uint64_t source = 0, target = 0;  // sums of the rows' hashes: to see whether something moved
  std::uint64_t version = 0;             // of the target's row
};

class Comparison {
 public:
  Comparison(Sides& sides, const VerifyOptions& options, const Context& context, VerifyReport& report)
      : sides_(sides), options_(options), context_(context), report_(report) {}

  Result<std::uint64_t> count_current();
  // Counts only.
  Result<void> count();
  // Sums by range, then the rows of the ranges that differ.
  Result<void> compare();
  // Drops from found() what is equal by now; what is altered may turn out to be stale.
  Result<void> look_again();
  // Fills in report.rows.
  Result<void> name_rows();
  // The differences, at most as many as are kept; counts of all of them.
  const std::vector<Found>& found() const noexcept { return found_; }
  std::uint64_t not_kept() const noexcept { return not_kept_.total(); }
  DifferenceCounts counts() const;
  // Reads both sides' rows of those keys, found in these ranges: `source` and `target` get batches of only such rows.
  // Returns how many rows of the source's ranges could not be read as columns.
  using BatchSink = std::function<Result<void>(const RowBatch&, const Rows&, std::size_t row)>;
  Result<std::uint64_t> visit(const std::vector<Found>& which, const BatchSink& source, const BatchSink& target);

 private:
  struct Sum {
    std::uint64_t rows = 0;  // that are compared
    std::uint64_t sum = 0;
    bool deleted = false;  // some rows are, so what is stored is not what is current
    bool operator==(const Sum& other) const noexcept { return rows == other.rows && sum == other.sum; }
  };
  struct Entry {
    std::uint64_t key, sum, version;
    std::uint32_t range;
    bool unsent;
  };
  // Sums of both sides by range; whole-table counts go into the report.
  Result<void> sums();
  Result<void> source_sums_by_database();
  Result<void> source_sums_by_reading();
  Result<void> target_sums();
  // Compares all rows of these ranges; with `only`, those keys.
  using Keys = std::unordered_map<std::uint64_t, Found>;
  Result<void> compare_rows(const Runs& runs, std::uint64_t rows, const Keys* only, std::vector<Found>& out);
  void merge(std::vector<Entry>& source, std::vector<Entry>& target, std::vector<Found>& out);
  void judge(const Entry* s, std::size_t s_rows, const Entry* t, std::size_t t_rows, std::vector<Found>& out);
  void keep(const Found& one, std::vector<Found>& out);
  Result<void> again(std::vector<Found>& out);
  Result<void> find_stale();
  Result<bool> newest_of(const std::vector<std::pair<std::uint64_t, std::uint32_t>>& keys,
                         std::unordered_map<std::uint64_t, std::uint32_t>& transactions);
  void tell() const;

  Sides& sides_;
  const VerifyOptions& options_;
  Context context_;
  VerifyReport& report_;
  std::vector<Sum> source_, target_;
  std::vector<Found> found_;
  DifferenceCounts not_kept_;
  // A few rows that are equal, by the version they were sent with: with them a row's own change is told from a batch's.
  std::unordered_map<std::uint64_t, std::vector<std::pair<std::uint64_t, std::uint32_t>>> witnesses_;
  std::atomic<std::uint64_t> source_read_{0}, target_read_{0};
};

// Ranges of what was found, in runs.
Runs runs_of(const std::vector<Found>& found);

}  // namespace pgch::comparing
