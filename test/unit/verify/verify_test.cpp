#include "pgch/verify.h"

#include <numeric>

#include "pgch/extract/generate.h"
#include "support/catch.h"

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
  Result<std::vector<Row>> query(const std::string& sql, const std::vector<std::optional<std::string>>&) override {
    return std::vector<Row>{Row{sql.find("count(*)") == std::string::npos ? "0" : unsent_}};
  }
  Result<SourceTable> describe(std::string_view, const ColumnSelection&) override {
    SourceTable table;
    table.schema = generated_schema({});
    for (const ColumnSpec& column : table.schema.columns) table.source_columns.push_back(column.name);
    return table;
  }

 private:
  std::string unsent_;
};

// Holds the generator's rows, in another order and cut otherwise; `again` of them twice.
class Target final : public ClickHouse {
 public:
  Target(std::uint64_t rows, std::uint64_t seed, bool there, std::uint64_t again)
      : rows_(rows), seed_(seed), there_(there), again_(again) {}
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
                    const std::function<Result<void>(const RowBatch&)>& sink, const std::string&) override {
    if (auto done = hand_out(rows_, sink); !done) return done;
    return hand_out(again_, sink);
  }

 private:
  Result<void> hand_out(std::uint64_t rows, const std::function<Result<void>(const RowBatch&)>& sink) const {
    auto generator = make_generator(rows_of(rows, seed_));
    REQUIRE(generator);
    const Context context{null_logger(), system_clock(), {}};
    REQUIRE((*generator)->open(context, {}));
    BatchLimits limits;
    limits.rows_max = 7;
    RowBatch batch;
    while (rows > 0) {
      auto found = (*generator)->fetch(batch, limits, system_clock().now());
      REQUIRE(found);
      if (*found == Fetch::end) break;
      std::vector<std::uint32_t> backwards(batch.rows);
      std::iota(backwards.rbegin(), backwards.rend(), 0u);
      if (auto done = sink(select_rows(batch, backwards)); !done) return done;
    }
    return {};
  }

  std::uint64_t rows_, seed_;
  bool there_;
  std::uint64_t again_;
};

struct Held {
  std::uint64_t rows, seed = 1;
  bool there = true;
  std::uint64_t again = 0;
};

VerifyReport compare(std::uint64_t source_rows, Held held, const std::string& unsent) {
  VerifySides sides;
  sides.source = [&]() -> Result<std::unique_ptr<PostgresSession>> {
    return std::unique_ptr<PostgresSession>(new Source(unsent));
  };
  sides.scan = [&](const ColumnSelection&, const std::string&) { return make_generator(rows_of(source_rows, 1)); };
  sides.target = [&]() -> Result<std::unique_ptr<ClickHouse>> {
    return std::unique_ptr<ClickHouse>(new Target(held.rows, held.seed, held.there, held.again));
  };
  VerifyOptions options;
  options.table = "user_logins";
  options.flag_column = "sent_to_kafka";
  options.target.table = "user_logins";
  options.by_database = false;
  options.pause = std::chrono::milliseconds(0);
  const Context context{null_logger(), system_clock(), {}};
  auto report = verify(sides, options, context);
  if (!report) FAIL(report.error().message);
  return *report;
}

}  // namespace

TEST_CASE("the same rows are equal, whatever their order and batches") {
  const VerifyReport report = compare(1000, {1000}, "0");
  CHECK(report.equal());
  CHECK(report.messages().empty());
  CHECK(report.source_rows == 1000);
  CHECK(report.source_checksum == report.target_checksum);
  CHECK(report.source_checksum.value_or(0) != 0);
}

TEST_CASE("other values in as many rows are found, and counted as altered") {
  const VerifyReport report = compare(1000, {1000, 2}, "0");
  CHECK_FALSE(report.equal());
  REQUIRE(report.messages().size() == 2);
  CHECK(report.messages()[0] ==
        "The rows differ: PostgreSQL table user_logins and ClickHouse table user_logins have as many rows, but not the "
        "same values.");
  CHECK(report.differences.altered == 1000);
  CHECK(report.differences.total() == 1000);
  REQUIRE(report.rows.size() == 20);
  CHECK(report.rows[0].key.size() == 1);
  CHECK_FALSE(report.rows[0].columns.empty());
  CHECK(report.rows[0].source_values.empty());
}

TEST_CASE("rows that are missing at the target are lost, those that are only there are extra") {
  CHECK(compare(20, {17}, "0").differences.lost == 3);
  const VerifyReport report = compare(17, {20}, "0");
  CHECK(report.differences.extra == 3);
  REQUIRE(report.rows.size() == 3);
  CHECK(report.rows[0].kind == DifferenceKind::extra);
}

TEST_CASE("rows that are there twice are doubled") {
  const VerifyReport report = compare(20, {20, 1, true, 2}, "0");
  CHECK(report.differences.doubled == 2);
  CHECK(report.differences.total() == 2);
}

TEST_CASE("both of S0's messages can be told at once") {
  const VerifyReport report = compare(12, {10}, "2");
  REQUIRE(report.messages().size() == 3);
  CHECK(report.messages()[0] ==
        "The row counts differ: PostgreSQL table user_logins has 12 rows, ClickHouse table user_logins has 10.");
  CHECK(report.messages()[1] == "Table user_logins in PostgreSQL has 2 rows that still have to be moved.");
}

TEST_CASE("a target that is missing is a difference, not an error") {
  const VerifyReport report = compare(3, {0, 1, false}, "3");
  CHECK_FALSE(report.equal());
  CHECK(report.messages()[0] == "There is no ClickHouse table user_logins yet.");
}
