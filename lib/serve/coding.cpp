#include "serve/coding.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/bytes.h"
#include "base/try.h"
#include "clickhouse/compressed_frame.h"
#include "serve/coding_libraries.h"
#include "serve/lexer.h"

namespace pgch::serve {

namespace {

constexpr std::size_t slice_bytes = 256U << 10;

class FramesDecoder final : public Decoder {
 public:
  Result<void> decode(std::string_view& in, std::string& out) override {
    const std::string_view slice = in.substr(0, slice_bytes);
    in.remove_prefix(slice.size());
    return reader_.feed(as_bytes(slice), [&out](std::span<const std::byte> raw) -> Result<void> {
      out += as_text(raw);
      return {};
    });
  }
  bool holds_more() const noexcept override { return false; }
  Result<void> finish() override { return reader_.finish(); }

 private:
  ch::FrameReader reader_;
};

class FramesEncoder final : public Encoder {
 public:
  void encode(std::string_view in, std::string& out) override {
    ch::append_frames(out, as_bytes(in), ch::FrameMethod::lz4);
  }
  void finish(std::string&) override {}
};

struct Named {
  std::string_view name;
  Coding coding;
};
constexpr std::array<Named, 5> codings = {Named{"zstd", Coding::zstd}, Named{"lz4", Coding::lz4},
                                          Named{"gzip", Coding::gzip}, Named{"deflate", Coding::deflate},
                                          Named{"x-gzip", Coding::gzip}};

}  // namespace

Result<Coding> coding_named(std::string_view content_encoding) {
  const std::string name = lower(content_encoding);
  if (name.empty() || name == "identity") return Coding::none;
  for (const Named& known : codings) {
    if (known.name == name) return known.coding;
  }
  return halt(Errc::unsupported, "Content-Encoding \"" + name + "\" is not supported: use gzip, deflate, zstd or lz4",
              "501");
}

Coding coding_accepted(std::string_view accept_encoding) {
  const std::string list = lower(accept_encoding);
  for (const Named& known : codings) {
    for (std::size_t at = list.find(known.name); at != std::string::npos; at = list.find(known.name, at + 1)) {
      const std::size_t end = at + known.name.size();
      const bool whole = (at == 0 || list[at - 1] == ' ' || list[at - 1] == ',') &&
                         (end == list.size() || list[end] == ' ' || list[end] == ',' || list[end] == ';');
      const std::string_view weight = std::string_view(list).substr(end, list.find(',', end) - end);
      const bool refused =
          weight.find("q=0") != std::string_view::npos && weight.find("q=0.") == std::string_view::npos;
      if (whole && !refused) return known.coding;
    }
  }
  return Coding::none;
}

std::string_view name_of(Coding coding) noexcept {
  for (const Named& known : codings) {
    if (known.coding == coding) return known.name;
  }
  return {};
}

std::unique_ptr<Decoder> make_decoder(Coding coding) {
  switch (coding) {
    case Coding::gzip:
      return make_zlib_decoder(true);
    case Coding::deflate:
      return make_zlib_decoder(false);
    case Coding::zstd:
      return make_zstd_decoder();
    case Coding::lz4:
      return make_lz4_decoder();
    case Coding::frames:
      return std::make_unique<FramesDecoder>();
    case Coding::none:
      break;
  }
  return nullptr;
}

std::unique_ptr<Encoder> make_encoder(Coding coding) {
  switch (coding) {
    case Coding::gzip:
      return make_zlib_encoder(true);
    case Coding::deflate:
      return make_zlib_encoder(false);
    case Coding::zstd:
      return make_zstd_encoder();
    case Coding::lz4:
      return make_lz4_encoder();
    case Coding::frames:
      return std::make_unique<FramesEncoder>();
    case Coding::none:
      break;
  }
  return nullptr;
}

}  // namespace pgch::serve
