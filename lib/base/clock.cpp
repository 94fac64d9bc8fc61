// The only place that reads a clock or waits for one.
#include <condition_variable>
#include <mutex>

#include "pgch/context.h"

namespace pgch {
namespace {
class SystemClock final : public Clock {
 public:
  TimePoint now() override { return std::chrono::steady_clock::now(); }
  void sleep_until(TimePoint until, const std::stop_token& stop) override {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_until(lock, stop, until, [] { return false; });
  }
};
class NullLogger final : public Logger {
 public:
  void write(LogLevel, std::string_view) override {}
};
}  // namespace

std::int64_t Clock::wall_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}
Logger& null_logger() {
  static NullLogger logger;
  return logger;
}

}  // namespace pgch
