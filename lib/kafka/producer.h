// The idempotent producer: sends, waits for every delivery report, says where partitions end. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::kafka {

struct Header {
  const char* name;
  std::string_view value;
};
struct Outgoing {
  std::string_view key;
  bool has_key = false;
  std::string_view value;
  bool tombstone = false;       ///< no value at all
  std::int32_t partition = -1;  ///< -1: by the key
  std::span<const Header> headers;
};

class Producer {
 public:
  static Result<std::unique_ptr<Producer>> open(const KafkaOptions& options, const std::string& topic,
                                                std::size_t message_bytes_max, const Context& context);
  virtual ~Producer() = default;
  /// Queues a message; waits while the queue is full. The bytes of `value` are not copied: they must stay as they are
  /// until finish() has succeeded or the producer is gone.
  virtual Result<void> send(const Outgoing& message) = 0;
  /// Returns when everything sent is confirmed. An Error: at least one message is not, and the producer is of no more
  /// use; what was sent may still arrive.
  virtual Result<void> finish() = 0;
  /// By partition: the offset after the last record of ours that was confirmed, -1 if none. Grows as partitions are
  /// seen.
  virtual const std::vector<std::int64_t>& ends() const noexcept = 0;
};

/// Mentions that this librdkafka is older than what pgch would rely on, if it is.
void warn_if_old(Logger& log);

}  // namespace pgch::kafka
