#include "serve/reply.h"

#include <random>

namespace pgch::serve {
namespace {

constexpr std::size_t chunk_bytes = 256U << 10;

// Sixteen letters that no result can foresee: marks an exception in the middle of an answer.
std::string random_tag() {
  std::random_device random;
  std::string tag;
  for (int i = 0; i < 16; ++i) tag += static_cast<char>('a' + random() % 26);
  return tag;
}

std::string hexadecimal(std::size_t n) {
  std::string out;
  do {
    out.insert(out.begin(), "0123456789abcdef"[n % 16]);
    n /= 16;
  } while (n != 0);
  return out;
}

}  // namespace

void Reply::header(std::string_view name, std::string_view value) {
  std::string clean(value);  // a line break in a value would be a header of the client's own making
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  for (auto& [known, old] : headers_) {
    if (known == name) {
      old = std::move(clean);
      return;
    }
  }
  headers_.emplace_back(name, std::move(clean));
}

void Reply::code(Coding coding) {
  coding_ = coding;
  encoder_ = make_encoder(coding);
}

std::string Reply::head(int status) const {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " ";
  out += reason_of(status);
  out += "\r\n";
  for (const auto& [name, value] : headers_) out += name + ": " + value + "\r\n";
  out +=
      options_.keep_alive ? "Connection: Keep-Alive\r\nKeep-Alive: timeout=30, max=9999\r\n" : "Connection: Close\r\n";
  return out;
}

void Reply::encode(std::string_view body) {
  if (encoder_) {
    encoder_->encode(body, pending_);
  } else {
    pending_ += body;
  }
}

bool Reply::start() {
  if (started_) return true;
  if (!name_of(coding_).empty()) header("Content-Encoding", name_of(coding_));
  exception_tag_ = random_tag();
  header("X-ClickHouse-Exception-Tag", exception_tag_);
  header("Transfer-Encoding", "chunked");
  started_ = true;
  return connection_.write(head(200) + "\r\n");
}

bool Reply::chunk() {
  if (pending_.empty() || options_.head_only) return true;
  std::string size = hexadecimal(pending_.size());
  size += "\r\n";
  pending_ += "\r\n";
  const bool sent = connection_.write(size) && connection_.write(pending_);
  pending_.clear();
  return sent;
}

bool Reply::write(std::string_view body) {
  if (broken_) return false;
  encode(body);
  if (!options_.chunks || pending_.size() < (started_ ? chunk_bytes : held_bytes_max_)) return true;
  broken_ = !start() || !chunk();
  return !broken_;
}

bool Reply::finish() {
  if (broken_) return false;
  if (encoder_) encoder_->finish(pending_);
  if (started_) return chunk() && (options_.head_only || connection_.write("0\r\n\r\n"));
  if (!name_of(coding_).empty()) header("Content-Encoding", name_of(coding_));
  header("Content-Length", std::to_string(pending_.size()));
  started_ = true;
  std::string out = head(200) + "\r\n";
  if (pending_.size() < chunk_bytes && !options_.head_only) out += pending_;
  if (!connection_.write(out)) return false;
  return options_.head_only || pending_.size() < chunk_bytes || connection_.write(pending_);
}

bool Reply::whole(int status, std::string_view body, std::string_view content_type) {
  started_ = true;
  header("Content-Type", content_type);
  header("Content-Length", std::to_string(body.size()));
  std::string out = head(status) + "\r\n";
  if (!options_.head_only) out += body;
  return connection_.write(out);
}

bool Reply::fail(const Exception& exception, std::string_view version) {
  std::string text = exception.text;
  std::string suffix(" (version ");
  suffix += version;
  suffix += ')';
  if (!text.ends_with(suffix)) text += suffix;  // some of the engine's texts have it already
  text += '\n';
  if (!started_) {
    header("X-ClickHouse-Exception-Code", std::to_string(exception.code));
    const int status = status_of(exception.code);
    if (status == 401) header("WWW-Authenticate", "Basic realm=\"ClickHouse server HTTP API\"");
    return whole(status, text, "text/plain; charset=UTF-8");
  }
  // Too late for a status. The text in ClickHouse's marks, then an end of the connection in the middle of the chunks.
  options_.keep_alive = false;
  if (broken_) return false;
  encode("\r\n__exception__\r\n" + exception_tag_ + "\r\n" + text + std::to_string(text.size()) + " " + exception_tag_ +
         "\r\n__exception__\r\n");
  if (encoder_) encoder_->finish(pending_);
  chunk();
  broken_ = true;
  return false;
}

}  // namespace pgch::serve
