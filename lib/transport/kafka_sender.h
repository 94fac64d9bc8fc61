// The near end of Kafka, as a Loader.
#pragma once

#include <memory>

#include "pgch/loader.h"
#include "pgch/transport/kafka.h"

namespace pgch::transport {

std::unique_ptr<Loader> make_kafka_sender(KafkaOptions options);

}  // namespace pgch::transport
