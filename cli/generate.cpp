// generate: random login events into PostgreSQL, into Kafka, or from Kafka into PostgreSQL (system S0).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "flow.h"
#include "pgch/checkpoint/file.h"
#include "pgch/extract/generate.h"
#include "pgch/load/postgres.h"
#include "stages.h"

namespace pgch::cli {
namespace {

struct Asked {
  bool to_postgres = false, to_kafka = false, kafka_to_postgres = false, create = true, once = false;
  GenerateOptions options;
  std::int64_t first_id = 0;
};

// A topic of its own: the events on their way to PostgreSQL are not the pipeline's messages.
KafkaOptions events_topic(const Session& session, const std::string& table) {
  TableConfig of;
  of.name = table;
  of.topic = "pgch.generate." + table;
  KafkaOptions kafka = kafka_of(session.config, of);
  // [kafka] topic is the pipeline's; only a --topic typed here is meant for the events.
  for (const ConfigOverride& one : session.overrides) {
    if (one.name == "kafka.topic") kafka.topic = one.value;
  }
  kafka.stream = "generate:" + table;
  if (session.config.kafka.group.empty()) kafka.group = "pgch-generate";
  return kafka;
}

Result<std::int64_t> next_id(Session& session, const std::string& table) {
  auto source = open_postgres(session.config.postgres, session.context());
  if (!source) return std::move(source).error();
  auto name = quote_postgres_table(table);
  if (!name) return std::move(name).error();
  auto exists = (*source)->query("SELECT to_regclass($1) IS NOT NULL", {*name});
  if (!exists) return std::move(exists).error();
  if (exists->at(0).at(0).value_or("f") != "t") return std::int64_t{1};
  auto rows = (*source)->query("SELECT coalesce(max(id), 0) + 1 FROM " + *name);
  if (!rows) return std::move(rows).error();
  return std::strtoll(rows->at(0).at(0).value_or("1").c_str(), nullptr, 10);
}

// Nothing but the generator writes into the topic, so the number of messages is the number of ids used.
Result<std::int64_t> next_id_in_topic(Session& session, const KafkaOptions& kafka) {
  auto partitions = topic_info(kafka, session.context());
  if (!partitions) {
    if (partitions.error().code == Errc::not_found) return std::int64_t{1};
    return std::move(partitions).error();
  }
  std::int64_t messages = 0;
  for (const PartitionInfo& one : *partitions) messages += one.high;
  return messages + 1;
}

Result<int> generate(Session& session, Asked asked) {
  if (asked.to_postgres + asked.to_kafka + asked.kafka_to_postgres != 1) {
    return halt(Errc::config, "Say where to: one of --to-postgres, --to-kafka and --kafka-to-postgres.");
  }
  asked.options.table = session.config.tables.empty() ? "user_logins" : session.config.tables.front().name;
  const std::string flag = session.config.tables.empty() ? "sent_to_kafka" : session.config.tables.front().flag_column;
  if (!asked.to_kafka) {
    if (auto ready = require_source(session); !ready) return std::move(ready).error();
  }
  Stages stages;
  KafkaOptions kafka = events_topic(session, asked.options.table);
  if (!asked.kafka_to_postgres) {
    auto first = asked.first_id != 0 ? Result<std::int64_t>(asked.first_id)
                 : asked.to_kafka    ? next_id_in_topic(session, kafka)
                                     : next_id(session, asked.options.table);
    if (!first) return std::move(first).error();
    asked.options.first_id = *first;
    if (asked.options.seed == 0)
      asked.options.seed =
          static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) % 1'000'000'007 + 1;
    session.log.write(LogLevel::info,
                      fmt::format("Generating events from id {} with --seed {}", *first, asked.options.seed));
    auto generator = make_generator(asked.options);
    if (!generator) return std::move(generator).error();
    stages.extractor = *std::move(generator);
    stages.journal = make_memory_journal();
  }
  if (!asked.to_postgres) {
    kafka.until_end = asked.once;
    kafka.schema = [options = asked.options]() -> Result<TableSchema> { return generated_schema(options); };
    auto transport = transport_of(kafka);
    if (!transport) return std::move(transport).error();
    stages.transport = *std::move(transport);
  }
  if (!asked.to_kafka) {
    PostgresTargetOptions target;
    target.postgres = session.config.postgres;
    target.table = asked.options.table;
    target.create = asked.create;
    target.flag_column = flag;
    auto loader = make_postgres_loader(target);
    if (!loader) return std::move(loader).error();
    stages.loader = *std::move(loader);
  }
  PipelineOptions options = session.config.run;
  options.id = "generate";
  options.once = asked.once;
  // Keys make a repetition harmless, and the generator's own process remembers what it has sent.
  options.delivery = Delivery::at_least_once;
  if (asked.options.rows_per_s != 0) options.poll = std::chrono::milliseconds(20);
  std::vector<NamedPipeline> pipelines;
  NamedPipeline one{asked.options.table, std::move(stages), options, {}, {}, {}, {}};
  if (asked.kafka_to_postgres) one.dead_letter_topic = dead_letter_topic(kafka), one.brokers = kafka.bootstrap;
  if (asked.options.rows_max != 0 && !asked.kafka_to_postgres) one.rows_expected = asked.options.rows_max;
  pipelines.push_back(std::move(one));
  return run_all(session, std::move(pipelines), "generate");
}

}  // namespace

void add_generate(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.kafka = wants.batches = wants.tables = true;
  CLI::App* command =
      add_verb(app, program, "generate", "Random login events into PostgreSQL or Kafka, or from Kafka into PostgreSQL",
               "  pgch generate --to-postgres --from postgresql://me@localhost/test_db --rows 1000000\n"
               "  pgch generate --to-kafka --kafka localhost:9092 --topic logins --rate 500\n"
               "  pgch generate --kafka-to-postgres --from … --kafka localhost:9092 --topic logins\n",
               wants);
  auto asked = std::make_shared<Asked>();
  command->add_flag("--to-postgres", asked->to_postgres, "Into the table, which is made if it is missing");
  command->add_flag("--to-kafka", asked->to_kafka, "Into the topic");
  command->add_flag("--kafka-to-postgres", asked->kafka_to_postgres, "From the topic into the table, until Ctrl-C");
  command->add_option("--rows", asked->options.rows_max, "How many; 0: until Ctrl-C")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--rate", asked->options.rows_per_s, "Rows a second; 0: as fast as possible")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--seed", asked->options.seed, "The same seed gives the same events; 0: a new one, which is printed")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--first-id", asked->first_id, "First id; 0: after the last one that is there")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--payload", asked->options.payload_bytes, "Bytes of the JSON payload")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--once", asked->once, "With --kafka-to-postgres: end at what is in the topic now");
  command->add_flag("!--no-create", asked->create, "The table must be there");
  on_parsed(command, program, [asked](Session& session) { return generate(session, *asked); });
}

}  // namespace pgch::cli
