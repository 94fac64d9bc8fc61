#include "stages.h"

#include <fmt/format.h>

#include <algorithm>

#include "method.h"
#include "pgch/checkpoint/file.h"
#include "pgch/load/clickhouse.h"
#include "pgch/transport/kafka.h"

namespace pgch::cli {
namespace {

#ifndef PGCH_HAVE_KAFKA
Error no_kafka() { return halt(Errc::unsupported, "This build of pgch has no Kafka; build it with -DPGCH_KAFKA=ON."); }
#endif

Result<void> apply_key(TableSchema& schema, const std::vector<std::string>& key) {
  if (key.empty()) return {};
  schema.key_order = key;
  for (ColumnSpec& column : schema.columns) column.key = std::find(key.begin(), key.end(), column.name) != key.end();
  for (const std::string& name : key) {
    if (column_index(schema, name) == npos)
      return halt(Errc::config,
                  fmt::format("The key of table {} names the column \"{}\", which is not there.", schema.table, name));
  }
  return {};
}

Result<TableSchema> typed_schema(const TableConfig& table) {
  TableSchema schema;
  const auto dot = table.name.rfind('.');
  schema.schema = dot == std::string::npos ? "" : table.name.substr(0, dot);
  schema.table = dot == std::string::npos ? table.name : table.name.substr(dot + 1);
  for (const std::string& text : table.types) {
    auto column = parse_column(text);
    if (!column) return std::move(column).error();
    schema.columns.push_back(*std::move(column));
  }
  if (auto done = apply_key(schema, table.columns.key); !done) return std::move(done).error();
  return schema;
}

Result<std::unique_ptr<RowLookup>> lookup_of(Session& session, const TableConfig& table) {
  if (auto source = require_source(session); !source) {
    Error error = std::move(source).error();
    error.message += " With kafka.format = \"key\" the consumer looks the rows up in PostgreSQL.";
    return error;
  }
  if (!table.types.empty())
    return halt(
        Errc::config,
        fmt::format("With kafka.format = \"key\" the rows of {} are PostgreSQL's, and so are their columns: leave "
                    "\"types\" out of [[table]].",
                    table.name));
  return make_lookup({session.config.postgres, table.name, table.columns, own_column(table)});
}

}  // namespace

Result<TableSchema> consumed_schema(Session& session, const TableConfig& table) {
  if (!table.types.empty()) return typed_schema(table);
  const Context context = session.context();
  if (require_source(session)) {
    auto source = open_postgres(session.config.postgres, context);
    if (!source) {
      Error error = std::move(source).error();
      error.message +=
          " The consumer asks PostgreSQL what the columns are; without it, name them with \"types\" in [[table]].";
      return error;
    }
    const ScanOptions scan = scan_of(session.config, table);
    auto described = (*source)->describe(scan.table, scan.columns);
    // A table that was copied by a snapshot needs no flag column.
    if (!described && described.error().code == Errc::not_found)
      described = (*source)->describe(scan.table, table.columns);
    if (described) return std::move(described->schema);
    if (described.error().code != Errc::not_found) return std::move(described).error();
  }
  auto target = open_clickhouse(clickhouse_of(session.config, table), context);
  if (!target) return std::move(target).error();
  auto described = (*target)->describe(target_of(session.config, table));
  if (!described) return std::move(described).error();
  if (!*described) {
    return halt(
        Errc::not_found,
        fmt::format("Nobody can say which columns {} has: there is no such table in ClickHouse yet, and PostgreSQL has "
                    "none or isn't "
                    "configured. Create the target, add [postgres], or name the columns with \"types\" in [[table]].",
                    target_name(table)));
  }
  TableSchema schema = **std::move(described);
  if (auto done = apply_key(schema, table.columns.key); !done) return std::move(done).error();
  return schema;
}

std::string dead_letter_topic(const KafkaOptions& options) {
  return options.dead_letter_topic.empty() ? options.topic + ".dlq" : options.dead_letter_topic;
}

Result<std::unique_ptr<Transport>> transport_of(const KafkaOptions& options) {
#ifdef PGCH_HAVE_KAFKA
  return make_kafka(options);
#else
  (void)options;
  return no_kafka();
#endif
}
Result<std::vector<PartitionInfo>> topic_info(const KafkaOptions& options, const Context& context) {
#ifdef PGCH_HAVE_KAFKA
  return describe_topic(options, context);
#else
  (void)options, (void)context;
  return no_kafka();
#endif
}
Result<void> registry_answers(const KafkaOptions& options, const Context& context) {
#ifdef PGCH_HAVE_KAFKA
  return check_schema_registry(options, context);
#else
  (void)options, (void)context;
  return no_kafka();
#endif
}
Result<void> make_topic(const KafkaOptions& options, const Context& context) {
#ifdef PGCH_HAVE_KAFKA
  return create_topic(options, context);
#else
  (void)options, (void)context;
  return no_kafka();
#endif
}
Result<std::vector<GroupMove>> move_group(const KafkaOptions& options, const GroupStart& start,
                                          const Context& context) {
#ifdef PGCH_HAVE_KAFKA
  return set_group_start(options, start, context);
#else
  (void)options, (void)start, (void)context;
  return no_kafka();
#endif
}
Result<void> drop_topic(const KafkaOptions& options, const Context& context) {
#ifdef PGCH_HAVE_KAFKA
  return delete_topic(options, context);
#else
  (void)options, (void)context;
  return no_kafka();
#endif
}

Result<std::unique_ptr<Loader>> loader_of(const Config& config, const TableConfig& table,
                                          std::optional<TargetOptions> target) {
  return make_clickhouse(clickhouse_of(config, table), target ? *std::move(target) : target_of(config, table));
}

Result<Stages> stages_of(Session& session, const TableConfig& table, Half half) {
  const Config& config = session.config;
  Stages stages;
  if (half != Half::consume) {
    auto extractor = method_of(table).make(config, table);
    if (!extractor) return std::move(extractor).error();
    stages.extractor = *std::move(extractor);
    auto journal = make_file_journal(journal_of(config, table));
    if (!journal) return std::move(journal).error();
    stages.journal = *std::move(journal);
    auto dead_letters = make_file_dead_letters(journal_of(config, table));
    if (!dead_letters) return std::move(dead_letters).error();
    stages.dead_letters = *std::move(dead_letters);
  }
  if (half != Half::whole || config.use_kafka) {
    KafkaOptions kafka = kafka_of(config, table);
    kafka.until_end = half == Half::consume && config.run.once;
    kafka.schema = [&session, table] { return consumed_schema(session, table); };
    kafka.lookup = [&session, table] { return lookup_of(session, table); };
    auto transport = transport_of(kafka);
    if (!transport) return std::move(transport).error();
    stages.transport = *std::move(transport);
  }
  if (half != Half::produce) {
    auto loader = loader_of(config, table);
    if (!loader) return std::move(loader).error();
    stages.loader = *std::move(loader);
  }
  return stages;
}

}  // namespace pgch::cli
