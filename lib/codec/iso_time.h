// ISO 8601 dates and times ↔ days and ticks, for any year that 64 bits of ticks hold.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgch::codec {

enum class TimeFault : std::uint8_t {
  none,
  syntax,    ///< not of the form, or no such day or time
  fraction,  ///< non-zero digits beyond the column's scale
  range,     ///< does not fit 64 bits
};

/// "2024-11-15". Years outside 0000…9999 have a sign and at least four digits; year 0000 is 1 BC.
void append_date(std::string& out, std::int64_t days);
/// "2024-11-15T10:00:00.123456", with `scale` digits after the second (0…9) and then "Z" if `zulu`.
void append_timestamp(std::string& out, std::int64_t ticks, unsigned scale, bool zulu);
/// "24:00:00.000000": a time of day, 0 … 24 hours, with `scale` digits after the second.
void append_clock(std::string& out, std::int64_t ticks, unsigned scale);
/// The form of append_clock, with 0 … 9 digits after the second.
TimeFault parse_clock(std::string_view text, unsigned scale, std::int64_t& ticks);
/// The form of append_date and nothing else.
TimeFault parse_date(std::string_view text, std::int64_t& days);

struct ParsedTime {
  std::int64_t ticks = 0;     ///< of the wall time as written; subtract the offset to get the instant
  bool has_zone = false;      ///< Z or an offset was there
  std::int32_t offset_s = 0;  ///< east of Greenwich
};
/// Date, 'T', 't' or a space, HH:MM:SS, an optional fraction of 1…9 digits, then nothing, Z, ±HH, ±HHMM, ±HH:MM or
/// ±HH:MM:SS.
TimeFault parse_timestamp(std::string_view text, unsigned scale, ParsedTime& out);
/// ticks − offset, checked.
bool to_instant(const ParsedTime& time, unsigned scale, std::int64_t& ticks) noexcept;

}  // namespace pgch::codec
