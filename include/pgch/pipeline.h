/// Pipeline: an extractor, a transport (or none: direct) and a loader, run under one delivery protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/journal.h"
#include "pgch/loader.h"
#include "pgch/transport.h"

namespace pgch {

enum class Delivery : std::uint8_t { exactly_once, at_least_once };

struct PipelineOptions {
  std::string id = "pgch";  ///< stable over restarts: part of every token; [A-Za-z0-9._-]{1,64}
  Delivery delivery = Delivery::exactly_once;
  BatchLimits batch;
  std::size_t in_flight_bytes_max = 256u << 20;  ///< the budget: everything fetched and not yet settled
  bool once = false;                             ///< end when the source is idle and everything is settled
  std::chrono::milliseconds poll{1000};          ///< wait between two looks at an idle source
  std::chrono::milliseconds drain{25'000};       ///< after a stop: how long batches under way may take to settle
  std::chrono::milliseconds backoff_min{100};
  std::chrono::milliseconds backoff_max{15'000};
  std::uint32_t retries_max = 0;  ///< consecutive retries of one step before it halts; 0: for ever
};

/// No extractor: a consuming process. No loader: a producing one. No transport: direct.
struct Stages {
  std::unique_ptr<Extractor> extractor;
  std::unique_ptr<Transport> transport;
  std::unique_ptr<Loader> loader;
  /// Made like `loader`, one thread each: the streams (shares, partitions, workers of a snapshot) are dealt out over
  /// `loader` and these. Without a stream of its own a loader idles.
  std::vector<std::unique_ptr<Loader>> more_loaders;
  std::shared_ptr<Journal> journal;           ///< of the extractor's half
  std::shared_ptr<DeadLetters> dead_letters;  ///< of the extractor's half
};

struct FlowStats {
  std::uint64_t rows_extracted = 0, rows_delivered = 0, rows_rejected = 0, bytes_delivered = 0;
  std::uint64_t batches = 0, retries = 0, in_doubt = 0, rows_found_landed = 0;
  std::uint64_t bytes_in_flight = 0;
};
struct PipelineStats {
  FlowStats produce;  ///< extractor → target, or extractor → transport
  FlowStats consume;  ///< transport → target; zero if direct
  std::string last_error;
  bool begun = false;  ///< all halves have opened everything, and rows can move
  /// How long ago one of its threads should have come round, whether it moves rows, tries again or waits for some: 0
  /// if none is late. One load or one read is a round.
  std::chrono::milliseconds overdue{0};
};

class PGCH_EXPORT Pipeline {
 public:
  /// Refuses a combination that can't keep its promise, and says why. `log` and `clock` outlive the pipeline.
  static Result<Pipeline> create(Stages stages, PipelineOptions options, Logger& log, Clock& clock);
  Pipeline(Pipeline&&) noexcept;
  Pipeline& operator=(Pipeline&&) noexcept;
  ~Pipeline();
  /// Until the source ends (or is idle, with `once`), a stop, or an error that needs a person. Blocks; call it once.
  /// With a transport a source's end ends the producing half only, unless `once` is set.
  /// On a stop it drains: what is under way settles within `drain`, the rest is abandoned, nothing is lost or doubled.
  Result<void> run(std::stop_token stop);
  /// Any thread, at any time.
  PipelineStats stats() const;

 private:
  class Impl;
  explicit Pipeline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgch
