// One Kafka record → its rows, a repeat, or a dead letter.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "codec/row_codec.h"
#include "kafka/consumer.h"
#include "pgch/batch.h"
#include "transport/intent_note.h"

namespace pgch::transport {

class RecordReader {
 public:
  /// `format` is the decoder's name in KafkaOptions::format.
  RecordReader(std::string topic, std::string format, std::unique_ptr<codec::RowDecoder> decoder)
      : topic_(std::move(topic)), format_(std::move(format)), decoder_(std::move(decoder)) {}

  enum class Outcome : std::uint8_t {
    rows,      ///< appended
    repeat,    ///< its sequence was seen before in this partition
    rejected,  ///< appended to batch.rejected
  };
  /// Error: nothing was taken, neither into the batch nor into `waters`; the same record may be tried again.
  Result<Outcome> take(const kafka::Record& record, RowBatch& batch, HighWaters& waters);

 private:
  Result<Outcome> read(const kafka::Record& record, bool own, std::optional<std::string_view> version,
                       std::optional<std::string_view> op, RowBatch& batch);
  Error other_format(const kafka::Record& record, std::string_view named) const;
  Outcome reject(const kafka::Record& record, std::string reason, RowBatch& batch) const;
  std::uint64_t hash_of(std::string_view stream);

  std::string topic_, format_;
  std::unique_ptr<codec::RowDecoder> decoder_;
  std::string last_stream_;
  std::uint64_t last_hash_ = 0;
};

}  // namespace pgch::transport
