#include "serve/service.h"

#include <algorithm>
#include <array>
#include <random>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/try.h"
#include "serve/lexer.h"
#include "serve/query.h"

namespace pgch::serve {
namespace {

// Takes as long for a wrong password as for the right one, whatever they have in common.
bool same(std::string_view a, std::string_view b) noexcept {
  unsigned differ = a.size() == b.size() ? 0U : 1U;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const unsigned other = b.empty() ? 0U : static_cast<unsigned char>(b[i % b.size()]);
    differ |= static_cast<unsigned char>(a[i]) ^ other;
  }
  return differ == 0;
}

}  // namespace

Service::Service(ServeOptions options, const Context& context, std::shared_ptr<ch::Engine> engine)
    : options_(std::move(options)),
      context_(context),
      engine_(std::move(engine)),
      slots_(options_.threads == 0 ? 1 : options_.threads),
      kept_(*engine_, context_.clock) {}

Result<std::unique_ptr<Service>> Service::open(ServeOptions options, const Context& context) {
  ch::EngineOptions where;
  where.path = options.path;
  where.library = options.library;
  PGCH_ASSIGN(auto engine, ch::open_engine(where));
  std::unique_ptr<Service> service(new Service(std::move(options), context, std::move(engine)));
  PGCH_TRY(service->learn());
  return service;
}

Result<void> Service::learn() {
  PGCH_ASSIGN(const auto session, engine_->connect());
  auto facts = session->query("SELECT version(), timezone(), hostName()", "RowBinary");
  if (!facts) return std::move(facts).error();
  ByteReader reader(facts->data);
  version_ = reader.text();
  timezone_ = reader.text();
  host_name_ = reader.text();
  auto formats = session->query("SELECT name, content_type FROM system.formats", "RowBinary");
  if (!formats) return std::move(formats).error();
  ByteReader rows(formats->data);
  while (!rows.at_end() && rows.ok()) {
    const std::string_view name = rows.text();
    content_types_[lower(name)] = rows.text();
  }
  if (!rows.ok() || !reader.ok())
    return halt(Errc::internal, "the embedded engine described its formats in an unknown way");
  return {};
}

std::string_view Service::content_type(std::string_view format) const {
  const auto known = content_types_.find(lower(format));
  return known == content_types_.end() || known->second.empty() ? "text/plain; charset=UTF-8"
                                                                : std::string_view(known->second);
}

std::string Service::new_query_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) id += '-';
    id += "0123456789abcdef"[random() % 16];
  }
  id[14] = '4';
  return id;
}

std::optional<std::string> Service::authenticate(const Request& request, std::string& name) const {
  std::string password;
  name = "default";
  const std::string_view basic = request.header("authorization");
  if (!request.header("x-clickhouse-user").empty() || !request.header("x-clickhouse-key").empty()) {
    if (!request.header("x-clickhouse-user").empty()) name = request.header("x-clickhouse-user");
    password = request.header("x-clickhouse-key");
  } else if (is_word(basic.substr(0, 6), "BASIC ")) {
    const auto decoded = from_base64(basic.substr(6));
    if (!decoded) return std::nullopt;
    const std::size_t colon = decoded->find(':');
    if (colon > 0) name = decoded->substr(0, colon);
    if (colon != std::string::npos) password = decoded->substr(colon + 1);
  } else {
    if (const std::string* user = request.parameter("user"); user != nullptr && !user->empty()) name = *user;
    if (const std::string* given = request.parameter("password")) password = *given;
  }
  if (options_.users.empty()) {
    if (name == "default" && password.empty()) return name;
    return std::nullopt;
  }
  const auto known = options_.users.find(name);
  const bool right = same(password, known == options_.users.end() ? std::string_view() : known->second.reveal());
  if (known == options_.users.end() || !right) return std::nullopt;
  return name;
}

// Without passwords any page that a browser on this machine shows could send statements here. Browsers say where a
// request comes from; clients say nothing.
bool Service::foreign_page(const Request& request) const {
  if (!options_.users.empty()) return false;
  const std::string_view origin = request.header("origin");
  const std::string_view site = request.header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  if (origin.empty()) return false;
  const std::size_t host = origin.find("://");
  return host == std::string_view::npos || origin.substr(host + 3) != request.header("host");
}

void Service::answer(Request& request, Body& body, Connection& connection, Reply& reply) {
  reply.header("X-ClickHouse-Server-Display-Name", host_name_);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const std::string_view text = "text/plain; charset=UTF-8";
  if (!reads && request.method != "POST" && request.method != "PUT") {
    reply.whole(405, "Only GET, HEAD, POST and PUT are known here\n", text);
  } else if (foreign_page(request)) {
    reply.whole(403, "A page of another site may not use this server, which asks for no password\n", text);
  } else if (request.path == "/ping" || (reads && request.path == "/" && request.parameters.empty())) {
    reply.whole(200, "Ok.\n", "text/html; charset=UTF-8");
  } else if (request.path == "/replicas_status") {
    reply.whole(200, "Ok.\n", text);
  } else if (request.path == "/" || request.path == "/query") {
    Query(*this, request, body, connection, reply).run();
  } else {
    reply.whole(404,
                "There is no handle " + request.path +
                    "\n\nUse / or /ping for health checks.\n\nSend queries from your program with POST method or GET "
                    "/?query=...\n\nUse clickhouse-client:\n\nFor interactive data analysis:\n    clickhouse-client\n",
                text);
  }
}

}  // namespace pgch::serve
