// One configuration for each use of librdkafka: what must not be otherwise is forced, what a user may pass is listed.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "kafka/handle.h"
#include "kafka/settings.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::kafka {

/// librdkafka's callbacks speak to this; it outlives the client. Any thread.
class Listener {
 public:
  explicit Listener(Logger& log) : log_(log) {}
  void log(int level, const char* text);
  void on_error(int code, const char* reason);
  /// The last thing that went wrong with the connection, for the sentence of a timeout; an authentication error stays.
  Error describe(Error error);
  /// All brokers were found to be down, and none has answered since.
  bool unreachable();
  void answered();

 private:
  Logger& log_;
  std::mutex mutex_;
  int code_ = 0;
  bool all_down_ = false;
  std::string reason_;
};

enum class Role : std::uint8_t {
  producer,
  group,   ///< consumer that is a member of the group
  reader,  ///< consumer that is assigned by hand and commits nothing; also used for administration
};

/// `forced` overrides the role's own. `opaque` must be a Listener.
Result<Conf> make_conf(const KafkaOptions& options, Role role, const Settings& forced, Listener& listener);
/// Gives the configuration away. `doing` as in error_of().
Result<Client> make_client(rd_kafka_type_t type, Conf conf, std::string_view doing);

}  // namespace pgch::kafka
