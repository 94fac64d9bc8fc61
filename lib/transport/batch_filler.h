// Records of one partition → one batch, cut by the limits or exactly as a note says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "kafka/consumer.h"
#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/transport/kafka.h"
#include "transport/assignment.h"
#include "transport/record_reader.h"

namespace pgch::transport {

/// The extractor's thread only.
class BatchFiller {
 public:
  /// Options, context and consumer are lent for the filler's life.
  BatchFiller(const KafkaOptions& options, const Context& context, std::shared_ptr<const TableSchema> schema,
              kafka::Consumer& consumer, std::unique_ptr<codec::RowDecoder> decoder);

  /// Takes records from `reading` into `into`, which is empty; waits for more of them up to the linger or `deadline`,
  /// unless `enough` says that something else is worth more. True: the batch is full, or the note's batch is whole.
  /// Error: what `into` holds by then was taken, the record that failed was not, and is the next one wanted.
  Result<bool> fill(Reading& reading, RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline,
                    const std::function<bool()>& enough);
  /// Tells how many records were left out since the last time.
  void report_repeats();

 private:
  bool refill(Reading& reading, std::size_t wanted);
  bool wait_for_more(const Reading& reading, const RowBatch& into, Clock::TimePoint until) const;
  Result<bool> take_records(Reading& reading, RowBatch& into, const BatchLimits& limits, std::size_t& bytes);
  Result<void> take_record(Reading& reading, const kafka::Record& record, RowBatch& into, std::size_t& bytes);
  Result<void> take_event(Reading& reading, const kafka::Record& record);
  Result<void> count_rejected(const RowBatch& into);

  const KafkaOptions& options_;
  Context context_;
  std::shared_ptr<const TableSchema> schema_;
  kafka::Consumer& consumer_;
  RecordReader reader_;
  std::uint32_t rejected_in_a_row_ = 0;
  std::uint64_t repeats_ = 0;
};

}  // namespace pgch::transport
