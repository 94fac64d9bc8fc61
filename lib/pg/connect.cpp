// How a connection is made: what libpq is told, what is refused, and which settings the session gets.
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/handle.h"
#include "base/try.h"
#include "pg/connection.h"
#include "pg/sqlstate.h"

namespace pgch::pg {
namespace {

using Conninfo = Handle<PQconninfoOption, &PQconninfoFree>;

std::string option_of(const PQconninfoOption* options, std::string_view keyword) {
  for (const PQconninfoOption* o = options; o != nullptr && o->keyword != nullptr; ++o) {
    if (keyword == o->keyword) return o->val == nullptr ? std::string() : std::string(o->val);
  }
  return {};
}

bool is_loopback(std::string_view host) noexcept {
  return host.empty() || host.front() == '/' || host.front() == '@' || host == "localhost" || host == "::1" ||
         host.substr(0, 4) == "127.";
}

/// Host lists are comma-separated; one host off loopback makes the whole list so.
bool all_loopback(std::string_view hosts) noexcept {
  while (true) {
    const std::size_t comma = hosts.find(',');
    if (!is_loopback(hosts.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    hosts.remove_prefix(comma + 1);
  }
}

/// Parses what the user wrote; libpq's own message is not passed on, since it may quote the password.
Result<Conninfo> parse(const PostgresOptions& options) {
  char* reason = nullptr;
  Conninfo parsed(PQconninfoParse(options.conninfo.c_str(), &reason));
  if (reason != nullptr) PQfreemem(reason);
  if (!parsed) {
    return halt(
        Errc::config,
        "The PostgreSQL connection string can't be read; it must be postgresql://user@host:port/database or a list of "
        "key=value, with special characters percent-encoded in the first form and quoted in the second.");
  }
  if (option_of(parsed.get(), "host").find('@') != std::string::npos) {
    return halt(Errc::config,
                "The PostgreSQL connection string has an @ in its host: percent-encode the password's special "
                "characters (@ is %40).");
  }
  return parsed;
}

}  // namespace

std::string redact(std::string text, const Secret& secret) {
  if (secret.empty()) return text;
  for (std::size_t at = text.find(secret.reveal()); at != std::string::npos; at = text.find(secret.reveal(), at)) {
    text.replace(at, secret.reveal().size(), "***");
    at += 3;
  }
  return text;
}

Result<ConnectionHandle> Connection::connect(const PostgresOptions& options, const Context& context, bool verify) {
  std::vector<const char*> keys, values;
  const auto put = [&](const char* key, const char* value) {
    keys.push_back(key);
    values.push_back(value);
  };
  // What comes later overrides: first what conninfo may change, then conninfo itself, then what is pgch's.
  put("keepalives_idle", "30");
  put("keepalives_interval", "10");
  put("keepalives_count", "3");
  put("tcp_user_timeout", "60000");
  put("fallback_application_name", options.application_name.c_str());
  put("dbname", options.conninfo.c_str());
  if (!options.password.empty()) put("password", options.password.reveal().c_str());
  if (verify) put("sslmode", "verify-full");
  put("client_encoding", "UTF8");
  keys.push_back(nullptr);
  values.push_back(nullptr);

  ConnectionHandle handle(PQconnectStartParams(keys.data(), values.data(), 1));
  if (!handle) return halt(Errc::limit, "There is no memory for a connection to PostgreSQL.");
  PQsetErrorVerbosity(handle.get(), PQERRORS_VERBOSE);  // so that a refusal carries its SQLSTATE
  const auto until = context.clock.now() + std::chrono::seconds(std::max(1U, options.connect_timeout_s));
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(handle.get()) != CONNECTION_BAD) {
    const int fd = PQsocket(handle.get());
    if (context.stop.stop_requested())
      return Error{Errc::stopped, Recovery::halt, false, "pgch was asked to stop.", {}};
    if (context.clock.now() >= until) {
      return retry(Errc::timeout, "PostgreSQL did not answer within " + std::to_string(options.connect_timeout_s) +
                                      " s while connecting; check host, port and firewall.");
    }
    pollfd p{fd, static_cast<short>(next == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    const int n = ::poll(&p, 1, 20);
    if (n < 0 && errno != EINTR)
      return halt(Errc::io, "Waiting for PostgreSQL failed: poll gave errno " + std::to_string(errno) + ".");
    if (n <= 0) continue;
    next = PQconnectPoll(handle.get());
    if (next == PGRES_POLLING_OK) {
      PQsetErrorVerbosity(handle.get(), PQERRORS_DEFAULT);
      return handle;
    }
    if (next == PGRES_POLLING_FAILED) break;
  }
  Error e = connect_error(redact(PQerrorMessage(handle.get()), options.password));
  if (PQconnectionNeedsPassword(handle.get()) != 0) {
    e = halt(Errc::authentication,
             "PostgreSQL asks for a password and none was given; set PGPASSWORD, ~/.pgpass or the password setting.");
  }
  return e;
}

Result<std::unique_ptr<Connection>> Connection::open(const PostgresOptions& given, const Context& context) {
  PostgresOptions options = given;
  PGCH_ASSIGN(const Conninfo parsed, parse(options));
  // A password in the conninfo is known from here on too, so that it can be kept out of messages.
  if (options.password.empty()) options.password = Secret(option_of(parsed.get(), "password"));
  bool verify = false;
  if (!options.insecure && option_of(parsed.get(), "sslmode").empty()) {
    // What libpq will really use, with environment and service file applied; nothing is sent by this.
    const char* keys[] = {"dbname", nullptr};
    const char* values[] = {options.conninfo.c_str(), nullptr};
    const ConnectionHandle probe(PQconnectStartParams(keys, values, 1));
    const Conninfo real(probe ? PQconninfo(probe.get()) : nullptr);
    const std::string mode = option_of(real.get(), "sslmode");
    std::string hosts = option_of(real.get(), "hostaddr");
    if (hosts.empty()) hosts = option_of(real.get(), "host");
    // "prefer" is libpq's default and verifies nothing: it can't be told from a wish, so it is not taken for one.
    verify = (mode.empty() || mode == "prefer") && !all_loopback(hosts);
  }
  if (options.insecure)
    context.log.write(LogLevel::warning, "PostgreSQL: insecure is set, the server's certificate is not verified.");
  PGCH_ASSIGN(ConnectionHandle handle, connect(options, context, verify));
  if (PQsetnonblocking(handle.get(), 1) != 0) return halt(Errc::internal, "libpq refused the non-blocking mode.");
  // The server's notices are for the server's log; libpq would print them to stderr.
  PQsetNoticeReceiver(
      handle.get(), [](void*, const PGresult*) {}, nullptr);
  std::unique_ptr<Connection> out(new Connection(std::move(handle), context.clock));
  PGCH_TRY(out->prepare_session(
      options, {context.clock.now() + std::chrono::seconds(std::max(1U, options.connect_timeout_s)), context.stop}));
  return out;
}

Result<void> Connection::prepare_session(const PostgresOptions& options, const Wait& wait) {
  if (server_version() < 140000) {
    return halt(Errc::unsupported, "This PostgreSQL server is older than 14; pgch supports 14 and later.");
  }
  std::string sql =
      "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; SET bytea_output = 'hex';"
      "SET extra_float_digits = 1; SET standard_conforming_strings = on; SET idle_in_transaction_session_timeout = 0;"
      "SET idle_session_timeout = 0; SET default_transaction_isolation = 'read committed';"
      "SET default_transaction_read_only = off;"
      "SET statement_timeout = '" +
      std::to_string(options.statement_timeout_s) + "s';";
  if (server_version() >= 170000) sql += "SET transaction_timeout = 0;";
  PGCH_TRY(exec(sql, {}, "preparing the session", wait));
  return {};
}

}  // namespace pgch::pg
