// Messages to several topics, all of them or none. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kafka/producer.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::kafka {

class Transactions {
 public:
  /// When it returns, whatever an earlier process with the same `id` had begun is over, and that process, should it
  /// still live, can commit nothing any more.
  static Result<std::unique_ptr<Transactions>> open(const KafkaOptions& options, const std::string& id,
                                                    std::size_t message_bytes_max, const Context& context);
  virtual ~Transactions() = default;
  virtual Result<void> begin() = 0;
  /// Copies the message.
  virtual Result<void> send(const std::string& topic, const Outgoing& message) = 0;
  /// All that was sent since begin() is there for readers of what is committed. After an Error nothing of it is, or, if
  /// it is in doubt, all or nothing; open() with the same id settles that.
  virtual Result<void> commit() = 0;
};

}  // namespace pgch::kafka
