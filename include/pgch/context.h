/// What the caller lends to every stage: logging, time, stop. The library never prints, sleeps or reads a clock by
/// itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "pgch/export.h"

namespace pgch {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Called from any thread. Messages name tables, counts and positions; never cells, passwords or connection strings.
class PGCH_EXPORT Logger {
 public:
  virtual ~Logger() = default;
  virtual void write(LogLevel level, std::string_view message) = 0;
};

/// Monotonic time and interruptible waiting. Any thread.
class PGCH_EXPORT Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual ~Clock() = default;
  virtual TimePoint now() = 0;
  /// Returns at `until`, or at once when `stop` is requested.
  virtual void sleep_until(TimePoint until, const std::stop_token& stop) = 0;
  /// Microseconds since 1970 UTC: for messages, and to number a new journal above an older one; never a position.
  virtual std::int64_t wall_us();
};

/// The real clock; lives as long as the process.
PGCH_EXPORT Clock& system_clock();
/// Drops everything; for callers that do not care.
PGCH_EXPORT Logger& null_logger();

/// Borrowed by a stage between open() and close(); the lender keeps it alive for longer.
struct Context {
  Logger& log;
  Clock& clock;
  std::stop_token stop;
};

/// A password or token. It has no operator<< and no formatter, so it cannot be logged by accident.
class PGCH_EXPORT Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  /// The plain text: only for handing it to the C library that needs it.
  const std::string& reveal() const noexcept { return value_; }
  bool empty() const noexcept { return value_.empty(); }

 private:
  std::string value_;
};

}  // namespace pgch
