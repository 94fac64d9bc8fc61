// snapshot: whole tables, one after another, all as of one point; killed at any moment it goes on where it was.
#include "pgch/extract/snapshot.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <thread>

#include "pgch/checkpoint/file.h"
#include "snapshot_progress.h"
#include "stages.h"

namespace pgch::cli {
namespace {

struct Choice {
  bool again = false, dry_run = false;
  std::uint32_t connections = 0;
};

struct Planned {
  TableConfig table;
  SnapshotPlan plan;
};

// The same table has one journal and one progress file, however it was written.
TableConfig with_full_name(const Planned& one) {
  TableConfig out = one.table;
  out.name = one.plan.table.schema.schema + "." + one.plan.table.schema.table;
  return out;
}

std::uint32_t connections_of(const Choice& choice) {
  return choice.connections != 0 ? choice.connections : std::clamp(std::thread::hardware_concurrency(), 1U, 64U);
}

// Unless batches were set: of tables that are copied whole, large ones. The target then merges half as much
// (docs/PERFORMANCE.md), and nobody waits for the newest row.
BatchLimits batches_of(const Config& config, std::uint32_t connections) {
  constexpr std::uint32_t rows = 600'000;
  BatchLimits limits = config.run.batch;
  const BatchLimits usual;
  if (config.use_kafka || limits.rows_max != usual.rows_max || limits.bytes_max != usual.bytes_max) return limits;
  limits.rows_max = rows;
  // Each connection reads one, usually of half that size; with many connections they are smaller.
  const std::size_t memory = config.run.in_flight_bytes_max;
  limits.bytes_max = std::max<std::size_t>(1 << 20, std::min(memory / 8 * 3, memory / 4 * 3 / connections));
  return limits;
}

SnapshotOptions options_of(const Session& session, const TableConfig& table, const Choice& choice) {
  const Config& config = session.config;
  SnapshotOptions options;
  options.postgres = config.postgres;
  options.table = table.name;
  options.columns = table.columns;
  options.flag_column = own_column(table);
  options.where = table.where;
  options.connections = connections_of(choice);
  options.queue_bytes_max = config.run.in_flight_bytes_max / 6;
  options.directory = config.state;
  options.again = choice.again;
  options.repeats_allowed = config.run.delivery == Delivery::at_least_once;
  return options;
}

// "public.*" and "logs_2*": the tables that fit, in place of the pattern, each with the pattern's settings.
Result<std::vector<TableConfig>> expand(PostgresSession& source, const std::vector<TableConfig>& tables) {
  static constexpr const char* sql =
      "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = "
      "c.relnamespace WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> "
      "'information_schema' AND (n.nspname || '.' || c.relname LIKE $1 OR ($2 = 't' AND pg_table_is_visible(c.oid) AND "
      "c.relname LIKE $1)) ORDER BY 1";
  std::vector<TableConfig> out;
  for (const TableConfig& table : tables) {
    if (table.name.find('*') == std::string::npos) {
      out.push_back(table);
      continue;
    }
    std::string like;
    for (const char c : table.name)
      like += c == '*' ? "%" : c == '_' || c == '%' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    auto rows = source.query(sql, {like, table.name.find('.') == std::string::npos ? "t" : "f"});
    if (!rows) return std::move(rows).error();
    if (rows->empty()) return halt(Errc::not_found, "No table's name is like " + table.name + ".");
    for (const auto& row : *rows) {
      TableConfig one = table;
      one.name = row.at(0).value_or("");
      // As the user would have written it.
      if (one.name.rfind("public.", 0) == 0 && table.name.find('.') == std::string::npos) one.name.erase(0, 7);
      out.push_back(std::move(one));
    }
  }
  return out;
}

// The largest first: then the end is not one long table by itself.
Result<std::vector<Planned>> plan_tables(Session& session, const Choice& choice) {
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  auto source = open_postgres(session.config.postgres, session.context());
  if (!source) return std::move(source).error();
  auto expanded = expand(**source, *tables);
  if (!expanded) return std::move(expanded).error();
  std::vector<Planned> out;
  for (const TableConfig& table : *expanded) {
    auto plan = plan_snapshot(options_of(session, table, choice), session.context());
    if (!plan) return std::move(plan).error();
    out.push_back({table, *std::move(plan)});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Planned& a, const Planned& b) { return a.plan.bytes > b.plan.bytes; });
  return out;
}

Result<int> show_plan(Session& session, const Choice& choice) {
  auto planned = plan_tables(session, choice);
  if (!planned) return std::move(planned).error();
  // Without a server to ask, the DDL is what a current one would get.
  std::string version = "25.1.1.1";
  if (!session.config.use_kafka) {
    if (auto target = open_clickhouse(session.config.clickhouse, session.context())) {
      if (auto told = (*target)->version()) version = *told;
    }
  }
  std::string json;
  for (const Planned& one : *planned) {
    std::string ddl;
    if (!session.config.use_kafka) {
      auto made = clickhouse_ddl(clickhouse_of(session.config, one.table), target_of(session.config, one.table),
                                 one.plan.table.schema, version);
      if (!made) return std::move(made).error();
      ddl = *std::move(made);
    }
    const double rows = one.plan.table.rows_estimate;
    if (session.json) {
      json += fmt::format(
          "{}{{\"table\":{},\"target\":{},\"bytes\":{},\"rows_estimate\":{:.0f},\"parts\":{},\"by_ranges\":{},"
          "\"connections\":{},\"ddl\":{}}}",
          json.empty() ? "" : ",", json_text(one.table.name), json_text(target_name(one.table)), one.plan.bytes,
          std::max(0.0, rows), one.plan.parts, one.plan.by_ranges, one.plan.by_ranges ? connections_of(choice) : 1,
          json_text(ddl));
      continue;
    }
    print(fmt::format(
        "{} → {}: {}, {}{}, {}\n", one.table.name,
        session.config.use_kafka ? "topic " + kafka_of(session.config, one.table).topic : target_name(one.table),
        human_bytes(static_cast<double>(one.plan.bytes)),
        rows >= 0 ? "about " + counted(static_cast<std::uint64_t>(rows), "row") : "rows not known (never analysed)",
        one.plan.parts > 1 ? fmt::format(" in {} parts", one.plan.parts) : "",
        one.plan.by_ranges ? counted(connections_of(choice), "connection") : "read as a whole by 1 connection"));
    if (!ddl.empty()) print(ddl + (ddl.ends_with('\n') ? "\n" : "\n\n"));
  }
  if (session.json) print(fmt::format("{{\"verb\":\"snapshot\",\"status\":\"planned\",\"tables\":[{}]}}\n", json));
  return exit_done;
}

Result<SnapshotTarget> state_of_target(Session& session, const TableConfig& table) {
  if (session.config.use_kafka) return SnapshotTarget::unknown;
  const ClickHouseOptions where = clickhouse_of(session.config, table);
  auto target = open_clickhouse(where, session.context());
  if (!target) return std::move(target).error();
  const TargetOptions to = target_of(session.config, table);
  auto there = (*target)->describe(to);
  if (!there) return std::move(there).error();
  if (!*there) return SnapshotTarget::empty;
  auto rows = (*target)->query("SELECT count() FROM (SELECT 1 FROM " + quote_clickhouse(where.database) + "." +
                               quote_clickhouse(to.table) + " LIMIT 1)");
  if (!rows) return std::move(rows).error();
  return rows->rfind('0', 0) == 0 ? SnapshotTarget::empty : SnapshotTarget::filled;
}

std::string name_of_target(const Session& session, const TableConfig& table) {
  if (session.config.use_kafka) return "topic " + kafka_of(session.config, table).topic;
  const ClickHouseOptions where = clickhouse_of(session.config, table);
  return where.url + " " + where.database + "." + target_of(session.config, table).table;
}

Result<Stages> snapshot_stages(Session& session, const TableConfig& table, const FileJournalOptions& journal,
                               SnapshotOptions options) {
  const Config& config = session.config;
  const std::uint32_t loaders = options.connections;
  Stages stages;
  auto extractor = make_snapshot(std::move(options));
  if (!extractor) return std::move(extractor).error();
  stages.extractor = *std::move(extractor);
  auto opened = make_file_journal(journal);
  if (!opened) return std::move(opened).error();
  stages.journal = *std::move(opened);
  auto dead_letters = make_file_dead_letters(journal);
  if (!dead_letters) return std::move(dead_letters).error();
  stages.dead_letters = *std::move(dead_letters);
  if (config.use_kafka) {
    KafkaOptions kafka = kafka_of(config, table);
    kafka.stream.clear();  // each stream under its own name
    auto transport = transport_of(kafka);
    if (!transport) return std::move(transport).error();
    stages.transport = *std::move(transport);
    return stages;
  }
  for (std::uint32_t i = 0; i < loaders; ++i) {
    auto loader = loader_of(config, table);
    if (!loader) return std::move(loader).error();
    if (i == 0) {
      stages.loader = *std::move(loader);
    } else {
      stages.more_loaders.push_back(*std::move(loader));
    }
  }
  return stages;
}

// One table; its error, if it has one, is in the result.
Result<void> copy_table(Session& session, const Planned& one, const Choice& choice,
                        const std::shared_ptr<SnapshotPoint>& point, SnapshotTotals& totals) {
  SnapshotOptions options = options_of(session, one.table, choice);
  const FileJournalOptions journal = journal_of(session.config, with_full_name(one));
  options.pipeline = journal.pipeline;
  options.point = point;
  options.status = totals.begin(one.table.name);
  options.target = name_of_target(session, one.table);
  auto state = state_of_target(session, one.table);
  if (!state) return std::move(state).error();
  options.target_state = *state;
  auto stages = snapshot_stages(session, one.table, journal, std::move(options));
  if (!stages) return std::move(stages).error();
  PipelineOptions run = run_of(session.config, with_full_name(one));
  // Half of the budget for what is fetched and not settled; the rest is being read, or waits to be fetched.
  run.batch = batches_of(session.config, connections_of(choice));
  run.in_flight_bytes_max = std::max(run.batch.bytes_max, run.in_flight_bytes_max / 2);
  run.once = true;
  auto pipeline = Pipeline::create(*std::move(stages), run, session.log, system_clock());
  if (!pipeline) return std::move(pipeline).error();
  totals.running(&*pipeline);
  auto done = pipeline->run(session.stop.get_token());
  totals.over(pipeline->stats(), dead_letters_path(journal), done ? nullptr : &done.error());
  return done;
}

Result<int> snapshot(Session& session, const Choice& choice) {
  if (auto ready = require_source(session); !ready) return std::move(ready).error();
  if (choice.dry_run) return show_plan(session, choice);
  auto planned = plan_tables(session, choice);
  if (!planned) return std::move(planned).error();
  std::vector<std::string> names;
  SnapshotTotals totals(session);
  for (const Planned& one : *planned) {
    names.push_back(one.table.name);
    totals.expect(one.table.name, one.plan.bytes);
  }
  auto point = take_snapshot_point(session.config.postgres, names, session.context());
  if (!point) return std::move(point).error();
  if (!session.quiet) session.log.write(LogLevel::info, "snapshot taken: " + (*point)->name);
  std::optional<Error> first;
  {
    const auto display = totals.display();
    for (const Planned& one : *planned) {
      auto done = copy_table(session, one, choice, *point, totals);
      if (session.stop.stop_requested()) break;
      if (done) continue;
      if (!first) first = done.error();
      if (planned->size() > 1) session.log.write(LogLevel::error, one.table.name + ": " + done.error().message);
      // The point is of no use any more, nor is any later table: a new start takes a new one.
      if (done.error().code == Errc::connection) break;
    }
  }
  return totals.end(first);
}

}  // namespace

void add_snapshot(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = wants.batches = true;
  CLI::App* command =
      add_verb(app, program, "snapshot",
               "Copy whole tables as of one point, over several connections; killed, it goes on where it was",
               "  pgch snapshot --from postgresql://me@localhost/test_db --to chdb://./warehouse --table user_logins\n"
               "  pgch snapshot --from … --to http://localhost:8123 --table 'public.*' --connections 4\n"
               "  pgch snapshot --from … --to … --table orders --where \"created_at >= '2024-01-01'\" --dry-run\n"
               "  pgch snapshot --config pgch.toml --again        begin anew, whatever was copied before\n",
               wants);
  auto choice = std::make_shared<Choice>();
  command->add_flag("--again", choice->again, "Forget what an earlier run copied, and begin anew");
  command->add_flag("--dry-run", choice->dry_run, "Show the plan, the sizes and the DDL; change nothing");
  command
      ->add_option("--connections", choice->connections,
                   "Connections to PostgreSQL, and to ClickHouse; default: the cores")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  command
      ->add_option_function<std::string>(
          "--where",
          [&program](const std::string& value) {
            program.flags.overrides.push_back({"table.where", value, "--where"});
          },
          "Only rows for which this SQL condition holds")
      ->type_name("SQL");
  on_parsed(command, program, [choice](Session& session) { return snapshot(session, *choice); });
}

}  // namespace pgch::cli
