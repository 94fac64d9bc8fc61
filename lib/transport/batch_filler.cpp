#include "transport/batch_filler.h"

#include <algorithm>

#include "base/try.h"
#include "kafka/errors.h"

namespace pgch::transport {
namespace {

constexpr std::size_t records_at_once = 10'000;
constexpr std::uint32_t rejected_in_a_row_max = 1'000;
constexpr int turn_ms = 5;
constexpr std::chrono::seconds replay_patience{60};

std::string place_of(const KafkaOptions& options, const Reading& reading) {
  return options.topic + "/" + std::to_string(reading.partition);
}

}  // namespace

BatchFiller::BatchFiller(const KafkaOptions& options, const Context& context, std::shared_ptr<const TableSchema> schema,
                         kafka::Consumer& consumer, std::unique_ptr<codec::RowDecoder> decoder)
    : options_(options),
      context_(context),
      schema_(std::move(schema)),
      consumer_(consumer),
      reader_(options.topic, options.format, std::move(decoder)) {}

Result<bool> BatchFiller::fill(Reading& reading, RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline,
                               const std::function<bool()>& enough) {
  const bool replaying = reading.replay.has_value();
  const auto begin = context_.clock.now();
  auto until = replaying ? begin + replay_patience : std::min(deadline, begin + limits.linger);
  std::size_t bytes = 0;
  bool full = false;
  while (!full) {
    if (reading.used == reading.records.size()) {
      const bool got = refill(reading, limits.rows_max - std::min(into.rows, limits.rows_max));
      if (!got && (!wait_for_more(reading, into, until) || (!replaying && enough()))) return false;
      if (!got) PGCH_TRY(consumer_.poll(turn_ms));
      if (got && replaying) until = context_.clock.now() + replay_patience;
      continue;
    }
    PGCH_ASSIGN(full, take_records(reading, into, limits, bytes));
  }
  return true;
}

bool BatchFiller::refill(Reading& reading, std::size_t wanted) {
  reading.records.clear();
  reading.used = 0;
  return consumer_.take(reading.partition, reading.records, std::clamp<std::size_t>(wanted, 1, records_at_once), 0) !=
         0;
}

bool BatchFiller::wait_for_more(const Reading& reading, const RowBatch& into, Clock::TimePoint until) const {
  if (context_.stop.stop_requested() || context_.clock.now() >= until ||
      consumer_.rebalance().kind != kafka::Rebalance::Kind::none)
    return false;
  return reading.replay || into.rows != 0 || !into.rejected.empty();
}

// True: the batch is complete.
Result<bool> BatchFiller::take_records(Reading& reading, RowBatch& into, const BatchLimits& limits,
                                       std::size_t& bytes) {
  for (; reading.used < reading.records.size(); ++reading.used) {
    const kafka::Record record = reading.records[reading.used];
    if (reading.replay && std::max(reading.reached, record.offset()) > reading.replay->last) return true;
    if (record.error() != 0) {
      PGCH_TRY(take_event(reading, record));
      continue;
    }
    if (!reading.replay &&
        (into.rows >= limits.rows_max || (bytes != 0 && bytes + record.value().size() > limits.bytes_max)))
      return true;
    PGCH_TRY(take_record(reading, record, into, bytes));
  }
  if (reading.replay) return reading.reached > reading.replay->last;
  return into.rows >= limits.rows_max || bytes >= limits.bytes_max;
}

Result<void> BatchFiller::take_record(Reading& reading, const kafka::Record& record, RowBatch& into,
                                      std::size_t& bytes) {
  PGCH_ASSIGN(const RecordReader::Outcome outcome, reader_.take(record, into, reading.waters));
  // Not before: a record that could not be read now is the next one wanted.
  reading.next = reading.reached = record.offset() + 1;
  reading.at_end = false;
  if (outcome == RecordReader::Outcome::repeat) {
    ++repeats_;
    return {};
  }
  bytes += record.value().size() + record.key().size();
  if (outcome == RecordReader::Outcome::rejected) return count_rejected(into);
  rejected_in_a_row_ = 0;
  return {};
}

Result<void> BatchFiller::take_event(Reading& reading, const kafka::Record& record) {
  if (record.is_end()) {
    reading.reached = std::max(reading.reached, record.offset());
    reading.at_end = true;
    return {};
  }
  const std::string place = place_of(options_, reading);
  if (record.is_out_of_range()) return explain_out_of_range(consumer_, place, reading);
  const Error error = kafka::error_of(record.error(), "reading " + place, record.error_text());
  if (error.recovery == Recovery::halt) return error;
  context_.log.write(LogLevel::warning, error.message);
  return {};
}

Result<void> BatchFiller::count_rejected(const RowBatch& into) {
  if (++rejected_in_a_row_ <= rejected_in_a_row_max) return {};
  return halt(Errc::schema,
              "more than " + std::to_string(rejected_in_a_row_max) + " messages of topic " + options_.topic +
                  " in a row can't be turned into rows of " + display_name(*schema_) +
                  ", so it is not the messages that are wrong; the last one: " + into.rejected.back().reason);
}

void BatchFiller::report_repeats() {
  if (repeats_ == 0) return;
  context_.log.write(LogLevel::info,
                     "topic " + options_.topic + ": " + std::to_string(repeats_) + " repeated records were left out");
  repeats_ = 0;
}

}  // namespace pgch::transport
