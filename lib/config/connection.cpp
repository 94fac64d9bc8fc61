#include "config/connection.h"

#include "base/try.h"

namespace pgch::config {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// None of these sentences repeats the address: it may hold a password.
Error bad_address(std::string sentence) { return halt(Errc::config, std::move(sentence)); }

Result<std::string> decoded(std::string_view part, std::string_view what) {
  auto text = percent_decode(part);
  if (!text) return bad_address("the " + std::string(what) + " in the address has a wrong %-escape");
  return *std::move(text);
}

struct Authority {
  std::string_view credentials, host_port, path, query;
  bool has_credentials = false;
};

// What follows "scheme://". An unescaped @ in a password is forgiven: the last one counts.
Authority split_authority(std::string_view rest) {
  Authority parts;
  if (const auto question = rest.find('?'); question != std::string_view::npos) {
    parts.query = rest.substr(question + 1);
    rest = rest.substr(0, question);
  }
  auto slash = rest.find('/');
  if (const auto at = rest.substr(0, slash).rfind('@'); at != std::string_view::npos) {
    parts.has_credentials = true;
    parts.credentials = rest.substr(0, at);
    rest = rest.substr(at + 1);
    slash = rest.find('/');
  }
  parts.host_port = rest.substr(0, slash);
  if (slash != std::string_view::npos) parts.path = rest.substr(slash + 1);
  return parts;
}

// "h1:5432,[::1]:5433" → "h1,::1" and "5432,5433".
Result<void> split_hosts(std::string_view text, std::string& hosts, std::string& ports) {
  bool any_port = false;
  while (true) {
    const auto comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    std::string_view host = one, port;
    if (one.starts_with('[')) {
      const auto close = one.find(']');
      if (close == std::string_view::npos) return bad_address("the address has a [ without its ]");
      host = one.substr(1, close - 1);
      if (one.size() > close + 1) {
        if (one[close + 1] != ':') return bad_address("the address has something after ] that is no port");
        port = one.substr(close + 2);
      }
    } else if (const auto colon = one.rfind(':'); colon != std::string_view::npos) {
      host = one.substr(0, colon);
      port = one.substr(colon + 1);
    }
    if (port.find_first_not_of("0123456789") != std::string_view::npos || port.size() > 5) {
      return bad_address("the address's port must be a number (an @, / or : in the password is written %40, %2F, %3A)");
    }
    PGCH_ASSIGN(const std::string name, decoded(host, "host"));
    if (!hosts.empty() || any_port) hosts += ',', ports += ',';
    hosts += name;
    ports += port;
    any_port = any_port || !port.empty();
    if (comma == std::string_view::npos) break;
    if (hosts.empty()) return bad_address("the address has an empty host before a comma");
    text = text.substr(comma + 1);
  }
  if (!any_port) ports.clear();
  return {};
}

Result<PostgresAddress> parse_postgres_url(std::string_view rest) {
  PostgresAddress address;
  const Authority parts = split_authority(rest);
  if (parts.has_credentials) {
    const auto colon = parts.credentials.find(':');
    PGCH_ASSIGN(std::string user, decoded(parts.credentials.substr(0, colon), "user"));
    if (!user.empty()) address.parts["user"] = std::move(user);
    if (colon != std::string_view::npos) {
      PGCH_ASSIGN(std::string password, decoded(parts.credentials.substr(colon + 1), "password"));
      address.password = Secret(std::move(password));
    }
  }
  std::string hosts, ports;
  PGCH_TRY(split_hosts(parts.host_port, hosts, ports));
  if (!hosts.empty()) address.parts["host"] = hosts;
  if (!ports.empty()) address.parts["port"] = ports;
  PGCH_ASSIGN(std::string database, decoded(parts.path, "database"));
  if (!database.empty()) address.parts["dbname"] = std::move(database);
  std::string_view query = parts.query;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return bad_address("a parameter of the address has no =");
    PGCH_ASSIGN(std::string name, decoded(pair.substr(0, equals), "parameter"));
    PGCH_ASSIGN(std::string value, decoded(pair.substr(equals + 1), "parameter"));
    if (name == "password") {
      address.password = Secret(std::move(value));
    } else {
      address.parts[name] = std::move(value);
    }
  }
  return address;
}

// libpq's key=value list: values may be quoted with ', and \ escapes.
Result<PostgresAddress> parse_keywords(std::string_view text) {
  PostgresAddress address;
  std::size_t at = 0;
  const auto skip = [&] {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n')) ++at;
  };
  for (skip(); at < text.size(); skip()) {
    std::string name, value;
    while (at < text.size() && text[at] != '=' && text[at] != ' ') name += text[at++];
    skip();
    if (at >= text.size() || text[at] != '=' || name.empty()) {
      return bad_address(
          "the address is neither postgresql://user@host:port/database nor a list like \"host=… dbname=…\"");
    }
    ++at;
    skip();
    const bool quoted = at < text.size() && text[at] == '\'';
    if (quoted) ++at;
    bool closed = !quoted;
    while (at < text.size()) {
      const char c = text[at];
      if (quoted ? c == '\'' : (c == ' ' || c == '\t' || c == '\n')) {
        closed = true;
        if (quoted) ++at;
        break;
      }
      if (c == '\\' && at + 1 < text.size()) ++at;
      value += text[at++];
    }
    if (!closed) return bad_address("the address has a ' without its end");
    if (name == "password") {
      address.password = Secret(std::move(value));
    } else {
      address.parts[name] = std::move(value);
    }
  }
  return address;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

Result<PostgresAddress> parse_postgres(std::string_view text) {
  for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
    if (text.starts_with(scheme)) return parse_postgres_url(text.substr(scheme.size()));
  }
  if (text.find("://") != std::string_view::npos && text.find('=') == std::string_view::npos) {
    return bad_address("the address must begin with postgresql://");
  }
  return parse_keywords(text);
}

std::string conninfo_of(const PostgresAddress& address) {
  std::string out;
  for (const auto& [name, value] : address.parts) {
    if (!out.empty()) out += ' ';
    out += name + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += '\'';
  }
  return out;
}

Result<ClickHouseAddress> parse_clickhouse(std::string_view text) {
  ClickHouseAddress address;
  if (text.starts_with("chdb://")) {
    address.directory = std::string(text.substr(7));
    if (address.directory->empty()) return bad_address("chdb:// needs a directory, as in chdb://./pgch-data");
    return address;
  }
  if (text.starts_with("https://")) {
    address.tls = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else {
    return bad_address(
        "the address must begin with http://, https:// or chdb:// (pgch speaks ClickHouse's HTTP interface)");
  }
  const Authority parts = split_authority(text);
  if (parts.has_credentials) {
    const auto colon = parts.credentials.find(':');
    PGCH_ASSIGN(std::string user, decoded(parts.credentials.substr(0, colon), "user"));
    if (!user.empty()) address.user = std::move(user);
    if (colon != std::string_view::npos) {
      PGCH_ASSIGN(std::string password, decoded(parts.credentials.substr(colon + 1), "password"));
      address.password = Secret(std::move(password));
    }
  }
  if (!parts.query.empty()) return bad_address("the address can't have parameters; use [clickhouse.settings]");
  std::string ports;
  PGCH_TRY(split_hosts(parts.host_port, address.host, ports));
  if (address.host.empty() || address.host.find(',') != std::string::npos)
    return bad_address("the address needs one host");
  address.port = ports;
  PGCH_ASSIGN(std::string database, decoded(parts.path, "database"));
  if (!database.empty()) address.database = std::move(database);
  return address;
}

std::string url_of(const ClickHouseAddress& address) {
  if (address.directory) return "chdb://" + *address.directory;
  if (address.host.empty()) return "chdb://./pgch-data";
  const std::string host = address.host.find(':') == std::string::npos ? address.host : "[" + address.host + "]";
  const std::string port = !address.port.empty() ? address.port : address.tls ? "8443" : "8123";
  return (address.tls ? "https://" : "http://") + host + ":" + port;
}

}  // namespace pgch::config
