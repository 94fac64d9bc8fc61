// Reading: as a member of a group that is assigned partitions, or by hand. One thread, but commit() from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/admin.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

struct rd_kafka_headers_s;
struct rd_kafka_message_s;

namespace pgch::kafka {

/// A record as it lies in librdkafka's memory.
class Record {
 public:
  explicit Record(rd_kafka_message_s* message) noexcept : message_(message) {}
  std::int32_t partition() const noexcept;
  std::int64_t offset() const noexcept;
  bool has_key() const noexcept;
  std::string_view key() const noexcept;
  bool has_value() const noexcept;
  std::string_view value() const noexcept;
  /// Milliseconds since 1970 UTC, -1 if there is none.
  std::int64_t time_ms() const noexcept;
  int error() const noexcept;  ///< 0, or a consumer's error in place of a record
  /// Not a record: the partition's end is reached, and offset() is the next record's offset.
  bool is_end() const noexcept;
  /// Not a record: offset() is not in the partition any more, or not yet.
  bool is_out_of_range() const noexcept;
  std::string error_text() const;

 private:
  friend class RecordHeaders;
  rd_kafka_message_s* message_;
};

/// A record's headers, taken out of it: freed with this, so that the memory serves the next record at once.
class RecordHeaders {
 public:
  explicit RecordHeaders(const Record& record) noexcept;
  ~RecordHeaders();
  RecordHeaders(const RecordHeaders&) = delete;
  RecordHeaders& operator=(const RecordHeaders&) = delete;
  /// Sets values[i] for each of names[i] that is there; the last one of a name counts. The views live as long as this.
  void find(std::span<const std::string_view> names, std::span<std::optional<std::string_view>> values) const;
  /// All of them, in their order; a name may be there more than once.
  std::vector<std::pair<std::string, std::string>> all() const;

 private:
  rd_kafka_headers_s* list_ = nullptr;
};

/// Some records of one take(), freed together.
class Records {
 public:
  Records() = default;
  ~Records() { clear(); }
  Records(Records&& other) noexcept : messages_(std::exchange(other.messages_, {})) {}
  Records& operator=(Records&& other) noexcept {
    std::swap(messages_, other.messages_);
    return *this;
  }
  std::size_t size() const noexcept { return messages_.size(); }
  Record operator[](std::size_t i) const noexcept { return Record(messages_[i]); }
  void clear() noexcept;

 private:
  friend class KafkaConsumer;
  std::vector<rd_kafka_message_s*> messages_;
};

/// What the group wants of us. It waits until assign() or unassign() is called.
struct Rebalance {
  enum class Kind : std::uint8_t { none, assigned, revoked, lost };
  Kind kind = Kind::none;
  std::vector<std::int32_t> partitions;
};

class Consumer {
 public:
  /// A member of options.group, subscribed to options.topic.
  static Result<std::unique_ptr<Consumer>> join(const KafkaOptions& options, std::int32_t partitions,
                                                const Context& context);
  /// No group: partitions are assigned by hand. Records of transactions that are not committed are seen, too, or the
  /// reading ends at the first one that is not decided yet.
  enum class Sees : std::uint8_t { all, committed };
  static Result<std::unique_ptr<Consumer>> read(const KafkaOptions& options, const Context& context,
                                                Sees sees = Sees::all);
  virtual ~Consumer() = default;

  /// Serves the group for up to `timeout_ms`; returns early when it wants something.
  virtual Result<void> poll(int timeout_ms) = 0;
  /// The group's wish that was not answered yet.
  virtual const Rebalance& rebalance() const noexcept = 0;
  virtual Result<std::vector<CommittedOffset>> committed(const std::vector<std::int32_t>& partitions) = 0;
  /// Starts reading exactly these (partition, offset); answers an `assigned`.
  virtual Result<void> assign(const std::vector<std::pair<std::int32_t, std::int64_t>>& from) = 0;
  /// Stops reading; answers a `revoked` or `lost`.
  virtual Result<void> unassign() = 0;
  /// Goes on reading an assigned partition from `offset`; what was read ahead is dropped.
  virtual Result<void> seek(std::int32_t partition, std::int64_t offset) = 0;
  /// Records of one partition that are here already, or come within `timeout_ms`; appends at most `max`.
  virtual std::size_t take(std::int32_t partition, Records& into, std::size_t max, int timeout_ms) = 0;
  /// How many records of the partition are here already.
  virtual std::size_t waiting(std::int32_t partition) = 0;
  virtual Result<Watermarks> watermarks(std::int32_t partition) = 0;
  /// Any thread. Returns when the group's coordinator has it.
  virtual Result<void> commit(std::int32_t partition, std::int64_t offset, const std::string& metadata) = 0;
  /// Leaves the group.
  virtual void close() noexcept = 0;
};

}  // namespace pgch::kafka
