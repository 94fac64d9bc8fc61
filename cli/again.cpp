// A hint that can be pasted: the command with the flags that were typed.
#include <algorithm>
#include <array>

#include "program.h"

namespace pgch::cli {
namespace {

std::string quoted_for_shell(const std::string& word) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:@=,+%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// "postgresql://me:secret@host/db" → "postgresql://me@host/db"; "password=…" goes, too.
std::string without_password(std::string text) {
  if (const auto scheme = text.find("://"); scheme != std::string::npos) {
    const std::size_t begin = scheme + 3, end = std::min(text.find_first_of("/?", begin), text.size());
    const std::size_t at = text.substr(0, end).rfind('@'), colon = text.find(':', begin);
    if (at != std::string::npos && at > begin && colon < at) text.erase(colon, at - colon);
  }
  for (std::size_t at = 0; (at = text.find("password=", at)) != std::string::npos;)
    text.erase(at, std::min(text.find_first_of("& ", at), text.size()) - at);
  return text;
}

}  // namespace

std::string command_again(const Session& session, const std::string& verb, const TableConfig& table) {
  std::string out = "pgch " + verb;
  const auto add = [&out](const std::string& flag, const std::string& value) {
    out += " " + flag + " " + quoted_for_shell(value);
  };
  if (!session.config_file.empty()) add("-c", session.config_file);
  if (!session.env_file.empty()) add("--env-file", session.env_file);
  constexpr std::array<std::string_view, 10> kept{"--method", "--from",   "--to",    "--kafka",  "--topic",
                                                  "--group",  "--format", "--state", "--target", "--flag-column"};
  for (const ConfigOverride& one : session.overrides) {
    if (one.name.ends_with("password")) continue;
    if (std::find(kept.begin(), kept.end(), one.origin) != kept.end()) {
      add(one.origin, without_password(one.value));
    } else if (one.origin == "--set" || one.origin == "--pipeline") {
      add("--set", one.name + "=" + one.value);
    }
  }
  add("--table", table.name);
  return out;
}

}  // namespace pgch::cli
