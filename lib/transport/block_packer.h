// Many rows a message, as a block in ClickHouse's Native format.
#pragma once

#include <memory>

#include "transport/packer.h"

namespace pgch::transport {

/// Rows of one key always go to the same partition, in their order; rows without a key to the partitions in turn.
std::unique_ptr<Packer> make_block_packer(const KafkaOptions& options);

}  // namespace pgch::transport
