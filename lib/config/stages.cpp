// From the configuration to the options of each stage.
#include "base/hash.h"
#include "pgch/config.h"

namespace pgch {
namespace {

// Letters, digits, dot, dash, underscore; anything else makes it a hash, so that two names never become one.
std::string safe(const std::string& name, std::size_t size_max) {
  std::string out;
  bool changed = name.size() > size_max;
  for (const char c : name) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    out += good ? c : '_';
    changed = changed || !good;
  }
  if (!changed) return out;
  static constexpr char digits[] = "0123456789abcdef";
  std::string suffix = "-";
  const std::uint64_t hash = hash64(name);
  for (int shift = 28; shift >= 0; shift -= 4) suffix += digits[(hash >> shift) & 15u];
  return out.substr(0, size_max - suffix.size()) + suffix;
}

}  // namespace

std::string pipeline_id(const Config& config, const TableConfig& table) {
  std::string id = config.pipeline + "." + table.name;
  if (table.shares > 1) id += "." + std::to_string(table.share) + "of" + std::to_string(table.shares);
  return safe(id, 64);
}

PipelineOptions run_of(const Config& config, const TableConfig& table) {
  PipelineOptions options = config.run;
  options.id = pipeline_id(config, table);
  return options;
}

FileJournalOptions journal_of(const Config& config, const TableConfig& table) {
  FileJournalOptions options;
  options.directory = config.state;
  options.pipeline = pipeline_id(config, table);
  return options;
}

FlagOptions flag_of(const Config& config, const TableConfig& table) {
  FlagOptions options;
  options.postgres = config.postgres;
  options.table = table.name;
  options.flag_column = table.flag_column;
  options.columns = table.columns;
  options.lanes = table.lanes;
  options.share = table.share;
  options.shares = table.shares;
  return options;
}

OutboxOptions outbox_of(const Config& config, const TableConfig& table) {
  OutboxOptions options;
  options.postgres = config.postgres;
  options.table = table.name;
  options.outbox = table.outbox;
  options.key = table.outbox_key;
  options.skip_gone = table.skip_gone;
  options.columns = table.columns;
  options.share = table.share;
  options.shares = table.shares;
  options.lanes = table.lanes;
  return options;
}

PollOptions poll_of(const Config& config, const TableConfig& table) {
  PollOptions options = table.poll;
  options.postgres = config.postgres;
  options.table = table.name;
  options.columns = table.columns;
  options.directory = config.state;
  options.pipeline = pipeline_id(config, table);
  options.listen = table.method == "notify";
  return options;
}

std::string own_column(const TableConfig& table) {
  if (table.method == "flag") return table.flag_column;
  if (table.method == "outbox") return {};
  const bool by_column = table.poll.form == PollForm::snapshots || table.poll.form == PollForm::xid;
  return by_column ? table.poll.xid_column : std::string();
}

ScanOptions scan_of(const Config& config, const TableConfig& table) {
  ScanOptions options;
  options.postgres = config.postgres;
  options.table = table.name;
  options.columns = table.columns;
  if (std::string own = own_column(table); !own.empty()) options.columns.exclude.push_back(std::move(own));
  return options;
}

std::string bare_name(const TableConfig& table) {
  std::string part;
  bool quoted = false;
  for (std::size_t i = 0; i < table.name.size(); ++i) {
    const char c = table.name[i];
    if (c == '"' && quoted && i + 1 < table.name.size() && table.name[i + 1] == '"') {
      part += c;
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == '.' && !quoted) {
      part.clear();
    } else {
      part += c;
    }
  }
  return part;
}

std::string target_name(const TableConfig& table) {
  return table.target.table.empty() ? bare_name(table) : table.target.table;
}

ClickHouseOptions clickhouse_of(const Config& config, const TableConfig& table) {
  ClickHouseOptions options = config.clickhouse;
  if (const auto dot = table.target.table.find('.'); dot != std::string::npos)
    options.database = table.target.table.substr(0, dot);
  return options;
}

TargetOptions target_of(const Config&, const TableConfig& table) {
  TargetOptions options = table.target;
  options.table = target_name(table);
  if (const auto dot = table.target.table.find('.'); dot != std::string::npos)
    options.table = table.target.table.substr(dot + 1);
  return options;
}

KafkaOptions kafka_of(const Config& config, const TableConfig& table) {
  KafkaOptions options = config.kafka;
  if (!table.topic.empty()) {
    options.topic = table.topic;
  } else if (options.topic.empty()) {
    options.topic =
        "pgch." + std::string(table.name.find('.') == std::string::npos ? "public." : "") + safe(table.name, 200);
  } else if (const auto at = options.topic.find("{table}"); at != std::string::npos) {
    options.topic.replace(at, 7, safe(table.name, 200));
  }
  if (options.group.empty()) options.group = config.pipeline;
  if (options.bootstrap.empty()) options.bootstrap = "localhost:9092";
  options.skip_gone = table.skip_gone;
  if (options.format == "debezium") {
    // A connector sends every column, also those that are not moved.
    for (const std::string& name : table.columns.exclude) options.ignore_fields.push_back(name);
    if (std::string own = own_column(table); !own.empty()) options.ignore_fields.push_back(std::move(own));
    const auto years = table.columns.types.as.find("years");
    options.debezium.wide_years = years != table.columns.types.as.end() && years->second == "0000-9999";
  }
  // One stream, whether it is woken or not.
  options.stream = (table.method == "notify" ? "poll" : table.method) + ":" +
                   (table.name.find('.') == std::string::npos ? "public." + table.name : table.name);
  return options;
}

}  // namespace pgch
