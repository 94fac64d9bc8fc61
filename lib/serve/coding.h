// Compressed bodies: the Content-Encodings gzip, deflate, zstd and lz4 (its frame format), and ClickHouse's own frames.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "pgch/error.h"

namespace pgch::serve {

enum class Coding : std::uint8_t { none, gzip, deflate, zstd, lz4, frames };

// The coding named by Content-Encoding; Errc::unsupported if it is none of ours.
Result<Coding> coding_named(std::string_view content_encoding);
// The best of ours that the client takes, or none.
Coding coding_accepted(std::string_view accept_encoding);
std::string_view name_of(Coding coding) noexcept;

// Several compressed parts one after the other are one stream.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Takes bytes off the front of `in` and appends what they stand for to `out`; returns when `in` is empty or `out` has
  // grown by about a mebibyte, so that a small body cannot blow up memory.
  virtual Result<void> decode(std::string_view& in, std::string& out) = 0;
  // decode() stopped early: call it again, even without input.
  virtual bool holds_more() const noexcept = 0;
  // Refuses an end in the middle.
  virtual Result<void> finish() = 0;
};
std::unique_ptr<Decoder> make_decoder(Coding coding);  // nullptr for none

class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual void encode(std::string_view in, std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};
std::unique_ptr<Encoder> make_encoder(Coding coding);  // nullptr for none

}  // namespace pgch::serve
