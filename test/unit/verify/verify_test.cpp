#include "pgch/verify.h"

#include <numeric>

#include "pgch/extract/generate.h"
#include "test/support/catch.h"

using namespace pgch;

namespace {

GenerateOptions rows_of(std::uint64_t rows, std::uint64_t seed) {
  GenerateOptions options;
  options.rows_max = rows;
  options.seed = seed;
  return options;
}

class Source final : public PostgresSession {
 public:
  explicit Source(std::string unsent) : unsent_(std::move(unsent)) {}
  Result<std::vector<Row>> query(const std::string&, const std::vector<std::optional<std::string>>&) override {
    return std::vector<Row>{Row{unsent_}};
  }
  Result<SourceTable> describe(std::string_view, const ColumnSelection&) override {
    SourceTable table;
    table.schema = generated_schema({});
    return table;
  }

 private:
  std::string unsent_;
};

// Holds the generator's rows, in another order and cut otherwise.
class Target final : public ClickHouse {
 public:
  Target(std::uint64_t rows, std::uint64_t seed, bool there = true) : rows_(rows), seed_(seed), there_(there) {}
  Result<std::string> version() override { return std::string("26.7"); }
  Result<std::string> query(const std::string&, std::string_view) override { return std::to_string(rows_) + "\n"; }
  Result<void> stream(const std::string&, std::string_view,
                      const std::function<Result<void>(std::string_view)>&) override {
    return {};
  }
  Result<std::optional<TableSchema>> describe(const TargetOptions&) override {
    return there_ ? std::optional<TableSchema>(generated_schema({})) : std::nullopt;
  }
  Result<void> read(const TargetOptions&, const TableSchema&, bool,
                    const std::function<Result<void>(const RowBatch&)>& sink) override {
    auto generator = make_generator(rows_of(rows_, seed_));
    REQUIRE(generator);
    const Context context{null_logger(), system_clock(), {}};
    REQUIRE((*generator)->open(context, {}));
    BatchLimits limits;
    limits.rows_max = 7;
    RowBatch batch;
    while (true) {
      auto found = (*generator)->fetch(batch, limits, system_clock().now());
      REQUIRE(found);
      if (*found == Fetch::end) return {};
      std::vector<std::uint32_t> backwards(batch.rows);
      std::iota(backwards.rbegin(), backwards.rend(), 0u);
      if (auto done = sink(select_rows(batch, backwards)); !done) return done;
    }
  }

 private:
  std::uint64_t rows_, seed_;
  bool there_;
};

VerifyReport compare(std::uint64_t source_rows, Target target, const std::string& unsent) {
  Source source(unsent);
  auto scan = make_generator(rows_of(source_rows, 1));
  REQUIRE(scan);
  VerifyOptions options;
  options.table = "user_logins";
  options.flag_column = "sent_to_kafka";
  options.target.table = "user_logins";
  const Context context{null_logger(), system_clock(), {}};
  auto report = verify(source, **scan, target, options, context);
  if (!report) FAIL(report.error().message);
  return *report;
}

}  // namespace

TEST_CASE("the same rows are equal, whatever their order and batches") {
  const VerifyReport report = compare(1000, Target(1000, 1), "0");
  CHECK(report.equal());
  CHECK(report.messages().empty());
  CHECK(report.source_rows == 1000);
  CHECK(report.source_checksum == report.target_checksum);
  CHECK_FALSE(report.source_checksum == Checksum{});
}

TEST_CASE("other values in as many rows are found") {
  const VerifyReport report = compare(1000, Target(1000, 2), "0");
  CHECK_FALSE(report.equal());
  REQUIRE(report.messages().size() == 1);
  CHECK(report.messages()[0] ==
        "The rows differ: PostgreSQL table user_logins and ClickHouse table user_logins have as many rows, but not the "
        "same values.");
}

TEST_CASE("both of S0's messages can be told at once") {
  const VerifyReport report = compare(12, Target(10, 1), "2");
  REQUIRE(report.messages().size() == 2);
  CHECK(report.messages()[0] ==
        "The row counts differ: PostgreSQL table user_logins has 12 rows, ClickHouse table user_logins has 10.");
  CHECK(report.messages()[1] == "Table user_logins in PostgreSQL has 2 rows that still have to be moved.");
}

TEST_CASE("a target that is missing is a difference, not an error") {
  const VerifyReport report = compare(3, Target(0, 1, false), "3");
  CHECK_FALSE(report.equal());
  CHECK(report.messages()[0] == "There is no ClickHouse table user_logins yet.");
}
