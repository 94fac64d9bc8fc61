#include "transport/kafka_look.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "base/try.h"
#include "codec/native_message.h"
#include "kafka/consumer.h"
#include "kafka/errors.h"
#include "transport/record.h"

namespace pgch::transport {
namespace {

// A producer that died may have handed bytes to its kernel that the broker has not appended yet. They are in the
// broker's socket by now, or lost; the broker works on them within milliseconds, unless it is overloaded.
constexpr std::chrono::seconds settle_time{1};
constexpr std::chrono::seconds patience{60};
constexpr std::size_t records_at_once = 5'000;

class Search {
 public:
  Search(const KafkaOptions& options, const Context& context, const LookRequest& request)
      : options_(options),
        context_(context),
        request_(request),
        attempts_(request.attempts.begin(), request.attempts.end()),
        next_(request.from) {}

  Result<std::vector<std::uint32_t>> run() {
    const auto begin = context_.clock.now();
    PGCH_ASSIGN(consumer_, kafka::Consumer::read(options_, context_));
    PGCH_TRY(capture_ends());
    PGCH_TRY(start());
    PGCH_TRY(read_to_ends());
    context_.clock.sleep_until(begin + settle_time, context_.stop);
    PGCH_TRY(capture_ends());
    PGCH_TRY(read_to_ends());
    return std::vector<std::uint32_t>(found_.begin(), found_.end());
  }

 private:
  Result<void> capture_ends() {
    ends_.assign(next_.size(), 0);
    for (std::size_t p = 0; p < next_.size(); ++p) {
      PGCH_ASSIGN(const kafka::Watermarks w, consumer_->watermarks(static_cast<std::int32_t>(p)));
      const std::string place = options_.topic + "/" + std::to_string(p);
      if (w.low > next_[p]) {
        return halt(Errc::not_found,
                    "records " + std::to_string(next_[p]) + " to " + std::to_string(w.low - 1) + " of " + place +
                        " are gone by retention, and an unfinished batch has to be looked for there; lengthen the "
                        "topic's retention, compare the topic with the source by hand, and then remove the journal");
      }
      if (w.high < next_[p]) {
        return halt(Errc::conflict, place + " ends at offset " + std::to_string(w.high) + ", but " +
                                        std::to_string(next_[p]) +
                                        " was noted before: the topic was made anew or lost records; compare it with "
                                        "the source by hand, and then remove the journal");
      }
      ends_[p] = w.high;
    }
    return {};
  }

  Result<void> start() {
    std::vector<std::pair<std::int32_t, std::int64_t>> from;
    for (std::size_t p = 0; p < next_.size(); ++p) from.emplace_back(static_cast<std::int32_t>(p), next_[p]);
    return consumer_->assign(from);
  }

  Result<void> read_to_ends() {
    auto progress = context_.clock.now();
    for (std::size_t p = 0; p < next_.size();) {
      if (next_[p] >= ends_[p]) {
        ++p;
        continue;
      }
      if (context_.stop.stop_requested())
        return retry(Errc::stopped, "stopped while looking for a batch in topic " + options_.topic);
      kafka::Records records;
      if (consumer_->take(static_cast<std::int32_t>(p), records, records_at_once, 0) == 0) {
        PGCH_TRY(consumer_->poll(5));
        // Records of a transaction's end take offsets, but are not handed out.
        if (context_.clock.now() - progress > patience)
          return retry(Errc::timeout, "Kafka: topic " + options_.topic + " could not be read to its end in time");
        continue;
      }
      progress = context_.clock.now();
      PGCH_TRY(take(p, records));
    }
    return {};
  }

  Result<void> take(std::size_t partition, const kafka::Records& records) {
    constexpr std::array<std::string_view, 3> names = {header_stream, header_sequence, header_rows};
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (records[i].is_end()) {  // behind it are at most the marks of transactions, which are not handed out
        next_[partition] = std::max(next_[partition], records[i].offset());
        continue;
      }
      if (records[i].error() != 0)
        return kafka::error_of(records[i].error(), "looking for a batch in topic " + options_.topic,
                               records[i].error_text());
      next_[partition] = records[i].offset() + 1;
      std::array<std::optional<std::string_view>, 3> values;
      const kafka::RecordHeaders headers(records[i]);
      headers.find(names, values);
      if (!values[0] || !values[1] || *values[0] != request_.stream) continue;
      const auto sequence = parse_sequence(*values[1]);
      if (!sequence || sequence->epoch != request_.epoch || attempts_.count(sequence->major) == 0) continue;
      if (!values[2]) {
        found_.insert(sequence->minor);
        continue;
      }
      const auto rows = codec::native_rows(records[i].value());
      if (!rows) {
        return halt(Errc::corrupt, "the message at offset " + std::to_string(records[i].offset()) + " of " +
                                       options_.topic + "/" + std::to_string(partition) +
                                       " has pgch's headers, but its block can't be read");
      }
      found_.insert(rows->begin(), rows->end());
    }
    return {};
  }

  const KafkaOptions& options_;
  Context context_;
  const LookRequest& request_;
  std::unordered_set<std::uint64_t> attempts_;
  std::unordered_set<std::uint32_t> found_;
  std::vector<std::int64_t> next_, ends_;
  std::unique_ptr<kafka::Consumer> consumer_;
};

}  // namespace

Result<std::vector<std::uint32_t>> find_landed(const KafkaOptions& options, const Context& context,
                                               const LookRequest& request) {
  return Search(options, context, request).run();
}

}  // namespace pgch::transport
