// Where the topic ended when the consumer started: how far a run until the end has to come.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"
#include "transport/assignment.h"

namespace pgch::transport {

/// The extractor's thread only.
class TopicEnds {
 public:
  /// Notes the ends; makes a missing topic if that is allowed.
  Result<void> look(const KafkaOptions& options, const Context& context);
  std::int32_t partitions() const noexcept { return partitions_; }
  /// The group had committed nothing at all.
  bool first_start() const noexcept { return first_start_; }
  /// Has this partition been read up to where it ended?
  bool reached(const Reading& reading) const;
  /// Have other members committed up to there in all partitions that are not in `mine`? Asks the brokers, at most once
  /// a second; false in between.
  Result<bool> others_reached(const KafkaOptions& options, const Context& context,
                              const std::map<std::int32_t, Reading>& mine);

 private:
  std::int32_t partitions_ = 0;
  std::vector<std::int64_t> until_, lows_;
  Clock::TimePoint next_look_;
  bool first_start_ = false;
};

}  // namespace pgch::transport
