// One Kafka record → one row, one repeat, or one dead letter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "codec/json_row.h"
#include "kafka/consumer.h"
#include "pgch/batch.h"
#include "pgch/transport/kafka.h"
#include "transport/intent_note.h"

namespace pgch::transport {

class RecordReader {
 public:
  RecordReader(const KafkaOptions& options, std::shared_ptr<const TableSchema> schema);

  enum class Outcome : std::uint8_t {
    row,       ///< appended
    repeat,    ///< its sequence was seen before in this partition
    rejected,  ///< appended to batch.rejected
  };
  Outcome take(const kafka::Record& record, RowBatch& batch, HighWaters& waters);

 private:
  Outcome reject(const kafka::Record& record, std::string reason, RowBatch& batch) const;
  std::uint64_t hash_of(std::string_view stream);

  std::string topic_;
  codec::JsonRowDecoder decoder_;
  std::string last_stream_;
  std::uint64_t last_hash_ = 0;
};

}  // namespace pgch::transport
