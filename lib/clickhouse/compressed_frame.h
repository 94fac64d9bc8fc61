// ClickHouse's own compression of bodies (`compress=1`, `decompress=1`) and of column files: a row of frames
//   frame    = checksum:16 method:1 size:4 raw_size:4 data        (little-endian; `size` counts itself, raw_size,
//   method and data) checksum = CityHash128 of version 1.0.2 over everything after it, low half first method   = 0x02
//   none | 0x82 LZ4 block | 0x90 ZSTD frame
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "pgch/error.h"

namespace pgch::ch {

// CityHash128 as Google released it with 1.0.2; later versions give other values.
Hash128 city_hash_102(std::span<const std::byte> bytes) noexcept;

enum class FrameMethod : std::uint8_t { none = 0x02, lz4 = 0x82, zstd = 0x90 };

// Appends `raw` as frames of at most `raw_bytes_max` uncompressed bytes each; nothing for an empty `raw`.
void append_frames(std::string& out, std::span<const std::byte> raw, FrameMethod method,
                   std::size_t raw_bytes_max = 1U << 20);

// Decodes a stream of frames that arrives in pieces cut anywhere. After an error it stays failed.
class FrameReader {
 public:
  using Sink = std::function<Result<void>(std::span<const std::byte>)>;
  // Frames that claim more than `frame_bytes_max`, compressed or not, are refused before anything is allocated for
  // them.
  explicit FrameReader(std::size_t frame_bytes_max = 256U << 20) : frame_bytes_max_(frame_bytes_max) {}
  Result<void> feed(std::span<const std::byte> bytes, const Sink& sink);
  // Refuses an end in the middle of a frame.
  Result<void> finish() const;

 private:
  Result<void> decode(std::span<const std::byte> frame, const Sink& sink);

  std::size_t frame_bytes_max_;
  std::string pending_;  // bytes of a frame that is not whole yet
  std::string raw_;
  bool failed_ = false;
};

}  // namespace pgch::ch
