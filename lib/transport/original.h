// Single messages of a topic, by partition and offset.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/consumer.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::transport {

struct OriginalMessage {
  std::string key, value;
  bool has_key = false, has_value = false;
  std::vector<std::pair<std::string, std::string>> headers;
  bool header(std::string_view name) const noexcept;
};

/// One thread. Quickest if asked for rising offsets of one partition.
class Original {
 public:
  /// `options` is lent for its life.
  Original(const KafkaOptions& options, const Context& context) : options_(options), context_(context) {}
  /// nullopt: it is not there any more.
  Result<std::optional<OriginalMessage>> at(std::int32_t partition, std::int64_t offset);

 private:
  Result<bool> go_to(std::int32_t partition, std::int64_t offset);

  const KafkaOptions& options_;
  Context context_;
  std::unique_ptr<kafka::Consumer> consumer_;
  std::map<std::int32_t, kafka::Watermarks> marks_;
  std::int32_t partition_ = -1;
  std::int64_t next_ = 0;  // of the partition being read
  kafka::Records records_;
  std::size_t used_ = 0;
};

}  // namespace pgch::transport
