// SIGTERM, SIGINT and SIGHUP ask for a drain; the second one ends the process at once.
#pragma once

#include <stop_token>
#include <thread>

#include "terminal.h"

namespace pgch::cli {

/// Blocks the signals for all threads made later, and waits for them in a thread of its own. Make it before any other
/// thread.
class Signals {
 public:
  explicit Signals(Log& log);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  std::stop_source& stop() noexcept { return stop_; }

 private:
  std::stop_source stop_;
  std::jthread thread_;
};

}  // namespace pgch::cli
