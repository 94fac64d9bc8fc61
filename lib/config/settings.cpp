#include "config/settings.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/try.h"
#include "config/appliers.h"

namespace pgch::config {
namespace {

std::vector<Setting> general_settings() {
  return {
      {"pipeline",
       "text",
       "pgch",
       "",
       "Name of the pipeline: part of every batch's token and of the journal's name. Don't change it while rows are "
       "under way.",
       text(
           "pipeline", [](D d) -> auto& { return d.config.pipeline; }),
       {}},
      {"state",
       "text",
       "./pgch-state",
       "",
       "Directory of the journal and the dead letters; belongs to this pipeline alone.",
       text(
           "state", [](D d) -> auto& { return d.config.state; }),
       {}},
      {"delivery",
       "exactly_once or at_least_once",
       "exactly_once",
       "",
       "at_least_once skips the journal and the looking after a doubt: faster for small batches, may double rows after "
       "a crash.",
       word("delivery", {"exactly_once", "at_least_once"},
            [](D d, const std::string& w) {
              d.config.run.delivery = w == "exactly_once" ? Delivery::exactly_once : Delivery::at_least_once;
            }),
       {}},
  };
}

std::vector<Setting> postgres_settings() {
  return {
      {"postgres.url",
       "text",
       "",
       "PG_URL",
       "postgresql://user@host:port/database, or libpq's list of key=value. Replaces the parts below that a lower "
       "layer set.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string url, as_text(given, "postgres.url"));
         auto parsed = parse_postgres(url);
         if (!parsed) return wrong(given, "\"postgres.url\" can't be read: " + parsed.error().message);
         auto password = d.postgres.password;
         d.postgres = *std::move(parsed);
         if (!d.postgres.password) d.postgres.password = std::move(password);
         return {};
       },
       {}},
      {"postgres.host",
       "text",
       "libpq's",
       "PG_HOST PGHOST",
       "Host, or the directory of a Unix socket.",
       postgres_part("postgres.host", "host"),
       {}},
      {"postgres.port", "integer", "libpq's", "PG_PORT PGPORT", "Port.", postgres_part("postgres.port", "port"), {}},
      {"postgres.database",
       "text",
       "libpq's",
       "PG_DB PG_DATABASE PGDATABASE",
       "Database.",
       postgres_part("postgres.database", "dbname"),
       {}},
      {"postgres.user", "text", "libpq's", "PG_USER PGUSER", "User.", postgres_part("postgres.user", "user"), {}},
      {"postgres.password",
       "secret",
       "",
       "PG_PASS PG_PASSWORD PGPASSWORD",
       "Password. Better in a password_file, the environment, or ~/.pgpass.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(std::string value, as_text(given, "postgres.password"));
         d.postgres.password = Secret(std::move(value));
         return {};
       },
       {}},
      {"postgres.password_file",
       "text",
       "",
       "",
       "File whose first line is the password; nobody else may read it (0600).",
       text(
           "postgres.password_file", [](D d) -> auto& { return d.postgres_password_file; }),
       {}},
      {"postgres.sslmode",
       "text",
       "libpq's",
       "PGSSLMODE",
       "libpq's sslmode; off loopback verify-full unless insecure.",
       postgres_part("postgres.sslmode", "sslmode"),
       {}},
      {"postgres.insecure",
       "true/false",
       "false",
       "",
       "Allow a connection off loopback without verified TLS.",
       flag(
           "postgres.insecure", [](D d) -> auto& { return d.config.postgres.insecure; }),
       {}},
      {"postgres.connect_timeout",
       "duration",
       "10s",
       "",
       "How long one attempt to connect may take.",
       number(as_duration_ms, "postgres.connect_timeout", 1000, days,
              [](D d, N v) { d.config.postgres.connect_timeout_s = static_cast<std::uint32_t>(v / 1000); }),
       {}},
      {"postgres.statement_timeout",
       "duration",
       "0s",
       "",
       "How long the server may work on one statement; 0s: no limit.",
       number(as_duration_ms, "postgres.statement_timeout", 0, days,
              [](D d, N v) { d.config.postgres.statement_timeout_s = static_cast<std::uint32_t>((v + 999) / 1000); }),
       {}},
  };
}

std::vector<Setting> running_settings() {
  return {
      {"batch.rows",
       "integer",
       "100000",
       "",
       "Rows of one batch at most. snapshot into ClickHouse: 600000, unless it is set.",
       number(as_integer, "batch.rows", 1, 10'000'000,
              [](D d, N v) { d.config.run.batch.rows_max = static_cast<std::uint32_t>(v); }),
       {}},
      {"batch.bytes",
       "size",
       "32MiB",
       "",
       "Bytes of one batch at most; a larger row is a batch of its own. snapshot into ClickHouse: 96MiB, unless it is "
       "set.",
       number(as_size, "batch.bytes", 1024, 1ull << 31, [](D d, N v) { d.config.run.batch.bytes_max = v; }),
       {}},
      {"batch.linger",
       "duration",
       "500ms",
       "",
       "How long a batch that isn't full waits for more rows.",
       number(as_duration_ms, "batch.linger", 0, 3'600'000,
              [](D d, N v) { d.config.run.batch.linger = std::chrono::milliseconds(v); }),
       {}},
      {"limits.memory",
       "size",
       "256MiB",
       "",
       "Everything fetched and not yet settled.",
       number(as_size, "limits.memory", 1u << 20, 1ull << 40, [](D d, N v) { d.config.run.in_flight_bytes_max = v; }),
       {}},
      {"limits.poll",
       "duration",
       "1s",
       "",
       "Wait between two looks at an idle source.",
       number(as_duration_ms, "limits.poll", 1, days,
              [](D d, N v) { d.config.run.poll = std::chrono::milliseconds(v); }),
       {}},
      {"limits.drain",
       "duration",
       "25s",
       "",
       "After SIGTERM: how long batches under way may take to settle.",
       number(as_duration_ms, "limits.drain", 0, days,
              [](D d, N v) { d.config.run.drain = std::chrono::milliseconds(v); }),
       {}},
      {"limits.backoff_min",
       "duration",
       "100ms",
       "",
       "First wait after a failure that may pass.",
       number(as_duration_ms, "limits.backoff_min", 1, days,
              [](D d, N v) { d.config.run.backoff_min = std::chrono::milliseconds(v); }),
       {}},
      {"limits.backoff_max",
       "duration",
       "15s",
       "",
       "Longest wait between two retries.",
       number(as_duration_ms, "limits.backoff_max", 1, days,
              [](D d, N v) { d.config.run.backoff_max = std::chrono::milliseconds(v); }),
       {}},
      {"limits.retries",
       "integer",
       "0",
       "",
       "Retries of one step in a row before the pipeline stops; 0: for ever.",
       number(as_integer, "limits.retries", 0, std::numeric_limits<std::uint32_t>::max(),
              [](D d, N v) { d.config.run.retries_max = static_cast<std::uint32_t>(v); }),
       {}},
      {"log.level",
       "debug, info, warning or error",
       "info",
       "",
       "What is logged, on standard error.",
       word("log.level", {"debug", "info", "warning", "error"},
            [](D d, const std::string& w) {
              d.config.log_level = w == "debug"     ? LogLevel::debug
                                   : w == "info"    ? LogLevel::info
                                   : w == "warning" ? LogLevel::warning
                                                    : LogLevel::error;
            }),
       {}},
      {"log.format",
       "text or json",
       "text",
       "",
       "Lines of text, or one JSON object a line.",
       word("log.format", {"text", "json"}, [](D d, const std::string& w) { d.config.log_json = w == "json"; }),
       {}},
  };
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = [] {
    std::vector<Setting> out = general_settings();
    for (auto* part : {&postgres_settings, &kafka_settings, &registry_settings, &clickhouse_settings, &running_settings,
                       &type_settings, &table_settings}) {
      for (Setting& one : (*part)()) out.push_back(std::move(one));
    }
    return out;
  }();
  return all;
}

const Setting* find_setting(std::string_view name) {
  for (const Setting& one : settings()) {
    if (name == one.name) return &one;
  }
  return nullptr;
}

List environment_names(const Setting& setting) {
  std::string own = "PGCH_";
  for (const char c : std::string_view(setting.name))
    own += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  List out{own};
  std::string_view rest = setting.environment;
  while (!rest.empty()) {
    const auto space = rest.find(' ');
    out.emplace_back(rest.substr(0, space));
    rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
  }
  return out;
}

}  // namespace pgch::config
