// Confluent's interface by libcurl: two requests, each with a deadline.
#include "registry/schema_registry.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <array>
#include <mutex>

#include "base/handle.h"
#include "base/try.h"
#include "codec/json_text.h"
#include "registry/answer.h"

namespace pgch::registry {
namespace {

using EasyHandle = Handle<CURL, &curl_easy_cleanup>;
using HeaderList = Handle<curl_slist, &curl_slist_free_all>;

// Schemas are small: what is larger is no answer of a registry.
constexpr std::size_t answer_bytes_max = 8U << 20;

void init_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

std::size_t on_write(char* data, std::size_t size, std::size_t count, void* user) {
  auto& body = *static_cast<std::string*>(user);
  if (size * count > answer_bytes_max - body.size()) return CURL_WRITEFUNC_ERROR;
  body.append(data, size * count);
  return size * count;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const Context*>(user)->stop.stop_requested() ? 1 : 0;
}

struct Address {
  std::string base;   // scheme://host:port/path
  std::string shown;  // the same, for messages: it holds no credentials
  bool loopback = false, tls = false;
};

Result<Address> parse_address(const std::string& url) {
  const Handle<CURLU, &curl_url_cleanup> parsed(curl_url());
  const auto bad = [](const std::string& why) {
    return halt(Errc::config, "kafka.schema_registry is not a usable URL: " + why + " (such as http://host:8081).");
  };
  if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return bad("it can't be parsed");
  const auto part = [&](CURLUPart what) {
    char* text = nullptr;
    std::string out;
    if (curl_url_get(parsed.get(), what, &text, what == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) == CURLUE_OK)
      out = text;
    curl_free(text);
    return out;
  };
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty())
    return bad("user and password belong into kafka.schema_registry_user and kafka.schema_registry_password");
  if (!part(CURLUPART_QUERY).empty()) return bad("it has a query string");
  const std::string scheme = part(CURLUPART_SCHEME), host = part(CURLUPART_HOST);
  if (scheme != "http" && scheme != "https") return bad("it is neither http:// nor https://");
  std::string path = part(CURLUPART_PATH);
  while (!path.empty() && path.back() == '/') path.pop_back();
  Address address;
  address.base = scheme + "://" + host + ":" + part(CURLUPART_PORT) + path;
  address.shown = address.base;
  address.loopback = host == "localhost" || host == "[::1]" || host.rfind("127.", 0) == 0;
  address.tls = scheme == "https";
  return address;
}

class HttpRegistry final : public SchemaRegistry {
 public:
  HttpRegistry(const SchemaRegistryOptions& options, Address address, const Context& context)
      : options_(options), address_(std::move(address)), context_(context) {}

  Result<void> open() {
    init_curl_once();
    easy_.reset(curl_easy_init());
    if (easy_ == nullptr) return halt(Errc::internal, "libcurl could not be set up");
    CURL* c = easy_.get();
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout_ms));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.request_timeout_ms));
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!options_.ca_file.empty()) curl_easy_setopt(c, CURLOPT_CAINFO, options_.ca_file.c_str());
    if (address_.loopback) curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    if (!options_.user.empty()) {
      curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      curl_easy_setopt(c, CURLOPT_USERNAME, options_.user.c_str());
      curl_easy_setopt(c, CURLOPT_PASSWORD, options_.password.reveal().c_str());
    } else if (!options_.token.empty()) {
      curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, options_.token.reveal().c_str());
    }
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, &on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, &context_);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &on_write);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error_.data());
    return {};
  }

  Result<std::uint32_t> number_of(const std::string& subject, const std::string& schema) override {
    std::string body = "{\"schema\":";
    if (!codec::append_json_string(body, schema)) return halt(Errc::internal, "a schema is not UTF-8");
    body += '}';
    PGCH_ASSIGN(const Answer answer, request("/subjects/" + escaped(subject) + "/versions", &body));
    return read_number({address_.shown, subject, 0}, answer);
  }

  Result<std::optional<std::string>> schema_of(std::uint32_t number) override {
    PGCH_ASSIGN(const Answer answer, request("/schemas/ids/" + std::to_string(number), nullptr));
    return read_schema({address_.shown, {}, number}, answer);
  }

  Result<void> greet() override {
    PGCH_ASSIGN(const Answer answer, request("/config", nullptr));
    return read_greeting({address_.shown, {}, 0}, answer);
  }

 private:
  std::string escaped(const std::string& text) {
    char* escaped = curl_easy_escape(easy_.get(), text.c_str(), static_cast<int>(text.size()));
    std::string out = escaped == nullptr ? text : escaped;
    curl_free(escaped);
    return out;
  }

  // POST with a body, else GET. Both may be repeated: a schema that is registered twice keeps its number.
  Result<Answer> request(const std::string& path, const std::string* body) {
    if (context_.stop.stop_requested()) return retry(Errc::stopped, "stopped before a request to the schema registry");
    HeaderList headers;
    for (const char* line : {"Accept: application/vnd.schemaregistry.v1+json, application/json",
                             "Expect:", "Content-Type: application/vnd.schemaregistry.v1+json"}) {
      curl_slist* grown = curl_slist_append(headers.get(), line);
      if (grown == nullptr) return halt(Errc::internal, "libcurl could not take the headers");
      [[maybe_unused]] curl_slist* same = headers.release();  // it is the same list, now longer
      headers.reset(grown);
    }
    CURL* c = easy_.get();
    Answer answer;
    error_[0] = '\0';
    const std::string url = address_.base + path;
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer.body);
    if (body != nullptr) {
      curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
      curl_easy_setopt(c, CURLOPT_POSTFIELDS, body->c_str());
    } else {
      curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    }
    const CURLcode code = curl_easy_perform(c);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, nullptr);
    if (code != CURLE_OK) return transport_error(code);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
  }

  Error transport_error(CURLcode code) const {
    const std::string why = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    const std::string native = "curl " + std::to_string(static_cast<int>(code));
    switch (code) {
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CACERT_BADFILE:
        return halt(Errc::authentication,
                    fmt::format("The certificate of the schema registry at {} is not trusted: {}. Name its authority "
                                "(kafka.schema_registry_ca_file).",
                                address_.shown, why),
                    native);
      case CURLE_ABORTED_BY_CALLBACK:
        return retry(Errc::stopped, "stopped during a request to the schema registry", native);
      case CURLE_WRITE_ERROR:
        return halt(Errc::config, fmt::format("What answers at {} is no schema registry.", address_.shown), native);
      case CURLE_OPERATION_TIMEDOUT:
        return retry(Errc::timeout,
                     fmt::format("no answer from the schema registry at {} in time: {}", address_.shown, why), native);
      default:
        return retry(
            Errc::connection,
            fmt::format("no schema registry answers at {}: {}. Is it running, and is kafka.schema_registry its "
                        "address?",
                        address_.shown, why),
            native);
    }
  }

  SchemaRegistryOptions options_;
  Address address_;
  const Context context_;
  EasyHandle easy_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace

Result<std::unique_ptr<SchemaRegistry>> make_schema_registry(const SchemaRegistryOptions& options,
                                                             const Context& context) {
  PGCH_ASSIGN(Address address, parse_address(options.url));
  for (const std::string* value : {&options.user, &options.password.reveal(), &options.token.reveal()}) {
    if (value->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      return halt(Errc::config, "The schema registry's user, password and token must not contain line breaks.");
  }
  const bool secret = !options.password.empty() || !options.token.empty();
  if (secret && !address.tls && !address.loopback) {
    context.log.write(LogLevel::warning, "schema registry at " + address.shown +
                                             ": the password goes over the network without TLS; use https://");
  }
  auto made = std::make_unique<HttpRegistry>(options, std::move(address), context);
  PGCH_TRY(made->open());
  return std::unique_ptr<SchemaRegistry>(std::move(made));
}

}  // namespace pgch::registry
