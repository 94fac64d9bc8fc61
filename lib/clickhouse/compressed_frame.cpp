#include "clickhouse/compressed_frame.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "base/bytes.h"
#include "base/try.h"

namespace pgch::ch {
namespace {
constexpr std::size_t checksum_bytes = 16;
constexpr std::size_t header_bytes = 9;

Error bad_frame(const char* what) {
  return halt(Errc::corrupt, std::string("a compressed ClickHouse frame is damaged: ") + what);
}

// Room for the compressed bytes; `out` is cut to size afterwards.
std::size_t compress_into(std::string& out, std::span<const std::byte> raw, FrameMethod method) {
  const std::size_t at = out.size();
  switch (method) {
    case FrameMethod::none:
      break;
    case FrameMethod::lz4: {
      out.resize(at + static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(raw.size()))));
      const int n = LZ4_compress_default(reinterpret_cast<const char*>(raw.data()), out.data() + at,
                                         static_cast<int>(raw.size()), static_cast<int>(out.size() - at));
      return static_cast<std::size_t>(n);
    }
    case FrameMethod::zstd: {
      out.resize(at + ZSTD_compressBound(raw.size()));
      const std::size_t n = ZSTD_compress(out.data() + at, out.size() - at, raw.data(), raw.size(), 1);
      return ZSTD_isError(n) != 0 ? 0 : n;
    }
  }
  out.resize(at);
  out.append(reinterpret_cast<const char*>(raw.data()), raw.size());
  return raw.size();
}

}  // namespace

void append_frames(std::string& out, std::span<const std::byte> raw, FrameMethod method, std::size_t raw_bytes_max) {
  raw_bytes_max = std::clamp<std::size_t>(raw_bytes_max, 1, 256U << 20);
  while (!raw.empty()) {
    const auto piece = raw.first(std::min(raw.size(), raw_bytes_max));
    raw = raw.subspan(piece.size());
    const std::size_t start = out.size();
    out.resize(start + checksum_bytes + header_bytes);
    FrameMethod used = method;
    std::size_t n = compress_into(out, piece, used);
    if (n == 0) {  // the compressor gave up; a plain frame is always right
      out.resize(start + checksum_bytes + header_bytes);
      used = FrameMethod::none;
      n = compress_into(out, piece, used);
    }
    out.resize(start + checksum_bytes + header_bytes + n);
    std::string header;
    put_little(header, static_cast<std::uint8_t>(used));
    put_little(header, static_cast<std::uint32_t>(n + header_bytes));
    put_little(header, static_cast<std::uint32_t>(piece.size()));
    out.replace(start + checksum_bytes, header_bytes, header);
    const Hash128 sum = city_hash_102(as_bytes(std::string_view(out).substr(start + checksum_bytes)));
    std::string checksum;
    put_little(checksum, sum.low);
    put_little(checksum, sum.high);
    out.replace(start, checksum_bytes, checksum);
  }
}

Result<void> FrameReader::feed(std::span<const std::byte> bytes, const Sink& sink) {
  if (failed_) return bad_frame("it came after one that could not be read");
  while (!bytes.empty()) {
    // Whole frames are taken from where they lie; only one that is cut is gathered in pending_.
    const std::size_t have = pending_.size() + bytes.size();
    std::size_t need = checksum_bytes + header_bytes;
    const bool size_known = have >= need;
    if (size_known) {
      if (pending_.size() < need) {
        const std::size_t missing = need - pending_.size();
        if (!pending_.empty()) {
          put_raw(pending_, bytes.data(), missing);
          bytes = bytes.subspan(missing);
        }
      }
      ByteReader header(pending_.empty() ? bytes : as_bytes(pending_));
      header.take(checksum_bytes + 1);
      const std::size_t size = header.little<std::uint32_t>();
      const std::size_t raw_size = header.little<std::uint32_t>();
      if (size < header_bytes || size > frame_bytes_max_ || raw_size > frame_bytes_max_) {
        failed_ = true;
        return bad_frame("its size is not plausible");
      }
      need = checksum_bytes + size;
    }
    if (size_known && pending_.empty()) {
      if (bytes.size() < need) {
        put_raw(pending_, bytes.data(), bytes.size());
        return {};
      }
      PGCH_TRY(decode(bytes.first(need), sink));
      bytes = bytes.subspan(need);
      continue;
    }
    const std::size_t n = std::min(bytes.size(), need - pending_.size());
    put_raw(pending_, bytes.data(), n);
    bytes = bytes.subspan(n);
    if (size_known && pending_.size() == need) {
      PGCH_TRY(decode(as_bytes(pending_), sink));
      pending_.clear();
    }
  }
  return {};
}

Result<void> FrameReader::finish() const {
  if (failed_) return bad_frame("it could not be read");
  if (!pending_.empty()) return bad_frame("the stream ends in the middle of it");
  return {};
}

Result<void> FrameReader::decode(std::span<const std::byte> frame, const Sink& sink) {
  failed_ = true;
  ByteReader reader(frame);
  const auto low = reader.little<std::uint64_t>();
  const auto high = reader.little<std::uint64_t>();
  const Hash128 sum = city_hash_102(frame.subspan(checksum_bytes));
  if (sum.low != low || sum.high != high) return bad_frame("its checksum is wrong");
  const auto method = reader.little<std::uint8_t>();
  reader.take(4);
  const std::size_t raw_size = reader.little<std::uint32_t>();
  const auto data = reader.take(reader.left());
  std::span<const std::byte> raw = data;
  if (method == static_cast<std::uint8_t>(FrameMethod::lz4)) {
    raw_.resize(raw_size);
    const int n = LZ4_decompress_safe(reinterpret_cast<const char*>(data.data()), raw_.data(),
                                      static_cast<int>(data.size()), static_cast<int>(raw_size));
    if (n < 0 || static_cast<std::size_t>(n) != raw_size) return bad_frame("its LZ4 data cannot be unpacked");
    raw = as_bytes(raw_);
  } else if (method == static_cast<std::uint8_t>(FrameMethod::zstd)) {
    raw_.resize(raw_size);
    const std::size_t n = ZSTD_decompress(raw_.data(), raw_.size(), data.data(), data.size());
    if (ZSTD_isError(n) != 0 || n != raw_size) return bad_frame("its ZSTD data cannot be unpacked");
    raw = as_bytes(raw_);
  } else if (method != static_cast<std::uint8_t>(FrameMethod::none)) {
    return halt(Errc::unsupported,
                "a compressed ClickHouse frame uses a method pgch does not know: use lz4, zstd or none");
  } else if (data.size() != raw_size) {
    return bad_frame("its two sizes differ");
  }
  PGCH_TRY(sink(raw));
  failed_ = false;
  return {};
}

}  // namespace pgch::ch
