// A schema of its own on the test server, dropped at the end; and what the tests of extractors need.
#pragma once

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "pgch/extract/flag.h"
#include "pgch/postgres.h"
#include "test/support/catch.h"

namespace pgch::testing {

class KeepingLogger final : public Logger {
 public:
  void write(LogLevel, std::string_view message) override { text += std::string(message) + "\n"; }
  std::string text;
};

inline PostgresOptions test_server() {
  const char* conninfo = std::getenv("PGCH_TEST_PG");
  if (conninfo == nullptr) FAIL("PGCH_TEST_PG is not set: test/run.sh starts the servers and sets it.");
  PostgresOptions options;
  options.conninfo = conninfo;
  options.application_name = "pgch-test";
  return options;
}

class TestSchema {
 public:
  TestSchema() {
    static int number = 0;
    auto opened = open_postgres(test_server(), context);
    if (!opened) FAIL(opened.error().message);
    session = std::move(*opened);
    name = "pgch_test_" + one("SELECT pg_backend_pid()") + "_" + std::to_string(++number);
    run("CREATE SCHEMA " + name + "; SET search_path = " + name);
  }
  ~TestSchema() { (void)session->query("DROP SCHEMA " + name + " CASCADE").operator bool(); }
  TestSchema(const TestSchema&) = delete;
  TestSchema& operator=(const TestSchema&) = delete;

  std::vector<PostgresSession::Row> run(const std::string& sql) {
    auto answer = session->query(sql);
    if (!answer) FAIL(answer.error().message << " in " << sql);
    return std::move(*answer);
  }
  std::string one(const std::string& sql) {
    const auto rows = run(sql);
    REQUIRE(rows.size() == 1);
    return rows.front().front().value_or("NULL");
  }
  std::string table(const std::string& t) const { return name + "." + t; }
  FlagOptions flag(const std::string& t) const {
    FlagOptions options;
    options.postgres = test_server();
    options.table = table(t);
    return options;
  }

  KeepingLogger log;
  std::stop_source stop;
  Context context{log, system_clock(), stop.get_token()};
  std::unique_ptr<PostgresSession> session;
  std::string name;
};

/// Everything delivered so far: a value of the given int8 column → how often. One batch's loss or repetition shows
/// here.
struct Target {
  std::map<std::int64_t, int> seen;
  std::uint64_t rows = 0;
  void load(const RowBatch& batch, std::size_t column = 0) {
    for (std::size_t r = 0; r < batch.rows; ++r) {
      std::int64_t v = 0;
      std::memcpy(&v, batch.columns[column].at(r, 8).data(), 8);
      ++seen[v];
      ++rows;
    }
  }
  bool has_duplicates() const {
    for (const auto& [value, n] : seen) {
      if (n != 1) return true;
    }
    return false;
  }
};

inline Fetch fetch(Extractor& extractor, RowBatch& batch, const Context& context, BatchLimits limits = {}) {
  auto got = extractor.fetch(batch, limits, context.clock.now() + std::chrono::seconds(10));
  if (!got) FAIL(got.error().message);
  return *got;
}

/// Fetches until a batch is there; busy and retries are waited out, idle ends it.
inline bool next_batch(Extractor& extractor, RowBatch& batch, const Context& context, BatchLimits limits = {}) {
  for (;;) {
    auto got = extractor.fetch(batch, limits, context.clock.now() + std::chrono::seconds(10));
    if (!got) {
      if (got.error().recovery != Recovery::retry) FAIL(got.error().message);
      continue;
    }
    if (*got == Fetch::rows) return true;
    if (*got == Fetch::idle || *got == Fetch::end) return false;
  }
}

/// Delivers all that there is, acknowledging each batch at once.
inline std::size_t drain(Extractor& extractor, Target& target, const Context& context, BatchLimits limits = {}) {
  RowBatch batch;
  std::size_t batches = 0;
  while (next_batch(extractor, batch, context, limits)) {
    target.load(batch);
    ++batches;
    const auto done = extractor.acknowledge(batch.stream, batch.position);
    if (!done) FAIL(done.error().message);
  }
  return batches;
}

inline BatchLimits rows_at_once(std::uint32_t n) {
  BatchLimits limits;
  limits.rows_max = n;
  return limits;
}

/// Ends other sessions of the test's application: all, or only those that hold rows.
inline void kill_sessions(TestSchema& db, bool only_holders = false) {
  db.run(std::string("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = "
                     "'pgch-test' AND pid <> pg_backend_pid()") +
         (only_holders ? " AND state = 'idle in transaction'" : ""));
}

inline Intent intent_of(const RowBatch& batch, std::uint64_t sequence = 1) {
  Intent intent;
  intent.stream = batch.stream;
  intent.sequence = sequence;
  intent.attempts = {sequence};
  intent.position = batch.position;
  intent.rows = batch.rows;
  return intent;
}

}  // namespace pgch::testing
