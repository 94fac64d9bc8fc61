// Values that become texts, just as PostgreSQL's own output functions print them.
#include <array>
#include <charconv>
#include <limits>

#include "pg/values.h"

namespace pgch::pg {
namespace {

using Bytes = std::vector<std::byte>;
using Cell = std::span<const std::byte>;

void put(Bytes& out, std::string_view text) { put_raw(out, text.data(), text.size()); }
void put(Bytes& out, char c) { out.push_back(static_cast<std::byte>(c)); }

void put_number(Bytes& out, std::int64_t number) {
  std::array<char, 24> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  put(out, std::string_view(text.data(), static_cast<std::size_t>(end - text.data())));
}
void put_two(Bytes& out, std::uint64_t number) {
  put(out, static_cast<char>('0' + number / 10 % 10));
  put(out, static_cast<char>('0' + number % 10));
}

// ".5", ".000001": without zeros at the end; nothing for zero.
void put_fraction(Bytes& out, std::uint64_t us) {
  if (us == 0) return;
  std::array<char, 7> text{'.'};
  for (std::size_t i = 6; i > 0; --i, us /= 10) text[i] = static_cast<char>('0' + us % 10);
  std::string_view view(text.data(), text.size());
  while (view.back() == '0') view.remove_suffix(1);
  put(out, view);
}

Decoded timetz_text(Cell cell, Bytes& out) {
  if (cell.size() != 12) return malformed("has not the 12 bytes of a time with time zone");
  const auto us = read_big<std::int64_t>(cell.data());
  const auto west = read_big<std::int32_t>(cell.data() + 8);
  if (us < 0 || us > us_a_day || west <= -24 * 3600 || west >= 24 * 3600) return malformed("is not a time of day");
  const auto seconds = static_cast<std::uint64_t>(us / 1'000'000);
  put_two(out, seconds / 3600);
  put(out, ':');
  put_two(out, seconds / 60 % 60);
  put(out, ':');
  put_two(out, seconds % 60);
  put_fraction(out, static_cast<std::uint64_t>(us % 1'000'000));
  put(out, west <= 0 ? '+' : '-');
  const auto offset = static_cast<std::uint64_t>(west < 0 ? -west : west);
  put_two(out, offset / 3600);
  if (offset % 3600 == 0) return {};
  put(out, ':');
  put_two(out, offset / 60 % 60);
  if (offset % 60 == 0) return {};
  put(out, ':');
  put_two(out, offset % 60);
  return {};
}

void put_part(Bytes& out, std::int64_t number, char unit) {
  if (number == 0) return;
  put_number(out, number);
  put(out, unit);
}

// EncodeInterval's INTSTYLE_ISO_8601: each part with a sign of its own.
Decoded interval_text(Cell cell, Bytes& out) {
  if (cell.size() != 16) return malformed("has not the 16 bytes of an interval");
  const auto us = read_big<std::int64_t>(cell.data());
  const auto days = read_big<std::int32_t>(cell.data() + 8), months = read_big<std::int32_t>(cell.data() + 12);
  using Small = std::numeric_limits<std::int32_t>;
  using Large = std::numeric_limits<std::int64_t>;
  // From PostgreSQL 17 on.
  if (us == Large::max() && days == Small::max() && months == Small::max()) return put(out, "infinity"), Decoded{};
  if (us == Large::min() && days == Small::min() && months == Small::min()) return put(out, "-infinity"), Decoded{};
  if (us == 0 && days == 0 && months == 0) return put(out, "PT0S"), Decoded{};
  put(out, 'P');
  put_part(out, months / 12, 'Y');
  put_part(out, months % 12, 'M');
  put_part(out, days, 'D');
  if (us == 0) return {};
  put(out, 'T');
  constexpr std::int64_t hour = 3'600'000'000, minute = 60'000'000, second = 1'000'000;
  put_part(out, us / hour, 'H');
  put_part(out, us % hour / minute, 'M');
  const std::int64_t rest = us % minute;
  if (rest == 0) return {};
  if (rest < 0) put(out, '-');
  const auto magnitude = static_cast<std::uint64_t>(rest < 0 ? -rest : rest);
  put_number(out, static_cast<std::int64_t>(magnitude / second));
  put_fraction(out, magnitude % second);
  put(out, 'S');
  return {};
}

void put_ipv4(Bytes& out, Cell address) {
  for (std::size_t i = 0; i < 4; ++i) {
    if (i != 0) put(out, '.');
    put_number(out, std::to_integer<std::int64_t>(address[i]));
  }
}

// As PostgreSQL prints it (inet_net_ntop.c): the longest run of zero words, the first of equals, becomes "::".
void put_ipv6(Bytes& out, Cell address) {
  std::array<unsigned, 8> words{};
  for (std::size_t i = 0; i < 8; ++i)
    words[i] = (std::to_integer<unsigned>(address[2 * i]) << 8) | std::to_integer<unsigned>(address[2 * i + 1]);
  std::size_t best = 8, best_length = 1;
  for (std::size_t i = 0; i < 8;) {
    std::size_t end = i;
    while (end < 8 && words[end] == 0) ++end;
    if (end - i > best_length) {
      best = i;
      best_length = end - i;
    }
    i = end + (end == i ? 1 : 0);
  }
  for (std::size_t i = 0; i < 8; ++i) {
    if (i >= best && i < best + best_length) {
      if (i == best) put(out, ':');
      continue;
    }
    if (i != 0) put(out, ':');
    const bool mapped = best == 0 && (best_length == 6 || (best_length == 7 && words[7] != 1) ||
                                      (best_length == 5 && words[5] == 0xFFFF));
    if (i == 6 && mapped) return put_ipv4(out, address.subspan(12));
    std::array<char, 8> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), words[i], 16).ptr;
    put(out, std::string_view(text.data(), static_cast<std::size_t>(end - text.data())));
  }
  if (best < 8 && best + best_length == 8) put(out, ':');
}

Decoded inet_text(Cell cell, Bytes& out) {
  const std::size_t bytes = cell.size() - 4;
  if (cell.size() < 4 || (bytes != 4 && bytes != 16) || std::to_integer<std::size_t>(cell[3]) != bytes ||
      std::to_integer<unsigned>(cell[0]) != (bytes == 4 ? 2U : 3U))
    return malformed("is not an inet of a form that pgch knows");
  const auto bits = std::to_integer<std::size_t>(cell[1]);
  if (bits > bytes * 8) return malformed("is not an inet of a form that pgch knows");
  if (bytes == 4) {
    put_ipv4(out, cell.subspan(4));
  } else {
    put_ipv6(out, cell.subspan(4));
  }
  const bool cidr = std::to_integer<unsigned>(cell[2]) != 0;
  if (bits == bytes * 8 && !cidr) return {};
  put(out, '/');
  put_number(out, static_cast<std::int64_t>(bits));
  return {};
}

Decoded macaddr_text(Cell cell, Bytes& out) {
  if (cell.size() != 6 && cell.size() != 8) return malformed("is not a macaddr");
  constexpr std::string_view hex = "0123456789abcdef";
  for (std::size_t i = 0; i < cell.size(); ++i) {
    if (i != 0) put(out, ':');
    put(out, hex[std::to_integer<std::size_t>(cell[i]) >> 4]);
    put(out, hex[std::to_integer<std::size_t>(cell[i]) & 15]);
  }
  return {};
}

Decoded bits_text(Cell cell, Bytes& out) {
  if (cell.size() < 4) return malformed("is not a bit string");
  const auto bits = read_big<std::int32_t>(cell.data());
  const Cell bytes = cell.subspan(4);
  if (bits < 0 || bytes.size() != (static_cast<std::size_t>(bits) + 7) / 8) return malformed("is not a bit string");
  for (std::size_t i = 0; i < static_cast<std::size_t>(bits); ++i)
    put(out, (std::to_integer<unsigned>(bytes[i / 8]) >> (7 - i % 8) & 1U) != 0 ? '1' : '0');
  return {};
}

}  // namespace

Decoded decode_text(const FieldPlan& field, Cell cell, bool, Bytes& out) {
  switch (field.decoder) {
    case Decoder::raw:
      put_raw(out, cell.data(), cell.size());
      return {};
    case Decoder::jsonb:
      if (cell.empty() || cell[0] != std::byte{1}) return malformed("is a jsonb of a version that pgch does not know");
      put_raw(out, cell.data() + 1, cell.size() - 1);
      return {};
    case Decoder::numeric_text:
      return text_from_numeric(cell, out) == NumericOutcome::ok ? Decoded{} : malformed("is not a numeric");
    case Decoder::timetz_text:
      return timetz_text(cell, out);
    case Decoder::interval_text:
      return interval_text(cell, out);
    case Decoder::inet_text:
      return inet_text(cell, out);
    case Decoder::macaddr_text:
      return macaddr_text(cell, out);
    case Decoder::bits_text:
      return bits_text(cell, out);
    default:
      return malformed("has no decoder");
  }
}

}  // namespace pgch::pg
