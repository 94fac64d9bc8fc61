// CityHash128 of version 1.0.2, from the published algorithm (Pike and Alakuijala, 2011); the version matters,
// since 1.1 changed the values and ClickHouse stayed. Test vectors come from frames that real engines wrote.
#include <bit>
#include <cstring>
#include <utility>

#include "clickhouse/compressed_frame.h"

namespace pgch::ch {
namespace {

using u64 = std::uint64_t;
struct Pair {
  u64 first = 0, second = 0;
};

constexpr u64 k0 = 0xc3a5c85c97cb3127U;
constexpr u64 k1 = 0xb492b66fbe98f273U;
constexpr u64 k2 = 0x9ae16a3b2f90404fU;
constexpr u64 k3 = 0xc949d7c7509e6557U;
constexpr u64 murmur = 0x9ddfea08eb382d69U;

u64 load64(const std::byte* p) noexcept {
  u64 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
u64 load32(const std::byte* p) noexcept {
  std::uint32_t v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
u64 load8(const std::byte* p) noexcept { return std::to_integer<u64>(*p); }
u64 rotate(u64 v, int by) noexcept { return std::rotr(v, by); }
u64 shift_mix(u64 v) noexcept { return v ^ (v >> 47); }

u64 mix16(u64 low, u64 high) noexcept {
  const u64 a = shift_mix((low ^ high) * murmur);
  return shift_mix((high ^ a) * murmur) * murmur;
}

u64 hash_up_to_16(const std::byte* s, std::size_t n) noexcept {
  if (n > 8) {
    const u64 a = load64(s);
    const u64 b = load64(s + n - 8);
    return mix16(a, rotate(b + n, static_cast<int>(n))) ^ b;
  }
  if (n >= 4) return mix16(n + (load32(s) << 3), load32(s + n - 4));
  if (n > 0) {
    const u64 y = load8(s) + (load8(s + (n >> 1)) << 8);
    const u64 z = n + (load8(s + n - 1) << 2);
    return shift_mix((y * k2) ^ (z * k3)) * k2;
  }
  return k2;
}

Pair weak32(const std::byte* s, u64 a, u64 b) noexcept {
  const u64 w = load64(s), x = load64(s + 8), y = load64(s + 16), z = load64(s + 24);
  a += w;
  b = rotate(b + a + z, 21);
  const u64 c = a;
  a += x + y;
  b += rotate(a, 44);
  return {a + z, b + c};
}

Pair short_hash(const std::byte* s, std::size_t n, Pair seed) noexcept {
  u64 a = seed.first, b = seed.second, c = 0, d = 0;
  if (n <= 16) {
    a = shift_mix(a * k1) * k1;
    c = b * k1 + hash_up_to_16(s, n);
    d = shift_mix(a + (n >= 8 ? load64(s) : c));
  } else {
    c = mix16(load64(s + n - 8) + k1, a);
    d = mix16(b + n, c + load64(s + n - 16));
    a += d;
    for (std::size_t left = n - 16;; left -= 16) {
      a = (a ^ (shift_mix(load64(s) * k1) * k1)) * k1;
      b ^= a;
      c = (c ^ (shift_mix(load64(s + 8) * k1) * k1)) * k1;
      d ^= c;
      s += 16;
      if (left <= 16) break;
    }
  }
  a = mix16(a, c);
  b = mix16(d, b);
  return {a ^ b, mix16(b, a)};
}

Pair seeded(const std::byte* s, std::size_t n, Pair seed) noexcept {
  if (n < 128) return short_hash(s, n, seed);
  u64 x = seed.first, y = seed.second, z = n * k1;
  Pair v, w;
  v.first = rotate(y ^ k1, 49) * k1 + load64(s);
  v.second = rotate(v.first, 42) * k1 + load64(s + 8);
  w.first = rotate(y + z, 35) * k1 + x;
  w.second = rotate(x + load64(s + 88), 53) * k1;
  const auto round = [&] {
    x = rotate(x + y + v.first + load64(s + 16), 37) * k1;
    y = rotate(y + v.second + load64(s + 48), 42) * k1;
    x ^= w.second;
    y ^= v.first;
    z = rotate(z ^ w.first, 33);
    v = weak32(s, v.second * k1, x + w.first);
    w = weak32(s + 32, z + w.second, y);
    std::swap(z, x);
    s += 64;
  };
  do {
    round();
    round();
    n -= 128;
  } while (n >= 128);
  y += rotate(w.first, 37) * k0 + z;
  x += rotate(v.first + z, 49) * k0;
  // The tail is read backwards in steps of 32 and may reach into the bytes before it: there are at least 128 of them.
  for (std::size_t done = 0; done < n;) {
    done += 32;
    const std::byte* t = s + n - done;
    y = rotate(y - x, 42) * k0 + v.second;
    w.first += load64(t + 16);
    x = rotate(x, 49) * k0 + w.first;
    w.first += v.first;
    v = weak32(t, v.first, v.second);
  }
  x = mix16(x, v.first);
  y = mix16(y, w.first);
  return {mix16(x + v.second, w.second) + y, mix16(x + w.second, y + v.second)};
}

}  // namespace

Hash128 city_hash_102(std::span<const std::byte> bytes) noexcept {
  const std::byte* s = bytes.data();
  const std::size_t n = bytes.size();
  Pair out;
  if (n >= 16) {
    out = seeded(s + 16, n - 16, {load64(s) ^ k3, load64(s + 8)});
  } else if (n >= 8) {
    out = seeded(nullptr, 0, {load64(s) ^ (n * k0), load64(s + n - 8) ^ k1});
  } else {
    out = seeded(s, n, {k0, k1});
  }
  return {out.first, out.second};
}

}  // namespace pgch::ch
