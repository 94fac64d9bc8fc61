#include "clickhouse/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <mutex>

#include "base/handle.h"
#include "base/try.h"
#include "clickhouse/errors.h"

namespace pgch::ch {
namespace {

using EasyHandle = Handle<CURL, &curl_easy_cleanup>;
using HeaderList = Handle<curl_slist, &curl_slist_free_all>;

constexpr std::size_t error_text_max = 16'384;
constexpr std::size_t tail_max = 4'096;  // an exception in the middle of a body stands at its end

void init_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// What happens during one request; the callbacks below write it.
struct Exchange {
  std::span<const std::byte> body;
  std::size_t sent = 0;
  bool began = false;  // the body was asked for: the head is on its way
  long status = 0;
  int exception_code = 0;
  std::string error_text;  // body of an answer that is not 200
  std::string tail;        // last bytes of a 200 body
  const Http::Sink* sink = nullptr;
  Result<void> sink_result;
  const Context* context = nullptr;
};

std::size_t on_read(char* into, std::size_t size, std::size_t count, void* user) {
  auto& x = *static_cast<Exchange*>(user);
  x.began = true;
  const std::size_t n = std::min(size * count, x.body.size() - x.sent);
  if (n != 0) std::memcpy(into, x.body.data() + x.sent, n);
  x.sent += n;
  return n;
}

bool header_is(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return false;
  return std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(a) == lower(b);
  });
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& x = *static_cast<Exchange*>(user);
  std::string_view line(data, size * count);
  constexpr std::string_view code = "X-ClickHouse-Exception-Code";
  if (line.rfind("HTTP/", 0) == 0) {
    const auto space = line.find(' ');
    if (space != std::string_view::npos) std::from_chars(line.data() + space + 1, line.data() + line.size(), x.status);
  } else if (header_is(line, code)) {
    line.remove_prefix(code.size() + 1);
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    std::from_chars(line.data(), line.data() + line.size(), x.exception_code);
  }
  return size * count;
}

std::size_t on_write(char* data, std::size_t size, std::size_t count, void* user) {
  auto& x = *static_cast<Exchange*>(user);
  const std::string_view piece(data, size * count);
  if (x.status != 200 || x.exception_code != 0) {
    x.error_text.append(piece.substr(0, error_text_max - std::min(error_text_max, x.error_text.size())));
    return piece.size();
  }
  x.tail.append(piece.size() > tail_max ? piece.substr(piece.size() - tail_max) : piece);
  if (x.tail.size() > tail_max) x.tail.erase(0, x.tail.size() - tail_max);
  x.sink_result = (*x.sink)(piece);
  return x.sink_result ? piece.size() : CURL_WRITEFUNC_ERROR;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(user)->context->stop.stop_requested() ? 1 : 0;
}

// Where the exception's text begins in the end of a 200 body, or npos. Old servers just append it, new ones mark it.
std::size_t exception_in(std::string_view tail) {
  for (const std::string_view mark : {"__exception__", "\r\nCode: ", "\nCode: "}) {
    const auto at = tail.rfind(mark);
    if (at == std::string_view::npos) continue;
    if (tail.find("DB::Exception", at) != std::string_view::npos) return at;
  }
  if (tail.rfind("Code: ", 0) == 0 && tail.find("DB::Exception") != std::string_view::npos) return 0;
  return std::string_view::npos;
}

struct Address {
  std::string base;   // scheme://host:port/
  std::string shown;  // host:port
  bool loopback = false;
};

Result<Address> parse_address(const std::string& url) {
  const Handle<CURLU, &curl_url_cleanup> parsed(curl_url());
  const auto bad = [](const std::string& why) {
    return halt(Errc::config,
                "the ClickHouse address is not a usable URL: " + why + " (expected such as http://host:8123)");
  };
  if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return bad("it cannot be parsed");
  const auto part = [&](CURLUPart what) {
    char* text = nullptr;
    std::string out;
    if (curl_url_get(parsed.get(), what, &text, what == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) == CURLUE_OK)
      out = text;
    curl_free(text);
    return out;
  };
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty())
    return bad("user and password belong into their own settings, not into the URL");
  if (!part(CURLUPART_QUERY).empty()) return bad("it has a query string; settings have their own place");
  const std::string scheme = part(CURLUPART_SCHEME), host = part(CURLUPART_HOST);
  std::string port = part(CURLUPART_PORT), path = part(CURLUPART_PATH);
  if (path.empty() || path.back() != '/') path += '/';
  Address address;
  address.shown = host + ":" + port;
  address.base = scheme + "://" + address.shown + path;
  address.loopback = host == "localhost" || host == "[::1]" || host.rfind("127.", 0) == 0;
  return address;
}

class CurlHttp final : public Http {
 public:
  CurlHttp(const ClickHouseOptions& options, Address address, const Context& context)
      : options_(options), address_(std::move(address)), context_(context) {}

  Result<void> open() {
    init_curl_once();
    easy_.reset(curl_easy_init());
    if (easy_ == nullptr) return halt(Errc::internal, "libcurl could not be set up");
    CURL* c = easy_.get();
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout_ms));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.request_timeout_ms));
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, options_.insecure ? 0L : 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, options_.insecure ? 0L : 2L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!options_.ca_file.empty()) curl_easy_setopt(c, CURLOPT_CAINFO, options_.ca_file.c_str());
    if (address_.loopback) curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, 2L);  // servers close idle connections after three seconds and more
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 1L << 18);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, &on_progress);
    // There is no seek function on purpose: with one, curl would send a request again by itself when a kept connection
    // turns out to be dead, and an insert could happen twice.
    curl_easy_setopt(c, CURLOPT_READFUNCTION, &on_read);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &on_write);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error_.data());
    return {};
  }

  Result<void> post(const HttpRequest& request, const Sink& sink) override {
    if (context_.stop.stop_requested())
      return Error{Errc::stopped, Recovery::retry, false, "stopped before a request to ClickHouse", {}};
    CURL* c = easy_.get();
    Exchange x;
    x.body = request.body;
    x.sink = &sink;
    x.context = &context_;
    PGCH_ASSIGN(const std::string url, url_of(request));
    const HeaderList headers = headers_of();
    if (headers == nullptr) return halt(Errc::internal, "libcurl could not take the headers");
    error_[0] = '\0';
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(c, CURLOPT_READDATA, &x);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &x);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &x);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, &x);
    const CURLcode code = curl_easy_perform(c);
    // Only this request's list may be gone afterwards, not the handle's idea of it.
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, nullptr);
    return judge(request, x, code);
  }

 private:
  Result<std::string> url_of(const HttpRequest& request) {
    std::string url = address_.base;
    char join = '?';
    for (const auto& [name, value] : request.parameters) {
      char* escaped = curl_easy_escape(easy_.get(), value.c_str(), static_cast<int>(value.size()));
      if (escaped == nullptr) return halt(Errc::internal, "libcurl could not escape a parameter");
      url += join + name + "=" + escaped;
      curl_free(escaped);
      join = '&';
    }
    return url;
  }

  HeaderList headers_of() const {
    std::vector<std::string> lines{"Transfer-Encoding: chunked", "Expect:", "Content-Type: application/octet-stream",
                                   "X-ClickHouse-User: " + options_.user};
    if (!options_.password.empty()) lines.push_back("X-ClickHouse-Key: " + options_.password.reveal());
    HeaderList list;
    for (const std::string& line : lines) {
      curl_slist* grown = curl_slist_append(list.get(), line.c_str());
      if (grown == nullptr) return {};
      [[maybe_unused]] curl_slist* same = list.release();  // it is the same list, now longer
      list.reset(grown);
    }
    return list;
  }

  Result<void> judge(const HttpRequest& request, Exchange& x, CURLcode code) {
    if (!x.sink_result) return std::move(x.sink_result).error();
    answered_ = answered_ || x.status == 200 || x.exception_code != 0;
    if (x.status != 0 && (x.status != 200 || x.exception_code != 0)) return said_no(request, x);
    if (code == CURLE_OK && x.status == 200) {
      const std::size_t at =
          request.answer_whole && !request.changes_data ? std::string_view::npos : exception_in(x.tail);
      if (at == std::string_view::npos) return {};
      Error error = classify(code_in(std::string_view(x.tail).substr(at)), std::string_view(x.tail).substr(at));
      error.in_doubt = error.in_doubt || request.changes_data;  // it had begun to answer: who knows how far it was
      return error;
    }
    return transport_error(request, x, code);
  }

  Error said_no(const HttpRequest& request, Exchange& x) {
    int code = x.exception_code != 0 ? x.exception_code : code_in(x.error_text);
    if (code == 0 && (x.status == 401 || x.status == 403)) {
      return halt(Errc::authentication,
                  fmt::format("ClickHouse at {} refused user {} (HTTP {}): check user and password", address_.shown,
                              options_.user, x.status),
                  std::to_string(x.status));
    }
    if (code == 0) {
      // Not ClickHouse's own voice: a proxy in between, or no ClickHouse at all.
      Error error = x.status >= 500 ? retry(Errc::connection, {}) : halt(Errc::config, {});
      error.in_doubt = x.status >= 500 && request.changes_data;
      error.message = fmt::format("{} answered HTTP {} without saying why{}", address_.shown, x.status,
                                  x.status >= 500 ? std::string_view() : not_http());
      error.native = std::to_string(x.status);
      return error;
    }
    Error error = classify(code, x.error_text);
    if (error.code == Errc::authentication) {
      error.message = fmt::format("ClickHouse at {} refused user {} (code {}): check user and password", address_.shown,
                                  options_.user, code);
    }
    if (!request.changes_data) error.in_doubt = false;
    // HTTP 200 with an exception: the server had begun to answer before it failed.
    if (request.changes_data && x.status == 200 && error.recovery != Recovery::halt) error.in_doubt = true;
    return error;
  }

  Error transport_error(const HttpRequest& request, const Exchange& x, CURLcode code) {
    const bool doubt = request.changes_data && x.began;
    const std::string why = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    const std::string native = "curl " + std::to_string(static_cast<int>(code));
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
        return retry(Errc::connection,
                     fmt::format("ClickHouse's host name in {} is not known: {}", address_.shown, why), native);
      case CURLE_COULDNT_CONNECT:
        return retry(Errc::connection,
                     fmt::format("no ClickHouse answers at {}: {}. Is it running, and is that its HTTP port?",
                                 address_.shown, why),
                     native);
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CACERT_BADFILE:
        return halt(Errc::authentication,
                    fmt::format("the certificate of ClickHouse at {} is not trusted: {}. Name its authority (ca_file)",
                                address_.shown, why),
                    native);
      case CURLE_SSL_CONNECT_ERROR:
        return retry(
            Errc::connection,
            fmt::format("no TLS connection to ClickHouse at {}: {}. Is that its HTTPS port?", address_.shown, why),
            native);
      case CURLE_ABORTED_BY_CALLBACK:
        return Error{Errc::stopped, Recovery::retry, doubt,
                     "stopped during a request to ClickHouse at " + address_.shown, native};
      case CURLE_OPERATION_TIMEDOUT:
        return Error{Errc::timeout, Recovery::retry, doubt,
                     fmt::format("no answer from ClickHouse at {} in time: {}", address_.shown, why), native};
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_WEIRD_SERVER_REPLY:
        return Error{Errc::config, Recovery::halt, doubt,
                     fmt::format("what answers at {} does not speak HTTP{}", address_.shown, not_http()), native};
      default:
        return Error{Errc::connection, Recovery::retry, doubt,
                     fmt::format("the connection to ClickHouse at {} broke: {}{}", address_.shown, why,
                                 answered_ ? std::string_view() : not_http()),
                     native};
    }
  }

  // For what was never heard to answer as ClickHouse does.
  static std::string_view not_http() {
    return "; this is not ClickHouse's HTTP interface, or it is not up yet; 8123 (with https: 8443) is the usual port";
  }

  ClickHouseOptions options_;
  Address address_;
  const Context context_;
  EasyHandle easy_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  bool answered_ = false;  // as ClickHouse, at any time
};

}  // namespace

Result<std::unique_ptr<Http>> make_http(const ClickHouseOptions& options, const Context& context) {
  PGCH_ASSIGN(Address address, parse_address(options.url));
  for (const std::string* value : {&options.user, &options.password.reveal()}) {
    if (value->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return halt(Errc::config, "ClickHouse's user and password must not contain line breaks");
    }
  }
  if (options.insecure)
    context.log.write(LogLevel::warning,
                      "ClickHouse at " + address.shown + ": certificates are NOT verified (insecure)");
  const bool in_the_clear = address.base.rfind("http://", 0) == 0 && !address.loopback && !options.password.empty();
  if (in_the_clear && !options.insecure) {
    context.log.write(LogLevel::warning, "ClickHouse at " + address.shown +
                                             ": the password goes over the network without TLS; use https://, or say "
                                             "insecure = true if that is meant");
  }
  auto http = std::make_unique<CurlHttp>(options, std::move(address), context);
  PGCH_TRY(http->open());
  return std::unique_ptr<Http>(std::move(http));
}

}  // namespace pgch::ch
