// Addresses in parts: so that PG_HOST in the environment replaces just the host of a URL in the file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "pgch/context.h"
#include "pgch/error.h"

namespace pgch::config {

struct PostgresAddress {
  std::map<std::string, std::string> parts;  ///< libpq's keywords: host, port, dbname, user, sslmode, …
  std::optional<Secret> password;
};
/// "postgresql://user:password@host:port/db?sslmode=…" or "host=… port=…".
Result<PostgresAddress> parse_postgres(std::string_view text);
/// As libpq reads it, without the password.
std::string conninfo_of(const PostgresAddress& address);

struct ClickHouseAddress {
  std::optional<std::string> directory;  ///< embedded
  std::string host;                      ///< empty and no directory: nothing was set
  std::string port;
  bool tls = false;
  std::optional<std::string> user, database;
  std::optional<Secret> password;
};
/// "http(s)://user:password@host:port/database" or "chdb://directory".
Result<ClickHouseAddress> parse_clickhouse(std::string_view text);
std::string url_of(const ClickHouseAddress& address);

/// %41 → A; nullopt if malformed or NUL.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace pgch::config
