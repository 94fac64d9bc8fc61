// setup, teardown and ddl: show the SQL; --apply does it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "method.h"
#include "pgch/load/clickhouse.h"
#include "stages.h"

namespace pgch::cli {
namespace {

constexpr std::string_view assumed_version = "25.3";  // where the server can't be asked

struct Choice {
  bool apply = false, topic = false, target = false, kafka_engine = false;
  std::string version;
};

void show(const std::string& where, const std::string& sql) {
  print("-- " + where + "\n" + sql + (sql.ends_with(";") || sql.ends_with(";\n") ? "" : ";") + "\n");
}

Result<std::string> target_ddl(Session& session, const TableConfig& table, const TableSchema& schema,
                               const std::string& version) {
  return clickhouse_ddl(clickhouse_of(session.config, table), target_of(session.config, table), schema, version);
}

// For a ClickHouse that reads the topic itself.
Result<std::string> engine_ddl(Session& session, const TableConfig& table, const TableSchema& schema,
                               const std::string& version) {
  const KafkaOptions kafka = kafka_of(session.config, table);
  return clickhouse_kafka_ddl(
      clickhouse_of(session.config, table), target_of(session.config, table), schema, version,
      {kafka.bootstrap, kafka.topic, kafka.group + "-clickhouse", kafka.format, kafka.schema_registry.url});
}

Result<void> apply_target(Session& session, const TableConfig& table, const TableSchema& schema) {
  auto loader = loader_of(session.config, table);
  if (!loader) return std::move(loader).error();
  const Context context = session.context();
  if (auto opened = (*loader)->open(context); !opened) return opened;
  auto prepared = (*loader)->prepare(schema);
  (*loader)->close();
  if (!prepared) return std::move(prepared).error();
  return {};
}

// A database that the target names; the configured one must be there already, or nobody could connect.
Result<void> setup_database(Session& session, const TableConfig& table, const Choice& choice) {
  const std::string database = clickhouse_of(session.config, table).database;
  if (database == session.config.clickhouse.database) return {};
  const std::string cluster =
      table.target.on_cluster.empty() ? "" : " ON CLUSTER " + quote_clickhouse(table.target.on_cluster);
  const std::string sql = "CREATE DATABASE IF NOT EXISTS " + quote_clickhouse(database) + cluster;
  show("ClickHouse", sql);
  if (!choice.apply) return {};
  auto target = open_clickhouse(session.config.clickhouse, session.context());
  if (!target) return std::move(target).error();
  if (auto done = (*target)->query(sql); !done) return std::move(done).error();
  return {};
}

Result<void> setup_table(Session& session, PostgresSession& source, const TableConfig& table, const Choice& choice,
                         const std::string& version) {
  const Method& method = method_of(table);
  auto described = method.describe(source, table);
  if (!described) return std::move(described).error();
  // Before anything is changed: with the method's columns alone nothing could be moved.
  if (described->schema.key_order.empty()) return halt(Errc::schema, key_missing(table) + ".");
  auto statements = method.setup_sql(source, table, *described);
  if (!statements) return std::move(statements).error();
  for (const std::string& sql : *statements) {
    show("PostgreSQL", sql);
    if (!choice.apply) continue;
    if (auto done = source.query(sql); !done) return std::move(done).error();
  }
  if (session.config.use_kafka) {
    const KafkaOptions kafka = kafka_of(session.config, table);
    print(fmt::format("-- Kafka: topic {} with {} partitions, {} replicas\n", kafka.topic, kafka.partitions,
                      kafka.replication));
    if (choice.apply) {
      const bool there = static_cast<bool>(topic_info(kafka, session.context()));
      if (!there) {
        if (auto made = make_topic(kafka, session.context()); !made) return made;
      }
    }
  }
  if (auto made = setup_database(session, table, choice); !made) return made;
  auto ddl = target_ddl(session, table, described->schema, version);
  if (!ddl) return std::move(ddl).error();
  show("ClickHouse", *ddl);
  return choice.apply ? apply_target(session, table, described->schema) : Result<void>{};
}

Result<int> setup(Session& session, const Choice& choice) {
  if (auto ready = require_source(session); !ready) return std::move(ready).error();
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  auto source = open_postgres(session.config.postgres, session.context());
  if (!source) return std::move(source).error();
  std::string version;
  {
    auto target = open_clickhouse(session.config.clickhouse, session.context());
    if (!target) return std::move(target).error();
    auto asked = (*target)->version();
    if (!asked) return std::move(asked).error();
    version = *asked;
  }
  for (const TableConfig& table : *tables) {
    if (auto done = setup_table(session, **source, table, choice, version); !done) return std::move(done).error();
  }
  if (!session.quiet) print(choice.apply ? "-- Done.\n" : "-- Nothing was changed; --apply does it.\n");
  return exit_done;
}

Result<int> teardown(Session& session, const Choice& choice) {
  if (auto ready = require_source(session); !ready) return std::move(ready).error();
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  auto source = open_postgres(session.config.postgres, session.context());
  if (!source) return std::move(source).error();
  for (const TableConfig& table : *tables) {
    auto statements = method_of(table).teardown_sql(**source, table);
    if (!statements) return std::move(statements).error();
    for (const std::string& sql : *statements) {
      show("PostgreSQL", sql);
      if (!choice.apply) continue;
      if (auto done = (*source)->query(sql); !done) return std::move(done).error();
    }
    if (choice.topic) {
      const KafkaOptions kafka = kafka_of(session.config, table);
      print("-- Kafka: delete topic " + kafka.topic + "\n");
      if (choice.apply) {
        if (auto done = drop_topic(kafka, session.context()); !done) return std::move(done).error();
      }
    }
    if (!choice.target) continue;
    auto target = open_clickhouse(clickhouse_of(session.config, table), session.context());
    if (!target) return std::move(target).error();
    const std::string name = target_of(session.config, table).table;
    for (const std::string& sql : {"DROP VIEW IF EXISTS " + quote_clickhouse(name + "_current"),
                                   "DROP TABLE IF EXISTS " + quote_clickhouse(name)}) {
      show("ClickHouse", sql);
      if (!choice.apply) continue;
      if (auto done = (*target)->query(sql); !done) return std::move(done).error();
    }
  }
  if (!session.quiet) print(choice.apply ? "-- Done.\n" : "-- Nothing was changed; --apply does it.\n");
  return exit_done;
}

Result<int> ddl(Session& session, const Choice& choice) {
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  for (const TableConfig& table : *tables) {
    TableSchema schema;
    if (require_source(session)) {
      auto source = open_postgres(session.config.postgres, session.context());
      if (!source) return std::move(source).error();
      const Method& method = method_of(table);
      auto described = method.describe(**source, table);
      if (!described) return std::move(described).error();
      auto statements = method.setup_sql(**source, table, *described);
      if (!statements) return std::move(statements).error();
      for (const std::string& sql : *statements) show("PostgreSQL", sql);
      schema = std::move(described->schema);
    } else {
      auto known = consumed_schema(session, table);
      if (!known) return std::move(known).error();
      schema = *std::move(known);
    }
    auto sql = choice.kafka_engine ? engine_ddl(session, table, schema, choice.version)
                                   : target_ddl(session, table, schema, choice.version);
    if (!sql) return std::move(sql).error();
    show("ClickHouse " + choice.version + " or later", *sql);
  }
  return exit_done;
}

}  // namespace

void add_setup(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = true;
  wants.json = false;
  CLI::App* command =
      add_verb(app, program, "setup",
               "What the method needs (columns, index, triggers), topic and target table: shows what it would do, "
               "--apply does it",
               "  pgch setup --from postgresql://me@localhost/test_db --table user_logins\n  pgch "
               "setup --config pgch.toml --apply\n  pgch setup --from … --table user_logins --method poll --apply\n",
               wants);
  auto choice = std::make_shared<Choice>();
  command->add_flag("--apply", choice->apply, "Do it");
  on_parsed(command, program, [choice](Session& session) { return setup(session, *choice); });
}

void add_teardown(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = true;
  wants.json = false;
  CLI::App* command = add_verb(
      app, program, "teardown", "Take away what setup made: shows what it would do, --apply does it",
      "  pgch teardown --config pgch.toml\n  pgch teardown --config pgch.toml --drop-topic --drop-target --apply\n",
      wants);
  auto choice = std::make_shared<Choice>();
  command->add_flag("--apply", choice->apply, "Do it");
  command->add_flag("--drop-topic", choice->topic, "Also the topic, with all its messages");
  command->add_flag("--drop-target", choice->target, "Also the table at ClickHouse, with all its rows");
  on_parsed(command, program, [choice](Session& session) { return teardown(session, *choice); });
}

void add_ddl(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = true;
  wants.json = false;
  CLI::App* command = add_verb(app, program, "ddl", "Print the SQL for PostgreSQL and ClickHouse",
                               "  pgch ddl --from postgresql://me@localhost/test_db --table user_logins\n  pgch ddl "
                               "--config pgch.toml --server-version 23.8\n",
                               wants);
  auto choice = std::make_shared<Choice>();
  choice->version = assumed_version;
  command->add_option("--server-version", choice->version, "Version of ClickHouse that the SQL is for")
      ->type_name("VERSION")
      ->capture_default_str();
  command->add_flag("--kafka-engine", choice->kafka_engine,
                    "For a ClickHouse that reads the topic itself: Kafka table, materialized view and target");
  on_parsed(command, program, [choice](Session& session) { return ddl(session, *choice); });
}

}  // namespace pgch::cli
