// Names in SQL: what is refused, and how the rest is quoted.
#include <cstdint>

#include "base/try.h"
#include "pgch/postgres.h"

namespace pgch {
namespace {

bool valid_utf8(std::string_view s) noexcept {
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    const std::size_t n = c < 0x80 ? 1 : (c >> 5) == 6 ? 2 : (c >> 4) == 14 ? 3 : (c >> 3) == 30 ? 4 : 0;
    if (n == 0 || i + n > s.size()) return false;
    std::uint32_t point = n == 1 ? c : c & (0xFFU >> (n + 1));
    for (std::size_t k = 1; k < n; ++k) {
      const auto next = static_cast<unsigned char>(s[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      point = (point << 6) | (next & 0x3FU);
    }
    constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < smallest[n] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    i += n;
  }
  return true;
}

}  // namespace

Result<std::string> quote_postgres(std::string_view identifier) {
  if (identifier.empty()) return halt(Errc::config, "A PostgreSQL name is empty; give the table's or column's name.");
  if (identifier.size() > 63) {
    return halt(Errc::config,
                "A PostgreSQL name has " + std::to_string(identifier.size()) + " bytes; PostgreSQL's limit is 63.");
  }
  if (identifier.find('\0') != std::string_view::npos || !valid_utf8(identifier)) {
    return halt(Errc::config,
                "A PostgreSQL name holds a zero byte or is not valid UTF-8; give it as it is in the database.");
  }
  std::string out = "\"";
  for (const char c : identifier) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

Result<std::string> quote_postgres_table(std::string_view table) {
  std::vector<std::string> parts(1);
  bool quoted = false, was_quoted = false;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const char c = table[i];
    if (quoted) {
      if (c != '"') {
        parts.back() += c;
      } else if (i + 1 < table.size() && table[i + 1] == '"') {
        parts.back() += table[++i];
      } else {
        quoted = false;
        was_quoted = true;
      }
    } else if (c == '"' && parts.back().empty() && !was_quoted) {
      quoted = true;
    } else if (c == '.') {
      parts.emplace_back();
      was_quoted = false;
    } else if (was_quoted) {
      return halt(
          Errc::config,
          "The table's name has something after its closing quote; write schema.table or \"schema\".\"table\".");
    } else {
      parts.back() += c;
    }
  }
  if (quoted)
    return halt(
        Errc::config,
        "The table's name has an opening quote without a closing one; write schema.table or \"schema\".\"table\".");
  if (parts.size() > 2)
    return halt(Errc::config, "The table's name has more than two parts; write table or schema.table.");
  std::string out;
  for (const std::string& part : parts) {
    PGCH_ASSIGN(const std::string name, quote_postgres(part));
    if (!out.empty()) out += '.';
    out += name;
  }
  return out;
}

}  // namespace pgch
