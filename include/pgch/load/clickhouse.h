/// ClickHouse as a target: over HTTP(S), or the embedded engine (chDB) in this process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pgch/export.h"
#include "pgch/loader.h"

namespace pgch {

enum class Compression : std::uint8_t { none, lz4, zstd };

struct ClickHouseOptions {
  /// "http://host:8123", "https://host:8443", or "chdb:///directory" (also "chdb://./relative").
  std::string url = "chdb://./pgch-data";
  std::string user = "default";
  Secret password;
  std::string database = "default";
  Compression compression = Compression::none;
  std::uint32_t connect_timeout_ms = 10'000;
  std::uint32_t request_timeout_ms = 300'000;
  std::string ca_file;                          ///< empty: the system's certificates
  bool insecure = false;                        ///< do not verify the server's certificate; logged at start
  std::string library;                          ///< libchdb.so; empty: PGCH_LIBCHDB, then the usual places
  std::map<std::string, std::string> settings;  ///< sent with every insert, over pgch's own
};

/// How the target table is made, if it is missing, and what is expected of it.
struct TargetOptions {
  std::string table;  ///< empty: the source's name
  bool create = true;
  bool ingested_at = false;  ///< add _ingested_at DateTime64(3) DEFAULT now64(3)
  bool current_view = true;  ///< create <table>_current, for a table that pgch creates
  bool fsync = true;         ///< created tables survive a power cut: fsync_after_insert, fsync_part_directory
  std::string version_column = "_version", deleted_column = "_deleted", batch_column = "_batch", row_column = "_row",
              ingested_at_column = "_ingested_at";
  std::string engine, order_by, partition_by, ttl,
      on_cluster;                             ///< SQL pieces; empty: pgch's choice (docs/CONFIGURATION.md)
  std::map<std::string, std::string> codecs;  ///< column at the target → what stands in CODEC(…)
};

/// A session for queries. One thread at a time.
class PGCH_EXPORT ClickHouse {
 public:
  virtual ~ClickHouse() = default;
  virtual Result<std::string> version() = 0;
  /// Any statement; the answer in `format` ("TSV", "PrettyCompact", …), whole.
  virtual Result<std::string> query(const std::string& sql, std::string_view format = "TSV") = 0;
  /// A SELECT, streamed.
  virtual Result<void> stream(const std::string& sql, std::string_view format,
                              const std::function<Result<void>(std::string_view)>& sink) = 0;
  /// The table's columns as kinds pgch can write, without pgch's own (_version …); nullopt if there is no such table.
  virtual Result<std::optional<TableSchema>> describe(const TargetOptions& target) = 0;
  /// All rows of the table with the schema's columns and kinds (cast by the server), batch by batch. With `current`
  /// only what is current: FINAL and not deleted, where the table has versions. `where`: an SQL condition; empty: none.
  virtual Result<void> read(const TargetOptions& target, const TableSchema& schema, bool current,
                            const std::function<Result<void>(const RowBatch&)>& sink,
                            const std::string& where = {}) = 0;
};
PGCH_EXPORT Result<std::unique_ptr<ClickHouse>> open_clickhouse(const ClickHouseOptions& options,
                                                                const Context& context);
PGCH_EXPORT Result<std::unique_ptr<Loader>> make_clickhouse(ClickHouseOptions options, TargetOptions target);
/// The CREATE TABLE (and VIEW) that prepare() would send to a server of this version; does not connect.
PGCH_EXPORT Result<std::string> clickhouse_ddl(const ClickHouseOptions& options, const TargetOptions& target,
                                               const TableSchema& schema, std::string_view server_version);
/// What ClickHouse's own Kafka engine needs to know to read a topic that pgch writes.
struct KafkaEngine {
  std::string brokers, topic, group;
  std::string format = "json";    ///< or "native", "avro"
  std::string schema_registry{};  ///< avro: its address, as the server sees it
};
/// The same for a server that reads the topic itself: target, Kafka table and materialized view between them. A row
/// that the engine reads twice is merged away: by key and version, or without a key by its place in its stream.
PGCH_EXPORT Result<std::string> clickhouse_kafka_ddl(const ClickHouseOptions& options, const TargetOptions& target,
                                                     const TableSchema& schema, std::string_view server_version,
                                                     const KafkaEngine& kafka);
/// `name` quoted for SQL at ClickHouse: backticks, with backslash and backtick escaped.
PGCH_EXPORT std::string quote_clickhouse(std::string_view identifier);

}  // namespace pgch
