// replay: sets where a consumer group begins to read.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <iostream>
#include <set>

#include "pgch/transport/kafka.h"
#include "stages.h"

namespace pgch::cli {
namespace {

struct Choice {
  bool beginning = false, skip = false, dry_run = false;
  std::string time;
  std::vector<std::string> offsets;
};

// "2026-11-20", "2026-11-20T10:00", "2026-11-20T10:00:00Z": UTC in each case.
Result<std::int64_t> parse_time(const std::string& text) {
  for (const char* form :
       {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), form, &parts);
    if (end == nullptr || *end != '\0') continue;
    std::tm normal = parts;
    const std::time_t seconds = ::timegm(&normal);
    // The 31st of February is no day, though it can be counted.
    if (normal.tm_mday != parts.tm_mday || normal.tm_hour != parts.tm_hour) break;
    return static_cast<std::int64_t>(seconds) * 1000;
  }
  return halt(Errc::config, "\"" + text + "\" is no time in UTC like 2026-11-20T10:00:00Z or 2026-11-20.");
}

Result<GroupStart> start_of(const Choice& choice) {
  if (int{choice.beginning} + int{!choice.time.empty()} + int{!choice.offsets.empty()} != 1) {
    return halt(Errc::config,
                "Say where the group is to begin: --from-beginning, --time 2026-11-20T10:00:00Z, or --offset "
                "PARTITION:OFFSET.");
  }
  GroupStart out;
  out.beginning = choice.beginning;
  out.may_skip = choice.skip;
  out.dry_run = choice.dry_run;
  if (!choice.time.empty()) {
    auto time = parse_time(choice.time);
    if (!time) return std::move(time).error();
    out.time_ms = *time;
  }
  for (const std::string& one : choice.offsets) {
    std::int32_t partition = -1;
    std::int64_t offset = -1;
    int used = 0;
    if (std::sscanf(one.c_str(), "%d:%ld%n", &partition, &offset, &used) != 2 ||
        static_cast<std::size_t>(used) != one.size() || partition < 0 || offset < 0)
      return halt(Errc::config, "\"" + one + "\" is no PARTITION:OFFSET like 0:1200.");
    if (!out.offsets.emplace(partition, offset).second)
      return halt(Errc::config, "Partition " + std::to_string(partition) + " is named twice.");
  }
  return out;
}

void print_moves(const Session& session, const KafkaOptions& kafka, const std::vector<GroupMove>& moves,
                 std::string& json) {
  for (const GroupMove& one : moves) {
    if (session.json) {
      json += fmt::format("{}{{\"topic\":{},\"group\":{},\"partition\":{},\"from\":{},\"to\":{},\"end\":{}}}",
                          json.empty() ? "" : ",", json_text(kafka.topic), json_text(kafka.group), one.partition,
                          one.from, one.to, one.end);
      continue;
    }
    const std::int64_t again = one.from - one.to;
    const std::string what = one.from < 0 ? fmt::format("begins at {}", one.to)
                             : again > 0  ? fmt::format("from {} back to {}, {} again", one.from, one.to,
                                                        counted(static_cast<std::uint64_t>(again), "offset"))
                             : again < 0  ? fmt::format("from {} on to {}, {} never delivered", one.from, one.to,
                                                        counted(static_cast<std::uint64_t>(-again), "offset"))
                                          : fmt::format("stays at {}", one.to);
    print(fmt::format("{}/{}  {}\n", kafka.topic, one.partition, what));
  }
}

Result<int> replay(Session& session, const Choice& choice) {
  auto start = start_of(choice);
  if (!start) return std::move(start).error();
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  std::set<std::string> seen;
  std::string json;
  bool again = false;
  for (const TableConfig& table : *tables) {
    const KafkaOptions kafka = kafka_of(session.config, table);
    if (!seen.insert(kafka.topic).second) continue;
    if (seen.size() > 1 && !choice.offsets.empty())
      return halt(Errc::config, "Offsets are of one topic: add --table, since the tables have several.");
    auto moves = move_group(kafka, *start, session.context());
    if (!moves) return std::move(moves).error();
    print_moves(session, kafka, *moves, json);
    for (const GroupMove& one : *moves) again = again || one.from > one.to;
  }
  if (session.json) print("[" + json + "]\n");
  if (session.quiet || session.json) return exit_done;
  if (choice.dry_run) {
    print("Nothing was changed.\n");
  } else if (again) {
    print(
        "The next pgch consume of this group inserts those rows once more. A target that pgch made replaces them by "
        "key and\nversion (read it with FINAL, or <table>_current); a plain MergeTree keeps both: give it another "
        "target, or empty it first.\n");
  }
  return exit_done;
}

}  // namespace

void add_replay(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = true;
  CLI::App* command = add_verb(
      app, program, "replay", "Set where a consumer group begins to read, so that the next consume reads from there",
      "  pgch replay --from-beginning --group second --config pgch.toml\n  pgch replay --time 2026-11-20T10:00:00Z "
      "--config pgch.toml\n  pgch replay --offset 0:1200 --offset 2:900 --config pgch.toml\n",
      wants);
  auto choice = std::make_shared<Choice>();
  command->add_flag("--from-beginning", choice->beginning, "At the first message that the topic still has");
  command->add_option("--time", choice->time, "At the first message that was written then, or later; UTC")
      ->type_name("TIME");
  command->add_option("--offset", choice->offsets, "There; may be repeated, other partitions stay as they are")
      ->type_name("PARTITION:OFFSET")
      ->allow_extra_args(false);
  command->add_flag("--skip", choice->skip, "Also past messages that the group has not read yet");
  command->add_flag("--dry-run", choice->dry_run, "Say it, and change nothing");
  on_parsed(command, program, [choice](Session& session) { return replay(session, *choice); });
}

}  // namespace pgch::cli
