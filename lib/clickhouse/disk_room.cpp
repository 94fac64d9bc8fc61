#include "clickhouse/disk_room.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <system_error>

#include "base/bytes.h"
#include "base/file.h"
#include "base/try.h"
#include "clickhouse/sql.h"

namespace pgch::ch {
namespace {

namespace fs = std::filesystem;

std::string_view without_blanks_and_comments(std::string_view sql) noexcept {
  for (;;) {
    while (!sql.empty() && (std::isspace(static_cast<unsigned char>(sql.front())) != 0 || sql.front() == '('))
      sql.remove_prefix(1);
    const bool line = sql.substr(0, 2) == "--" || sql.substr(0, 1) == "#";
    if (!line && sql.substr(0, 2) != "/*") return sql;
    const std::size_t end = line ? sql.find('\n') : sql.find("*/");
    if (end == std::string_view::npos) return {};
    sql.remove_prefix(end + (line ? 1 : 2));
  }
}

bool same_word(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::toupper(static_cast<unsigned char>(x)) == std::toupper(static_cast<unsigned char>(y));
  });
}

}  // namespace

std::uint64_t room_at(const std::string& path) noexcept {
  struct statvfs st {};
  if (::statvfs(path.c_str(), &st) != 0) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
}

Writes writes_of(std::string_view sql) noexcept {
  constexpr std::array<std::string_view, 9> definitions = {"CREATE",  "ALTER",  "RENAME", "EXCHANGE", "ATTACH",
                                                           "REPLACE", "UPDATE", "DELETE", "UNDROP"};
  sql = without_blanks_and_comments(sql);
  std::size_t end = 0;
  while (end < sql.size() && std::isalpha(static_cast<unsigned char>(sql[end])) != 0) ++end;
  const std::string_view word = sql.substr(0, end);
  // WITH stands before a SELECT, and before an INSERT as well.
  if (same_word(word, "INSERT") || same_word(word, "WITH")) return Writes::rows;
  for (const std::string_view d : definitions) {
    if (same_word(word, d)) return Writes::definition;
  }
  return Writes::nothing;
}

std::string no_room_text(const std::string& path) {
  return "Code: 243. DB::Exception: Less than " + std::to_string(room_wanted >> 20) + " MiB are free on the disk of " +
         path + ". (NOT_ENOUGH_SPACE)";
}

Result<std::size_t> drop_spoilt_parts(const Ask& ask, std::time_t since) {
  PGCH_ASSIGN(
      const std::string parts,
      ask("SELECT database, table, name FROM system.parts WHERE active AND min_block_number = max_block_number AND "
          "modification_time >= toDateTime(" +
          std::to_string(since) + ")"));
  std::size_t spoilt = 0;
  for (ByteReader r(parts); r.ok() && r.left() != 0;) {
    const std::string database(r.text());
    const std::string table(r.text());
    const std::string part(r.text());
    const std::string where = quote_name(database, table);
    const auto checked =
        ask("CHECK TABLE " + where + " PART " + quote_text(part) + " SETTINGS check_query_single_value_result = 0");
    if (!checked) continue;  // merged with others meanwhile, and so it could be read
    ByteReader row(*checked);
    (void)row.text();
    if (row.little<std::uint8_t>() != 0 || !row.ok()) continue;
    ++spoilt;
    PGCH_ASSIGN([[maybe_unused]] const std::string dropped,
                ask("ALTER TABLE " + where + " DROP PART " + quote_text(part)));
  }
  return spoilt;
}

std::string empty_definition(const std::string& path) {
  std::error_code ec;
  const auto end = fs::recursive_directory_iterator();
  for (const char* below : {"/metadata", "/store"}) {
    fs::recursive_directory_iterator at(path + below, ec);
    for (; !ec && at != end; at.increment(ec)) {
      if (at.depth() > 1) at.disable_recursion_pending();  // a table's parts lie deeper
      if (at->path().extension() == ".sql" && at->is_regular_file(ec) && at->file_size(ec) == 0 && !ec)
        return at->path().string();
    }
    ec.clear();
  }
  return {};
}

bool held_by_another(const std::string& path) noexcept {
  const File status(::open((path + "/status").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return status && ::flock(status.fd(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace pgch::ch
