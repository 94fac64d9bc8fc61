// Models for the simulation of the delivery protocol: a source, a target, a journal and the crashes between them.
//
// What is in World outlives a crash of pgch; everything else is made anew in each life. All chances come from one seed.
// Each model does what the real one was seen to do (docs/GUARANTEES.md): a target logs its token before the part is in
// place, forgets tokens beyond its window, loses answers, tears inserts, runs a request twice, and goes on with one
// whose client has died.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "pgch/extractor.h"
#include "pgch/journal.h"
#include "pgch/loader.h"

namespace sim {

using namespace pgch;

struct Crash {};  // thrown through the protocol: the process is gone

// What is left out, to show that the simulation notices it.
struct Mutation {
  bool no_intent = false;    // nothing is written before the load
  bool no_look = false;      // after a doubt the batch is simply repeated
  bool trust_doubt = false;  // after a doubt the batch is taken as landed
  bool no_token = false;     // the target does not know repetitions of one request
  bool no_kill = false;      // a look does not wait for what still runs
  bool early_ack = false;    // the source is told before the load
  bool old_numbers = false;  // a new process gives its attempts numbers that were given before
};

struct Landed1 {
  std::int64_t id, value;
  std::uint64_t version;
  auto operator<=>(const Landed1&) const = default;
};

class World {
 public:
  World(std::uint64_t seed, Mutation mutation) : random(seed), mutation(mutation), looks_by_attempt(seed % 2 == 1) {}

  bool chance(unsigned percent) { return random() % 100 < percent; }
  std::uint64_t below(std::uint64_t n) { return random() % n; }
  // A place where the process may die.
  void step() {
    if (crash_after && (*crash_after)-- == 0) {
      crash_after.reset();
      throw Crash{};
    }
  }

  std::mt19937_64 random;
  Mutation mutation;
  bool looks_by_attempt;
  std::optional<std::uint64_t> crash_after;
  bool faults = true;

  // The flag source: rows of one table a stream.
  struct Row {
    std::int64_t value = 0;
    std::uint64_t xmin = 0;
    bool sent = false;
  };
  std::map<std::string, std::map<std::int64_t, Row>> tables;
  // The log source: immutable records, and what is committed to the group.
  std::map<std::string, std::vector<std::int64_t>> logs;
  std::map<std::string, std::uint64_t> committed;
  std::uint64_t lsn = 1;

  // The target.
  std::vector<Landed1> landed;
  std::vector<std::string> landed_under;  // each row's token
  std::deque<std::string> tokens;
  std::size_t window = 4;
  struct Running {
    std::string token;
    std::vector<Landed1> rows;
  };
  std::vector<Running> running;  // requests whose client has gone, still under way

  // The journal's durable part.
  std::uint64_t sequence = 0, number = 0;
  std::map<std::string, std::map<std::uint64_t, Intent>> open;
  std::set<std::pair<std::string, std::uint64_t>> done_unsynced;

  std::set<std::int64_t> dead;  // ids in the dead letters

  void execute(const std::string& token, const std::vector<Landed1>& rows) {
    if (!mutation.no_token) {
      if (std::find(tokens.begin(), tokens.end(), token) != tokens.end()) return;  // dropped, and answered OK
      tokens.push_back(token);
      if (tokens.size() > window) tokens.pop_front();
    }
    landed.insert(landed.end(), rows.begin(), rows.end());
    landed_under.resize(landed.size(), token);
  }
  // Time passes at the target.
  void settle_running(bool all) {
    for (std::size_t i = 0; i < running.size();) {
      if (all || chance(30)) {
        if (chance(70)) execute(running[i].token, running[i].rows);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }
  // What a crash of pgch does to what outlives it: a done that was not synced may be undone, it is not undone here but
  // kept as still open with some chance.
  std::map<std::pair<std::string, std::uint64_t>, Intent> done_intents;
  void after_crash() {
    for (auto& [key, intent] : done_intents) {
      if (chance(50)) open[key.first][key.second] = intent;
    }
    done_intents.clear();
  }
};

inline std::shared_ptr<const TableSchema> schema() {
  static const auto made = std::make_shared<const TableSchema>(TableSchema{
      "", "t", {{"id", Kind::int64, false, true, 0, 0, ""}, {"value", Kind::int64, false, false, 0, 0, ""}}, {"id"}});
  return made;
}
inline void add_row(RowBatch& batch, std::int64_t id, std::int64_t value) {
  append_value(batch.columns[0], Layout::fixed8, false, std::as_bytes(std::span(&id, 1)));
  append_value(batch.columns[1], Layout::fixed8, false, std::as_bytes(std::span(&value, 1)));
  ++batch.rows;
}
inline std::int64_t cell(const RowBatch& batch, std::size_t column, std::size_t row) {
  std::int64_t v = 0;
  std::memcpy(&v, batch.columns[column].at(row, 8).data(), 8);
  return v;
}

// The journal. For the log source it behaves as the offset commit does: a new intent closes the one before it.
class ModelJournal final : public Journal {
 public:
  ModelJournal(World& world, bool in_commits) : w_(world), in_commits_(in_commits) {
    if (w_.mutation.old_numbers) w_.number = w_.sequence = 0;
  }
  Result<void> open(const Context&) override { return {}; }
  std::uint64_t generation() const noexcept override { return 1; }
  Result<std::vector<Intent>> pending() override {
    std::vector<Intent> out;
    for (auto& [stream, page] : w_.open) {
      for (auto& [sequence, intent] : page) out.push_back(intent);
    }
    return out;
  }
  std::uint64_t next_sequence(const std::string&) override { return ++w_.sequence; }
  Result<std::uint64_t> intend(const Intent& intent, bool durable) override {
    w_.step();
    if (w_.faults && w_.chance(3)) return retry(Errc::limit, "no room");
    const std::uint64_t number = ++w_.number;
    if (durable && !w_.mutation.no_intent) {
      auto& page = w_.open[intent.stream];
      if (in_commits_) {
        ByteReader r(intent.position.bytes);
        w_.committed[intent.stream] = r.little<std::uint64_t>();
        std::erase_if(page, [&](const auto& entry) { return entry.first != intent.sequence; });
      }
      Intent kept = intent;
      kept.attempts.push_back(number);
      page[intent.sequence] = kept;
    }
    w_.step();
    return number;
  }
  Result<void> done(const std::string& stream, std::uint64_t sequence) override {
    w_.step();
    auto& page = w_.open[stream];
    if (auto known = page.find(sequence); known != page.end()) {
      if (in_commits_) {
        ByteReader r(known->second.position.bytes);
        (void)r.little<std::uint64_t>();
        w_.committed[stream] = r.little<std::uint64_t>();
      } else {
        w_.done_intents[{stream, sequence}] = known->second;
      }
      page.erase(known);
    } else if (in_commits_) {  // at least once, or no_intent
      w_.committed[stream] = ends_[stream];
    }
    w_.step();
    return {};
  }
  void note_end(const std::string& stream, std::uint64_t end) { ends_[stream] = end; }
  void close() noexcept override {}

 private:
  World& w_;
  bool in_commits_;
  std::map<std::string, std::uint64_t> ends_;
};

class ModelDeadLetters final : public DeadLetters {
 public:
  explicit ModelDeadLetters(World& world) : w_(world) {}
  Result<void> open(const Context&) override { return {}; }
  Result<void> put(const std::string&, const std::vector<Rejected>& rejected) override {
    w_.step();
    for (const Rejected& r : rejected) {
      ByteReader key(r.key);
      w_.dead.insert(std::stoll(std::string(key.text())));
    }
    w_.step();
    return {};
  }
  void close() noexcept override {}

 private:
  World& w_;
};

// The target. A value that is a multiple of 101 can never be written.
class ModelLoader final : public Loader {
 public:
  explicit ModelLoader(World& world) : w_(world) {}
  Result<void> open(const Context&) override { return {}; }
  Result<LoaderTraits> prepare(const TableSchema&) override { return LoaderTraits{true, {}}; }
  Result<std::string> mark() override { return std::string{}; }
  Result<void> load(const RowBatch& batch, const Attempt& attempt) override {
    w_.step();
    w_.settle_running(false);
    std::vector<Landed1> rows;
    bool bad = false;
    for (std::size_t r = 0; r < batch.rows; ++r) {
      rows.push_back({cell(batch, 0, r), cell(batch, 1, r), batch.version_of(r)});
      bad = bad || rows.back().value % 101 == 0;
    }
    if (bad) return Error{Errc::data, Recovery::dead_letter, false, "a value that can't be written", "6"};
    const std::string token = token_of(attempt);
    if (w_.crash_after && *w_.crash_after == 0) {  // we die while it runs: it goes on without us
      w_.running.push_back({token, rows});
      w_.step();
    }
    if (!w_.faults || w_.chance(70)) {
      w_.execute(token, rows);
      if (w_.faults && w_.chance(10)) w_.execute(token, rows);  // the request was carried twice
      w_.step();
      return {};
    }
    switch (w_.below(6)) {
      case 0:
        return retry(Errc::connection, "refused");
      case 1:
        w_.execute(token, rows);
        break;  // there, answer lost
      case 2:
        break;  // never arrived
      case 3:
        if (!w_.mutation.no_token) w_.tokens.push_back(token);
        break;  // token logged, part never in place
      case 4:   // torn
        std::shuffle(rows.begin(), rows.end(), w_.random);
        rows.resize(w_.below(rows.size() + 1));
        w_.execute(token, rows);
        break;
      default:
        w_.running.push_back({token, rows});
        break;  // still running
    }
    w_.step();
    return in_doubt(Errc::timeout, "no answer");
  }
  Result<Landed> look(const Intent& intent, const RowBatch& batch, const Attempt& last) override {
    w_.step();
    if (w_.faults && w_.chance(10)) return retry(Errc::connection, "no answer to a look");
    if (!w_.mutation.no_kill) w_.settle_running(true);
    Landed out;
    // By rows, as in a table, or by the attempts that the intent names, as in a topic.
    std::set<std::string> tokens;
    for (const std::uint64_t number : intent.attempts)
      tokens.insert(token_of({last.pipeline, last.stream, last.generation, last.sequence, number}));
    const auto has = [&](const Landed1& row) {
      for (std::size_t i = 0; i < w_.landed.size(); ++i) {
        if (w_.landed[i] == row && (!w_.looks_by_attempt || tokens.contains(w_.landed_under[i]))) return true;
      }
      return false;
    };
    if (w_.mutation.trust_doubt) return out;
    for (std::uint32_t r = 0; r < batch.rows; ++r) {
      const Landed1 row{cell(batch, 0, r), cell(batch, 1, r), batch.version_of(r)};
      const bool there = !w_.mutation.no_look && has(row);
      if (!there) out.missing.push_back(r);
    }
    w_.step();
    return out;
  }
  void close() noexcept override {}

 private:
  World& w_;
};

// Rows with a flag, locked while they are out, marked by a transaction that commits some time after it was begun.
class FlagModel final : public Extractor {
 public:
  explicit FlagModel(World& world) : w_(world) {}
  ExtractorTraits traits() const noexcept override { return {false, "flag"}; }
  Result<void> open(const Context&, std::vector<Intent> pending) override {
    for (Intent& i : pending) {
      again_.push_back({i.stream, i.position.bytes, i});
      copies_[{i.stream, i.position.bytes}] = std::move(i);
    }
    return {};
  }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint) override {
    w_.step();
    commit_some();
    if (w_.faults && w_.chance(2)) return lose_connection();
    if (lost_ && !out_.empty()) return Fetch::busy;
    lost_ = false;
    if (!again_.empty()) return replay(into);
    if (out_.size() >= 3) return Fetch::busy;
    for (auto& [stream, table] : w_.tables) {
      into.reset(schema());
      into.stream = stream;
      into.version = ++w_.lsn;
      std::string position;
      put_varint(position, into.version);
      const std::uint64_t most = 1 + w_.below(limits.rows_max);  // cut differently each time
      std::vector<std::int64_t> taken;
      for (auto& [id, row] : table) {
        if (into.rows == most) break;
        if (row.sent || locked_.count({stream, id}) != 0) continue;
        add_row(into, id, row.value);
        put_varint(position, static_cast<std::uint64_t>(id));
        put_varint(position, row.xmin);
        taken.push_back(id);
      }
      if (into.rows == 0) continue;
      into.position.bytes = position;
      for (const std::int64_t id : taken) locked_[{stream, id}] = position;
      out_.insert({stream, position});
      if (w_.mutation.early_ack) mark(stream, position);
      w_.step();
      return Fetch::rows;
    }
    return Fetch::idle;
  }
  Result<void> acknowledge(const std::string& stream, const Position& position) override {
    w_.step();
    if (out_.erase({stream, position.bytes}) == 0) return retry(Errc::connection, "the lock was lost");
    if (lost_set_.erase({stream, position.bytes}) != 0) {
      again_.push_back({stream, position.bytes, copy_of(stream, position)});
      return retry(Errc::connection, "the lock was lost");
    }
    begun_.push_back({stream, position});
    return {};
  }
  std::vector<Acknowledged> take_acknowledged() override {
    w_.step();
    commit_some();
    return std::exchange(told_, {});
  }
  void abandon(const std::string& stream, const Position& position) noexcept override {
    out_.erase({stream, position.bytes});
    unlock(stream, position.bytes);
  }
  void close() noexcept override {}

 private:
  struct Again {
    std::string stream, position;
    std::optional<Intent> intent;
  };
  // What open() was told, and no attempt that was made since: a source may keep it.
  std::optional<Intent> copy_of(const std::string& stream, const Position& position) const {
    const auto found = copies_.find({stream, position.bytes});
    return found == copies_.end() ? std::nullopt : std::optional<Intent>(found->second);
  }
  template <class F>
  void each(const std::string& position, F f) {
    ByteReader r(position);
    (void)r.varint();
    for (std::uint32_t ordinal = 0; !r.at_end(); ++ordinal) {
      const auto id = static_cast<std::int64_t>(r.varint());
      f(id, r.varint(), ordinal);
    }
  }
  void unlock(const std::string& stream, const std::string& position) {
    std::erase_if(locked_, [&](const auto& lock) { return lock.first.first == stream && lock.second == position; });
  }
  void mark(const std::string& stream, const std::string& position) {
    each(position, [&](std::int64_t id, std::uint64_t xmin, std::uint32_t) {
      auto& row = w_.tables[stream][id];
      if (row.xmin == xmin) row.sent = true;
    });
  }
  void commit_some() {
    for (std::size_t i = 0; i < begun_.size();) {
      if (w_.faults && w_.chance(50)) {
        ++i;
        continue;
      }
      mark(begun_[i].stream, begun_[i].position.bytes);
      unlock(begun_[i].stream, begun_[i].position.bytes);
      told_.push_back(begun_[i]);
      begun_.erase(begun_.begin() + static_cast<std::ptrdiff_t>(i));
      w_.step();
    }
  }
  Result<Fetch> lose_connection() {
    for (const auto& [stream, position] : out_) {
      lost_set_.insert({stream, position});
      unlock(stream, position);
    }
    for (const Acknowledged& a :
         begun_) {  // the commit was on its way: it happened or not, and is looked at by replaying
      if (w_.chance(50)) mark(a.stream, a.position.bytes);
      unlock(a.stream, a.position.bytes);
      again_.push_back({a.stream, a.position.bytes, copy_of(a.stream, a.position)});
    }
    begun_.clear();
    lost_ = true;
    return retry(Errc::connection, "connection lost");
  }
  Result<Fetch> replay(RowBatch& into) {
    const Again a = std::move(again_.front());
    again_.pop_front();
    into.reset(schema());
    into.stream = a.stream;
    into.position.bytes = a.position;
    into.intent = a.intent;
    ByteReader r(a.position);
    into.version = r.varint();
    each(a.position, [&](std::int64_t id, std::uint64_t xmin, std::uint32_t ordinal) {
      const auto& row = w_.tables[a.stream][id];
      if (row.sent || row.xmin != xmin) return;
      add_row(into, id, row.value);
      into.ordinals.push_back(ordinal);
      locked_[{a.stream, id}] = a.position;
    });
    out_.insert({a.stream, a.position});
    w_.step();
    return Fetch::rows;
  }

  World& w_;
  std::deque<Again> again_;
  std::map<std::pair<std::string, std::string>, Intent> copies_;
  std::set<std::pair<std::string, std::string>> out_, lost_set_;
  std::map<std::pair<std::string, std::int64_t>, std::string> locked_;  // which batch holds a row
  std::vector<Acknowledged> begun_, told_;
  bool lost_ = false;

 public:
  bool is_locked(const std::string& stream, std::int64_t id) const { return locked_.count({stream, id}) != 0; }
};

// Partitions of an immutable log; the place is in the journal's commits.
class LogModel final : public Extractor {
 public:
  LogModel(World& world, ModelJournal& journal) : w_(world), journal_(journal) {}
  ExtractorTraits traits() const noexcept override { return {true, "log"}; }
  Result<void> open(const Context&, std::vector<Intent> pending) override {
    for (auto& [stream, log] : w_.logs) next_[stream] = w_.committed[stream];
    again_.assign(pending.begin(), pending.end());
    return {};
  }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint) override {
    w_.step();
    if (!again_.empty()) {
      const Intent intent = again_.front();
      again_.pop_front();
      ByteReader r(intent.position.bytes);
      const auto first = r.little<std::uint64_t>();
      const auto last = r.little<std::uint64_t>();
      fill(into, intent.stream, first, last);
      into.intent = intent;
      return Fetch::rows;
    }
    for (auto& [stream, log] : w_.logs) {
      if (next_[stream] >= log.size()) continue;
      fill(into, stream, next_[stream],
           std::min<std::uint64_t>(log.size(), next_[stream] + 1 + w_.below(limits.rows_max)));
      return Fetch::rows;
    }
    return Fetch::idle;
  }
  Result<void> acknowledge(const std::string& stream, const Position& position) override {
    told_.push_back({stream, position});
    ByteReader r(position.bytes);
    (void)r.little<std::uint64_t>();
    journal_.note_end(stream, r.little<std::uint64_t>());
    return {};
  }
  std::vector<Acknowledged> take_acknowledged() override { return std::exchange(told_, {}); }
  void abandon(const std::string&, const Position&) noexcept override {}
  void close() noexcept override {}

 private:
  void fill(RowBatch& into, const std::string& stream, std::uint64_t first, std::uint64_t end) {
    into.reset(schema());
    into.stream = stream;
    put_little(into.position.bytes, first);
    put_little(into.position.bytes, end);
    const auto base = static_cast<std::int64_t>(hash64(stream) % 1000) * 1'000'000;
    for (std::uint64_t o = first; o < end; ++o) {
      add_row(into, base + static_cast<std::int64_t>(o), w_.logs[stream][o]);
      into.versions.push_back(o + 1);
    }
    next_[stream] = end;
  }
  World& w_;
  ModelJournal& journal_;
  std::map<std::string, std::uint64_t> next_;
  std::deque<Intent> again_;
  std::vector<Acknowledged> told_;
};

}  // namespace sim
