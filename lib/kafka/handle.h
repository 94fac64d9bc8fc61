// librdkafka's handles, owned. Only lib/kafka includes this file.
#pragma once

#include <librdkafka/rdkafka.h>

#include "base/handle.h"

namespace pgch::kafka {

using Client = Handle<rd_kafka_t, &rd_kafka_destroy>;
using Conf = Handle<rd_kafka_conf_t, &rd_kafka_conf_destroy>;
using Queue = Handle<rd_kafka_queue_t, &rd_kafka_queue_destroy>;
using Event = Handle<rd_kafka_event_t, &rd_kafka_event_destroy>;
using PartitionList = Handle<rd_kafka_topic_partition_list_t, &rd_kafka_topic_partition_list_destroy>;
using HeaderList = Handle<rd_kafka_headers_t, &rd_kafka_headers_destroy>;
using Failure = Handle<rd_kafka_error_t, &rd_kafka_error_destroy>;
using AdminOptions = Handle<rd_kafka_AdminOptions_t, &rd_kafka_AdminOptions_destroy>;
using NewTopic = Handle<rd_kafka_NewTopic_t, &rd_kafka_NewTopic_destroy>;
using OldTopic = Handle<rd_kafka_DeleteTopic_t, &rd_kafka_DeleteTopic_destroy>;
using GroupOffsets = Handle<rd_kafka_AlterConsumerGroupOffsets_t, &rd_kafka_AlterConsumerGroupOffsets_destroy>;
using ConfigResource = Handle<rd_kafka_ConfigResource_t, &rd_kafka_ConfigResource_destroy>;

struct FreeMetadata {
  void operator()(const rd_kafka_metadata_t* m) const noexcept { rd_kafka_metadata_destroy(m); }
};
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, FreeMetadata>;

}  // namespace pgch::kafka
