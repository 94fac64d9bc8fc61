#include "codec/wide_decimal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace pgch::codec {
namespace {

__extension__ typedef unsigned __int128 Wide;
// Little-endian limbs; two's complement where a sign matters.
using Limbs = std::array<std::uint64_t, 4>;
constexpr std::uint64_t ten_to_19 = 10'000'000'000'000'000'000U;

void negate(Limbs& limbs) noexcept {
  std::uint64_t carry = 1;
  for (std::uint64_t& limb : limbs) {
    limb = ~limb + carry;
    carry = carry != 0 && limb == 0 ? 1 : 0;
  }
}

std::uint64_t divide(Limbs& limbs, std::uint64_t divisor) noexcept {
  Wide rest = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    const Wide current = (rest << 64U) | limbs[i];
    limbs[i] = static_cast<std::uint64_t>(current / divisor);
    rest = current % divisor;
  }
  return static_cast<std::uint64_t>(rest);
}

void multiply_add(Limbs& limbs, std::uint64_t factor, std::uint64_t addend) noexcept {
  Wide carry = addend;
  for (std::uint64_t& limb : limbs) {
    const Wide product = static_cast<Wide>(limb) * factor + carry;
    limb = static_cast<std::uint64_t>(product);
    carry = product >> 64U;
  }
}

/// Digits of a non-negative number, most significant first, without leading zeros (none at all for 0).
std::size_t digits_of(Limbs magnitude, char* end) noexcept {
  char* p = end;
  while (magnitude != Limbs{}) {
    std::uint64_t part = divide(magnitude, ten_to_19);
    const bool last = magnitude == Limbs{};
    for (int i = 0; i < 19 && (!last || part != 0); ++i, part /= 10) *--p = static_cast<char>('0' + part % 10);
  }
  return static_cast<std::size_t>(end - p);
}

struct Parts {
  bool negative = false;
  std::string_view whole, fraction;
  std::int64_t exponent = 0;
};

bool take_digits(std::string_view text, std::size_t& at, std::string_view& out) noexcept {
  const std::size_t begin = at;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  out = text.substr(begin, at - begin);
  return !out.empty();
}

bool split(std::string_view text, Parts& parts) noexcept {
  std::size_t at = 0;
  if (at < text.size() && text[at] == '-') {
    parts.negative = true;
    ++at;
  }
  if (!take_digits(text, at, parts.whole) || (parts.whole.size() > 1 && parts.whole[0] == '0')) return false;
  if (at < text.size() && text[at] == '.' && !take_digits(text, ++at, parts.fraction)) return false;
  if (at == text.size()) return true;
  if (text[at] != 'e' && text[at] != 'E') return false;
  bool down = false;
  if (++at < text.size() && (text[at] == '+' || text[at] == '-')) down = text[at++] == '-';
  std::string_view digits;
  if (!take_digits(text, at, digits) || at != text.size()) return false;
  // Saturates: nothing that fits has such an exponent, and zero does not care.
  for (const char c : digits)
    parts.exponent = std::min<std::int64_t>(parts.exponent * 10 + (c - '0'), 1'000'000'000'000);
  if (down) parts.exponent = -parts.exponent;
  return true;
}

/// The number's digits with leading zeros gone, as one sequence over both parts.
struct Digits {
  std::string_view whole, fraction;
  std::size_t size() const noexcept { return whole.size() + fraction.size(); }
  char operator[](std::size_t i) const noexcept { return i < whole.size() ? whole[i] : fraction[i - whole.size()]; }
};

void strip_zeros(Digits& digits) noexcept {
  digits.whole.remove_prefix(std::min(digits.whole.find_first_not_of('0'), digits.whole.size()));
  if (digits.whole.empty()) {
    digits.fraction.remove_prefix(std::min(digits.fraction.find_first_not_of('0'), digits.fraction.size()));
  }
}

}  // namespace

void append_decimal(std::string& out, std::span<const std::byte> value, unsigned scale) {
  Limbs limbs{};
  const bool negative = (value.back() & std::byte{0x80}) != std::byte{0};
  if (negative) limbs.fill(~std::uint64_t{0});
  std::memcpy(limbs.data(), value.data(), std::min(value.size(), sizeof(limbs)));
  if (negative) {
    negate(limbs);
    out += '-';
  }
  std::array<char, 96> buffer{};
  char* const end = buffer.data() + buffer.size();
  std::size_t n = 0;
  if ((limbs[1] | limbs[2] | limbs[3]) == 0) {
    char* p = end;
    for (std::uint64_t v = limbs[0]; v != 0; v /= 10) *--p = static_cast<char>('0' + v % 10);
    n = static_cast<std::size_t>(end - p);
  } else {
    n = digits_of(limbs, end);
  }
  const std::size_t whole = n > scale ? n - scale : 0;
  if (whole == 0) out += '0';
  out.append(end - n, whole);
  if (scale == 0) return;
  out += '.';
  out.append(scale - (n - whole), '0');
  out.append(end - (n - whole), n - whole);
}

NumberFault parse_decimal(std::string_view text, unsigned precision, unsigned scale, std::span<std::byte> out) {
  Parts parts;
  if (!split(text, parts)) return NumberFault::syntax;
  Digits digits{parts.whole, parts.fraction};
  strip_zeros(digits);
  Limbs limbs{};
  if (digits.size() != 0) {
    // The integer wanted is digits × 10^shift.
    const std::int64_t shift = parts.exponent - static_cast<std::int64_t>(parts.fraction.size()) + scale;
    const auto size = static_cast<std::int64_t>(digits.size());
    const std::int64_t keep = shift >= 0 ? size : std::max<std::int64_t>(size + shift, 0);
    for (std::int64_t i = keep; i < size; ++i) {
      if (digits[static_cast<std::size_t>(i)] != '0') return NumberFault::fraction;
    }
    if (size + shift > static_cast<std::int64_t>(precision)) return NumberFault::range;
    for (std::int64_t i = 0; i < keep; ++i) {
      multiply_add(limbs, 10, static_cast<std::uint64_t>(digits[static_cast<std::size_t>(i)] - '0'));
    }
    for (std::int64_t i = 0; i < shift; ++i) multiply_add(limbs, 10, 0);
  }
  if (parts.negative) negate(limbs);
  std::memcpy(out.data(), limbs.data(), std::min(out.size(), sizeof(limbs)));
  return NumberFault::none;
}

bool is_json_number(std::string_view text) noexcept {
  Parts parts;
  return split(text, parts);
}

}  // namespace pgch::codec
