// Values of fixed width, and the choice among all decoders.
#include "pg/values.h"

#include <algorithm>
#include <limits>

#include "model/packed.h"

namespace pgch::pg {
namespace {

using Bytes = std::vector<std::byte>;
using Cell = std::span<const std::byte>;

template <class T>
Decoded swapped(Cell cell, Bytes& out) {
  if (cell.size() != sizeof(T)) return malformed("has not the bytes of its type");
  put_little(out, read_big<T>(cell.data()));
  return {};
}

Decoded decode_date(Cell cell, bool clamp, Bytes& out) {
  if (cell.size() != 4) return malformed("has not the 4 bytes of a date");
  const std::int64_t days = std::int64_t{read_big<std::int32_t>(cell.data())} + days_between;
  if ((days < first_day || days > last_day) && !clamp) return misfit(date_misfit);
  put_little(out, static_cast<std::int32_t>(std::clamp(days, first_day, last_day)));
  return {};
}

Decoded decode_timestamp(const FieldPlan& field, Cell cell, bool clamp, Bytes& out) {
  if (cell.size() != 8) return malformed("has not the 8 bytes of a timestamp");
  const auto ticks = read_big<std::int64_t>(cell.data());
  const std::int64_t first = first_tick(field.wide_years), last = last_tick(field.wide_years);
  if ((ticks < first || ticks > last) && !clamp) return misfit(timestamp_misfit(field.wide_years));
  put_little(out, std::clamp(ticks, first, last) + days_between * us_a_day);
  return {};
}

Decoded decode_time(Cell cell, Bytes& out) {
  if (cell.size() != 8) return malformed("has not the 8 bytes of a time");
  const auto ticks = read_big<std::int64_t>(cell.data());
  if (ticks < 0 || ticks > us_a_day) return malformed("is not a time of day");
  put_little(out, ticks);
  return {};
}

Decoded decode_decimal(const FieldPlan& field, Cell cell, bool clamp, Bytes& out) {
  std::byte value[32];
  const bool whole = field.decoder == Decoder::int256;
  const std::size_t width = width_of(field.layout);
  const unsigned precision = whole ? 76 : field.precision, scale = whole ? 0 : field.scale;
  NumericOutcome outcome = decimal_from_numeric(cell, precision, scale, width, value);
  if (clamp && outcome != NumericOutcome::ok && outcome != NumericOutcome::malformed)
    outcome = nearest_decimal(cell, precision, scale, width, value);
  if (outcome == NumericOutcome::malformed) return malformed(reason_of(outcome));
  if (outcome != NumericOutcome::ok) return misfit(reason_of(outcome));
  put_raw(out, value, width);
  return {};
}

Decoded decode_money(Cell cell, Bytes& out) {
  if (cell.size() != 8) return malformed("has not the 8 bytes of money");
  const auto units = read_big<std::int64_t>(cell.data());
  put_little(out, units);
  put_little(out, units < 0 ? std::int64_t{-1} : std::int64_t{0});
  return {};
}

// family (2: IPv4, 3: IPv6), bits of the mask, is it a cidr, bytes of the address, the address.
Decoded decode_ipv6(Cell cell, bool clamp, Bytes& out) {
  const std::size_t bytes = cell.size() - 4;
  if (cell.size() < 4 || (bytes != 4 && bytes != 16) || std::to_integer<std::size_t>(cell[3]) != bytes ||
      std::to_integer<unsigned>(cell[0]) != (bytes == 4 ? 2U : 3U))
    return malformed("is not an inet of a form that pgch knows");
  if (std::to_integer<std::size_t>(cell[1]) != bytes * 8 && !clamp)
    return misfit("has a netmask, which an IPv6 can't hold");
  if (bytes == 4) {
    out.resize(out.size() + 10);
    out.insert(out.end(), 2, std::byte{0xFF});
  }
  put_raw(out, cell.data() + 4, bytes);
  return {};
}

Decoded decode_macaddr_number(Cell cell, Bytes& out) {
  if (cell.size() != 6 && cell.size() != 8) return malformed("is not a macaddr");
  std::uint64_t number = 0;
  for (const std::byte b : cell) number = (number << 8) | std::to_integer<std::uint64_t>(b);
  put_little(out, number);
  return {};
}

Decoded decode_bits_number(Cell cell, bool clamp, Bytes& out) {
  if (cell.size() < 4) return malformed("is not a bit string");
  const auto bits = read_big<std::int32_t>(cell.data());
  const Cell bytes = cell.subspan(4);
  if (bits < 0 || bytes.size() != (static_cast<std::size_t>(bits) + 7) / 8) return malformed("is not a bit string");
  if (bits > 64) {
    if (!clamp) return misfit("has more than 64 bits");
    put_little(out, std::numeric_limits<std::uint64_t>::max());
    return {};
  }
  std::uint64_t number = 0;
  for (const std::byte b : bytes) number = (number << 8) | std::to_integer<std::uint64_t>(b);
  const unsigned unused = static_cast<unsigned>(bytes.size()) * 8 - static_cast<unsigned>(bits);
  put_little(out, number >> unused);
  return {};
}

}  // namespace

const char* reason_of(NumericOutcome outcome) noexcept {
  switch (outcome) {
    case NumericOutcome::ok:
      return "";
    case NumericOutcome::malformed:
      return "is not a numeric";
    case NumericOutcome::not_finite:
      return "is NaN or infinite, which a Decimal can't be";
    case NumericOutcome::too_large:
      return "has more digits before the point than the Decimal";
    case NumericOutcome::inexact:
      return "has more digits after the point than the Decimal";
  }
  return "";
}

Decoded decode_value(const FieldPlan& field, Cell cell, bool clamp, Bytes& out) {
  switch (field.decoder) {
    case Decoder::boolean:
      if (cell.size() != 1 || std::to_integer<unsigned>(cell[0]) > 1) return malformed("is not a boolean");
      out.push_back(cell[0]);
      return {};
    case Decoder::swap2:
      return swapped<std::uint16_t>(cell, out);
    case Decoder::swap4:
      return swapped<std::uint32_t>(cell, out);
    case Decoder::swap8:
      return swapped<std::uint64_t>(cell, out);
    case Decoder::uuid:
      if (cell.size() != 16) return malformed("has not the 16 bytes of a uuid");
      put_little(out, read_big<std::uint64_t>(cell.data()));
      put_little(out, read_big<std::uint64_t>(cell.data() + 8));
      return {};
    case Decoder::date:
      return decode_date(cell, clamp, out);
    case Decoder::timestamp:
      return decode_timestamp(field, cell, clamp, out);
    case Decoder::time:
      return decode_time(cell, out);
    case Decoder::decimal:
    case Decoder::int256:
      return decode_decimal(field, cell, clamp, out);
    case Decoder::money:
      return decode_money(cell, out);
    case Decoder::inet_ipv6:
      return decode_ipv6(cell, clamp, out);
    case Decoder::macaddr_number:
      return decode_macaddr_number(cell, out);
    case Decoder::bits_number:
      return decode_bits_number(cell, clamp, out);
    case Decoder::raw:
    case Decoder::jsonb:
    case Decoder::numeric_text:
    case Decoder::timetz_text:
    case Decoder::interval_text:
    case Decoder::inet_text:
    case Decoder::macaddr_text:
    case Decoder::bits_text:
      return decode_text(field, cell, clamp, out);
    default:
      return field.nested ? decode_nested(field, cell, clamp, out) : malformed("has no decoder");
  }
}

Decoded pack_cell(const FieldPlan& field, std::optional<Cell> cell, bool clamp, Bytes& out) {
  const bool nested = field.nested != nullptr;
  const bool has_null = field.nullable && !nested;
  const auto null = [&]() -> Decoded {
    if (has_null) {
      out.push_back(std::byte{1});
      return {};
    }
    if (!field.null_as_default && !clamp) return misfit("has a NULL within, where ClickHouse has none");
    if (nested) {
      put_packed_default(field.nested->shape, out);
    } else {
      out.resize(out.size() + std::max<std::size_t>(1, width_of(field.layout)));
    }
    return {};
  };
  if (!cell) return null();
  const std::size_t begin = out.size();
  if (has_null) out.push_back(std::byte{0});
  Decoded decoded;
  if (field.layout != Layout::varlen || nested) {
    decoded = decode_value(field, *cell, clamp, out);
  } else if (field.decoder == Decoder::raw) {
    put_text(out, as_text(*cell));
  } else {
    Bytes text;
    decoded = decode_value(field, *cell, clamp, text);
    put_text(out, as_text(text));
  }
  // One element that does not fit can be NULL where elements can; else the whole value is decided about.
  if (decoded.fit == Fit::misfit && field.misfit == Misfit::null && has_null) {
    out.resize(begin);
    return null();
  }
  return decoded;
}

}  // namespace pgch::pg
