// Arrays as binary parameters: no quoting, whatever the elements hold.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace pgch::pg {

/// array_recv's form: int32 dimensions, int32 has nulls, oid element, int32 length, int32 lower bound, then each: int32
/// length, bytes.
class ArrayWriter {
 public:
  explicit ArrayWriter(std::uint32_t element) {
    put(1);
    put(0);
    put(static_cast<std::int32_t>(element));
    put(0);
    put(1);
  }
  void add(std::string_view value) {
    put(static_cast<std::int32_t>(value.size()));
    bytes_.append(value);
    ++count_;
  }
  /// The finished bytes; the writer keeps them.
  std::string_view finish() {
    const std::int32_t n = byteswap(count_);
    bytes_.replace(12, sizeof n, reinterpret_cast<const char*>(&n), sizeof n);
    return bytes_;
  }
  std::int32_t size() const noexcept { return count_; }

 private:
  void put(std::int32_t value) { put_little(bytes_, byteswap(value)); }
  std::string bytes_;
  std::int32_t count_ = 0;
};

}  // namespace pgch::pg
