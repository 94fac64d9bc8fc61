#include "clickhouse/sql.h"

#include "pgch/load/clickhouse.h"

namespace pgch::ch {
namespace {
void escape_into(std::string& out, std::string_view text, char quote) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || c == quote) {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15U];
    } else {
      out += c;
    }
  }
}
std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  escape_into(out, text, quote);
  out += quote;
  return out;
}
}  // namespace

std::string quote_name(std::string_view name) { return quoted(name, '`'); }
std::string quote_name(std::string_view database, std::string_view table) {
  return quote_name(database) + "." + quote_name(table);
}
std::string quote_text(std::string_view text) { return quoted(text, '\''); }
bool plausible_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 200 && name.find('\0') == std::string_view::npos;
}

}  // namespace pgch::ch

namespace pgch {
std::string quote_clickhouse(std::string_view identifier) { return ch::quote_name(identifier); }
}  // namespace pgch
