// Hashes: crc32c for what lies on disk, xxh3 for everything that is compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace pgch {

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0) noexcept;
std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;
std::uint64_t hash64(std::string_view text, std::uint64_t seed = 0) noexcept;
struct Hash128 {
  std::uint64_t low = 0, high = 0;
};
Hash128 hash128(std::span<const std::byte> bytes) noexcept;

}  // namespace pgch
