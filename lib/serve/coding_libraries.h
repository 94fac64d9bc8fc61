// The codings that come from libraries; coding.h's makers choose among them.
#pragma once

#include <memory>

#include "serve/coding.h"

namespace pgch::serve {

std::unique_ptr<Decoder> make_zlib_decoder(bool gzip);
std::unique_ptr<Decoder> make_zstd_decoder();
std::unique_ptr<Decoder> make_lz4_decoder();
std::unique_ptr<Encoder> make_zlib_encoder(bool gzip);
std::unique_ptr<Encoder> make_zstd_encoder();
std::unique_ptr<Encoder> make_lz4_encoder();

}  // namespace pgch::serve
