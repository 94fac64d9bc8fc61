// The answer to one request. It is held back until it is certain, or has grown too large to hold; what goes wrong
// before that changes the HTTP status, what goes wrong later breaks the answer off so that no client can take it for
// whole.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/coding.h"
#include "serve/connection.h"
#include "serve/exception.h"

namespace pgch::serve {

class Reply {
 public:
  struct Options {
    bool head_only = false;
    bool keep_alive = true;
    bool chunks = true;  // false for HTTP/1.0: everything is held back
  };
  Reply(Connection& connection, Options options) : connection_(connection), options_(options) {}

  void header(std::string_view name, std::string_view value);
  // How the body is compressed; before the first write().
  void code(Coding coding);
  void hold(std::size_t bytes) noexcept { held_bytes_max_ = bytes; }
  bool started() const noexcept { return started_; }
  // The connection can't be used for another request after this one.
  void close_after() noexcept { options_.keep_alive = false; }
  bool keeps_alive() const noexcept { return options_.keep_alive; }

  // False when the client is gone.
  bool write(std::string_view body);
  bool finish();
  // A whole answer of its own; what was held back is dropped.
  bool whole(int status, std::string_view body, std::string_view content_type);
  bool fail(const Exception& exception, std::string_view version);

 private:
  std::string head(int status) const;
  bool start();
  bool chunk();
  void encode(std::string_view body);

  Connection& connection_;
  Options options_;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::unique_ptr<Encoder> encoder_;
  Coding coding_ = Coding::none;
  std::string exception_tag_;
  std::string pending_;  // encoded, not sent
  std::size_t held_bytes_max_ = 1U << 20;
  bool started_ = false, broken_ = false;
};

}  // namespace pgch::serve
