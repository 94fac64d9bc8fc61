// Names and values as ClickHouse SQL. The only place that quotes.
#pragma once

#include <string>
#include <string_view>

namespace pgch::ch {

// `…` with backslash and backtick escaped: doubling backticks alone is unsafe at ClickHouse.
std::string quote_name(std::string_view name);
std::string quote_name(std::string_view database, std::string_view table);
// '…' with every byte that could end or change it escaped; safe for raw bytes.
std::string quote_text(std::string_view text);
// Refuses what cannot be a table's or column's name: empty, NUL, more than 200 bytes for a table.
bool plausible_name(std::string_view name) noexcept;

}  // namespace pgch::ch
