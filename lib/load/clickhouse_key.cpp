// Keys as SQL literals, to find rows again. Values come from the batch in the target's own form.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "clickhouse/sql.h"
#include "load/clickhouse_table.h"

namespace pgch::ch {
namespace {

__extension__ using Wide = __int128;
__extension__ using WideUnsigned = unsigned __int128;

constexpr std::size_t condition_bytes_max = 1U << 20;

template <class T>
T get(std::span<const std::byte> value) noexcept {
  T v{};
  std::memcpy(&v, value.data(), std::min(sizeof(v), value.size()));
  return v;
}

std::string uuid_text(std::span<const std::byte> value) {
  const auto high = get<std::uint64_t>(value.first(8)), low = get<std::uint64_t>(value.subspan(8));
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF, low >> 48,
                     low & 0xFFFF'FFFF'FFFF);
}

std::string decimal_text(Wide value, std::uint8_t scale) {
  const bool negative = value < 0;
  auto rest =
      negative ? static_cast<WideUnsigned>(0) - static_cast<WideUnsigned>(value) : static_cast<WideUnsigned>(value);
  std::string digits;
  while (rest != 0 || digits.size() <= scale) {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
    if (digits.size() == scale) digits.push_back('.');
  }
  if (digits.back() == '.') digits.push_back('0');
  if (negative) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  if (scale == 0) digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
  return digits;
}

std::string literal(const ColumnSpec& c, std::span<const std::byte> value) {
  switch (c.kind) {
    case Kind::boolean:
    case Kind::uint8:
      return std::to_string(get<std::uint8_t>(value));
    case Kind::int8:
      return std::to_string(get<std::int8_t>(value));
    case Kind::int16:
      return std::to_string(get<std::int16_t>(value));
    case Kind::int32:
    case Kind::date:
      return std::to_string(get<std::int32_t>(value));
    case Kind::int64:
    case Kind::timestamp:
    case Kind::timestamptz:
      return std::to_string(get<std::int64_t>(value));
    case Kind::uint16:
    case Kind::date16:
      return std::to_string(get<std::uint16_t>(value));
    case Kind::uint32:
    case Kind::datetime:
      return std::to_string(get<std::uint32_t>(value));
    case Kind::uint64:
      return std::to_string(get<std::uint64_t>(value));
    case Kind::decimal:
      if (value.size() == 4) return quote_text(decimal_text(get<std::int32_t>(value), c.scale));
      if (value.size() == 8) return quote_text(decimal_text(get<std::int64_t>(value), c.scale));
      return quote_text(decimal_text(get<Wide>(value), c.scale));
    case Kind::uuid:
      return quote_text(uuid_text(value));
    case Kind::time:
      return std::to_string(get<std::int64_t>(value));
    case Kind::float32:
    case Kind::float64:
    case Kind::int256:
    case Kind::ipv6:
    case Kind::array:
    case Kind::tuple:
    case Kind::map:
      break;  // can_be_literal says no
    case Kind::text:
    case Kind::bytes:
    case Kind::json:
    case Kind::enumeration:
      return quote_text({reinterpret_cast<const char*>(value.data()), value.size()});
  }
  return "NULL";
}

// Times and dates are compared as the whole numbers they are: as text they would depend on time zones and on the
// parser.
std::string expression(const ColumnPlan& column) {
  const std::string name = quote_name(column.wire.name);
  switch (column.wire.kind) {
    case Kind::date:
      return "toInt32(" + name + ")";
    case Kind::date16:
      return "toUInt16(" + name + ")";
    case Kind::datetime:
      return "toUInt32(" + name + ")";
    case Kind::timestamp:
    case Kind::timestamptz:
    case Kind::time:
      return "reinterpretAsInt64(" + name + ")";
    default:
      return name;
  }
}

}  // namespace

bool can_be_literal(const ColumnSpec& wire) noexcept {
  return wire.kind != Kind::float32 && wire.kind != Kind::float64 && wire.kind != Kind::int256 &&
         wire.kind != Kind::ipv6 && !is_nested(wire.kind) && !(wire.kind == Kind::decimal && wire.precision > 38);
}

std::optional<std::string> key_condition(const TablePlan& plan, const std::vector<const Column*>& key,
                                         std::size_t first, std::size_t& last) {
  const bool one = plan.key.size() == 1;
  std::string out = one ? "" : "(";
  for (std::size_t k = 0; k < plan.key.size(); ++k) {
    const ColumnPlan& column = plan.columns[plan.key[k]];
    if (!can_be_literal(column.wire)) return std::nullopt;
    out += (k == 0 ? "" : ", ") + expression(column);
  }
  out += one ? " IN (" : ") IN (";
  for (std::size_t r = first; r < last; ++r) {
    if (r != first) out += ", ";
    if (!one) out += '(';
    for (std::size_t k = 0; k < plan.key.size(); ++k) {
      const ColumnSpec& wire = plan.columns[plan.key[k]].wire;
      if (k != 0) out += ", ";
      out += literal(wire, key[k]->at(r, width_of(layout_of(wire))));
    }
    if (!one) out += ')';
    if (out.size() >= condition_bytes_max) last = r + 1;
  }
  return out + ")";
}

}  // namespace pgch::ch
