#include "pg/numeric.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.h"

namespace pgch::pg {
namespace {

__extension__ using Wide = unsigned __int128;
constexpr std::uint16_t negative = 0x4000, nan = 0xC000, plus_infinity = 0xD000, minus_infinity = 0xF000;
constexpr std::array<std::uint64_t, 5> small_powers{1, 10, 100, 1000, 10000};

/// 256 bits, little-endian limbs.
struct Limbs {
  std::array<std::uint64_t, 4> v{};
  /// this = this · factor + addend; false if it no longer fits.
  constexpr bool multiply_add(std::uint64_t factor, std::uint64_t addend) noexcept {
    Wide carry = addend;
    for (std::uint64_t& limb : v) {
      const Wide product = static_cast<Wide>(limb) * factor + carry;
      limb = static_cast<std::uint64_t>(product);
      carry = product >> 64;
    }
    return carry == 0;
  }
  bool operator<(const Limbs& other) const noexcept {
    for (std::size_t i = v.size(); i-- > 0;) {
      if (v[i] != other.v[i]) return v[i] < other.v[i];
    }
    return false;
  }
  void negate() noexcept {
    std::uint64_t carry = 1;
    for (std::uint64_t& limb : v) {
      limb = ~limb + carry;
      carry = (carry != 0 && limb == 0) ? 1 : 0;
    }
  }
};

constexpr std::size_t powers = 77;
constexpr std::array<Limbs, powers> make_powers() noexcept {
  std::array<Limbs, powers> out{};
  out[0].v[0] = 1;
  for (std::size_t i = 1; i < powers; ++i) {
    out[i] = out[i - 1];
    out[i].multiply_add(10, 0);
  }
  return out;
}
constexpr std::array<Limbs, powers> powers_of_ten = make_powers();

struct Head {
  std::uint16_t digits = 0;
  std::int16_t weight = 0;
  std::uint16_t sign = 0;
  std::uint16_t dscale = 0;
  const std::byte* at = nullptr;
  unsigned digit(std::size_t i) const noexcept {
    return (std::to_integer<unsigned>(at[2 * i]) << 8) | std::to_integer<unsigned>(at[2 * i + 1]);
  }
};

bool read_head(std::span<const std::byte> wire, Head& head) noexcept {
  ByteReader in(wire);
  head.digits = in.big<std::uint16_t>();
  head.weight = in.big<std::int16_t>();
  head.sign = in.big<std::uint16_t>();
  head.dscale = in.big<std::uint16_t>();
  if (!in.ok() || in.left() != std::size_t{2} * head.digits) return false;
  head.at = wire.data() + 8;
  for (std::size_t i = 0; i < head.digits; ++i) {
    if (head.digit(i) > 9999) return false;
  }
  return head.sign == 0 || head.sign == negative || head.sign == nan || head.sign == plus_infinity ||
         head.sign == minus_infinity;
}

/// |value| · 10^scale into `out`.
NumericOutcome scaled(const Head& head, unsigned precision, unsigned scale, Limbs& out) noexcept {
  int exponent = 0;  // power of ten of the last digit group taken
  for (std::size_t i = 0; i < head.digits; ++i) {
    const unsigned digit = head.digit(i);
    exponent = 4 * (head.weight - static_cast<int>(i)) + static_cast<int>(scale);
    // A group that is not zero and lies at 10^precision or above can't fit: also what bounds the work below.
    if (exponent >= static_cast<int>(precision)) {
      if (digit != 0) return NumericOutcome::too_large;
      continue;
    }
    if (exponent >= 0) {
      if (!out.multiply_add(10000, digit)) return NumericOutcome::too_large;
    } else if (exponent > -4) {
      const std::uint64_t cut = small_powers[static_cast<std::size_t>(-exponent)];
      if (digit % cut != 0) return NumericOutcome::inexact;
      if (!out.multiply_add(small_powers[static_cast<std::size_t>(4 + exponent)], digit / cut))
        return NumericOutcome::too_large;
    } else if (digit != 0) {
      return NumericOutcome::inexact;
    }
  }
  // Trailing zero groups are not sent. Nothing but zeros so far may have a huge exponent: it stays zero.
  for (; exponent > 0 && exponent < static_cast<int>(precision); --exponent) {
    if (!out.multiply_add(10, 0)) return NumericOutcome::too_large;
  }
  return out < powers_of_ten[precision] ? NumericOutcome::ok : NumericOutcome::too_large;
}

}  // namespace

NumericOutcome decimal_from_numeric(std::span<const std::byte> wire, unsigned precision, unsigned scale,
                                    std::size_t width, std::byte* out) noexcept {
  Head head;
  if (precision == 0 || precision >= powers || scale > precision || !read_head(wire, head))
    return NumericOutcome::malformed;
  if (head.sign != 0 && head.sign != negative) return NumericOutcome::not_finite;
  Limbs value;
  if (const NumericOutcome o = scaled(head, precision, scale, value); o != NumericOutcome::ok) return o;
  if (head.sign == negative) value.negate();
  std::memcpy(out, value.v.data(), width);
  return NumericOutcome::ok;
}

NumericOutcome nearest_decimal(std::span<const std::byte> wire, unsigned precision, unsigned scale, std::size_t width,
                               std::byte* out) noexcept {
  Head head;
  if (precision == 0 || precision >= powers || scale > precision || !read_head(wire, head))
    return NumericOutcome::malformed;
  if (head.sign == nan) return NumericOutcome::not_finite;
  Limbs value;
  bool largest = head.sign == plus_infinity || head.sign == minus_infinity, rounded_up = false;
  for (int position = std::max(4 * head.weight + 3, -static_cast<int>(scale) - 1); !largest; --position) {
    // The decimal digit that stands for 10^position.
    const auto group = static_cast<std::size_t>(head.weight - (position >= 0 ? position / 4 : (position - 3) / 4));
    const bool in_wire = position <= 4 * head.weight + 3 && group < head.digits;
    const unsigned digit =
        in_wire ? static_cast<unsigned>(head.digit(group) /
                                        small_powers[static_cast<std::size_t>((position % 4 + 4) % 4)] % 10)
                : 0;
    if (position < -static_cast<int>(scale)) {
      rounded_up = digit >= 5;
      break;
    }
    largest = !value.multiply_add(10, digit) || !(value < powers_of_ten[precision]);
  }
  if (rounded_up) value.multiply_add(1, 1);
  if (largest || !(value < powers_of_ten[precision])) {
    value = powers_of_ten[precision];
    value.negate();
    value.multiply_add(1, 1);
    value.negate();  // 10^precision - 1
  }
  if (head.sign == negative || head.sign == minus_infinity) value.negate();
  std::memcpy(out, value.v.data(), width);
  return NumericOutcome::ok;
}

NumericOutcome text_from_numeric(std::span<const std::byte> wire, std::vector<std::byte>& out) {
  Head head;
  if (!read_head(wire, head)) return NumericOutcome::malformed;
  const auto put = [&out](std::string_view s) { put_raw(out, s.data(), s.size()); };
  if (head.sign == nan) put("NaN");
  if (head.sign == plus_infinity) put("Infinity");
  if (head.sign == minus_infinity) put("-Infinity");
  if (head.sign != 0 && head.sign != negative) return NumericOutcome::ok;
  if (head.sign == negative) put("-");
  const auto group = [&head](int position) -> unsigned {
    return position >= 0 && position < head.digits ? head.digit(static_cast<std::size_t>(position)) : 0;
  };
  const auto four = [](unsigned d) {
    return std::array<char, 4>{static_cast<char>('0' + d / 1000), static_cast<char>('0' + d / 100 % 10),
                               static_cast<char>('0' + d / 10 % 10), static_cast<char>('0' + d % 10)};
  };
  if (head.weight < 0 || head.digits == 0) {
    put("0");
  } else {
    for (int i = 0; i <= head.weight; ++i) {
      const auto text = four(group(i));
      std::string_view view(text.data(), text.size());
      if (i == 0) {
        while (view.size() > 1 && view.front() == '0') view.remove_prefix(1);
      }
      put(view);
    }
  }
  if (head.dscale > 0) {
    put(".");
    int left = head.dscale;
    for (int i = head.digits == 0 ? 0 : head.weight + 1; left > 0; ++i, left -= 4) {
      const auto text = four(head.digits == 0 ? 0 : group(i));
      put(std::string_view(text.data(), static_cast<std::size_t>(left < 4 ? left : 4)));
    }
  }
  return NumericOutcome::ok;
}

std::string text_from_decimal(std::span<const std::byte> value, unsigned scale) {
  Limbs limbs;
  std::memcpy(limbs.v.data(), value.data(), value.size() < sizeof limbs.v ? value.size() : sizeof limbs.v);
  const bool minus = !value.empty() && (std::to_integer<unsigned>(value.back()) & 0x80U) != 0;
  if (minus) {
    // The sign reaches to the top of the 256 bits.
    std::memset(reinterpret_cast<std::byte*>(limbs.v.data()) + value.size(), 0xFF, sizeof limbs.v - value.size());
    limbs.negate();
  }
  std::string digits;  // least significant first
  const auto divide = [&limbs] {
    Wide rest = 0;
    for (std::size_t i = limbs.v.size(); i-- > 0;) {
      const Wide part = (rest << 64) | limbs.v[i];
      limbs.v[i] = static_cast<std::uint64_t>(part / 10);
      rest = part % 10;
    }
    return static_cast<char>('0' + static_cast<int>(rest));
  };
  while (digits.size() <= scale || limbs.v != std::array<std::uint64_t, 4>{}) {
    if (digits.size() == scale && scale > 0) break;
    digits += divide();
  }
  std::string fraction(digits.rbegin(), digits.rend());
  if (scale == 0) return (minus ? "-" : "") + fraction;
  std::string whole;
  do whole += divide();
  while (limbs.v != std::array<std::uint64_t, 4>{});
  return (minus ? "-" : "") + std::string(whole.rbegin(), whole.rend()) + "." + fraction;
}

}  // namespace pgch::pg
