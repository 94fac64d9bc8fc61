// The settings of [kafka] and [clickhouse].
#include <algorithm>
#include <charconv>
#include <limits>

#include "config/appliers.h"

namespace pgch::config {

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
       "json, key, native, avro or debezium",
       "json",
       "",
       "What a message looks like, for producer and consumer: one flat JSON object a row; only the row's key, with "
       "which "
       "the consumer looks the row up in PostgreSQL; a block of many rows in ClickHouse's Native format; Avro with a "
       "schema registry, one row a message; or a change event as Debezium writes it (JSON, with or without schema).",
       word("kafka.format", {"json", "key", "native", "avro", "debezium"},
            [](D d, const std::string& w) { d.config.kafka.format = w; }),
       {}},
      {"kafka.debezium_time",
       "adaptive, adaptive_time_microseconds, connect, isostring, microseconds or nanoseconds",
       "adaptive",
       "",
       "The connector's time.precision.mode, for messages without a schema.",
       word("kafka.debezium_time",
            {"adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"},
            [](D d, const std::string& w) { d.config.kafka.debezium.time = w; }),
       {}},
      {"kafka.debezium_decimal",
       "precise, string or double",
       "precise",
       "",
       "The connector's decimal.handling.mode, for messages without a schema.",
       word("kafka.debezium_decimal", {"precise", "string", "double"},
            [](D d, const std::string& w) { d.config.kafka.debezium.decimal = w; }),
       {}},
      {"kafka.debezium_binary",
       "bytes, base64, base64-url-safe or hex",
       "bytes",
       "",
       "The connector's binary.handling.mode.",
       word("kafka.debezium_binary", {"bytes", "base64", "base64-url-safe", "hex"},
            [](D d, const std::string& w) { d.config.kafka.debezium.binary = w; }),
       {}},
      {"kafka.debezium_version",
       "lsn or offset",
       "lsn",
       "",
       "What becomes _version of a row out of Debezium: its place in PostgreSQL's log, or in the topic.",
       word("kafka.debezium_version", {"lsn", "offset"},
            [](D d, const std::string& w) { d.config.kafka.debezium.version = w; }),
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
       "Don't verify the server's certificate; don't warn of a password sent without TLS.",
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

}  // namespace pgch::config
