/// Configuration: one TOML file, the environment, a .env file and flags, as one plain struct. Flags go over the
/// environment, the environment over .env, .env over the file. docs/CONFIGURATION.md has every setting.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/checkpoint/file.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"
#include "pgch/extract/flag.h"
#include "pgch/extract/outbox.h"
#include "pgch/extract/poll.h"
#include "pgch/extract/scan.h"
#include "pgch/load/clickhouse.h"
#include "pgch/pipeline.h"
#include "pgch/transport/kafka.h"

namespace pgch {

/// One [[table]]: what is moved, how, and where to.
struct TableConfig {
  std::string name;  ///< at PostgreSQL: "table" or "schema.table"
  std::string method = "flag";
  std::string flag_column = "sent_to_kafka";
  std::uint32_t lanes = 2;
  std::uint32_t share = 1, shares = 1;  ///< "1/2": one of two producers of the table
  std::string outbox;                   ///< empty: "<table>_outbox"
  std::vector<std::string> outbox_key;  ///< columns of the outbox with the row's key; empty: of its names
  bool skip_gone = false;               ///< outbox, and messages of keys: nothing is told of rows that are gone
  PollOptions poll;                     ///< what poll_of() completes
  bool poll_updates = false;            ///< setup makes a trigger that renews poll.xid_column
  ColumnSelection columns;
  std::string where;               ///< snapshot: only rows for which this SQL condition holds; empty: all
  TargetOptions target;            ///< target.table: "table" or "database.table"; empty: the source's name
  std::string topic;               ///< empty: [kafka] topic, else "pgch.<schema>.<table>"
  std::vector<std::string> types;  ///< "name Type" at ClickHouse; for a consumer that can ask nobody else
};

struct Config {
  std::string pipeline = "pgch";  ///< part of every token and of the journal's name: never change it in use
  std::string state = "./pgch-state";
  PostgresOptions postgres;
  bool use_kafka = false;        ///< a bootstrap address or a topic was set
  KafkaOptions kafka;            ///< what all tables share; kafka_of() completes it
  ClickHouseOptions clickhouse;  ///< without an address: chdb://./pgch-data
  TypeOptions types;             ///< each table's columns.types is the same
  std::vector<TableConfig> tables;
  PipelineOptions run;  ///< run_of() sets the id
  LogLevel log_level = LogLevel::info;
  bool log_json = false;
};

/// A setting given by hand, usually a flag. `name` as in the file ("postgres.host", "table.key"); settings of a table
/// are set for all tables; "table" names a table (several: repeat it): with it, only the tables so named remain.
struct ConfigOverride {
  std::string name, value;
  std::string origin;  ///< for messages: "--from"
};

struct ConfigSources {
  std::string file;                ///< TOML; empty: none
  std::string env_file;            ///< empty: none. Lines NAME=value; quotes, "export" and # comments as in a shell
  bool env_file_required = false;  ///< false: it may be missing
  std::map<std::string, std::string> environment;
  std::vector<ConfigOverride> overrides;
};

/// Reads the files, merges, validates. Errc::config with a sentence that names where and which setting; a misspelt
/// setting is an error that names the nearest right one. No value of a secret is ever in a message. Any thread.
PGCH_EXPORT Result<Config> load_config(const ConfigSources& sources);

/// One setting, for documentation and completion.
struct SettingInfo {
  std::string name;         ///< "postgres.host"; "table.key" for those of [[table]]
  std::string type;         ///< text, integer, true/false, duration, size, list, map, secret, or the words allowed
  std::string fallback;     ///< the default, as it would be written
  std::string environment;  ///< names of environment variables, separated by spaces
  std::string meaning;
};
PGCH_EXPORT std::vector<SettingInfo> config_settings();
/// The nearest of `known` to `word`, or empty if none is near.
PGCH_EXPORT std::string nearest_name(std::string_view word, const std::vector<std::string>& known);

/// The options of each stage of one table's pipeline.
PGCH_EXPORT std::string pipeline_id(const Config& config,
                                    const TableConfig& table);  ///< "<pipeline>.<table>", made safe
PGCH_EXPORT PipelineOptions run_of(const Config& config, const TableConfig& table);
PGCH_EXPORT FileJournalOptions journal_of(const Config& config, const TableConfig& table);
PGCH_EXPORT FlagOptions flag_of(const Config& config, const TableConfig& table);
PGCH_EXPORT OutboxOptions outbox_of(const Config& config, const TableConfig& table);
PGCH_EXPORT PollOptions poll_of(const Config& config, const TableConfig& table);
/// The column that the table's method has in it for itself, and that is never moved; empty: none.
PGCH_EXPORT std::string own_column(const TableConfig& table);
PGCH_EXPORT ScanOptions scan_of(const Config& config, const TableConfig& table);
/// With the database that the table's target names, else the configured one.
PGCH_EXPORT ClickHouseOptions clickhouse_of(const Config& config, const TableConfig& table);
/// target.table is the bare name, to be used with clickhouse_of().
PGCH_EXPORT TargetOptions target_of(const Config& config, const TableConfig& table);
/// The source's own name, without schema and quotes: "a.b" and "public"."a.b" give different names.
PGCH_EXPORT std::string bare_name(const TableConfig& table);
/// As the user wrote it, for messages: "table" or "database.table".
PGCH_EXPORT std::string target_name(const TableConfig& table);
/// Without `schema`: the caller knows where it comes from.
PGCH_EXPORT KafkaOptions kafka_of(const Config& config, const TableConfig& table);

}  // namespace pgch
