// Topics: what they are, making and deleting them. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::kafka {

struct Watermarks {
  std::int64_t low = 0, high = 0;
};
struct CommittedOffset {
  std::int64_t offset = -1;  ///< -1: none
  std::string metadata;
};

class Admin {
 public:
  static Result<std::unique_ptr<Admin>> open(const KafkaOptions& options, const Context& context);
  virtual ~Admin() = default;
  /// Number of partitions; nullopt if there is no such topic.
  virtual Result<std::optional<std::int32_t>> partitions(const std::string& topic) = 0;
  virtual Result<std::size_t> message_bytes_max(const std::string& topic) = 0;
  /// Returns when the topic can be used. It is no error if it exists. `message_bytes_max` 0: the brokers' default.
  virtual Result<void> create(const std::string& topic, std::int32_t partitions, std::int32_t replication,
                              std::size_t message_bytes_max = 0) = 0;
  virtual Result<void> remove(const std::string& topic) = 0;
  virtual Result<std::vector<Watermarks>> watermarks(const std::string& topic, std::int32_t partitions) = 0;
  virtual Result<std::vector<CommittedOffset>> committed(const std::string& topic, std::int32_t partitions) = 0;
  /// By partition: the offset of the first record that was written at that time or later; the end, if there is none.
  virtual Result<std::vector<std::int64_t>> offsets_at(const std::string& topic, std::int32_t partitions,
                                                       std::int64_t time_ms) = 0;
  /// Members that the group has now.
  virtual Result<std::size_t> group_members() = 0;
  /// Commits for the group, which has no members; else Errc::conflict.
  virtual Result<void> commit(const std::string& topic, const std::map<std::int32_t, CommittedOffset>& offsets) = 0;
};

}  // namespace pgch::kafka
