#include "transport/topic_ends.h"

#include <algorithm>

#include "base/try.h"
#include "kafka/admin.h"

namespace pgch::transport {

Result<void> TopicEnds::look(const KafkaOptions& options, const Context& context) {
  PGCH_ASSIGN(const auto admin, kafka::Admin::open(options, context));
  PGCH_ASSIGN(std::optional<std::int32_t> partitions, admin->partitions(options.topic));
  if (!partitions && !options.create_topic) {
    return halt(Errc::not_found, "topic " + options.topic +
                                     " does not exist; start the producer first, create it, or switch create_topic on");
  }
  if (!partitions) {
    // The producing half makes it with its first batch only, and that may be long in coming.
    PGCH_TRY(admin->create(options.topic, options.partitions, options.replication));
    context.log.write(LogLevel::warning, "topic " + options.topic + " did not exist; made it with " +
                                             std::to_string(options.partitions) + " partitions");
    PGCH_ASSIGN(partitions, admin->partitions(options.topic));
  }
  partitions_ = partitions.value_or(0);
  until_.clear();
  PGCH_ASSIGN(const std::vector<kafka::Watermarks> marks, admin->watermarks(options.topic, partitions_));
  lows_.clear();
  for (const kafka::Watermarks& w : marks) until_.push_back(w.high), lows_.push_back(w.low);
  PGCH_ASSIGN(const std::vector<kafka::CommittedOffset> committed, admin->committed(options.topic, partitions_));
  // A partition that was added later has no commit either, and its first records are wanted.
  first_start_ =
      std::all_of(committed.begin(), committed.end(), [](const kafka::CommittedOffset& c) { return c.offset < 0; });
  return {};
}

bool TopicEnds::reached(const Reading& reading) const {
  const auto p = static_cast<std::size_t>(reading.partition);
  return p >= until_.size() || std::max(reading.next, reading.reached) >= until_[p];
}

// Partitions that other members hold count as well: after a crash the dead member keeps its own until its session
// ends, and they come to us only then.
Result<bool> TopicEnds::others_reached(const KafkaOptions& options, const Context& context,
                                       const std::map<std::int32_t, Reading>& mine) {
  if (mine.size() == until_.size()) return true;
  if (context.clock.now() < next_look_) return false;
  next_look_ = context.clock.now() + std::chrono::seconds(1);
  PGCH_ASSIGN(const auto admin, kafka::Admin::open(options, context));
  PGCH_ASSIGN(const std::vector<kafka::CommittedOffset> committed, admin->committed(options.topic, partitions_));
  for (std::size_t p = 0; p < until_.size(); ++p) {
    if (mine.contains(static_cast<std::int32_t>(p))) continue;
    const std::int64_t reached = p < committed.size() ? std::max(committed[p].offset, lows_[p]) : lows_[p];
    if (reached < until_[p]) return false;
  }
  return true;
}

}  // namespace pgch::transport
