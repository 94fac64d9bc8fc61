// Sums of both sides by key range.
#include <fmt/format.h>

#include <optional>
#include <thread>

#include "base/try.h"
#include "verify/comparison.h"

namespace pgch::comparing {
namespace {

// A numeric's digits, modulo 2^64.
std::uint64_t modulo(std::string_view text) noexcept {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return !text.empty() && text.front() == '-' ? 0 - value : value;
}

}  // namespace

void Comparison::tell() const {
  if (options_.progress) options_.progress(source_read_, target_read_);
}

Result<void> Comparison::source_sums_by_database() {
  const std::string sent = sides_.flag().empty() ? "true" : sides_.flag() + " IS TRUE";
  // The hashes are worth workers, which the planner doesn't know.
  PGCH_TRY(
      sides_.source().query(fmt::format("SET jit = off; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET "
                                        "max_parallel_workers_per_gather = {}",
                                        options_.workers)));
  // OFFSET 0: the hash is computed once for each row, though it is used twice.
  PGCH_ASSIGN(
      const auto rows,
      sides_.source().query(fmt::format(
          "SELECT r, count(*), count(*) FILTER (WHERE s), coalesce(sum({}) FILTER (WHERE s), 0) FROM (SELECT "
          "{} AS r, {} AS s, {} AS h FROM {} OFFSET 0) x GROUP BY r",
          RowSum::mixed_sql("h"), sides_.ranges().source_range(), sent, sides_.row_sum().sql(), sides_.source_rows())));
  std::vector<Sum> sums(sides_.ranges().count());
  std::uint64_t all = 0;
  for (const auto& row : rows) {
    if (row.size() != 4 || !row[0] || !row[1] || !row[2] || !row[3])
      return halt(Errc::corrupt, "PostgreSQL's answer to a sum is no number.");
    PGCH_ASSIGN(const std::uint64_t range, to_number(*row[0]));
    if (range >= sums.size()) return halt(Errc::corrupt, "PostgreSQL told of a key range that there isn't.");
    PGCH_ASSIGN(const std::uint64_t count, to_number(*row[1]));
    PGCH_ASSIGN(sums[range].rows, to_number(*row[2]));
    sums[range].sum = modulo(*row[3]);
    all += count;
  }
  source_ = std::move(sums);
  report_.source_rows = all;
  source_read_ = all;
  tell();
  return {};
}

Result<void> Comparison::source_sums_by_reading() {
  std::vector<Sum> sums(sides_.ranges().count());
  std::uint64_t all = 0, rejected = 0;
  PGCH_TRY(sides_.read_source(
      {{0, sums.size() - 1}},
      [&](const Rows& rows) -> Result<void> {
        for (std::size_t row = 0; row < rows.sum.size(); ++row) {
          if (rows.mark[row] != 0) continue;
          Sum& sum = sums[rows.range[row]];
          ++sum.rows;
          sum.sum += rows.sum[row];
        }
        all += rows.sum.size();
        source_read_ = all;
        tell();
        return {};
      },
      rejected));
  source_ = std::move(sums);
  report_.source_rows = all + rejected;
  report_.source_rejected = rejected;
  return {};
}

Result<void> Comparison::target_sums() {
  target_.assign(sides_.ranges().count(), {});
  return sides_.read_target({{0, target_.size() - 1}}, false, [&](const Rows& rows) -> Result<void> {
    for (std::size_t row = 0; row < rows.sum.size(); ++row) {
      Sum& sum = target_[rows.range[row]];
      if (rows.mark[row] != 0) {
        sum.deleted = sum.deleted || sides_.replaces();
        continue;
      }
      ++sum.rows;
      sum.sum += rows.sum[row];
    }
    target_read_ += rows.sum.size();
    tell();
    return {};
  });
}

Result<void> Comparison::sums() {
  bool target_failed = false;
  const auto both = [&](Result<void> (Comparison::*source)()) -> Result<void> {
    std::optional<Result<void>> there;
    Result<void> here;
    target_read_ = 0;
    {
      const std::jthread reader([&] { there.emplace(target_sums()); });
      here = (this->*source)();
    }
    target_failed = static_cast<bool>(here) && !*there;
    return here ? std::move(*there) : std::move(here);
  };
  if (sides_.by_database()) {
    auto done = both(&Comparison::source_sums_by_database);
    if (done || target_failed || done.error().code == Errc::stopped || done.error().code == Errc::connection)
      return done;
    context_.log.write(LogLevel::debug,
                       "PostgreSQL can't add up this table's rows, so they are read: " + done.error().message);
    sides_.stream_instead("PostgreSQL can't add up the rows");
  }
  return both(&Comparison::source_sums_by_reading);
}

}  // namespace pgch::comparing
