// How reading of an assigned partition begins: from its committed offset and note, or where a first start begins.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "kafka/consumer.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "transport/ownership.h"

namespace pgch::transport {

/// The reading side of an owned partition. The extractor's thread only.
struct Reading {
  std::int32_t partition = 0;
  std::int64_t next = 0;     ///< offset of the next record wanted
  std::int64_t reached = 0;  ///< at least `next`; beyond it only transaction marks lie before `reached`
  bool at_end = false;       ///< nothing more was there when it was last looked
  HighWaters waters;
  std::optional<Note> replay;  ///< the batch that was under way: to be handed out first, exactly
  kafka::Records records;      ///< taken from librdkafka, used up to `used`
  std::size_t used = 0;
};

struct Begin {
  Owned owned;
  Reading reading;
  bool pin = false;  ///< nothing was committed yet: commit the beginning, so that a later start finds it
};

/// `latest`: where nothing was ever committed for the topic, begin at its end.
Result<std::vector<Begin>> begin_partitions(kafka::Consumer& consumer, const std::vector<std::int32_t>& partitions,
                                            bool latest, const Ownership& ownership, std::uint64_t epoch);
/// The sentence for an offset that the broker does not have.
Result<void> explain_out_of_range(kafka::Consumer& consumer, const std::string& stream, const Reading& reading);

}  // namespace pgch::transport
