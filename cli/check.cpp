// check: connects to everything, says how each table maps, what is missing, and the command that mends it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "method.h"
#include "pgch/load/clickhouse.h"
#include "stages.h"

namespace pgch::cli {
namespace {

// The table that is there, by the loader itself: it proves that every column fits, or says which does not.
void check_existing_target(Session& session, const TableConfig& table, const TableSchema& schema, Findings& found) {
  TargetOptions target = target_of(session.config, table);
  target.create = false;
  auto loader = loader_of(session.config, table, target);
  if (!loader) return found.problem(loader.error());
  const Context context{null_logger(), system_clock(), session.stop.get_token()};
  if (auto opened = (*loader)->open(context); !opened) return found.problem(opened.error());
  auto traits = (*loader)->prepare(schema);
  (*loader)->close();
  if (!traits) return found.problem(traits.error());
  if (!traits->can_look && session.config.run.delivery == Delivery::exactly_once) {
    found.problem(fmt::format("the target table {} can't take rows exactly once: {} Mend that, or say delivery = "
                              "\"at_least_once\"",
                              target_name(table), traits->why_not),
                  Errc::schema);
  } else {
    found.good("the target table " + target_name(table) + " is there, and every column fits");
  }
}

std::string check_mapping(const TableConfig& table, const SourceTable& source, const std::optional<TableSchema>& target,
                          Findings& found, bool json) {
  std::string columns;
  for (std::size_t i = 0; i < source.schema.columns.size(); ++i) {
    const ColumnSpec& column = source.schema.columns[i];
    std::string type = clickhouse_type(column);
    if (target) {
      const std::size_t there = column_index(*target, column.name);
      type = there == npos ? "no such column" : clickhouse_type(target->columns[there]);
    }
    if (json) {
      columns += fmt::format("{}{{\"source\":{},\"source_type\":{},\"target\":{},\"target_type\":{},\"key\":{}}}",
                             columns.empty() ? "" : ",", json_text(source.source_columns[i]),
                             json_text(column.source_type), json_text(column.name), json_text(type), column.key);
    } else {
      print(fmt::format("           {:24} {:28} → {:24} {}{}\n", source.source_columns[i], column.source_type,
                        column.name == source.source_columns[i] ? "" : column.name, type, column.key ? "  (key)" : ""));
    }
  }
  if (source.schema.key_order.empty()) found.problem(key_missing(table), Errc::schema);
  return columns;
}

void check_topic(Session& session, const TableConfig& table, Findings& found) {
  const KafkaOptions kafka = kafka_of(session.config, table);
  auto partitions = topic_info(kafka, session.context());
  const bool missing = !partitions && partitions.error().code == Errc::not_found;
  if (partitions || missing) found.good("Kafka at " + kafka.bootstrap);
  if (partitions) {
    found.good(fmt::format("topic {} with {}", kafka.topic, counted(partitions->size(), "partition")));
  } else if (missing && kafka.create_topic) {
    found.good(fmt::format("topic {} will be made at the first start", kafka.topic));
  } else {
    found.problem(partitions.error());
  }
  if (kafka.format != "avro") return;
  if (auto answers = registry_answers(kafka, session.context()); !answers) return found.problem(answers.error());
  found.good("schema registry at " + kafka.schema_registry.url);
}

Result<std::string> check_table(Session& session, PostgresSession& source, bool target_answers,
                                const TableConfig& table, Findings& found) {
  if (!session.json) {
    print(fmt::format("\nTable {} → {}{}\n", table.name,
                      session.config.use_kafka ? "topic " + kafka_of(session.config, table).topic + " → " : "",
                      target_name(table)));
  }
  const Method& method = method_of(table);
  if (!method.check(session, source, table, found)) return std::string{};
  auto described = method.describe(source, table);
  if (!described) {
    found.problem(described.error());
    return std::string{};
  }
  std::optional<TableSchema> there;
  if (target_answers) {
    auto target = open_clickhouse(clickhouse_of(session.config, table), session.context());
    auto asked = target ? (*target)->describe(target_of(session.config, table))
                        : Result<std::optional<TableSchema>>(target.error());
    if (!asked) {
      found.problem(asked.error());
    } else if (there = *std::move(asked); there) {
      check_existing_target(session, table, described->schema, found);
    } else if (table.target.create) {
      found.good("the target table " + target_name(table) + " isn't there yet and will be made at the first start");
    } else {
      found.problem("the target table " + target_name(table) + " doesn't exist, and create = false", Errc::not_found);
    }
  }
  std::string columns = check_mapping(table, *described, there, found, session.json);
  if (session.config.use_kafka) check_topic(session, table, found);
  return columns;
}

Result<int> check(Session& session) {
  Findings found;
  found.json = session.json;
  if (auto ready = require_source(session); !ready) return std::move(ready).error();
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  std::unique_ptr<PostgresSession> source;
  if (auto opened = open_postgres(session.config.postgres, session.context()); opened) {
    source = *std::move(opened);
    auto version = source->query("SHOW server_version");
    found.good("PostgreSQL " + (version && !version->empty() ? version->front().front().value_or("") : std::string{}));
  } else {
    found.problem(opened.error());
  }
  std::unique_ptr<ClickHouse> target;
  if (auto opened = open_clickhouse(session.config.clickhouse, session.context()); opened) {
    auto version = (*opened)->version();
    if (version) {
      found.good("ClickHouse " + *version + " at " + session.config.clickhouse.url);
      target = *std::move(opened);
    } else {
      found.problem(version.error());
    }
  } else {
    found.problem(opened.error());
  }
  std::string json;
  if (source) {
    for (const TableConfig& table : *tables) {
      auto columns = check_table(session, *source, target != nullptr, table, found);
      if (!columns) return std::move(columns).error();
      json += fmt::format("{}{{\"table\":{},\"target\":{},\"columns\":[{}]}}", json.empty() ? "" : ",",
                          json_text(table.name), json_text(target_name(table)), *columns);
    }
  }
  if (session.json) {
    const auto list = [](const std::vector<std::string>& all) {
      std::string out;
      for (const std::string& one : all) out += (out.empty() ? "" : ",") + json_text(one);
      return out;
    };
    print(fmt::format("{{\"ok\":{},\"problems\":[{}],\"advice\":[{}],\"tables\":[{}]}}\n", found.problems.empty(),
                      list(found.problems), list(found.advice), json));
  } else {
    print(found.problems.empty()
              ? "\nEverything is there.\n"
              : fmt::format("\n{} missing.\n", found.problems.size() == 1
                                                   ? std::string("One thing is")
                                                   : std::to_string(found.problems.size()) + " things are"));
  }
  return found.status;
}

}  // namespace

void add_check(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = true;
  CLI::App* command = add_verb(app, program, "check",
                               "Connect to everything; say how each table maps, what is missing and what mends it",
                               "  pgch check --from postgresql://me@localhost/test_db --table user_logins\n  pgch "
                               "check --config pgch.toml --json\n",
                               wants);
  on_parsed(command, program, [](Session& session) { return check(session); });
}

}  // namespace pgch::cli
