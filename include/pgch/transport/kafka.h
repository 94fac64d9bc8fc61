/// Kafka between the two halves. The near end is an idempotent producer, the far end a consumer group that commits an
/// offset only after the insert, with the intent in the commit's metadata. docs/WIRE.md has the records' format.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pgch/context.h"
#include "pgch/export.h"
#include "pgch/lookup.h"
#include "pgch/schema.h"
#include "pgch/transport.h"

namespace pgch {

/// Where the schemas of format avro are kept: Confluent's HTTP interface (Confluent, Karapace, Apicurio's ccompat …).
struct SchemaRegistryOptions {
  std::string url;         ///< "http://host:8081", "https://host/path"; without credentials
  std::string user;        ///< empty: none; else with `password`
  Secret password, token;  ///< `token`: bearer, if there is no user
  std::string ca_file;     ///< empty: the system's certificates
  std::uint32_t connect_timeout_ms = 5'000, request_timeout_ms = 15'000;
};

/// What the messages of the format debezium leave open: modes of the connector that wrote them.
struct DebeziumOptions {
  /// time.precision.mode of messages without a schema, and of those that are written: adaptive, connect, microseconds,
  /// nanoseconds, adaptive_time_microseconds; isostring is read only.
  std::string time = "adaptive";
  std::string decimal = "precise";  ///< decimal.handling.mode, likewise: precise, string; double is read only
  std::string binary = "base64";    ///< binary.handling.mode, of all: base64 (or bytes), base64-url-safe, hex
  std::string version = "lsn";      ///< what orders a row's versions: lsn, or offset (the place in the topic)
  bool wide_years = false;          ///< timestamps reach from year 0000 to 9999, as types.years says
};

struct KafkaOptions {
  std::string bootstrap = "localhost:9092";
  std::string topic;
  std::string stream;             ///< producer: name of its stream, in each record's header
  std::string group = "pgch";     ///< consumer
  std::string dead_letter_topic;  ///< empty: "<topic>.dlq"
  bool create_topic = true;       ///< make a missing topic (also that of the dead letters) …
  std::int32_t partitions = 3;    ///< … with so many partitions
  std::int32_t replication = 1;
  std::string compression = "lz4";        ///< none, lz4, zstd, gzip, snappy
  std::string format = "json";            ///< of a message: json, key, native, avro, debezium (docs/WIRE.md)
  SchemaRegistryOptions schema_registry;  ///< format avro
  std::uint32_t linger_ms = 5;
  std::size_t producer_queue_bytes_max = 64u << 20;
  std::size_t message_bytes_max = 0;  ///< 0: the topic's limit
  std::string offset_reset =
      "earliest";               ///< consumer's first start only: earliest, latest; later a missing offset is an error
  bool json_as_object = false;  ///< json columns as nested objects instead of strings: readable, but not exact
  std::vector<std::string> ignore_fields;  ///< consumer: fields that may be in a message and are not wanted
  bool ignore_unknown_fields = false;
  std::size_t json_bytes_max = 16u << 20;  ///< consumer: a larger message is a dead letter
  DebeziumOptions debezium;
  bool until_end = false;  ///< consumer: end when the offsets that were the ends at start are reached
  std::map<std::string, std::string> librdkafka;  ///< passed through, allow-listed (security.*, sasl.*, ssl.*, …)
  /// Consumer: what the messages are turned into; asked once, at open.
  std::function<Result<TableSchema>()> schema;
  /// Consumer, format "key": what the rows are looked up with; asked once, by make_receiver().
  std::function<Result<std::unique_ptr<RowLookup>>()> lookup;
  bool skip_gone = false;  ///< … and of keys whose rows are gone nothing comes; false: RowOp::remove
};
PGCH_EXPORT Result<std::unique_ptr<Transport>> make_kafka(KafkaOptions options);

/// For check, status, setup and teardown.
struct PartitionInfo {
  std::int32_t id = 0;
  std::int64_t low = 0, high = 0, committed = -1;
};
PGCH_EXPORT Result<std::vector<PartitionInfo>> describe_topic(const KafkaOptions& options, const Context& context);
/// Asks the schema registry whether it is there and lets us in; nothing to ask if the format needs none.
PGCH_EXPORT Result<void> check_schema_registry(const KafkaOptions& options, const Context& context);
PGCH_EXPORT Result<void> create_topic(const KafkaOptions& options, const Context& context);
PGCH_EXPORT Result<void> delete_topic(const KafkaOptions& options, const Context& context);

/// Where a consumer group is to begin: one of the first three.
struct GroupStart {
  bool beginning = false;
  std::optional<std::int64_t> time_ms;           ///< the first message of then or later, since 1970 UTC
  std::map<std::int32_t, std::int64_t> offsets;  ///< partition → offset; the other partitions stay as they are
  bool may_skip = false;                         ///< also past messages that the group has not read yet
  bool dry_run = false;                          ///< say it, and change nothing
};
struct GroupMove {
  std::int32_t partition = 0;
  std::int64_t from = -1, to = 0, end = 0;  ///< from: -1, if the group had nothing there
};
/// Sets where options.group begins to read options.topic when it is started next; it must have no members. What the
/// group knows of a batch under way is kept: Errc::conflict if the start lies behind one that is not settled, or if the
/// group has members; Errc::config if messages would be skipped without may_skip; Errc::not_found without the topic.
/// Returns the partitions that were asked for, those that stay where they are with them.
PGCH_EXPORT Result<std::vector<GroupMove>> set_group_start(const KafkaOptions& options, const GroupStart& start,
                                                           const Context& context);

}  // namespace pgch
