#include "serve/message.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/try.h"
#include "serve/lexer.h"

namespace pgch::serve {
namespace {

constexpr std::uint32_t body_timeout_ms = 60'000;
constexpr std::size_t drain_bytes_max = 1U << 20;

Error bad(std::string message, std::string status = "400") {
  return halt(Errc::data, std::move(message), std::move(status));
}

int hex_of(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> url_decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_of(text[i + 1]), low = hex_of(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view take_until(std::string_view& text, std::string_view separator) noexcept {
  const std::size_t at = text.find(separator);
  const std::string_view taken = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + separator.size());
  return taken;
}

// The value of name="…" in a header's parameters.
std::string_view quoted_parameter(std::string_view header, std::string_view name) noexcept {
  const std::string key = std::string(name) + "=";
  for (std::size_t at = header.find(key); at != std::string_view::npos; at = header.find(key, at + 1)) {
    if (at == 0 || (header[at - 1] != ' ' && header[at - 1] != ';')) continue;
    std::string_view value = header.substr(at + key.size());
    if (!value.starts_with('"')) return trim(value.substr(0, value.find(';')));
    value.remove_prefix(1);
    return value.substr(0, value.find('"'));
  }
  return {};
}

}  // namespace

std::string_view Request::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}
const std::string* Request::parameter(std::string_view name) const noexcept {
  for (const auto& [key, value] : parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}
bool Request::flag(std::string_view name) const noexcept {
  const std::string* value = parameter(name);
  return value != nullptr && (*value == "1" || is_word(*value, "TRUE"));
}
bool Request::keep_alive() const noexcept {
  const std::string connection = lower(header("connection"));
  return http_1_0 ? connection.find("keep-alive") != std::string::npos : connection.find("close") == std::string::npos;
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_parameters(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    std::string_view value = take_until(text, "&");
    if (value.empty()) continue;
    const std::string_view name = take_until(value, "=");
    auto n = url_decode(name, true), v = url_decode(value, true);
    if (!n || !v) return std::nullopt;
    out.emplace_back(*std::move(n), *std::move(v));
  }
  return out;
}

Result<Request> parse_head(std::string_view head) {
  Request request;
  std::string_view line = take_until(head, "\r\n");
  request.method = take_until(line, " ");
  std::string_view target = take_until(line, " ");
  if (line != "HTTP/1.1" && line != "HTTP/1.0") return bad("this is not a request in HTTP/1.1");
  request.http_1_0 = line == "HTTP/1.0";
  if (target.starts_with("http://")) {
    const std::size_t slash = target.find('/', 7);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  auto path = url_decode(take_until(target, "?"), false);
  auto parameters = parse_parameters(target);
  if (!path || !parameters) return bad("the URL holds a percent sign without two hexadecimal digits");
  request.path = *std::move(path);
  request.parameters = *std::move(parameters);
  while (!head.empty()) {
    std::string_view value = take_until(head, "\r\n");
    const std::size_t colon = value.find(':');
    const std::string_view name = value.substr(0, colon);
    const bool odd = name.empty() || name.find_first_of(" \t") != std::string_view::npos;
    if (colon == std::string_view::npos || odd || value.find('\n') != std::string_view::npos) {
      return bad("a header line of the request is malformed");
    }
    request.headers.emplace_back(lower(name), trim(value.substr(colon + 1)));
  }
  return request;
}

Result<std::vector<std::pair<std::string, std::string>>> parse_multipart(std::string_view content_type,
                                                                         std::string_view body) {
  const std::string boundary = "--" + std::string(quoted_parameter(content_type, "boundary"));
  if (boundary.size() == 2) return bad("multipart/form-data without a boundary");
  std::vector<std::pair<std::string, std::string>> out;
  take_until(body, boundary);
  while (body.starts_with("\r\n")) {
    body.remove_prefix(2);
    std::string_view part = take_until(body, "\r\n" + boundary);
    std::string_view head = take_until(part, "\r\n\r\n");
    std::string name;
    while (!head.empty()) {
      std::string_view value = take_until(head, "\r\n");
      if (lower(take_until(value, ":")) != "content-disposition") continue;
      if (value.find("filename=") != std::string_view::npos) {
        return halt(Errc::unsupported,
                    "Tables sent with a query as files of a form are not supported; insert them first", "501");
      }
      name = quoted_parameter(value, "name");
    }
    out.emplace_back(std::move(name), part);
  }
  if (!body.starts_with("--")) return bad("the multipart body does not end with its boundary");
  return out;
}

Result<Body> Body::of(const Request& request, Connection& connection, std::size_t bytes_max) {
  Body body(connection, bytes_max);
  const std::string encoding = lower(request.header("transfer-encoding"));
  const std::string_view length = request.header("content-length");
  if (!encoding.empty()) {
    // Both at once is how requests are smuggled past proxies.
    if (encoding != "chunked" || !length.empty()) return bad("this Transfer-Encoding is not supported", "501");
    body.chunked_ = true;
    body.done_ = false;
  } else if (!length.empty()) {
    const auto [end, ec] = std::from_chars(length.data(), length.data() + length.size(), body.length_);
    if (ec != std::errc() || end != length.data() + length.size()) return bad("Content-Length is not a number");
    std::size_t lengths = 0;
    for (const auto& [name, value] : request.headers) lengths += name == "content-length" ? 1 : 0;
    if (lengths > 1) return bad("Content-Length is there more than once");
    if (body.length_ > bytes_max) return bad("the body is larger than this server takes", "413");
    body.done_ = body.length_ == 0;
  }
  body.expect_continue_ = lower(request.header("expect")) == "100-continue" && !body.done_;
  return body;
}

Result<void> Body::more() {
  if (expect_continue_) {
    expect_continue_ = false;
    connection_->write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  switch (connection_->fill(body_timeout_ms)) {
    case Connection::Fill::more:
      return {};
    case Connection::Fill::timeout:
      return halt(Errc::timeout, "no more of the request's body came for a minute", "408");
    case Connection::Fill::stopped:
      return halt(Errc::stopped, "the server is being stopped", "503");
    case Connection::Fill::end:
      break;
  }
  return halt(Errc::connection, "the connection ended before the request's body did", "400");
}

Result<std::string> Body::line() {
  for (;;) {
    const std::string_view have = connection_->available();
    const std::size_t at = have.find("\r\n");
    if (at != std::string_view::npos) {
      std::string out(have.substr(0, at));
      connection_->consume(at + 2);
      return out;
    }
    if (have.size() > 4096) return bad("a chunk of the body has no proper head");
    PGCH_TRY(more());
  }
}

Result<void> Body::chunk_head() {
  if (!first_chunk_) {
    PGCH_ASSIGN(const std::string end, line());
    if (!end.empty()) return bad("a chunk of the body is longer than it says");
  }
  first_chunk_ = false;
  PGCH_ASSIGN(const std::string head, line());
  const std::string_view digits = trim(std::string_view(head).substr(0, head.find(';')));
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), length_, 16);
  if (digits.empty() || ec != std::errc() || end != digits.data() + digits.size()) {
    return bad("a chunk of the body has no proper size");
  }
  if (length_ > 0) return {};
  for (;;) {  // trailers
    PGCH_ASSIGN(const std::string trailer, line());
    if (trailer.empty()) break;
  }
  done_ = true;
  return {};
}

Result<std::string_view> Body::next() {
  if (broken_) return bad("the body was broken before");
  broken_ = true;  // until this call ends well
  if (!done_ && chunked_ && length_ == 0) PGCH_TRY(chunk_head());
  if (!done_ && connection_->available().empty()) PGCH_TRY(more());
  broken_ = false;
  if (done_) return std::string_view();
  const std::string_view piece = connection_->available().substr(
      0, static_cast<std::size_t>(std::min<std::uint64_t>(length_, connection_->available().size())));
  connection_->consume(piece.size());
  length_ -= piece.size();
  taken_ += piece.size();
  done_ = !chunked_ && length_ == 0;
  if (taken_ > bytes_max_) {
    broken_ = true;
    return bad("the body is larger than this server takes", "413");
  }
  return piece;
}

bool Body::drain() {
  if (expect_continue_ || broken_) return false;  // the client was never told to send it, or can't send it
  for (std::size_t read = 0; !done_ && read < drain_bytes_max;) {
    auto piece = next();
    if (!piece) return false;
    read += piece->size();
  }
  return done_;
}

}  // namespace pgch::serve
