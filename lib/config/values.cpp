// Values as they are written, read strictly: a wrong unit or a stray character is an error, never a guess.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <span>

#include "base/try.h"
#include "config/settings.h"

namespace pgch::config {
namespace {

std::string quoted(std::string_view name) { return '"' + std::string(name) + '"'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\r')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// "500ms", "1.5GiB": a number and one of `units`.
Result<std::uint64_t> with_unit(const Given& given, std::string_view name, std::span<const Unit> units,
                                std::string_view example) {
  const auto* text = std::get_if<std::string>(&given.value);
  std::string_view rest = text != nullptr ? trim(*text) : std::string_view{};
  double number = 0;
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (problem == std::errc{} && number >= 0 && number < 1e18) {
    const std::string_view unit = trim(rest.substr(static_cast<std::size_t>(end - rest.data())));
    for (const Unit& known : units) {
      const double value = std::round(number * static_cast<double>(known.factor));
      if (unit == known.name && value < 1e18) return static_cast<std::uint64_t>(value);
    }
  }
  return wrong(given, quoted(name) + " needs a number with a unit, like " + std::string(example));
}

Result<std::uint64_t> within(const Given& given, std::string_view name, std::uint64_t value, std::uint64_t low,
                             std::uint64_t high, std::string_view unit) {
  if (value >= low && value <= high) return value;
  return wrong(given, quoted(name) + " must lie between " + std::to_string(low) + " and " + std::to_string(high) +
                          std::string(unit));
}

}  // namespace

Error wrong(const Given& given, std::string sentence) {
  return halt(Errc::config, given.origin + ": " + std::move(sentence));
}

Result<std::string> as_text(const Given& given, std::string_view name) {
  if (const auto* text = std::get_if<std::string>(&given.value)) {
    if (text->find('\0') != std::string::npos) return wrong(given, quoted(name) + " can't hold a zero byte");
    return *text;
  }
  return wrong(given, quoted(name) + " must be a text in quotes");
}

Result<bool> as_bool(const Given& given, std::string_view name) {
  if (const auto* flag = std::get_if<bool>(&given.value)) return *flag;
  if (const auto* text = std::get_if<std::string>(&given.value)) {
    const std::string_view word = trim(*text);
    if (word == "true" || word == "1" || word == "yes" || word == "on") return true;
    if (word == "false" || word == "0" || word == "no" || word == "off") return false;
  }
  return wrong(given, quoted(name) + " must be true or false");
}

Result<std::uint64_t> as_integer(const Given& given, std::string_view name, std::uint64_t low, std::uint64_t high) {
  if (const auto* number = std::get_if<std::int64_t>(&given.value)) {
    if (*number < 0) return within(given, name, high + 1, low, high, "");
    return within(given, name, static_cast<std::uint64_t>(*number), low, high, "");
  }
  if (const auto* text = std::get_if<std::string>(&given.value)) {
    const std::string_view digits = trim(*text);
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (problem == std::errc{} && end == digits.data() + digits.size())
      return within(given, name, value, low, high, "");
  }
  return wrong(given, quoted(name) + " must be a whole number");
}

Result<std::uint64_t> as_duration_ms(const Given& given, std::string_view name, std::uint64_t low, std::uint64_t high) {
  static constexpr Unit units[] = {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"m", 60'000}, {"h", 3'600'000}};
  PGCH_ASSIGN(const std::uint64_t value, with_unit(given, name, units, "\"500ms\", \"10s\", \"5min\" or \"1h\""));
  return within(given, name, value, low, high, " milliseconds");
}

Result<std::uint64_t> as_size(const Given& given, std::string_view name, std::uint64_t low, std::uint64_t high) {
  static constexpr Unit units[] = {{"B", 1},          {"kB", 1000},        {"KB", 1000},          {"KiB", 1024},
                                   {"MB", 1'000'000}, {"MiB", 1ull << 20}, {"GB", 1'000'000'000}, {"GiB", 1ull << 30}};
  PGCH_ASSIGN(const std::uint64_t value, with_unit(given, name, units, "\"64KiB\", \"256MiB\" or \"2GiB\""));
  return within(given, name, value, low, high, " bytes");
}

Result<List> as_list(const Given& given, std::string_view name) {
  if (const auto* list = std::get_if<List>(&given.value)) return *list;
  if (const auto* text = std::get_if<std::string>(&given.value)) {
    List out;
    std::string_view rest = *text;
    while (!trim(rest).empty()) {
      const auto comma = rest.find(',');
      const std::string_view one = trim(rest.substr(0, comma));
      if (one.empty()) return wrong(given, quoted(name) + " has an empty name between two commas");
      out.emplace_back(one);
      if (comma == std::string_view::npos) break;
      rest = rest.substr(comma + 1);
    }
    return out;
  }
  return wrong(given, quoted(name) + " must be a list, like [\"id\", \"name\"]");
}

Result<Map> as_map(const Given& given, std::string_view name) {
  if (const auto* map = std::get_if<Map>(&given.value)) return *map;
  if (const auto* text = std::get_if<std::string>(&given.value)) {
    PGCH_ASSIGN(const List pairs, as_list(Given{*text, given.origin}, name));
    Map out;
    for (const std::string& pair : pairs) {
      const auto equals = pair.find('=');
      if (equals == std::string::npos || equals == 0)
        return wrong(given, quoted(name) + " must be a list of name=value");
      out[std::string(trim(std::string_view(pair).substr(0, equals)))] =
          trim(std::string_view(pair).substr(equals + 1));
    }
    return out;
  }
  return wrong(given, quoted(name) + " must be a table of names and values");
}

Result<std::string> as_word(const Given& given, std::string_view name, const List& allowed) {
  PGCH_ASSIGN(std::string word, as_text(given, name));
  if (std::find(allowed.begin(), allowed.end(), word) != allowed.end()) return word;
  std::string all;
  for (const std::string& one : allowed)
    all += (all.empty() ? "" : one == allowed.back() ? " or " : ", ") + quoted(one);
  return wrong(given, quoted(name) + " must be " + all);
}

Result<FileText> read_file(const std::string& path, bool missing_ok) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (missing_ok && errno == ENOENT) return FileText{};
    return halt(Errc::config, "Cannot read the file " + path + ": " + std::strerror(errno) + ".");
  }
  std::string text;
  char buffer[16384];
  ssize_t got = 0;
  while ((got = ::read(file, buffer, sizeof buffer)) > 0 && text.size() < (16u << 20))
    text.append(buffer, static_cast<std::size_t>(got));
  const int problem = got < 0 ? errno : 0;
  ::close(file);
  if (problem != 0) return halt(Errc::config, "Cannot read the file " + path + ": " + std::strerror(problem) + ".");
  return FileText{true, std::move(text)};
}

Result<Secret> read_secret(const std::string& path, std::string_view setting) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return halt(Errc::config,
                quoted(setting) + " names the file " + path + ", which can't be read: " + std::strerror(errno) + ".");
  }
  if (S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
    return halt(Errc::config,
                "Others may read the password file " + path + "; make it private with: chmod 600 " + path);
  }
  PGCH_ASSIGN(const FileText file, read_file(path, false));
  return Secret(file.text.substr(0, file.text.find_first_of("\r\n")));
}

}  // namespace pgch::config
