// run, and its two halves.
#include <CLI/CLI.hpp>

#include "flow.h"
#include "method.h"
#include "pgch/checkpoint/file.h"
#include "stages.h"

namespace pgch::cli {
namespace {

struct Choice {
  bool once = false;
};

// How many rows wait; a guess that takes too long isn't worth it.
std::optional<std::uint64_t> rows_waiting(Session& session, const TableConfig& table) {
  PostgresOptions options = session.config.postgres;
  options.statement_timeout_s = 5;
  auto source = open_postgres(options, session.context());
  if (!source) return std::nullopt;
  const auto rows = method_of(table).unsent(session, **source, table);
  return rows ? *rows : std::nullopt;
}

Result<int> flow(Session& session, const Choice& choice, Half half, const std::string& verb) {
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  if (half != Half::consume) {
    if (auto ready = require_source(session); !ready) return std::move(ready).error();
  }
  session.config.run.once = choice.once;
  std::vector<NamedPipeline> pipelines;
  for (const TableConfig& table : *tables) {
    auto stages = stages_of(session, table, half);
    if (!stages) return std::move(stages).error();
    NamedPipeline one{table.name, *std::move(stages), run_of(session.config, table), {}, {}, {}, {}};
    if (half != Half::consume) one.dead_letter_file = dead_letters_path(journal_of(session.config, table));
    if (half == Half::consume || (half == Half::whole && session.config.use_kafka)) {
      const KafkaOptions kafka = kafka_of(session.config, table);
      one.dead_letter_topic = dead_letter_topic(kafka);
      one.brokers = kafka.bootstrap;
    }
    if (half != Half::consume && choice.once && session.log.terminal() && !session.quiet)
      one.rows_expected = rows_waiting(session, table);
    pipelines.push_back(std::move(one));
  }
  return run_all(session, std::move(pipelines), verb);
}

void add_flow(CLI::App& app, Program& program, Half half, const std::string& verb, const std::string& what,
              const std::string& examples) {
  Wants wants;
  wants.source = wants.kafka = wants.tables = wants.batches = true;
  wants.target = half != Half::produce;
  CLI::App* command = add_verb(app, program, verb, what, examples, wants);
  auto choice = std::make_shared<Choice>();
  command->add_flag("--once", choice->once,
                    half == Half::consume ? "End at what is in the topic now" : "End when nothing is left to move");
  on_parsed(command, program, [choice, half, verb](Session& session) { return flow(session, *choice, half, verb); });
}

}  // namespace

void add_run(CLI::App& app, Program& program) {
  add_flow(app, program, Half::whole, "run",
           "Move rows from PostgreSQL to ClickHouse, until SIGTERM or with --once until nothing is left",
           "  pgch run --from postgresql://me@localhost/test_db --to chdb://./warehouse --table user_logins --once\n"
           "  pgch run --config pgch.toml\n"
           "  pgch run --from … --to chdb://./warehouse --table user_logins --method poll\n"
           "  pgch run --from … --to http://localhost:8123 --table user_logins --kafka localhost:9092 --topic "
           "user_events\n");
}
void add_produce(CLI::App& app, Program& program) {
  add_flow(app, program, Half::produce, "produce", "The first half: PostgreSQL to Kafka",
           "  pgch produce --from postgresql://me@localhost/test_db --table user_logins --kafka localhost:9092\n  pgch "
           "produce --config pgch.toml --once\n");
}
void add_consume(CLI::App& app, Program& program) {
  add_flow(app, program, Half::consume, "consume", "The second half: Kafka to ClickHouse",
           "  pgch consume --to http://localhost:8123 --table user_logins --kafka localhost:9092 --group analytics\n  "
           "pgch consume --config pgch.toml --once\n");
}

}  // namespace pgch::cli
