// Bounded reading and plain writing of bytes. Reader trusts nothing: every read checks what is left.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace pgch {

static_assert(std::endian::native == std::endian::little, "pgch lays columns out as ClickHouse does: little-endian");

template <class T>
constexpr T byteswap(T value) noexcept {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
}

inline std::span<const std::byte> as_bytes(std::string_view s) noexcept {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size()};
}
inline std::string_view as_text(std::span<const std::byte> b) noexcept {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

/// Reads from a span; after the first short read `ok()` is false and all further reads give zeros.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}
  explicit ByteReader(std::string_view bytes) noexcept : rest_(as_bytes(bytes)) {}
  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return rest_.empty(); }
  std::size_t left() const noexcept { return rest_.size(); }
  std::span<const std::byte> take(std::size_t n) noexcept {
    if (n > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    auto out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  template <class T>
  T little() noexcept {
    T value{};
    if (auto b = take(sizeof(T)); b.size() == sizeof(T)) std::memcpy(&value, b.data(), sizeof(T));
    return value;
  }
  template <class T>
  T big() noexcept {
    return byteswap(little<T>());
  }
  std::uint64_t varint() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto b = std::to_integer<std::uint64_t>(little<std::byte>());
      if (!ok_) return 0;
      value |= (b & 0x7F) << shift;
      if ((b & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  /// A varint length, then that many bytes.
  std::string_view text() noexcept {
    const std::uint64_t n = varint();
    if (n > rest_.size()) {
      ok_ = false;
      return {};
    }
    return as_text(take(static_cast<std::size_t>(n)));
  }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

/// Appends to a std::string or a std::vector<std::byte>.
template <class Buffer>
void put_raw(Buffer& out, const void* data, std::size_t n) {
  const auto* p = static_cast<const typename Buffer::value_type*>(data);
  out.insert(out.end(), p, p + n);
}
template <class Buffer, class T>
void put_little(Buffer& out, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  put_raw(out, &value, sizeof(T));
}
template <class Buffer>
void put_varint(Buffer& out, std::uint64_t value) {
  using B = typename Buffer::value_type;
  while (value >= 0x80) {
    out.push_back(static_cast<B>(static_cast<unsigned char>(value | 0x80)));
    value >>= 7;
  }
  out.push_back(static_cast<B>(static_cast<unsigned char>(value)));
}
template <class Buffer>
void put_text(Buffer& out, std::string_view s) {
  put_varint(out, s.size());
  put_raw(out, s.data(), s.size());
}

}  // namespace pgch
