// status: what waits at the source, in the topic, at the target and in the dead letters.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "letters.h"
#include "method.h"
#include "pgch/checkpoint/file.h"
#include "pgch/load/clickhouse.h"
#include "stages.h"

namespace pgch::cli {
namespace {

struct Fact {
  std::string name, value;
  bool quoted = false;  // in JSON
};
class Facts {
 public:
  void text(std::string name, std::string value) { all_.push_back({std::move(name), std::move(value), true}); }
  void error(std::string name, const Error& error) {
    text(std::move(name), error.message);
    status_ = std::max(status_, exit_of(error) == exit_usage ? int{exit_usage} : int{exit_failed});
  }
  void number(std::string name, std::uint64_t value) { json(std::move(name), std::to_string(value)); }
  void json(std::string name, std::string value) { all_.push_back({std::move(name), std::move(value), false}); }
  const std::vector<Fact>& all() const { return all_; }
  int status() const { return status_; }

 private:
  std::vector<Fact> all_;
  int status_ = exit_done;  // the worst of its errors
};

// Of both halves: the file of the producing one and the topic of the consuming one.
void dead_letter_facts(Session& session, const TableConfig& table, Facts& facts) {
  std::uint64_t all = 0;
  std::string file, topic;
  auto boxes = letter_boxes(session, table);
  if (!boxes) {
    facts.error("dead_letters_error", boxes.error());
    return;
  }
  for (const auto& box : *boxes) {
    auto letters = box->list(false);
    if (!letters) {
      facts.error("dead_letters_error", letters.error());
      continue;
    }
    all += letters->size();
    // The file comes first.
    if (!letters->empty()) (&box == &boxes->front() ? file : topic) = box->name();
  }
  facts.number("dead_letters", all);
  if (!file.empty()) facts.text("dead_letter_file", file);
  if (!topic.empty()) facts.text("dead_letter_topic", dead_letter_topic(kafka_of(session.config, table)));
}

void journal_facts(Session& session, const TableConfig& table, Facts& facts) {
  const FileJournalOptions options = journal_of(session.config, table);
  const std::filesystem::path base = std::filesystem::path(options.directory) / options.pipeline;
  std::error_code problem;
  if (!std::filesystem::exists(base.string() + ".journal", problem)) {
    facts.text("journal", "none yet");
  } else {
    auto journal = make_file_journal(options);
    auto opened = journal ? (*journal)->open(session.context()) : Result<void>(journal.error());
    if (opened) {
      auto pending = (*journal)->pending();
      facts.text("journal", "no process runs this pipeline");
      if (pending) facts.number("batches_under_way", pending->size());
      (*journal)->close();
    } else {
      facts.text("journal",
                 opened.error().code == Errc::conflict ? "in use: the pipeline is running" : opened.error().message);
    }
  }
}

void source_facts(Session& session, PostgresSession* source, const TableConfig& table, Facts& facts) {
  if (source == nullptr) return;
  auto unsent = method_of(table).unsent(session, *source, table);
  if (!unsent) {
    facts.error("source_error", unsent.error());
  } else if (*unsent) {
    facts.number("unsent_rows", **unsent);
  }
}

void topic_facts(Session& session, const TableConfig& table, Facts& facts) {
  if (!session.config.use_kafka) return;
  const KafkaOptions kafka = kafka_of(session.config, table);
  facts.text("topic", kafka.topic);
  facts.text("group", kafka.group);
  auto partitions = topic_info(kafka, session.context());
  if (!partitions) {
    facts.error("topic_error", partitions.error());
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
  facts.json("topic_messages", std::to_string(messages));
  facts.json("lag", std::to_string(lag));
  facts.json("partitions", "[" + list + "]");
}

void target_facts(Session& session, const TableConfig& table, Facts& facts) {
  auto opened = open_clickhouse(clickhouse_of(session.config, table), session.context());
  if (!opened) {
    facts.error("target_error", opened.error());
    return;
  }
  ClickHouse* const target = opened->get();
  const std::string quoted = quote_clickhouse(target_of(session.config, table).table);
  auto there = target->describe(target_of(session.config, table));
  if (there && !*there) {
    facts.json("target_rows", "0");
    facts.json("target_exists", "false");
    return;
  }
  auto rows = there ? target->query("SELECT count() FROM " + quoted) : Result<std::string>(there.error());
  if (rows) {
    facts.number("target_rows", std::strtoull(rows->c_str(), nullptr, 10));
  } else {
    facts.error("target_error", rows.error());
  }
}

Result<int> status(Session& session) {
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  std::unique_ptr<PostgresSession> source;
  std::optional<Error> source_error;
  std::string all;
  if (require_source(session)) {
    auto opened = open_postgres(session.config.postgres, session.context());
    if (opened) {
      source = *std::move(opened);
    } else {
      source_error = opened.error();
    }
  }
  int worst = exit_done;
  for (const TableConfig& table : *tables) {
    Facts facts;
    facts.text("table", table.name);
    facts.text("target", target_name(table));
    source_facts(session, source.get(), table, facts);
    if (source_error) facts.error("source_error", *source_error);
    topic_facts(session, table, facts);
    target_facts(session, table, facts);
    journal_facts(session, table, facts);
    dead_letter_facts(session, table, facts);
    worst = std::max(worst, facts.status());
    std::string object;
    for (const auto& [name, value, quoted] : facts.all()) {
      if (session.json) {
        object += (object.empty() ? "" : ",") + json_text(name) + ":" + (quoted ? json_text(value) : value);
      } else if (name != "partitions") {
        print(fmt::format("{:18} {}\n", name, value));
      }
    }
    if (session.json) all += (all.empty() ? "{" : ",{") + object + "}";
    if (!session.json && &table != &tables->back()) print("\n");
  }
  if (session.json) print("[" + all + "]\n");
  return worst;
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
