#include "transport/original.h"

#include <algorithm>

#include "base/try.h"
#include "kafka/errors.h"

namespace pgch::transport {
namespace {

constexpr std::int64_t read_over = 5'000;  // up to so many records it is quicker to read on than to begin anew
constexpr std::size_t records_at_once = 1'000;
constexpr std::chrono::seconds patience{30};

}  // namespace

bool OriginalMessage::header(std::string_view name) const noexcept {
  return std::any_of(headers.begin(), headers.end(), [&](const auto& h) { return h.first == name; });
}

// False: the offset lies outside of what the topic has.
Result<bool> Original::go_to(std::int32_t partition, std::int64_t offset) {
  if (!consumer_) {
    PGCH_ASSIGN(consumer_, kafka::Consumer::read(options_, context_, kafka::Consumer::Sees::committed));
  }
  auto known = marks_.find(partition);
  if (known == marks_.end()) {
    PGCH_ASSIGN(const kafka::Watermarks w, consumer_->watermarks(partition));
    known = marks_.emplace(partition, w).first;
  }
  if (offset < known->second.low || offset >= known->second.high) return false;
  if (partition == partition_ && offset >= next_ && offset - next_ < read_over) return true;
  records_.clear();
  used_ = 0;
  PGCH_TRY(consumer_->assign({{partition, offset}}));
  partition_ = partition;
  next_ = offset;
  return true;
}

Result<std::optional<OriginalMessage>> Original::at(std::int32_t partition, std::int64_t offset) {
  PGCH_ASSIGN(const bool inside, go_to(partition, offset));
  const auto deadline = context_.clock.now() + patience;
  while (inside) {
    if (used_ == records_.size()) {
      records_.clear();
      used_ = 0;
      if (consumer_->take(partition, records_, records_at_once, 100) == 0) {
        PGCH_TRY(consumer_->poll(0));
        if (context_.stop.stop_requested())
          return retry(Errc::stopped, "stopped while reading topic " + options_.topic);
        if (context_.clock.now() > deadline)
          return retry(Errc::timeout, "Kafka: topic " + options_.topic + " could not be read in time");
      }
      continue;
    }
    const kafka::Record record = records_[used_];
    if (record.is_end() || record.is_out_of_range()) {
      partition_ = -1;  // nothing more comes until it is begun anew
      return std::optional<OriginalMessage>();
    }
    // Kept: it may be the next one asked for.
    if (record.error() == 0 && record.offset() > offset) return std::optional<OriginalMessage>();
    ++used_;
    if (record.error() != 0)
      return kafka::error_of(record.error(), "reading topic " + options_.topic, record.error_text());
    next_ = record.offset() + 1;
    if (record.offset() < offset) continue;
    OriginalMessage out;
    out.key = record.key();
    out.has_key = record.has_key();
    out.value = record.value();
    out.has_value = record.has_value();
    out.headers = kafka::RecordHeaders(record).all();
    return std::optional<OriginalMessage>(std::move(out));
  }
  return std::optional<OriginalMessage>();
}

}  // namespace pgch::transport
