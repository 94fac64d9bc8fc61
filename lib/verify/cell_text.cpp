#include "verify/cell_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "pgch/load/clickhouse.h"

namespace pgch::comparing {
namespace {

__extension__ using Wide = __int128;
__extension__ using WideUnsigned = unsigned __int128;

template <class T>
T get(std::span<const std::byte> cell) noexcept {
  T value{};
  std::memcpy(&value, cell.data(), std::min(sizeof(T), cell.size()));
  return value;
}

std::string digits_of(std::span<const std::byte> cell) {
  std::string out;
  for (const std::byte b : cell) out += fmt::format("{:02x}", std::to_integer<unsigned>(b));
  return out;
}

std::int64_t whole(std::span<const std::byte> cell) noexcept {
  switch (cell.size()) {
    case 1:
      return get<std::int8_t>(cell);
    case 2:
      return get<std::int16_t>(cell);
    case 4:
      return get<std::int32_t>(cell);
    default:
      return get<std::int64_t>(cell);
  }
}

std::uint64_t natural(std::span<const std::byte> cell) noexcept { return get<std::uint64_t>(cell); }

std::string decimal(std::span<const std::byte> cell, unsigned scale) {
  if (cell.size() > 16) return "0x" + digits_of(cell);
  const Wide value = cell.size() == 16 ? get<Wide>(cell) : static_cast<Wide>(whole(cell));
  auto rest = value < 0 ? WideUnsigned{0} - static_cast<WideUnsigned>(value) : static_cast<WideUnsigned>(value);
  std::string digits;
  while (rest != 0 || digits.size() <= scale) {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  }
  if (scale > 0) digits.insert(scale, ".");
  if (value < 0) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

// Days since 1970 as a date of the proleptic Gregorian calendar.
std::string date(std::int64_t days) {
  const std::int64_t z = days + 719'468, era = (z >= 0 ? z : z - 146'096) / 146'097, doe = z - era * 146'097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  return fmt::format("{:04}-{:02}-{:02}", yoe + era * 400 + (month <= 2 ? 1 : 0), month, doy - (153 * mp + 2) / 5 + 1);
}

std::string clock(std::int64_t ticks, unsigned scale) {
  std::int64_t unit = 1;
  for (unsigned i = 0; i < scale; ++i) unit *= 10;
  const std::int64_t seconds = ticks / unit, part = ticks % unit;
  std::string out = fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (part == 0) return out;
  out += fmt::format(".{:0{}}", part, scale);
  out.erase(out.find_last_not_of('0') + 1);
  return out;
}

std::string moment(std::int64_t ticks, unsigned scale, bool zone) {
  std::int64_t day = 86'400;
  for (unsigned i = 0; i < scale; ++i) day *= 10;
  std::int64_t days = ticks / day, rest = ticks % day;
  if (rest < 0) {
    rest += day;
    --days;
  }
  return date(days) + " " + clock(rest, scale) + (zone ? "+00" : "");
}

std::string uuid(std::span<const std::byte> cell) {
  const auto high = get<std::uint64_t>(cell.first(8)), low = get<std::uint64_t>(cell.subspan(8));
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF, low >> 48,
                     low & 0xFFFF'FFFF'FFFF);
}

}  // namespace

std::string cell_text(const ColumnSpec& column, std::span<const std::byte> cell) {
  switch (column.kind) {
    case Kind::boolean:
      return cell[0] == std::byte{0} ? "f" : "t";
    case Kind::int8:
    case Kind::int16:
    case Kind::int32:
    case Kind::int64:
      return std::to_string(whole(cell));
    case Kind::uint8:
    case Kind::uint16:
    case Kind::uint32:
    case Kind::uint64:
      return std::to_string(natural(cell));
    case Kind::float32:
      return fmt::format("{}", get<float>(cell));
    case Kind::float64:
      return fmt::format("{}", get<double>(cell));
    case Kind::decimal:
      return decimal(cell, column.scale);
    case Kind::date16:
      return date(get<std::uint16_t>(cell));
    case Kind::date:
      return date(whole(cell));
    case Kind::datetime:
      return moment(get<std::uint32_t>(cell), 0, true);
    case Kind::timestamp:
    case Kind::timestamptz:
      return moment(whole(cell), column.scale, column.kind == Kind::timestamptz);
    case Kind::uuid:
      return uuid(cell);
    case Kind::text:
    case Kind::json:
    case Kind::enumeration:
      return std::string(as_text(cell));
    default:  // bytes, times, and what has no short text
      if (column.scale == 6 && cell.size() == 8) return clock(whole(cell), column.scale);
  }
  return "\\x" + digits_of(cell);
}

std::optional<KeyLiteral> key_literal(const ColumnSpec& column, std::span<const std::byte> cell) {
  const std::string name = quote_clickhouse(column.name);
  switch (column.kind) {
    case Kind::boolean:
      return KeyLiteral{name, cell[0] == std::byte{0} ? "0" : "1"};
    case Kind::int8:
    case Kind::int16:
    case Kind::int32:
    case Kind::int64:
    case Kind::uint8:
    case Kind::uint16:
    case Kind::uint32:
    case Kind::uint64:
      return KeyLiteral{name, cell_text(column, cell)};
    case Kind::decimal:
      if (cell.size() > 16) return std::nullopt;
      return KeyLiteral{name, "'" + decimal(cell, column.scale) + "'"};
    // As the whole numbers they are: as text they would depend on time zones and on the parser.
    case Kind::date:
    case Kind::date16:
      return KeyLiteral{"toInt32(" + name + ")",
                        std::to_string(cell.size() == 2 ? get<std::uint16_t>(cell) : whole(cell))};
    case Kind::datetime:
      return KeyLiteral{"toUInt32(" + name + ")", std::to_string(get<std::uint32_t>(cell))};
    case Kind::timestamp:
    case Kind::timestamptz:
      return KeyLiteral{fmt::format("reinterpretAsInt64(CAST({} AS DateTime64({}, 'UTC')))", name, column.scale),
                        std::to_string(whole(cell))};
    case Kind::uuid:
      return KeyLiteral{"toString(" + name + ")", "'" + uuid(cell) + "'"};
    case Kind::text:
    case Kind::bytes:
    case Kind::json:
    case Kind::enumeration:
      // In hexadecimal digits there is nothing to escape.
      return KeyLiteral{"hex(CAST(" + name + " AS String))", "'" + [&] {
                          std::string digits = digits_of(cell);
                          for (char& c : digits) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
                          return digits;
                        }() + "'"};
    default:
      return std::nullopt;
  }
}

}  // namespace pgch::comparing
