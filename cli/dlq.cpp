// dlq: the dead letters of both halves: what they are, and what becomes of them.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <ctime>
#include <iostream>
#include <map>

#include "letters.h"
#include "stages.h"

namespace pgch::cli {
namespace {

struct Choice {
  std::string doing;
  std::vector<std::string> places;
  std::string reason;
  bool all = false, yes = false, show_values = false;
  std::optional<std::uint64_t> at_most;  // list: not given, 100 for people, all for programs
};

std::string time_text(std::int64_t time_us) {
  if (time_us < 0) return "";
  const std::time_t seconds = time_us / 1'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

// Text where it is some, else so that nothing is lost of it.
std::string shown(const std::string& bytes) {
  bool plain = true;
  for (const char c : bytes) plain = plain && (static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n');
  if (plain) return bytes;
  std::string out = "0x";
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  return out;
}

// A row's key as PostgreSQL writes it, a message's as it is.
std::string key_text(const DeadLetter& one) {
  return one.key_values.empty() ? shown(one.key) : fmt::format("{}", fmt::join(one.key_values, ", "));
}

std::string as_json(const DeadLetter& one, bool with_values) {
  std::string out = fmt::format("{{\"place\":{},\"time\":{},\"reason\":{},\"stream\":{},\"bytes\":{}",
                                json_text(one.place), one.time_us < 0 ? "null" : json_text(time_text(one.time_us)),
                                json_text(one.reason), json_text(one.stream), one.bytes);
  if (with_values) {
    out += fmt::format(",\"key\":{},\"payload\":{}", json_text(key_text(one)),
                       one.payload_is_null ? "null" : json_text(shown(one.payload)));
  }
  return out + "}";
}

bool chosen(const Choice& choice, const DeadLetter& one) {
  if (!choice.reason.empty() && one.reason.find(choice.reason) == std::string::npos) return false;
  return choice.places.empty() ||
         std::find(choice.places.begin(), choice.places.end(), one.place) != choice.places.end();
}

struct Box {
  std::unique_ptr<DeadLetterBox> box;
  std::string table;
  std::vector<DeadLetter> letters;  // those that were chosen
};

// Every place that was named must be there, or nothing is done.
Result<std::vector<Box>> look(Session& session, const Choice& choice, bool with_values) {
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  std::vector<Box> out;
  std::vector<std::string> missing = choice.places;
  for (const TableConfig& table : *tables) {
    auto boxes = letter_boxes(session, table);
    if (!boxes) return std::move(boxes).error();
    for (auto& box : *boxes) {
      // Tables may share a topic, and so its dead letters.
      if (std::any_of(out.begin(), out.end(), [&](const Box& other) { return other.box->name() == box->name(); }))
        continue;
      auto letters = box->list(with_values);
      if (!letters) return std::move(letters).error();
      std::erase_if(*letters, [&](const DeadLetter& one) { return !chosen(choice, one); });
      for (const DeadLetter& one : *letters) std::erase(missing, one.place);
      out.push_back({std::move(box), table.name, *std::move(letters)});
    }
  }
  if (!missing.empty())
    return halt(Errc::not_found, "There is no dead letter " + missing.front() + "; see: pgch dlq list");
  return out;
}

void print_counts(const Box& box) {
  std::map<std::string, std::uint64_t> by_reason;
  for (const DeadLetter& one : box.letters) ++by_reason[one.reason];
  std::vector<std::pair<std::uint64_t, std::string>> sorted;
  for (const auto& [reason, n] : by_reason) sorted.emplace_back(n, reason);
  std::sort(sorted.rbegin(), sorted.rend());
  print(fmt::format("{} of table {} in {}\n", counted(box.letters.size(), "dead letter"), box.table, box.box->name()));
  for (const auto& [n, reason] : sorted) print(fmt::format("  {:>8}  {}\n", human_count(n), reason));
}

Result<int> list(Session& session, const Choice& choice, bool whole) {
  auto boxes = look(session, choice, whole && choice.show_values);
  if (!boxes) return std::move(boxes).error();
  std::string all;
  const std::uint64_t at_most = choice.at_most.value_or(session.json ? ~std::uint64_t{0} : 100);
  std::uint64_t left = at_most, total = 0;
  for (const Box& box : *boxes) {
    total += box.letters.size();
    if (!session.json && !whole && !box.letters.empty()) print_counts(box);
    for (const DeadLetter& one : box.letters) {
      if (!whole && left == 0) break;
      if (!whole) --left;
      if (session.json) {
        all += (all.empty() ? "" : ",\n ") + as_json(one, whole && choice.show_values);
      } else if (!whole) {
        print(fmt::format("{:32} {:20} {}\n", one.place, time_text(one.time_us), one.reason));
      } else {
        print(fmt::format("place    {}\ntime     {}\nstream   {}\nreason   {}\nbytes    {}\n", one.place,
                          time_text(one.time_us), one.stream, one.reason, one.bytes));
        if (choice.show_values)
          print(fmt::format("key      {}\npayload  {}\n", key_text(one),
                            one.payload_is_null ? "(none)" : shown(one.payload)));
      }
    }
  }
  if (session.json) {
    print("[" + all + "]\n");
  } else if (total == 0) {
    if (!session.quiet) print("There are no dead letters.\n");
  } else if (!whole && total > at_most) {
    print(fmt::format("… and {} more (--max)\n", total - at_most));
  }
  return exit_done;
}

// Whoever can't be asked has to say it beforehand.
Result<bool> agreed(std::uint64_t letters) {
  if (::isatty(0) == 0) {
    return halt(Errc::config, fmt::format("{} would be dropped: say --yes, since nobody can be asked here.",
                                          counted(letters, "dead letter")));
  }
  std::cerr << fmt::format("Drop {}? Nothing but a copy of yours brings them back. [y/N] ",
                           counted(letters, "dead letter"));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int told(const Session& session, const std::vector<DeadLettersDone>& all, const std::string& what) {
  std::uint64_t done = 0, left = 0;
  std::string places;
  for (const DeadLettersDone& one : all) {
    done += one.done.size();
    left += one.left.size();
    for (const auto& [place, why] : one.left) {
      if (session.json) {
        places +=
            fmt::format("{}{{\"place\":{},\"why\":{}}}", places.empty() ? "" : ",", json_text(place), json_text(why));
      } else {
        std::cerr << fmt::format("{} is left: {}\n", place, why);
      }
    }
  }
  if (session.json) {
    print(fmt::format("{{\"{}\":{},\"left\":[{}]}}\n", what, done, places));
  } else if (!session.quiet || left != 0) {
    print(
        fmt::format("{} {}{}.\n", counted(done, "dead letter"), what, left == 0 ? "" : fmt::format(", {} left", left)));
  }
  return left == 0 ? exit_done : exit_failed;
}

Result<int> settle(Session& session, const Choice& choice, bool again) {
  if (choice.places.empty() && !choice.all && choice.reason.empty()) {
    return halt(Errc::config, fmt::format("Say which: pgch dlq {} PLACE…, or --reason TEXT, or --all.", choice.doing));
  }
  auto boxes = look(session, choice, false);
  if (!boxes) return std::move(boxes).error();
  std::uint64_t letters = 0;
  for (const Box& box : *boxes) letters += box.letters.size();
  if (!again && !choice.yes && letters != 0) {
    auto agree = agreed(letters);
    if (!agree) return std::move(agree).error();
    if (!*agree) return exit_done;
  }
  std::vector<DeadLettersDone> all;
  for (Box& box : *boxes) {
    if (box.letters.empty()) continue;
    std::vector<std::string> places;
    for (const DeadLetter& one : box.letters) places.push_back(one.place);
    auto done = again ? box.box->replay(places) : box.box->drop(places);
    if (!done) return std::move(done).error();
    all.push_back(*std::move(done));
  }
  return told(session, all, again ? "replayed" : "dropped");
}

Result<int> dlq(Session& session, const Choice& choice) {
  if (choice.doing == "show" && choice.places.empty() && !choice.all && choice.reason.empty())
    return halt(Errc::config, "Say which: pgch dlq show PLACE…, or --reason TEXT, or --all.");
  if (choice.doing == "list" || choice.doing == "show") return list(session, choice, choice.doing == "show");
  return settle(session, choice, choice.doing == "replay");
}

}  // namespace

void add_dlq(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.kafka = wants.tables = true;
  CLI::App* command = add_verb(
      app, program, "dlq", "Dead letters: list them, show one, replay them when what was wrong is mended, drop them",
      "  pgch dlq list --config pgch.toml\n  pgch dlq show 'user_events/0@42' --show-values --config pgch.toml\n"
      "  pgch dlq replay --reason 'is not in the table' --config pgch.toml\n  pgch dlq replay --all --config "
      "pgch.toml\n"
      "  pgch dlq drop 'user_events/0@42' --yes --config pgch.toml\n",
      wants);
  auto choice = std::make_shared<Choice>();
  command->add_option("doing", choice->doing, "list, show, replay or drop")
      ->type_name("")
      ->required()
      ->check(CLI::IsMember({"list", "show", "replay", "drop"}));
  command->add_option("places", choice->places, "Places of dead letters, as list names them")->type_name("PLACE");
  command->add_option("--reason", choice->reason, "Those whose reason contains this")->type_name("TEXT");
  command->add_flag("--all", choice->all, "All of them");
  command->add_flag("--yes", choice->yes, "drop: do not ask");
  command->add_flag("--show-values", choice->show_values, "show: the record itself, too");
  command->add_option("--max", choice->at_most, "list: so many at most (default 100, with --json all); all are counted")
      ->type_name("N");
  on_parsed(command, program, [choice](Session& session) { return dlq(session, *choice); });
}

}  // namespace pgch::cli
