// status: what waits at the source, in the topic, at the target and in the dead letters.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>

#include "pgch/checkpoint/file.h"
#include "pgch/load/clickhouse.h"
#include "source.h"
#include "stages.h"

namespace pgch::cli {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;  // name, JSON value

std::string number(std::uint64_t value) { return std::to_string(value); }

void journal_facts(Session& session, const TableConfig& table, Facts& facts) {
  const FileJournalOptions options = journal_of(session.config, table);
  const std::filesystem::path base = std::filesystem::path(options.directory) / options.pipeline;
  std::error_code problem;
  if (!std::filesystem::exists(base.string() + ".journal", problem)) {
    facts.emplace_back("journal", json_text("none yet"));
  } else {
    auto journal = make_file_journal(options);
    auto opened = journal ? (*journal)->open(session.context()) : Result<void>(journal.error());
    if (opened) {
      auto pending = (*journal)->pending();
      facts.emplace_back("journal", json_text("no process runs this pipeline"));
      if (pending) facts.emplace_back("batches_under_way", number(pending->size()));
      (*journal)->close();
    } else {
      facts.emplace_back("journal", json_text(opened.error().code == Errc::conflict ? "in use: the pipeline is running"
                                                                                    : opened.error().message));
    }
  }
  std::uint64_t letters = 0;
  std::ifstream dead(base.string() + ".dead");
  for (std::string line; std::getline(dead, line);) ++letters;
  facts.emplace_back("dead_letters", number(letters));
}

void source_facts(Session& session, PostgresSession* source, const TableConfig& table, Facts& facts) {
  (void)session;
  if (source == nullptr) return;
  auto unsent = count_unsent(*source, table);
  if (unsent) {
    facts.emplace_back("unsent_rows", number(*unsent));
  } else {
    facts.emplace_back("source_error", json_text(unsent.error().message));
  }
}

void topic_facts(Session& session, const TableConfig& table, Facts& facts) {
  if (!session.config.use_kafka) return;
  const KafkaOptions kafka = kafka_of(session.config, table);
  facts.emplace_back("topic", json_text(kafka.topic));
  facts.emplace_back("group", json_text(kafka.group));
  auto partitions = topic_info(kafka, session.context());
  if (!partitions) {
    facts.emplace_back("topic_error", json_text(partitions.error().message));
    return;
  }
  std::int64_t messages = 0, lag = 0;
  std::string list;
  for (const PartitionInfo& one : *partitions) {
    messages += one.high - one.low;
    lag += one.high - (one.committed < 0 ? one.low : one.committed);
    list += fmt::format("{}{{\"id\":{},\"low\":{},\"high\":{},\"committed\":{}}}", list.empty() ? "" : ",", one.id,
                        one.low, one.high, one.committed);
  }
  facts.emplace_back("topic_messages", std::to_string(messages));
  facts.emplace_back("lag", std::to_string(lag));
  facts.emplace_back("partitions", "[" + list + "]");
}

void target_facts(Session& session, const TableConfig& table, Facts& facts) {
  auto opened = open_clickhouse(clickhouse_of(session.config, table), session.context());
  if (!opened) {
    facts.emplace_back("target_error", json_text(opened.error().message));
    return;
  }
  ClickHouse* const target = opened->get();
  const std::string quoted = quote_clickhouse(target_of(session.config, table).table);
  auto there = target->describe(target_of(session.config, table));
  if (there && !*there) {
    facts.emplace_back("target_rows", "0");
    facts.emplace_back("target_exists", "false");
    return;
  }
  auto rows = there ? target->query("SELECT count() FROM " + quoted) : Result<std::string>(there.error());
  if (rows) {
    facts.emplace_back("target_rows", number(std::strtoull(rows->c_str(), nullptr, 10)));
  } else {
    facts.emplace_back("target_error", json_text(rows.error().message));
  }
}

Result<int> status(Session& session) {
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  std::unique_ptr<PostgresSession> source;
  std::string source_error, all;
  if (require_source(session)) {
    auto opened = open_postgres(session.config.postgres, session.context());
    if (opened) {
      source = *std::move(opened);
    } else {
      source_error = opened.error().message;
    }
  }
  bool failed = !source_error.empty();
  for (const TableConfig& table : *tables) {
    Facts facts{{"table", json_text(table.name)}, {"target", json_text(target_name(table))}};
    source_facts(session, source.get(), table, facts);
    if (!source_error.empty()) facts.emplace_back("source_error", json_text(source_error));
    topic_facts(session, table, facts);
    target_facts(session, table, facts);
    journal_facts(session, table, facts);
    std::string object;
    for (const auto& [name, value] : facts) {
      failed = failed || name.ends_with("_error");
      if (session.json) {
        object += (object.empty() ? "" : ",") + json_text(name) + ":" + value;
      } else if (name != "partitions") {
        print(fmt::format("{:18} {}\n", name, value.starts_with('"') ? value.substr(1, value.size() - 2) : value));
      }
    }
    if (session.json) all += (all.empty() ? "{" : ",{") + object + "}";
    if (!session.json && &table != &tables->back()) print("\n");
  }
  if (session.json) print("[" + all + "]\n");
  return failed ? exit_failed : exit_done;
}

}  // namespace

void add_status(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = true;
  CLI::App* command = add_verb(app, program, "status", "Rows not sent, lag, rows at the target, dead letters, journal",
                               "  pgch status --config pgch.toml\n  pgch status --config pgch.toml --json\n", wants);
  on_parsed(command, program, [](Session& session) { return status(session); });
}

}  // namespace pgch::cli
