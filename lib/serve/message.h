// An HTTP/1.1 request: its head parsed strictly, its body read piece by piece. An end that came too early is never
// taken for the end of the body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pgch/error.h"
#include "serve/connection.h"

namespace pgch::serve {

struct Request {
  std::string method;
  std::string path;
  bool http_1_0 = false;
  std::vector<std::pair<std::string, std::string>> headers;     // names in lower case
  std::vector<std::pair<std::string, std::string>> parameters;  // of the URL, decoded
  // The first value, or empty.
  std::string_view header(std::string_view name) const noexcept;
  const std::string* parameter(std::string_view name) const noexcept;
  bool flag(std::string_view name) const noexcept;  // "1" or "true"
  bool keep_alive() const noexcept;
};

// `head` without the empty line at its end. The error's native is the HTTP status.
Result<Request> parse_head(std::string_view head);
// a=1&b=%20+ → pairs; nullopt if a percent sign is not followed by two hexadecimal digits.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_parameters(std::string_view text);
// The fields of a multipart/form-data body; an Error for files (external tables).
Result<std::vector<std::pair<std::string, std::string>>> parse_multipart(std::string_view content_type,
                                                                         std::string_view body);

// The body, without its framing (Content-Length or chunks).
class Body {
 public:
  // The error's native is the HTTP status.
  static Result<Body> of(const Request& request, Connection& connection, std::size_t bytes_max);
  // The next bytes, valid until the next call; empty at the body's proper end. An Error means that the body did not
  // come whole, and nothing that depends on it may be committed.
  Result<std::string_view> next();
  bool present() const noexcept { return chunked_ || length_ > 0; }
  bool at_end() const noexcept { return done_; }
  // Reads away what is left if that is little; else the connection can't be used again.
  bool drain();

 private:
  Body(Connection& connection, std::size_t bytes_max) : connection_(&connection), bytes_max_(bytes_max) {}
  Result<void> more();
  Result<std::string> line();
  Result<void> chunk_head();

  Connection* connection_;
  std::size_t bytes_max_;
  bool chunked_ = false, done_ = true, first_chunk_ = true, expect_continue_ = false, broken_ = false;
  std::uint64_t length_ = 0;  // left: of the body, or of the chunk
  std::uint64_t taken_ = 0;
};

}  // namespace pgch::serve
