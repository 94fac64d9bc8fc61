// The delivery protocol under seeds: crashes at every step, lost answers, torn inserts, several loaders that settle in
// any order, batches cut differently after each restart. The protocol is the library's own (Flow); only its
// surroundings are models.
#include <fmt/format.h>

#include <cstdlib>
#include <thread>

#include "pipeline/flow.h"
#include "sim/world.h"
#include "support/catch.h"

namespace {

using namespace sim;

class ManualClock final : public Clock {
 public:
  TimePoint now() override { return now_; }
  void sleep_until(TimePoint until, const std::stop_token&) override { now_ = std::max(now_, until); }

 private:
  TimePoint now_{};
};

struct Verdict {
  std::string violation;  // empty: none
  std::uint64_t crashes = 0, rows = 0;
};

// One life of the process: until everything is delivered or it crashes.
template <class Source>
bool live(World& w, Source& source, ModelJournal& journal, std::size_t loaders, bool last_life, Delivery delivery,
          const std::function<void()>& meanwhile) {
  std::vector<std::unique_ptr<ModelLoader>> owned;
  FlowParts parts;
  parts.extractor = &source;
  for (std::size_t i = 0; i < loaders; ++i) {
    owned.push_back(std::make_unique<ModelLoader>(w));
    parts.loaders.push_back(owned.back().get());
  }
  ModelDeadLetters dead(w);
  parts.journal = &journal;
  parts.dead_letters = &dead;
  PipelineOptions options;
  options.once = true;
  options.delivery = delivery;
  options.batch.rows_max = static_cast<std::uint32_t>(1 + w.below(9));
  options.batch.bytes_max = 1;  // the budget is counted in batches here
  options.in_flight_bytes_max = 1 + w.below(600);
  ManualClock clock;
  Flow flow(parts, options, null_logger(), clock, "sim");
  w.faults = !last_life;
  if (auto opened = flow.open(); !opened) FAIL("open: " << opened.error().message);
  for (int steps = 0; steps < 20'000; ++steps) {
    if (w.chance(20)) meanwhile();
    if (w.chance(50)) {
      auto step = flow.extract_step(false);
      if (!step && step.error().recovery != Recovery::retry) FAIL("extract: " << step.error().message);
      if (step && *step == Flow::Step::finished) {
        flow.close();
        return true;
      }
    } else {
      auto step = flow.settle_step(w.below(loaders));
      if (!step) FAIL("settle: " << step.error().message);
    }
  }
  FAIL("20 000 steps and no end");
  return false;
}

std::string check_no_doubles(const World& w) {
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (const Landed1& r : w.landed) {
    if (!seen.insert({r.id, r.value}).second)
      return fmt::format("row {} is at the target twice with value {}", r.id, r.value);
  }
  return {};
}

// Everything that the source believes delivered is at the target (or set aside), at every moment.
std::string check_acknowledged(const World& w) {
  std::set<std::pair<std::int64_t, std::int64_t>> there;
  for (const Landed1& r : w.landed) there.insert({r.id, r.value});
  for (const auto& [stream, table] : w.tables) {
    for (const auto& [id, row] : table) {
      if (row.sent && there.count({id, row.value}) == 0 && w.dead.count(id) == 0)
        return fmt::format("row {} of {} is marked and not at the target", id, stream);
    }
  }
  for (const auto& [stream, log] : w.logs) {
    const auto base = static_cast<std::int64_t>(hash64(stream) % 1000) * 1'000'000;
    const auto known = w.committed.find(stream);
    for (std::uint64_t o = 0; known != w.committed.end() && o < known->second; ++o) {
      const auto id = base + static_cast<std::int64_t>(o);
      if (there.count({id, log[o]}) == 0 && w.dead.count(id) == 0)
        return fmt::format("offset {} of {} is committed and not at the target", o, stream);
    }
  }
  return {};
}

std::string check_complete(const World& w) {
  std::map<std::int64_t, Landed1> newest;
  for (const Landed1& r : w.landed) {
    auto [at, fresh] = newest.insert({r.id, r});
    if (!fresh && r.version > at->second.version) at->second = r;
  }
  for (const auto& [stream, table] : w.tables) {
    for (const auto& [id, row] : table) {
      if (!row.sent) return fmt::format("row {} of {} was never marked", id, stream);
      if (w.dead.count(id) != 0 && row.value % 101 == 0) continue;
      const auto at = newest.find(id);
      if (at == newest.end()) return fmt::format("row {} of {} is lost", id, stream);
      if (at->second.value != row.value) return fmt::format("row {} of {} is stale at the target", id, stream);
    }
  }
  return {};
}

Verdict run_seed(std::uint64_t seed, Mutation mutation, Delivery delivery = Delivery::exactly_once) {
  World w(seed, mutation);
  Verdict verdict;
  const bool flag = w.chance(60);
  const std::size_t loaders = 1 + w.below(3);
  const std::uint64_t streams = 1 + w.below(3);
  w.window = 1 + w.below(6);
  for (std::uint64_t s = 0; s < streams; ++s) {
    const std::string stream = "s" + std::to_string(s);
    const std::uint64_t rows = 5 + w.below(40);
    for (std::uint64_t r = 0; r < rows; ++r) {
      const auto value = static_cast<std::int64_t>(1 + w.below(1000));
      if (flag) {
        w.tables[stream][static_cast<std::int64_t>(s * 1'000'000 + r)] = {value, ++w.lsn, false};
      } else {
        w.logs[stream].push_back(value);
      }
    }
    if (!flag) w.committed[stream] = 0;
    verdict.rows += rows;
  }
  const std::uint64_t lives = 1 + w.below(6);
  for (std::uint64_t life = 0;; ++life) {
    const bool last = life >= lives;
    w.crash_after = last ? std::nullopt : std::optional<std::uint64_t>(w.below(160));
    ModelJournal journal(w, !flag);
    try {
      if (flag) {
        FlagModel source(w);
        // The application changes rows that are not sent and not locked, and adds some.
        const auto meanwhile = [&] {
          if (last) return;
          auto& table = w.tables.begin()->second;
          const auto id = static_cast<std::int64_t>(w.below(table.size() + 1));
          auto row = table.find(id);
          if (row == table.end()) {
            table[id] = {static_cast<std::int64_t>(1 + w.below(1000)), ++w.lsn, false};
          } else if (!row->second.sent && !source.is_locked(w.tables.begin()->first, id)) {
            row->second.value += 1000;
            row->second.xmin = ++w.lsn;
          }
        };
        live(w, source, journal, loaders, last, delivery, meanwhile);
      } else {
        LogModel source(w, journal);
        live(w, source, journal, loaders, last, delivery, [] {});
      }
    } catch (const Crash&) {
      ++verdict.crashes;
      w.after_crash();
    }
    if (verdict.violation = check_acknowledged(w); !verdict.violation.empty()) return verdict;
    if (last) break;
  }
  w.settle_running(true);
  if (delivery == Delivery::exactly_once) verdict.violation = check_no_doubles(w);
  if (verdict.violation.empty()) verdict.violation = check_acknowledged(w);
  if (verdict.violation.empty()) verdict.violation = check_complete(w);
  return verdict;
}

std::uint64_t seeds_wanted(std::uint64_t otherwise) {
  const char* n = std::getenv("PGCH_SIM_SEEDS");
  return n != nullptr ? std::strtoull(n, nullptr, 10) : otherwise;
}

// Runs until one seed shows the mutation, at most `most` seeds; true if it was shown.
bool is_caught(Mutation mutation, std::uint64_t most, Delivery delivery = Delivery::exactly_once) {
  for (std::uint64_t seed = 1; seed <= most; ++seed) {
    if (const Verdict v = run_seed(seed, mutation, delivery); !v.violation.empty()) {
      WARN("caught by seed " << seed << ": " << v.violation);
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("nothing is lost, doubled or acknowledged early, whatever crashes and whatever answer is lost") {
  const std::uint64_t seeds = seeds_wanted(24'000);
  std::uint64_t crashes = 0, rows = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Verdict v = run_seed(seed, {});
    if (!v.violation.empty()) FAIL("seed " << seed << ": " << v.violation);
    crashes += v.crashes;
    rows += v.rows;
  }
  WARN(seeds << " seeds, " << crashes << " crashes, " << rows << " rows");
  CHECK(crashes > seeds / 2);
}

TEST_CASE("at least once, nothing is lost or acknowledged early either") {
  const std::uint64_t seeds = seeds_wanted(24'000) / 4;
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Verdict v = run_seed(seed, {}, Delivery::at_least_once);
    if (!v.violation.empty()) FAIL("seed " << seed << ": " << v.violation);
    crashes += v.crashes;
  }
  CHECK(crashes > seeds / 2);
}

TEST_CASE("the simulation notices when no intent is written") {
  Mutation m;
  m.no_intent = true;
  CHECK(is_caught(m, 2000));
}

TEST_CASE("the simulation notices when a doubt is answered by blind repetition") {
  Mutation m;
  m.no_look = true;
  CHECK(is_caught(m, 2000));
}

TEST_CASE("the simulation notices when a doubt is taken for success") {
  Mutation m;
  m.trust_doubt = true;
  CHECK(is_caught(m, 2000));
}

TEST_CASE("the simulation notices when requests carry no token") {
  Mutation m;
  m.no_token = true;
  CHECK(is_caught(m, 2000));
}

TEST_CASE("the simulation notices when a look does not wait for what still runs") {
  Mutation m;
  m.no_kill = true;
  CHECK(is_caught(m, 2000));
}

TEST_CASE("the simulation notices when the source is told before the load") {
  Mutation m;
  m.early_ack = true;
  CHECK(is_caught(m, 2000));
}

TEST_CASE("the simulation notices when at least once gives numbers again after a restart") {
  Mutation m;
  m.old_numbers = true;
  CHECK(is_caught(m, 2000, Delivery::at_least_once));
}
