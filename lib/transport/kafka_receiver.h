// The far end of Kafka: extractor, journal and dead letters over one group membership.
#pragma once

#include <memory>

#include "pgch/extractor.h"
#include "pgch/journal.h"
#include "pgch/transport/kafka.h"
#include "transport/ownership.h"

namespace pgch::transport {

std::unique_ptr<Extractor> make_kafka_receiver(KafkaOptions options, std::shared_ptr<Ownership> ownership);
std::shared_ptr<DeadLetters> make_kafka_dead_letters(KafkaOptions options);

}  // namespace pgch::transport
