#include "pgch/verify.h"

#include <fmt/format.h>

#include "base/try.h"
#include "verify/session.h"

namespace pgch {
namespace comparing {
namespace {

// Which of the rows that wait now were there at the beginning: those of transactions before this one.
Result<std::uint64_t> fence(PostgresSession& source) {
  PGCH_ASSIGN(const auto rows,
              source.query("SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"));
  return to_number(rows.at(0).at(0).value_or(""));
}

Result<std::uint64_t> count_unsent(Sides& sides, std::uint64_t fence) {
  const std::string unsent = sides.flag() + " IS NOT TRUE";
  const std::string old = fmt::format(
      " AND pg_catalog.age(t.xmin) > pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) - {}", fence);
  auto rows = sides.source().query("SELECT count(*) FROM " + sides.source_rows(unsent + old));
  // A view has no xmin.
  if (!rows && rows.error().code != Errc::stopped && rows.error().code != Errc::connection)
    rows = sides.source().query("SELECT count(*) FROM " + sides.source_rows(unsent));
  if (!rows) return std::move(rows).error();
  return to_number(rows->at(0).at(0).value_or(""));
}

// Rows that waited at the beginning may be under way: waits as long as they become fewer.
Result<void> wait_for_unsent(Session& session, std::uint64_t begun, const Context& context) {
  if (session.sides->flag().empty()) return {};
  for (std::uint32_t look = 0;; ++look) {
    const std::uint64_t before = session.report.unsent.value_or(0);
    PGCH_ASSIGN(session.report.unsent, count_unsent(*session.sides, begun));
    const bool fewer = *session.report.unsent < before;
    if (*session.report.unsent == 0 || look >= session.options.looks || (look > 0 && !fewer)) return {};
    context.clock.sleep_until(context.clock.now() + session.options.pause, context.stop);
    if (context.stop.stop_requested()) return halt(Errc::stopped, "Stopped before everything was compared.");
  }
}

Result<void> compare(Session& session, std::uint64_t begun, const Context& context) {
  Comparison& comparison = *session.comparison;
  PGCH_TRY(comparison.compare());
  PGCH_TRY(comparison.look_again());
  session.report.differences = comparison.counts();
  PGCH_TRY(comparison.name_rows());
  PGCH_TRY(wait_for_unsent(session, begun, context));
  // While rows arrive the sums are of different moments.
  if (session.report.equal()) session.report.target_checksum = session.report.source_checksum;
  return {};
}

}  // namespace

Result<std::unique_ptr<Session>> run(const VerifySides& sides, const VerifyOptions& options, const Context& context) {
  auto session = std::make_unique<Session>();
  session->options = options;
  VerifyReport& report = session->report;
  report.source_table = options.table;
  report.target_table = options.target_name.empty() ? options.target.table : options.target_name;
  PGCH_ASSIGN(session->sides, Sides::open(sides, session->options, context));
  Sides& both = *session->sides;
  report.target_exists = both.target_exists();
  report.has_key = both.has_key();
  std::uint64_t begun = 0;
  if (!both.flag().empty()) {
    PGCH_ASSIGN(begun, fence(both.source()));
    PGCH_ASSIGN(report.unsent, count_unsent(both, begun));
  }
  if (!report.target_exists) {
    PGCH_ASSIGN(const auto rows, both.source().query("SELECT count(*) FROM " + both.source_rows()));
    PGCH_ASSIGN(report.source_rows, to_number(rows.at(0).at(0).value_or("")));
    return session;
  }
  PGCH_ASSIGN(report.target_raw_rows, both.count("SELECT count() FROM " + both.quoted_target()));
  session->comparison = std::make_unique<Comparison>(both, session->options, context, report);
  if (!options.checksum) {
    PGCH_TRY(session->comparison->count());
    return session;
  }
  PGCH_TRY(compare(*session, begun, context));
  return session;
}

}  // namespace comparing

const char* name_of(DifferenceKind kind) noexcept {
  switch (kind) {
    case DifferenceKind::lost:
      return "lost";
    case DifferenceKind::doubled:
      return "doubled";
    case DifferenceKind::altered:
      return "altered";
    case DifferenceKind::stale:
      return "stale";
    case DifferenceKind::extra:
      return "extra";
  }
  return "";
}

bool VerifyReport::equal() const noexcept {
  return target_exists && unsent.value_or(0) == 0 && source_rejected == 0 && differences.total() == 0 &&
         (rows_compared || source_rows == target_rows);
}

std::vector<std::string> VerifyReport::messages() const {
  std::vector<std::string> out;
  if (!target_exists) out.push_back(fmt::format("There is no ClickHouse table {} yet.", target_table));
  if (!equal() && source_rows != target_rows) {
    out.push_back(fmt::format("The row counts differ: PostgreSQL table {} has {} rows, ClickHouse table {} has {}.",
                              source_table, source_rows, target_table, target_rows));
  }
  if (unsent.value_or(0) != 0)
    out.push_back(
        fmt::format("Table {} in PostgreSQL has {} rows that still have to be moved.", source_table, *unsent));
  if (source_rejected != 0) {
    out.push_back(
        fmt::format("Table {} in PostgreSQL has {} row{} with values that no ClickHouse column can hold (infinity, or "
                    "out of range). If they were moved under another policy (types.misfit, table.misfit), say the same "
                    "here; they look extra otherwise, and repair leaves such rows alone.",
                    source_table, source_rejected, source_rejected == 1 ? "" : "s"));
  }
  if (differences.total() == 0) return out;
  if (source_rows == target_rows) {
    out.push_back(fmt::format(
        "The rows differ: PostgreSQL table {} and ClickHouse table {} have as many rows, but not the same values.",
        source_table, target_table));
  }
  std::string kinds;
  const std::pair<const char*, std::uint64_t> all[] = {{"lost", differences.lost},
                                                       {"doubled", differences.doubled},
                                                       {"altered", differences.altered},
                                                       {"stale", differences.stale},
                                                       {"extra", differences.extra}};
  for (const auto& [name, count] : all) {
    if (count != 0) kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, name);
  }
  out.push_back(fmt::format("Rows of table {} that differ in ClickHouse: {}.{}", source_table, kinds,
                            has_key ? "" : " The table has no key, so they can't be named."));
  return out;
}

Result<VerifyReport> verify(const VerifySides& sides, const VerifyOptions& options, const Context& context) {
  PGCH_ASSIGN(const auto session, comparing::run(sides, options, context));
  return std::move(session->report);
}

}  // namespace pgch
