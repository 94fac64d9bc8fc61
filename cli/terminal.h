// Standard error: log lines and one redrawn line of progress, which never get into each other's way. Standard output:
// results.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "pgch/context.h"

namespace pgch::cli {

class Log final : public Logger {
 public:
  Log();
  void configure(LogLevel level, bool json) noexcept;
  void write(LogLevel level, std::string_view message) override;
  /// Redraws the last line of a terminal; nothing elsewhere. Empty: takes it away.
  void draw(std::string line);
  /// A plain line between the log lines.
  void plain(std::string_view line);
  bool terminal() const noexcept { return terminal_; }

 private:
  void put(std::string_view text);
  std::mutex mutex_;
  LogLevel level_ = LogLevel::info;
  bool json_ = false;
  const bool terminal_;
  std::string drawn_;
};

/// Whole text to standard output; false when nobody reads it any more.
bool print(std::string_view text);
bool stdout_is_terminal() noexcept;

std::string json_text(std::string_view text);  ///< quoted and escaped
std::string human_count(std::uint64_t count);  ///< 1 234 567
/// "1 row", "10 rows"; `many` where it is not `one` with an s.
std::string counted(std::uint64_t count, std::string_view one, std::string_view many = {});
std::string human_bytes(double bytes);      ///< 12.3 MiB
std::string human_seconds(double seconds);  ///< 1 min 20 s

}  // namespace pgch::cli
