#include "signals.h"

#include <unistd.h>
#include <csignal>
#include <ctime>

namespace pgch::cli {
namespace {

sigset_t watched() {
  sigset_t set;
  sigemptyset(&set);
  for (const int one : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, one);
  return set;
}

}  // namespace

Signals::Signals(Log& log) {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = watched();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::jthread([this, set, &log](const std::stop_token& over) {
    bool asked = false;
    while (!over.stop_requested()) {
      // A short wait instead of an endless one, so that the thread can be joined.
      const timespec wait{0, 100'000'000};
      const int got = sigtimedwait(&set, nullptr, &wait);
      if (got < 0) continue;
      if (asked) ::_exit(130);
      asked = true;
      log.write(LogLevel::info,
                "Stopping: what is under way is brought to its end; the same signal again ends at once");
      stop_.request_stop();
    }
  });
}

Signals::~Signals() = default;

}  // namespace pgch::cli
