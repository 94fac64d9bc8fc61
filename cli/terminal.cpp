#include "terminal.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>

namespace pgch::cli {
namespace {

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};

std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, ms % 1000);
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

}  // namespace

Log::Log() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void Log::configure(LogLevel level, bool json) noexcept {
  const std::lock_guard lock(mutex_);
  level_ = level;
  json_ = json;
}

void Log::put(std::string_view text) {
  std::string out;
  if (!drawn_.empty()) out += "\r\x1b[K";
  out += text;
  out += drawn_;
  write_all(STDERR_FILENO, out);
}

void Log::write(LogLevel level, std::string_view message) {
  const std::lock_guard lock(mutex_);
  if (level < level_) return;
  const std::string_view name = level_names[static_cast<std::size_t>(level)];
  if (json_) {
    put(fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"message\":{}}}\n", now_text(), name, json_text(message)));
    return;
  }
  // What a server says may hold line breaks and control characters; a log line is one line.
  std::string line;
  for (const char c : message) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  put(terminal_ ? fmt::format("{}: {}\n", name, line) : fmt::format("{} {} {}\n", now_text(), name, line));
}

void Log::draw(std::string line) {
  const std::lock_guard lock(mutex_);
  if (!terminal_ || (line.empty() && drawn_.empty())) return;
  if (const std::size_t width = terminal_width(); line.size() >= width) line.resize(width - 1);
  write_all(STDERR_FILENO, "\r\x1b[K" + line);
  drawn_ = std::move(line);
}

void Log::plain(std::string_view line) {
  const std::lock_guard lock(mutex_);
  put(json_ ? fmt::format("{{\"time\":\"{}\",\"level\":\"info\",\"message\":{}}}\n", now_text(), json_text(line))
            : std::string(line) + "\n");
}

bool print(std::string_view text) { return write_all(STDOUT_FILENO, text); }
bool stdout_is_terminal() noexcept { return ::isatty(STDOUT_FILENO) == 1; }

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

std::string human_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, " ");
  return digits;
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  std::string word(count == 1 || many.empty() ? one : many);
  if (count != 1 && many.empty()) word += 's';
  return human_count(count) + " " + word;
}

std::string human_bytes(double bytes) {
  static constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < units.size()) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string human_seconds(double seconds) {
  if (seconds < 60) return fmt::format("{:.{}f} s", seconds, seconds < 10 ? 1 : 0);
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

}  // namespace pgch::cli
