// What a run of snapshot has done so far: one line while it goes on, and what it came to.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "pgch/extract/snapshot.h"
#include "pgch/pipeline.h"
#include "program.h"
#include "snapshot_eta.h"

namespace pgch::cli {

class SnapshotTotals {
 public:
  explicit SnapshotTotals(Session& session);
  /// A table that will come, how large it is, and what its copy costs (copy_cost).
  void expect(const std::string& table, std::uint64_t bytes, double cost);
  /// Its copy begins; the status is filled by the extractor.
  std::shared_ptr<SnapshotStatus> begin(const std::string& table);
  void running(const Pipeline* pipeline);
  void over(const PipelineStats& stats, const std::string& dead_letters, const Error* error);
  /// Draws until it is destroyed.
  std::shared_ptr<void> display();
  /// Prints the summary; gives the exit status.
  Result<int> end(const std::optional<Error>& error);

 private:
  struct Table {
    std::string name, dead_letters, error;
    std::uint64_t bytes = 0;
    double cost = 0;
    TableProgress progress;
    std::shared_ptr<SnapshotStatus> status;
    FlowStats flow;
    bool over = false;
  };
  struct Sums {
    std::uint64_t bytes = 0, bytes_here = 0, bytes_total = 0, rows = 0;
  };
  Sums sums() const;
  void observe();
  std::optional<double> left() const;
  std::string line() const;
  std::string as_json(const char* status, double seconds) const;
  void print_table(const Table& table) const;
  double seconds() const;

  Session& session_;
  mutable std::mutex mutex_;
  std::deque<Table> tables_;
  Table* current_ = nullptr;
  const Pipeline* pipeline_ = nullptr;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace pgch::cli
