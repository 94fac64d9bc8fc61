// Finds out which rows of an intent are in the topic, by reading it from the offsets noted before the first attempt.
#pragma once

#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::transport {

struct LookRequest {
  std::string stream;
  std::uint64_t epoch = 0;
  std::vector<std::uint64_t> attempts;
  std::vector<std::int64_t> from;  ///< by partition
};

/// Ordinals that are there, each once, in no order. Waits long enough that what a dead producer had sent has arrived.
Result<std::vector<std::uint32_t>> find_landed(const KafkaOptions& options, const Context& context,
                                               const LookRequest& request);

}  // namespace pgch::transport
