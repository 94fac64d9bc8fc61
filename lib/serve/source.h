// A body as it was meant: unframed, decompressed, in pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/error.h"
#include "serve/coding.h"
#include "serve/message.h"

namespace pgch::serve {

class Source {
 public:
  Source(Body& body, Coding content_encoding, bool frames);
  // The next bytes, valid until the next call; empty at the proper end. After an Error nothing may be committed.
  Result<std::string_view> next();
  // Puts `bytes` before what next() will give.
  void unread(std::string bytes);

 private:
  struct Stage {
    std::unique_ptr<Decoder> decoder;
    std::string_view in;
    std::string out;
    bool ended = false;
  };
  Result<std::string_view> pull(std::size_t stages);

  Body& body_;
  std::vector<Stage> stages_;
  std::string unread_, current_;
};

}  // namespace pgch::serve
