#include "verify/pg_hash.h"

#include <array>
#include <bit>
#include <cstring>

namespace pgch::comparing {
namespace {

// Bob Jenkins' lookup3 (public domain), as PostgreSQL starts and ends it.
struct State {
  std::uint32_t a, b, c;

  State(std::uint32_t length, std::uint64_t seed) noexcept : a(0x9e3779b9U + length + 3923095U), b(a), c(a) {
    if (seed == 0) return;
    a += static_cast<std::uint32_t>(seed >> 32);
    b += static_cast<std::uint32_t>(seed);
    mix();
  }
  static void step(std::uint32_t& x, std::uint32_t& y, std::uint32_t z, int bits) noexcept {
    x -= y;
    x ^= std::rotl(y, bits);
    y += z;
  }
  void mix() noexcept {
    step(a, c, b, 4);
    step(b, a, c, 6);
    step(c, b, a, 8);
    step(a, c, b, 16);
    step(b, a, c, 19);
    step(c, b, a, 4);
  }
  static void last(std::uint32_t& x, std::uint32_t y, int bits) noexcept {
    x ^= y;
    x -= std::rotl(y, bits);
  }
  std::uint64_t finish() noexcept {
    last(c, b, 14);
    last(a, c, 11);
    last(b, a, 25);
    last(c, b, 16);
    last(a, c, 4);
    last(b, a, 14);
    last(c, b, 24);
    return (static_cast<std::uint64_t>(b) << 32) | c;
  }
};

std::uint64_t hash_word(std::uint32_t word, std::uint64_t seed) noexcept {
  State state(sizeof(word), seed);
  state.a += word;
  return state.finish();
}

constexpr std::size_t limbs_max = 9;  // 256 bits, and room for three more digits
using Limbs = std::array<std::uint32_t, limbs_max>;

// The magnitude of a two's complement number, least significant limb first.
Limbs magnitude(std::span<const std::byte> value) noexcept {
  Limbs limbs{};
  std::memcpy(limbs.data(), value.data(), value.size());
  if (!is_negative(value)) return limbs;
  std::uint64_t carry = 1;
  for (std::size_t i = 0; i < value.size() / 4; ++i) {
    carry += ~limbs[i];
    limbs[i] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  return limbs;
}

void multiply(Limbs& limbs, std::uint32_t by) noexcept {
  std::uint64_t carry = 0;
  for (std::uint32_t& limb : limbs) {
    carry += static_cast<std::uint64_t>(limb) * by;
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
}

// The remainder; `used` limbs from below may be other than zero, and are counted anew.
std::uint32_t divide(Limbs& limbs, std::uint32_t by, std::size_t& used) noexcept {
  std::uint64_t rest = 0;
  for (std::size_t i = used; i-- > 0;) {
    rest = (rest << 32) | limbs[i];
    limbs[i] = static_cast<std::uint32_t>(rest / by);
    rest %= by;
  }
  while (used > 0 && limbs[used - 1] == 0) --used;
  return static_cast<std::uint32_t>(rest);
}

}  // namespace

std::uint64_t pg_hash(std::span<const std::byte> bytes, std::uint64_t seed) noexcept {
  State state(static_cast<std::uint32_t>(bytes.size()), seed);
  std::uint32_t words[3];
  while (bytes.size() >= sizeof(words)) {
    std::memcpy(words, bytes.data(), sizeof(words));
    state.a += words[0];
    state.b += words[1];
    state.c += words[2];
    state.mix();
    bytes = bytes.subspan(sizeof(words));
  }
  // The lowest byte of the third word is left free.
  std::byte rest[16] = {};
  const std::size_t first = bytes.size() < 8 ? bytes.size() : 8;
  if (first != 0) std::memcpy(rest, bytes.data(), first);
  if (bytes.size() > 8) std::memcpy(rest + 9, bytes.data() + 8, bytes.size() - 8);
  std::memcpy(words, rest, sizeof(words));
  state.a += words[0];
  state.b += words[1];
  state.c += words[2];
  return state.finish();
}

std::uint64_t pg_hash(std::int32_t value, std::uint64_t seed) noexcept {
  return hash_word(static_cast<std::uint32_t>(value), seed);
}

std::uint64_t pg_hash(std::int64_t value, std::uint64_t seed) noexcept {
  const auto low = static_cast<std::uint32_t>(value);
  const auto high = static_cast<std::uint32_t>(static_cast<std::uint64_t>(value) >> 32);
  return hash_word(low ^ (value >= 0 ? high : ~high), seed);
}

std::uint64_t pg_hash(double value, std::uint64_t seed) noexcept {
  if (value == 0) return seed;
  if (value != value) value = std::bit_cast<double>(std::uint64_t{0x7FF8000000000000});
  return pg_hash(std::as_bytes(std::span(&value, 1)), seed);
}

bool is_negative(std::span<const std::byte> decimal) noexcept {
  return !decimal.empty() && (decimal.back() & std::byte{0x80}) != std::byte{0};
}

// Digits to the base 10000, counted from the decimal point, without zeros at either end.
std::uint64_t pg_hash_decimal(std::span<const std::byte> value, unsigned scale, std::uint64_t seed) noexcept {
  Limbs limbs = magnitude(value);
  for (unsigned pad = (4 - scale % 4) % 4; pad > 0; --pad) multiply(limbs, 10);
  const int fraction = static_cast<int>((scale + 3) / 4);
  std::size_t used = limbs_max;
  while (used > 0 && limbs[used - 1] == 0) --used;
  if (used == 0) return seed - 1;
  std::array<std::int16_t, 32> digits;  // most significant first, filled from the end
  std::size_t begin = digits.size(), end = digits.size();
  int weight = -fraction - 1;
  while (used > 0 && begin > 0) {
    digits[--begin] = static_cast<std::int16_t>(divide(limbs, 10'000, used));
    ++weight;
  }
  while (end > begin && digits[end - 1] == 0) --end;
  const auto bytes = std::as_bytes(std::span(digits.data() + begin, end - begin));
  return pg_hash(bytes, seed) ^ static_cast<std::uint64_t>(static_cast<std::int64_t>(weight));
}

}  // namespace pgch::comparing
