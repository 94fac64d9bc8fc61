#include "config/settings.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/try.h"

namespace pgch::config {
namespace {

using Apply = std::function<Result<void>(Draft&, const Given&)>;

// Makers of Setting::apply: a reader of the value, and where it goes.
template <class Place>
Apply text(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(draft), as_text(given, name));
    return {};
  };
}
template <class Place>
Apply flag(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(draft), as_bool(given, name));
    return {};
  };
}
template <class Place>
Apply word(const char* name, List allowed, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(const std::string chosen, as_word(given, name, allowed));
    place(draft, chosen);
    return {};
  };
}
using Reader = Result<std::uint64_t> (*)(const Given&, std::string_view, std::uint64_t, std::uint64_t);
template <class Place>
Apply number(Reader read, const char* name, std::uint64_t low, std::uint64_t high, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(const std::uint64_t value, read(given, name, low, high));
    place(draft, value);
    return {};
  };
}
template <class Place>
Apply names(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(draft), as_list(given, name));
    return {};
  };
}
template <class Place>
Apply map(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(Map value, as_map(given, name));
    for (auto& [key, one] : value) place(draft)[key] = std::move(one);
    return {};
  };
}
Apply postgres_part(const char* name, const char* keyword) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    // TOML's port = 5432 is a number; as_integer also reads a text, but a list of ports must stay one.
    if (std::holds_alternative<std::int64_t>(given.value)) {
      PGCH_ASSIGN(const std::uint64_t port, as_integer(given, name, 1, 65535));
      draft.postgres.parts[keyword] = std::to_string(port);
      return {};
    }
    PGCH_ASSIGN(draft.postgres.parts[keyword], as_text(given, name));
    return {};
  };
}

using D = Draft&;
using N = std::uint64_t;
constexpr N days = 86'400'000;

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

std::vector<Setting> kafka_settings() {
  return {
      {"kafka.bootstrap",
       "text",
       "localhost:9092",
       "KAFKA_BOOTSTRAP KAFKA_BOOTSTRAP_SERVERS",
       "Brokers, host:port separated by commas. Setting it (or a topic) puts Kafka between the two halves of `pgch "
       "run`.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const List brokers, as_list(given, "kafka.bootstrap"));
         d.config.kafka.bootstrap.clear();
         for (const std::string& one : brokers)
           d.config.kafka.bootstrap += (d.config.kafka.bootstrap.empty() ? "" : ",") + one;
         d.config.use_kafka = !brokers.empty();
         return {};
       },
       {}},
      {"kafka.topic",
       "text",
       "pgch.<schema>.<table>",
       "KAFKA_TOPIC",
       "Topic; with several tables each needs its own, {table} stands for the table's name.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(d.config.kafka.topic, as_text(given, "kafka.topic"));
         d.config.use_kafka = d.config.use_kafka || !d.config.kafka.topic.empty();
         return {};
       },
       {}},
      {"kafka.group",
       "text",
       "the pipeline's name",
       "KAFKA_GROUP KAFKA_GROUP_ID",
       "Consumer group. Each group gets everything.",
       text(
           "kafka.group", [](D d) -> auto& { return d.config.kafka.group; }),
       {}},
      {"kafka.format",
       "json",
       "json",
       "",
       "What a message looks like: one flat JSON object a row.",
       word("kafka.format", {"json"}, [](D d, const std::string& w) { d.config.kafka_format = w; }),
       {}},
      {"kafka.create_topic",
       "true/false",
       "true",
       "",
       "Make a missing topic.",
       flag(
           "kafka.create_topic", [](D d) -> auto& { return d.config.kafka.create_topic; }),
       {}},
      {"kafka.partitions",
       "integer",
       "3",
       "",
       "Partitions of a topic that pgch makes.",
       number(as_integer, "kafka.partitions", 1, 10'000,
              [](D d, N v) { d.config.kafka.partitions = static_cast<std::int32_t>(v); }),
       {}},
      {"kafka.replication",
       "integer",
       "1",
       "",
       "Replicas of a topic that pgch makes.",
       number(as_integer, "kafka.replication", 1, 100,
              [](D d, N v) { d.config.kafka.replication = static_cast<std::int32_t>(v); }),
       {}},
      {"kafka.compression",
       "none, lz4, zstd, gzip or snappy",
       "lz4",
       "",
       "Compression of the messages.",
       word("kafka.compression", {"none", "lz4", "zstd", "gzip", "snappy"},
            [](D d, const std::string& w) { d.config.kafka.compression = w; }),
       {}},
      {"kafka.linger",
       "duration",
       "5ms",
       "",
       "How long the producer gathers messages before it sends them.",
       number(as_duration_ms, "kafka.linger", 0, 10'000,
              [](D d, N v) { d.config.kafka.linger_ms = static_cast<std::uint32_t>(v); }),
       {}},
      {"kafka.queue",
       "size",
       "64MiB",
       "",
       "What the producer may hold unsent.",
       number(as_size, "kafka.queue", 1u << 20, 1ull << 31,
              [](D d, N v) { d.config.kafka.producer_queue_bytes_max = v; }),
       {}},
      {"kafka.message_max",
       "size",
       "0B",
       "",
       "Largest message; 0B: the topic's own limit.",
       number(as_size, "kafka.message_max", 0, 1ull << 30, [](D d, N v) { d.config.kafka.message_bytes_max = v; }),
       {}},
      {"kafka.json_max",
       "size",
       "16MiB",
       "",
       "Consumer: a larger message becomes a dead letter.",
       number(as_size, "kafka.json_max", 64, 1ull << 30, [](D d, N v) { d.config.kafka.json_bytes_max = v; }),
       {}},
      {"kafka.offset_reset",
       "earliest or latest",
       "earliest",
       "",
       "Where a group begins that has no offsets yet. Later, a missing offset is an error.",
       word("kafka.offset_reset", {"earliest", "latest"},
            [](D d, const std::string& w) { d.config.kafka.offset_reset = w; }),
       {}},
      {"kafka.json_as_object",
       "true/false",
       "false",
       "",
       "json columns as nested objects instead of strings: readable, but not exact.",
       flag(
           "kafka.json_as_object", [](D d) -> auto& { return d.config.kafka.json_as_object; }),
       {}},
      {"kafka.ignore_fields",
       "list",
       "",
       "",
       "Consumer: fields that may be in a message and are not wanted.",
       names(
           "kafka.ignore_fields", [](D d) -> auto& { return d.config.kafka.ignore_fields; }),
       {}},
      {"kafka.ignore_unknown_fields",
       "true/false",
       "false",
       "",
       "Consumer: ignore every field that the table doesn't have, instead of a dead letter.",
       flag(
           "kafka.ignore_unknown_fields", [](D d) -> auto& { return d.config.kafka.ignore_unknown_fields; }),
       {}},
      {"kafka.dead_letter_topic",
       "text",
       "<topic>.dlq",
       "",
       "Where messages go that can't be stored.",
       text(
           "kafka.dead_letter_topic", [](D d) -> auto& { return d.config.kafka.dead_letter_topic; }),
       {}},
      {"kafka.librdkafka",
       "map",
       "",
       "",
       "Passed through to librdkafka ([kafka.librdkafka]): security.*, sasl.*, ssl.* and others of an allow-list.",
       map(
           "kafka.librdkafka", [](D d) -> auto& { return d.config.kafka.librdkafka; }),
       {}},
  };
}

std::vector<Setting> clickhouse_settings() {
  return {
      {"clickhouse.url",
       "text",
       "chdb://./pgch-data",
       "CH_URL",
       "http://host:8123, https://host:8443, or chdb://directory for the embedded engine. Replaces the parts that a "
       "lower layer set.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string url, as_text(given, "clickhouse.url"));
         auto parsed = parse_clickhouse(url);
         if (!parsed) return wrong(given, "\"clickhouse.url\" can't be read: " + parsed.error().message);
         ClickHouseAddress before = std::move(d.clickhouse);
         d.clickhouse = *std::move(parsed);
         if (!d.clickhouse.user) d.clickhouse.user = std::move(before.user);
         if (!d.clickhouse.database) d.clickhouse.database = std::move(before.database);
         if (!d.clickhouse.password) d.clickhouse.password = std::move(before.password);
         return {};
       },
       {}},
      {"clickhouse.host",
       "text",
       "",
       "CH_HOST",
       "Host; without one (and without url) the target is the embedded engine.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string host, as_text(given, "clickhouse.host"));
         if (host.find('/') != std::string::npos)
           return wrong(given,
                        "\"clickhouse.host\" is a host's name; an address with :// goes into \"clickhouse.url\"");
         d.clickhouse.directory.reset();
         d.clickhouse.host = host;
         return {};
       },
       {}},
      {"clickhouse.port",
       "integer",
       "8123; with TLS 8443",
       "CH_PORT",
       "Port of ClickHouse's HTTP interface.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::uint64_t port, as_integer(given, "clickhouse.port", 1, 65535));
         if (port == 9000 || port == 9440) {
           return wrong(given, "\"clickhouse.port\" " + std::to_string(port) +
                                   " is ClickHouse's native protocol; pgch speaks HTTP: usually 8123, with TLS 8443");
         }
         d.clickhouse.port = std::to_string(port);
         return {};
       },
       {}},
      {"clickhouse.secure",
       "true/false",
       "false",
       "CH_SECURE",
       "HTTPS.",
       flag(
           "clickhouse.secure", [](D d) -> auto& { return d.clickhouse.tls; }),
       {}},
      {"clickhouse.database",
       "text",
       "default",
       "CH_DB CH_DATABASE",
       "Database of the target tables that don't name one.",
       text(
           "clickhouse.database", [](D d) -> auto& { return d.clickhouse.database.emplace(); }),
       {}},
      {"clickhouse.user",
       "text",
       "default",
       "CH_USER",
       "User.",
       text(
           "clickhouse.user", [](D d) -> auto& { return d.clickhouse.user.emplace(); }),
       {}},
      {"clickhouse.password",
       "secret",
       "",
       "CH_PASS CH_PASSWORD",
       "Password. Better in a password_file or the environment.",
       [](D d, const Given& given) -> Result<void> {
         PGCH_ASSIGN(std::string value, as_text(given, "clickhouse.password"));
         d.clickhouse.password = Secret(std::move(value));
         return {};
       },
       {}},
      {"clickhouse.password_file",
       "text",
       "",
       "",
       "File whose first line is the password; nobody else may read it (0600).",
       text(
           "clickhouse.password_file", [](D d) -> auto& { return d.clickhouse_password_file; }),
       {}},
      {"clickhouse.compression",
       "none, lz4 or zstd",
       "none",
       "",
       "Compression of what is sent; worth it on a real network.",
       word("clickhouse.compression", {"none", "lz4", "zstd"},
            [](D d, const std::string& w) {
              d.config.clickhouse.compression = w == "lz4"    ? Compression::lz4
                                                : w == "zstd" ? Compression::zstd
                                                              : Compression::none;
            }),
       {}},
      {"clickhouse.ca_file",
       "text",
       "",
       "",
       "Certificates to trust; empty: the system's.",
       text(
           "clickhouse.ca_file", [](D d) -> auto& { return d.config.clickhouse.ca_file; }),
       {}},
      {"clickhouse.insecure",
       "true/false",
       "false",
       "",
       "Don't verify the server's certificate, and send a password without TLS.",
       flag(
           "clickhouse.insecure", [](D d) -> auto& { return d.config.clickhouse.insecure; }),
       {}},
      {"clickhouse.connect_timeout",
       "duration",
       "10s",
       "",
       "How long one attempt to connect may take.",
       number(as_duration_ms, "clickhouse.connect_timeout", 100, days,
              [](D d, N v) { d.config.clickhouse.connect_timeout_ms = static_cast<std::uint32_t>(v); }),
       {}},
      {"clickhouse.request_timeout",
       "duration",
       "5min",
       "",
       "How long one insert may take before it is in doubt.",
       number(as_duration_ms, "clickhouse.request_timeout", 1000, days,
              [](D d, N v) { d.config.clickhouse.request_timeout_ms = static_cast<std::uint32_t>(v); }),
       {}},
      {"clickhouse.library",
       "text",
       "",
       "PGCH_LIBCHDB",
       "libchdb.so of the embedded engine; empty: the usual places.",
       text(
           "clickhouse.library", [](D d) -> auto& { return d.config.clickhouse.library; }),
       {}},
      {"clickhouse.settings",
       "map",
       "",
       "",
       "Settings sent with every insert ([clickhouse.settings]), over pgch's own.",
       map(
           "clickhouse.settings", [](D d) -> auto& { return d.config.clickhouse.settings; }),
       {}},
  };
}

std::vector<Setting> running_settings() {
  return {
      {"batch.rows",
       "integer",
       "100000",
       "",
       "Rows of one batch at most.",
       number(as_integer, "batch.rows", 1, 10'000'000,
              [](D d, N v) { d.config.run.batch.rows_max = static_cast<std::uint32_t>(v); }),
       {}},
      {"batch.bytes",
       "size",
       "32MiB",
       "",
       "Bytes of one batch at most; a larger row is a batch of its own.",
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

template <class Place>
std::function<Result<void>(TableConfig&, const Given&)> table_text(const char* name, Place place) {
  return [=](TableConfig& table, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(table), as_text(given, name));
    return {};
  };
}
template <class Place>
std::function<Result<void>(TableConfig&, const Given&)> table_flag(const char* name, Place place) {
  return [=](TableConfig& table, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(table), as_bool(given, name));
    return {};
  };
}
template <class Place>
std::function<Result<void>(TableConfig&, const Given&)> table_list(const char* name, Place place) {
  return [=](TableConfig& table, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(table), as_list(given, name));
    return {};
  };
}

std::vector<Setting> table_settings() {
  using T = TableConfig&;
  return {
      {"table.name",
       "text",
       "",
       "PGCH_TABLE PG_TABLE",
       "The table at PostgreSQL, \"table\" or \"schema.table\". Required.",
       {},
       table_text(
           "table.name", [](T t) -> auto& { return t.name; })},
      {"table.method",
       "flag",
       "flag",
       "",
       "How new rows are found: by a boolean column.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(t.method, as_word(given, "table.method", {"flag"}));
         return {};
       }},
      {"table.flag_column",
       "text",
       "sent_to_kafka",
       "",
       "The column that says whether a row was sent; NULL counts as not sent.",
       {},
       table_text(
           "table.flag_column", [](T t) -> auto& { return t.flag_column; })},
      {"table.share",
       "text",
       "1/1",
       "",
       "Several producers of one table: each takes its share, \"1/2\" and \"2/2\", on any machine; without it a table "
       "has one.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string value, as_text(given, "table.share"));
         const auto slash = value.find('/');
         const auto number = [&value](std::size_t from, std::size_t to) -> std::uint32_t {
           std::uint32_t n = 0;
           const auto end = std::from_chars(value.data() + from, value.data() + to, n);
           return end.ec == std::errc() && end.ptr == value.data() + to ? n : 0;
         };
         t.share = slash == std::string::npos ? 0 : number(0, slash);
         t.shares = slash == std::string::npos ? 0 : number(slash + 1, value.size());
         if (t.share < 1 || t.share > t.shares || t.shares > 1000) {
           return halt(Errc::config,
                       "The setting table.share is \"" + value + "\": it must be like \"1/2\", the first of two.");
         }
         return {};
       }},
      {"table.lanes",
       "integer",
       "2",
       "",
       "Connections that take turns at reading and marking, 1 to 8.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::uint64_t value, as_integer(given, "table.lanes", 1, 8));
         t.lanes = static_cast<std::uint32_t>(value);
         return {};
       }},
      {"table.columns",
       "list",
       "all",
       "",
       "Only these columns.",
       {},
       table_list(
           "table.columns", [](T t) -> auto& { return t.columns.include; })},
      {"table.exclude",
       "list",
       "",
       "",
       "All columns but these; the flag column is never moved.",
       {},
       table_list(
           "table.exclude", [](T t) -> auto& { return t.columns.exclude; })},
      {"table.rename",
       "map",
       "",
       "",
       "Names at the target: rename = { login = \"user_name\" }.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(t.columns.rename, as_map(given, "table.rename"));
         return {};
       }},
      {"table.key",
       "list",
       "the primary key",
       "",
       "Columns of the key; else the primary key, else a unique index.",
       {},
       table_list(
           "table.key", [](T t) -> auto& { return t.columns.key; })},
      {"table.topic",
       "text",
       "",
       "",
       "This table's topic at Kafka, over kafka.topic.",
       {},
       table_text(
           "table.topic", [](T t) -> auto& { return t.topic; })},
      {"table.types",
       "list",
       "",
       "",
       "Columns as [\"id Int64\", \"name Nullable(String)\"]: for a consumer that can ask neither PostgreSQL nor an "
       "existing target.",
       {},
       table_list(
           "table.types", [](T t) -> auto& { return t.types; })},
      {"table.target",
       "text",
       "the table's name",
       "CH_TABLE",
       "Table at ClickHouse, \"table\" or \"database.table\".",
       {},
       table_text(
           "table.target", [](T t) -> auto& { return t.target.table; })},
      {"table.create",
       "true/false",
       "true",
       "",
       "Make a missing target table.",
       {},
       table_flag(
           "table.create", [](T t) -> auto& { return t.target.create; })},
      {"table.ingested_at",
       "true/false",
       "false",
       "",
       "Add _ingested_at DateTime64(3) DEFAULT now64(3) to a table that pgch makes.",
       {},
       table_flag(
           "table.ingested_at", [](T t) -> auto& { return t.target.ingested_at; })},
      {"table.current_view",
       "true/false",
       "true",
       "",
       "Make the view <table>_current (latest versions, not deleted) beside a table that pgch makes.",
       {},
       table_flag(
           "table.current_view", [](T t) -> auto& { return t.target.current_view; })},
      {"table.fsync",
       "true/false",
       "true",
       "",
       "A table that pgch makes survives a power cut (fsync_after_insert).",
       {},
       table_flag(
           "table.fsync", [](T t) -> auto& { return t.target.fsync; })},
      {"table.engine",
       "text",
       "by key",
       "",
       "Engine of a table that pgch makes; with a key ReplacingMergeTree(_version, _deleted), else MergeTree.",
       {},
       table_text(
           "table.engine", [](T t) -> auto& { return t.target.engine; })},
      {"table.order_by",
       "text",
       "the key",
       "",
       "ORDER BY of a table that pgch makes, as SQL; must contain the key.",
       {},
       table_text(
           "table.order_by", [](T t) -> auto& { return t.target.order_by; })},
      {"table.partition_by",
       "text",
       "",
       "",
       "PARTITION BY of a table that pgch makes, as SQL.",
       {},
       table_text(
           "table.partition_by", [](T t) -> auto& { return t.target.partition_by; })},
      {"table.ttl",
       "text",
       "",
       "",
       "TTL of a table that pgch makes, as SQL.",
       {},
       table_text(
           "table.ttl", [](T t) -> auto& { return t.target.ttl; })},
      {"table.on_cluster",
       "text",
       "",
       "",
       "Cluster on which the table is made (ON CLUSTER).",
       {},
       table_text(
           "table.on_cluster", [](T t) -> auto& { return t.target.on_cluster; })},
  };
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = [] {
    std::vector<Setting> out = general_settings();
    for (auto* part : {&postgres_settings, &kafka_settings, &clickhouse_settings, &running_settings, &table_settings}) {
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
