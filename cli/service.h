// What systemd is told of a running command: the protocol of sd_notify(3), in a few lines of our own.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "program.h"

namespace pgch::cli {

/// Where to send, and how often to say that all is well; empty where systemd doesn't ask.
struct Supervisor {
  std::string socket;  ///< a path, or an abstract name after '@'
  std::optional<std::chrono::microseconds> watchdog;
};
/// NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
Supervisor supervisor_of(const std::map<std::string, std::string>& environment);

/// What is told.
struct ServiceState {
  bool ready = false;                    ///< all that is needed is there, and rows move when there are some
  std::chrono::milliseconds overdue{0};  ///< how late the latest thread is
  std::string status;                    ///< a line for `systemctl status`
};

/// Tells of `state` as long as it lives: READY once, WATCHDOG while nothing is overdue by half of the watchdog's time,
/// STATUS when it changes, STOPPING when `stop` is requested. Does nothing, and has no thread, where nobody asks.
class ServiceNotices {
 public:
  ServiceNotices(const Session& session, std::function<ServiceState()> state);
  ~ServiceNotices();
  ServiceNotices(const ServiceNotices&) = delete;
  ServiceNotices& operator=(const ServiceNotices&) = delete;

 private:
  void loop(const std::stop_token& over, const std::stop_token& stop);
  bool tell(std::string_view text);

  Supervisor supervisor_;
  std::function<ServiceState()> state_;
  Log& log_;
  std::jthread thread_;
};

}  // namespace pgch::cli
