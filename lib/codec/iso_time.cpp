#include "codec/iso_time.h"

#include <array>
#include <charconv>
#include <limits>

namespace pgch::codec {
namespace {

constexpr std::array<std::int64_t, 10> ten_to = {1,       10,        100,        1'000,       10'000,
                                                 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};
constexpr std::int64_t seconds_a_day = 86'400;
// Dates beyond this are refused before anything can overflow; 64 bits of whole seconds do not reach further.
constexpr std::int64_t year_max = 292'300'000'000;

struct Civil {
  std::int64_t year = 0;
  unsigned month = 0, day = 0;
};

// Days since 1970-01-01 in the proleptic Gregorian calendar; eras of 400 years, years that begin in March.
std::int64_t days_of(const Civil& date) noexcept {
  const std::int64_t y = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t year_of_era = y - era * 400;
  const std::int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
  const std::int64_t day_of_year = (153 * month + 2) / 5 + static_cast<std::int64_t>(date.day) - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

Civil civil_of(std::int64_t days) noexcept {
  const std::int64_t z = days + 719'468;
  const std::int64_t era = (z >= 0 ? z : z - 146'096) / 146'097;
  const std::int64_t day_of_era = z - era * 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month = (5 * day_of_year + 2) / 153;
  Civil out;
  out.day = static_cast<unsigned>(day_of_year - (153 * month + 2) / 5 + 1);
  out.month = static_cast<unsigned>(month < 10 ? month + 3 : month - 9);
  out.year = year_of_era + era * 400 + (out.month <= 2 ? 1 : 0);
  return out;
}

unsigned days_in(std::int64_t year, unsigned month) noexcept {
  constexpr std::array<unsigned, 12> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

char* put_digits(char* p, std::uint64_t value, unsigned digits) noexcept {
  for (unsigned i = digits; i-- > 0; value /= 10) p[i] = static_cast<char>('0' + value % 10);
  return p + digits;
}

char* put_date(char* p, char* end, std::int64_t days) noexcept {
  const Civil date = civil_of(days);
  if (date.year >= 0 && date.year <= 9999) {
    p = put_digits(p, static_cast<std::uint64_t>(date.year), 4);
  } else {
    *p++ = date.year < 0 ? '-' : '+';
    const auto magnitude = static_cast<std::uint64_t>(date.year < 0 ? -date.year : date.year);
    p = magnitude < 1000 ? put_digits(p, magnitude, 4) : std::to_chars(p, end, magnitude).ptr;
  }
  *p++ = '-';
  p = put_digits(p, date.month, 2);
  *p++ = '-';
  return put_digits(p, date.day, 2);
}

bool two_digits(std::string_view text, std::size_t at, unsigned& out) noexcept {
  if (at + 2 > text.size()) return false;
  const auto a = static_cast<unsigned>(text[at] - '0');
  const auto b = static_cast<unsigned>(text[at + 1] - '0');
  if (a > 9 || b > 9) return false;
  out = a * 10 + b;
  return true;
}

bool expect(std::string_view text, std::size_t at, char c) noexcept { return at < text.size() && text[at] == c; }

// Reads the date at the text's beginning; `at` becomes the first byte after it.
TimeFault take_date(std::string_view text, std::size_t& at, std::int64_t& days) noexcept {
  Civil date;
  const bool sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  at = sign ? 1 : 0;
  const std::size_t begin = at;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    if (date.year > year_max) return TimeFault::range;
    date.year = date.year * 10 + (text[at++] - '0');
  }
  const std::size_t digits = at - begin;
  if (digits < 4 || (digits > 4 && !sign)) return TimeFault::syntax;
  if (date.year > year_max) return TimeFault::range;
  if (sign && text[0] == '-') date.year = -date.year;
  if (!expect(text, at, '-') || !two_digits(text, at + 1, date.month) || !expect(text, at + 3, '-') ||
      !two_digits(text, at + 4, date.day)) {
    return TimeFault::syntax;
  }
  at += 6;
  if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > days_in(date.year, date.month))
    return TimeFault::syntax;
  days = days_of(date);
  return TimeFault::none;
}

TimeFault take_zone(std::string_view text, std::size_t at, ParsedTime& out) noexcept {
  if (at == text.size()) return TimeFault::none;
  out.has_zone = true;
  if (text[at] == 'Z' || text[at] == 'z') return at + 1 == text.size() ? TimeFault::none : TimeFault::syntax;
  if (text[at] != '+' && text[at] != '-') return TimeFault::syntax;
  const bool west = text[at++] == '-';
  std::array<unsigned, 3> parts{};
  if (!two_digits(text, at, parts[0])) return TimeFault::syntax;
  at += 2;
  const bool colons = expect(text, at, ':');
  for (std::size_t i = 1; i < parts.size() && at < text.size(); ++i) {
    if (colons && !expect(text, at++, ':')) return TimeFault::syntax;
    if (!two_digits(text, at, parts[i])) return TimeFault::syntax;
    at += 2;
  }
  if (at != text.size() || parts[0] > 15 || parts[1] > 59 || parts[2] > 59) return TimeFault::syntax;
  const auto seconds = static_cast<std::int32_t>(parts[0] * 3600 + parts[1] * 60 + parts[2]);
  out.offset_s = west ? -seconds : seconds;
  return TimeFault::none;
}

TimeFault take_fraction(std::string_view text, std::size_t& at, unsigned scale, std::int64_t& ticks) noexcept {
  ticks = 0;
  if (!expect(text, at, '.')) return TimeFault::none;
  const std::size_t begin = ++at;
  unsigned kept = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    if (kept < scale) {
      ticks = ticks * 10 + (text[at] - '0');
      ++kept;
    } else if (text[at] != '0') {
      return TimeFault::fraction;
    }
  }
  if (at == begin || at - begin > 9) return TimeFault::syntax;
  ticks *= ten_to[scale - kept];
  return TimeFault::none;
}

}  // namespace

void append_date(std::string& out, std::int64_t days) {
  std::array<char, 40> buffer{};
  out.append(buffer.data(), put_date(buffer.data(), buffer.data() + buffer.size(), days));
}

void append_timestamp(std::string& out, std::int64_t ticks, unsigned scale, bool zulu) {
  const std::int64_t unit = ten_to[scale];
  std::int64_t seconds = ticks / unit;
  std::int64_t fraction = ticks % unit;
  if (fraction < 0) {
    fraction += unit;
    --seconds;
  }
  std::int64_t days = seconds / seconds_a_day;
  std::int64_t rest = seconds % seconds_a_day;
  if (rest < 0) {
    rest += seconds_a_day;
    --days;
  }
  std::array<char, 64> buffer{};
  char* p = put_date(buffer.data(), buffer.data() + buffer.size(), days);
  *p++ = 'T';
  p = put_digits(p, static_cast<std::uint64_t>(rest / 3600), 2);
  *p++ = ':';
  p = put_digits(p, static_cast<std::uint64_t>(rest / 60 % 60), 2);
  *p++ = ':';
  p = put_digits(p, static_cast<std::uint64_t>(rest % 60), 2);
  if (scale != 0) {
    *p++ = '.';
    p = put_digits(p, static_cast<std::uint64_t>(fraction), scale);
  }
  if (zulu) *p++ = 'Z';
  out.append(buffer.data(), p);
}

void append_clock(std::string& out, std::int64_t ticks, unsigned scale) {
  const std::int64_t unit = ten_to[scale];
  const std::int64_t seconds = ticks / unit;
  std::array<char, 32> buffer{};
  char* p = put_digits(buffer.data(), static_cast<std::uint64_t>(seconds / 3600), 2);
  *p++ = ':';
  p = put_digits(p, static_cast<std::uint64_t>(seconds / 60 % 60), 2);
  *p++ = ':';
  p = put_digits(p, static_cast<std::uint64_t>(seconds % 60), 2);
  if (scale != 0) {
    *p++ = '.';
    p = put_digits(p, static_cast<std::uint64_t>(ticks % unit), scale);
  }
  out.append(buffer.data(), p);
}

TimeFault parse_clock(std::string_view text, unsigned scale, std::int64_t& ticks) {
  unsigned hour = 0, minute = 0, second = 0;
  if (!two_digits(text, 0, hour) || !expect(text, 2, ':') || !two_digits(text, 3, minute) || !expect(text, 5, ':') ||
      !two_digits(text, 6, second) || minute > 59 || second > 59) {
    return TimeFault::syntax;
  }
  std::size_t at = 8;
  std::int64_t fraction = 0;
  if (const TimeFault fault = take_fraction(text, at, scale, fraction); fault != TimeFault::none) return fault;
  if (at != text.size()) return TimeFault::syntax;
  ticks = static_cast<std::int64_t>(hour * 3600 + minute * 60 + second) * ten_to[scale] + fraction;
  return ticks <= seconds_a_day * ten_to[scale] ? TimeFault::none : TimeFault::range;
}

TimeFault parse_date(std::string_view text, std::int64_t& days) {
  std::size_t at = 0;
  if (const TimeFault fault = take_date(text, at, days); fault != TimeFault::none) return fault;
  return at == text.size() ? TimeFault::none : TimeFault::syntax;
}

TimeFault parse_timestamp(std::string_view text, unsigned scale, ParsedTime& out) {
  std::size_t at = 0;
  std::int64_t days = 0;
  out = {};
  if (const TimeFault fault = take_date(text, at, days); fault != TimeFault::none) return fault;
  if (!expect(text, at, 'T') && !expect(text, at, ' ') && !expect(text, at, 't')) return TimeFault::syntax;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  if (!two_digits(text, at + 1, hour) || !expect(text, at + 3, ':') || !two_digits(text, at + 4, minute) ||
      !expect(text, at + 6, ':') || !two_digits(text, at + 7, second) || hour > 23 || minute > 59 || second > 59) {
    return TimeFault::syntax;
  }
  at += 9;
  std::int64_t fraction = 0;
  if (const TimeFault fault = take_fraction(text, at, scale, fraction); fault != TimeFault::none) return fault;
  if (const TimeFault fault = take_zone(text, at, out); fault != TimeFault::none) return fault;
  // Wider than 64 bits, since the smallest value's day begins before it.
  __extension__ typedef __int128 Wide;
  const Wide seconds = static_cast<Wide>(days) * seconds_a_day + (hour * 3600 + minute * 60 + second);
  const Wide ticks = seconds * ten_to[scale] + fraction;
  if (ticks < std::numeric_limits<std::int64_t>::min() || ticks > std::numeric_limits<std::int64_t>::max())
    return TimeFault::range;
  out.ticks = static_cast<std::int64_t>(ticks);
  return TimeFault::none;
}

bool to_instant(const ParsedTime& time, unsigned scale, std::int64_t& ticks) noexcept {
  return !__builtin_sub_overflow(time.ticks, time.offset_s * ten_to[scale], &ticks);
}

}  // namespace pgch::codec
