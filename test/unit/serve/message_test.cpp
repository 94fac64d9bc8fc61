#include "serve/message.h"

#include <sys/socket.h>

#include <atomic>
#include <random>
#include <string>

#include "serve/coding.h"
#include "serve/exception.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::serve;

namespace {

// What a body read from these bytes gives, after which the client has closed; nullopt if it did not come whole.
std::optional<std::string> body_of(const std::string& headers, const std::string& bytes) {
  int ends[2] = {-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const std::atomic<bool> stopping{false};
  Connection connection{Descriptor(ends[0]), stopping};
  {
    const Descriptor client(ends[1]);
    REQUIRE(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  const auto request = parse_head("POST / HTTP/1.1\r\n" + headers);
  REQUIRE(request);
  auto body = Body::of(*request, connection, 1U << 20);
  if (!body) return std::nullopt;
  std::string out;
  for (;;) {
    auto piece = body->next();
    if (!piece) return std::nullopt;
    if (piece->empty()) return out;
    out += *piece;
  }
}

std::string some_bytes(std::size_t n) {
  std::mt19937 random(7);
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += static_cast<char>(random() % 7 == 0 ? random() : 'a');
  return out;
}

}  // namespace

TEST_CASE("a chunked body that is cut at any byte is never taken for whole") {
  const std::string bytes = "5\r\nhello\r\n00b;x=y\r\n\r\n0\r\n\r\nabcd\r\n0\r\nTrailer: x\r\n\r\n";
  REQUIRE(body_of("Transfer-Encoding: chunked", bytes) == "hello\r\n0\r\n\r\nabcd");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    INFO(n);
    CHECK_FALSE(body_of("Transfer-Encoding: chunked", bytes.substr(0, n)));
  }
}

TEST_CASE("a body shorter than its Content-Length is never taken for whole") {
  CHECK(body_of("Content-Length: 5", "hello") == "hello");
  CHECK(body_of("Content-Length: 5", "hello and more") == "hello");
  CHECK_FALSE(body_of("Content-Length: 6", "hello"));
  CHECK(body_of("Content-Length: 0", "") == "");
}

TEST_CASE("malformed and ambiguous framing is refused") {
  CHECK_FALSE(body_of("Transfer-Encoding: chunked", "5\r\nhelloX\r\n0\r\n\r\n"));
  CHECK_FALSE(body_of("Transfer-Encoding: chunked", "\r\nhello\r\n0\r\n\r\n"));
  CHECK_FALSE(body_of("Transfer-Encoding: chunked", "-5\r\nhello\r\n0\r\n\r\n"));
  CHECK_FALSE(body_of("Transfer-Encoding: chunked", "fffffffffffffffff\r\nhello"));
  CHECK_FALSE(body_of("Transfer-Encoding: gzip", "x"));
  CHECK_FALSE(body_of("Transfer-Encoding: chunked\r\nContent-Length: 5", "5\r\nhello\r\n0\r\n\r\n"));
  CHECK_FALSE(body_of("Content-Length: 5\r\nContent-Length: 4", "hello"));
  CHECK_FALSE(body_of("Content-Length: 5x", "hello"));
  CHECK_FALSE(body_of("Content-Length: 2000000", "hello"));
}

TEST_CASE("heads of requests are parsed strictly") {
  const auto request =
      parse_head("GET /?query=SELECT%201+%2B+1&a=&b HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User:  me \r\n");
  REQUIRE(request);
  CHECK(request->path == "/");
  CHECK(*request->parameter("query") == "SELECT 1 + 1");
  CHECK(request->parameter("a")->empty());
  CHECK(request->parameter("c") == nullptr);
  CHECK(request->header("x-clickhouse-user") == "me");
  CHECK(request->keep_alive());
  CHECK_FALSE(parse_head("GET / HTTP/1.1\r\nno colon\r\n"));
  CHECK_FALSE(parse_head("GET / HTTP/1.1\r\nodd name: x\r\n"));
  CHECK_FALSE(parse_head("GET /?a=%2 HTTP/1.1\r\n"));
  CHECK_FALSE(parse_head("GET / HTTP/2\r\n"));
  CHECK_FALSE(parse_head("GET /"));
  CHECK_FALSE(parse_head("GET / HTTP/1.0\r\n")->keep_alive());
}

TEST_CASE("forms and base64 are decoded") {
  const auto fields =
      parse_multipart("multipart/form-data; boundary=X",
                      "--X\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT\r\n1\r\n--X\r\n"
                      "Content-Disposition: form-data; name=\"param_a\"\r\n\r\n\r\n--X--\r\n");
  REQUIRE(fields);
  REQUIRE(fields->size() == 2);
  CHECK(fields->at(0) == std::pair<std::string, std::string>("query", "SELECT\r\n1"));
  CHECK(fields->at(1) == std::pair<std::string, std::string>("param_a", ""));
  CHECK_FALSE(
      parse_multipart("multipart/form-data; boundary=X", "--X\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nx"));
}

TEST_CASE("every coding gives back what went in, however it is cut, and a cut stream is refused") {
  const Coding coding = GENERATE(Coding::gzip, Coding::deflate, Coding::zstd, Coding::lz4, Coding::frames);
  const std::string raw = some_bytes(3'000'000);
  std::string coded;
  const auto encoder = make_encoder(coding);
  for (std::size_t at = 0; at < raw.size(); at += 700'001)
    encoder->encode(std::string_view(raw).substr(at, 700'001), coded);
  encoder->finish(coded);
  for (const std::size_t lost : {0U, 1U, 3U}) {
    const auto decoder = make_decoder(coding);
    std::string back;
    bool fine = true;
    for (std::size_t at = 0; at < coded.size() - lost; at += 77'777) {
      std::string_view piece = std::string_view(coded).substr(0, coded.size() - lost).substr(at, 77'777);
      while (fine && (!piece.empty() || decoder->holds_more())) fine = static_cast<bool>(decoder->decode(piece, back));
    }
    fine = fine && decoder->finish();
    CHECK(fine == (lost == 0));
    if (lost == 0) CHECK(back == raw);
  }
}

TEST_CASE("a small body that unpacks to gigabytes is unpacked in small steps") {
  const Coding coding = GENERATE(Coding::gzip, Coding::zstd, Coding::lz4);
  std::string coded;
  const auto encoder = make_encoder(coding);
  const std::string zeros(1U << 20, '\0');
  for (int i = 0; i < 64; ++i) encoder->encode(zeros, coded);
  encoder->finish(coded);
  const auto decoder = make_decoder(coding);
  std::string_view in = coded;
  std::size_t total = 0;
  while (!in.empty() || decoder->holds_more()) {
    std::string out;
    REQUIRE(decoder->decode(in, out));
    REQUIRE(out.size() <= 2U << 20);
    total += out.size();
  }
  REQUIRE(decoder->finish());
  CHECK(total == 64U << 20);
}

TEST_CASE("codings are chosen as the client asks") {
  CHECK(coding_accepted("gzip, deflate, br, zstd") == Coding::zstd);
  CHECK(coding_accepted("gzip;q=1.0, zstd;q=0") == Coding::gzip);
  CHECK(coding_accepted("br") == Coding::none);
  CHECK(coding_accepted("") == Coding::none);
  CHECK(*coding_named("GZIP") == Coding::gzip);
  CHECK_FALSE(coding_named("br"));
}

TEST_CASE("codes of ClickHouse have the statuses that ClickHouse gives them") {
  CHECK(status_of(62) == 400);
  CHECK(status_of(60) == 404);
  CHECK(status_of(47) == 404);
  CHECK(status_of(516) == 403);
  CHECK(status_of(194) == 401);
  CHECK(status_of(241) == 500);
  CHECK(status_of(48) == 501);
  CHECK(status_of(159) == 408);
}
