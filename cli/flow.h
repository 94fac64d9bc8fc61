// Running pipelines: a thread for each, one display for all.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pgch/pipeline.h"
#include "program.h"

namespace pgch::cli {

struct NamedPipeline {
  std::string name;
  Stages stages;
  PipelineOptions options;
  std::optional<std::uint64_t> rows_expected;  ///< for what is left and when it ends
  std::string dead_letter_file;                ///< of the producing half, or of a direct one
  std::string dead_letter_topic, brokers;      ///< of the consuming half
};

/// Runs all until they end or the session's stop; one that fails doesn't stop the others. Prints progress and the
/// summary.
Result<int> run_all(Session& session, std::vector<NamedPipeline> pipelines, const std::string& verb);

}  // namespace pgch::cli
