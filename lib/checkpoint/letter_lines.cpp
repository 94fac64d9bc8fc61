#include "checkpoint/letter_lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "base/bytes.h"
#include "base/try.h"

namespace pgch {
namespace {

bool take(std::string_view& rest, char wanted) {
  if (rest.empty() || rest.front() != wanted) return false;
  rest.remove_prefix(1);
  return true;
}

std::optional<std::string> take_text(std::string_view& rest) {
  if (!take(rest, '"')) return std::nullopt;
  std::string out;
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == '"') return out;
    if (c != '\\') {
      out += c;
      continue;
    }
    if (rest.empty()) return std::nullopt;
    const char escaped = rest.front();
    rest.remove_prefix(1);
    if (escaped != 'u') {
      out += escaped;  // what put_json_text writes: a quote or a backslash
      continue;
    }
    unsigned code = 0;
    if (rest.size() < 4 || std::from_chars(rest.data(), rest.data() + 4, code, 16).ptr != rest.data() + 4 ||
        code > 0x7F)
      return std::nullopt;
    out += static_cast<char>(code);
    rest.remove_prefix(4);
  }
  return std::nullopt;
}

}  // namespace

void put_json_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  out += '"';
}

std::optional<std::map<std::string, std::string>> parse_letter_line(std::string_view line) {
  std::map<std::string, std::string> out;
  if (!take(line, '{')) return std::nullopt;
  do {
    auto name = take_text(line);
    if (!name || !take(line, ':') || line.empty()) return std::nullopt;
    if (line.front() == '"') {
      auto value = take_text(line);
      if (!value) return std::nullopt;
      out[*std::move(name)] = *std::move(value);
    } else {
      const std::size_t end = line.find_first_not_of("0123456789");
      if (end == 0 || end == std::string_view::npos) return std::nullopt;
      out[*std::move(name)] = line.substr(0, end);
      line.remove_prefix(end);
    }
  } while (take(line, ','));
  if (!take(line, '}') || !line.empty()) return std::nullopt;
  return out;
}

Result<void> append_letter_lines(const File& file, std::string lines, const std::string& path) {
  // Held for one write: a pipeline and `pgch dlq` must not write to the same place.
  struct Locked {
    int fd;
    bool held;
    ~Locked() {
      if (held) ::flock(fd, LOCK_UN);
    }
  };
  const Locked locked{file.fd(), ::flock(file.fd(), LOCK_EX) == 0};
  if (!locked.held) return halt(Errc::io, fmt::format("Cannot lock {}: {}.", path, errno_text(errno)));
  struct stat st {};
  if (::fstat(file.fd(), &st) != 0)
    return halt(Errc::io, fmt::format("Cannot look at {}: {}.", path, errno_text(errno)));
  char last = '\n';
  if (st.st_size > 0 && ::pread(file.fd(), &last, 1, st.st_size - 1) == 1 && last != '\n')
    lines.insert(0, 1, '\n');  // a crash tore the last one
  PGCH_TRY(write_at(file, static_cast<std::uint64_t>(st.st_size), as_bytes(lines), path));
  return sync_data(file, path);
}

}  // namespace pgch
