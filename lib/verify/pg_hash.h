// PostgreSQL's own 64-bit hash functions (hashint8extended, hashtextextended …), which its SQL can call and
// ClickHouse's can't: computed here over what was read from ClickHouse. They have been the same since PostgreSQL 11. A
// server whose functions differ only makes a comparison slower: what seems to differ is read and compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pgch::comparing {

std::uint64_t pg_hash(std::span<const std::byte> bytes, std::uint64_t seed) noexcept;  // hashtextextended, uuid
std::uint64_t pg_hash(std::int32_t value, std::uint64_t seed) noexcept;                // hashint4extended
std::uint64_t pg_hash(std::int64_t value, std::uint64_t seed) noexcept;                // hashint8extended
std::uint64_t pg_hash(double value, std::uint64_t seed) noexcept;                      // hashfloat8extended
// hash_numeric_extended of a Decimal's bytes: 4, 8, 16 or 32, two's complement. It doesn't know the sign.
std::uint64_t pg_hash_decimal(std::span<const std::byte> value, unsigned scale, std::uint64_t seed) noexcept;
bool is_negative(std::span<const std::byte> decimal) noexcept;

}  // namespace pgch::comparing
