// Mending what verify found: rows are copied again under the version of the log's position before they were read, so
// whatever the pipeline sends later is newer still. Every step can be repeated.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/try.h"
#include "model/source_version.h"
#include "pgch/verify.h"
#include "verify/cell_text.h"
#include "verify/session.h"

namespace pgch {
namespace comparing {
namespace {

constexpr std::uint32_t rows_of_an_insert = 50'000;
constexpr std::size_t bytes_of_an_insert = 32U << 20;
constexpr std::size_t keys_of_a_delete = 2'000;
constexpr unsigned rounds_max = 3;
constexpr std::size_t keys_at_once = 100'000;

// Why not everything that looks extra is: a row that the condition leaves out may have come by another way, and one of
// those that can't be read as the columns have it (types.misfit) may have been moved under another policy. Empty: it
// is.
std::string unsure(const VerifyOptions& options, std::uint64_t unreadable) {
  if (!options.where.empty()) return "the condition of this table leaves rows out, and these may be such";
  if (unreadable == 0) return {};
  return "rows of the source have values that no column can hold, and these may be such, moved under another policy";
}

class Repair {
 public:
  Repair(const VerifySides& sides, Session& session, const Context& context, RepairReport& report)
      : sides_(sides), session_(session), context_(context), report_(report), both_(*session.sides) {}

  // Mends what the session found, once.
  Result<void> run();

 private:
  Result<std::uint64_t> position();
  Result<void> open_loader();
  Result<void> mend(const std::vector<Found>& found);
  Result<void> gather(const std::vector<Found>& found);
  Result<void> add_key(const RowBatch& row);
  Result<void> add_from_the_future(const std::vector<Found>& found);
  Result<void> erase();
  Result<void> wait_for_mutations();
  void put(std::vector<RowBatch>& piles, const RowBatch& batch, std::size_t row, RowOp op) const;
  Result<void> write(std::vector<RowBatch>& piles);

  const VerifySides& sides_;
  Session& session_;
  Context context_;
  RepairReport& report_;
  Sides& both_;
  std::unique_ptr<Loader> loader_;
  std::uint64_t version_ = 0, sequence_ = 0, generation_ = 0;
  std::vector<RowBatch> removes_, inserts_;
  // Keys whose rows are to be deleted physically, as ClickHouse writes them.
  std::string key_expression_;
  std::vector<std::string> keys_;
};

// As the flag method numbers its batches: the timeline above, the log's flushed position below.
Result<std::uint64_t> Repair::position() {
  PGCH_ASSIGN(
      const auto rows,
      both_.source().query("SELECT pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_catalog.pg_lsn, ('x' || "
                           "pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, "
                           "8))::pg_catalog.bit(32)::pg_catalog.int8"));
  PGCH_ASSIGN(const std::uint64_t flushed, to_number(rows.at(0).at(0).value_or("")));
  PGCH_ASSIGN(const std::uint64_t timeline, to_number(rows.at(0).at(1).value_or("")));
  return source_version(timeline, flushed);
}

Result<void> Repair::open_loader() {
  PGCH_ASSIGN(loader_, sides_.loader());
  PGCH_TRY(loader_->open(context_));
  PGCH_ASSIGN([[maybe_unused]] const LoaderTraits traits, loader_->prepare(both_.schema()));
  // A repetition of repair is not a repetition of its inserts.
  generation_ = static_cast<std::uint64_t>(context_.clock.wall_us());
  return {};
}

void Repair::put(std::vector<RowBatch>& piles, const RowBatch& batch, std::size_t row, RowOp op) const {
  if (piles.empty() || piles.back().rows >= rows_of_an_insert || piles.back().bytes() > bytes_of_an_insert) {
    piles.emplace_back();
    piles.back().reset(std::make_shared<const TableSchema>(both_.schema()));
  }
  RowBatch& pile = piles.back();
  for (std::size_t i = 0; i < pile.columns.size(); ++i) {
    const ColumnSpec& spec = both_.schema().columns[i];
    const Layout layout = layout_of(spec);
    if (batch.columns[i].is_null(row)) {
      append_null(pile.columns[i], layout);
    } else {
      append_value(pile.columns[i], layout, spec.nullable, batch.columns[i].at(row, width_of(layout)));
    }
  }
  pile.ops.push_back(op);
  ++pile.rows;
}

Result<void> Repair::add_key(const RowBatch& row) {
  std::string expression, literal;
  for (const std::size_t i : both_.key()) {
    const ColumnSpec& spec = both_.schema().columns[i];
    const auto one = key_literal(spec, row.columns[i].at(0, width_of(layout_of(spec))));
    if (!one) {
      return halt(Errc::unsupported,
                  fmt::format("Rows of table {} can't be deleted at ClickHouse by key: column {} is of type {}.",
                              session_.options.table, spec.name, spec.source_type));
    }
    expression += (expression.empty() ? "" : ", ") + one->expression;
    literal += (literal.empty() ? "" : ", ") + one->literal;
  }
  const bool one = both_.key().size() == 1;
  key_expression_ = one ? expression : "(" + expression + ")";
  keys_.push_back(one ? literal : "(" + literal + ")");
  return {};
}

// What is to be written, by the source's rows; what is to be deleted, by the target's.
Result<void> Repair::gather(const std::vector<Found>& found) {
  removes_.clear();
  inserts_.clear();
  keys_.clear();
  std::unordered_map<std::uint64_t, DifferenceKind> kinds;
  for (const Found& one : found) kinds.emplace(one.key, one.kind);
  std::unordered_set<std::uint64_t> present, waiting;
  std::unordered_map<std::uint64_t, RowBatch> there;
  PGCH_ASSIGN(const std::uint64_t unreadable,
              session_.comparison->visit(
                  found,
                  [&](const RowBatch& batch, const Rows& rows, std::size_t row) -> Result<void> {
                    // A row that waits is the pipeline's.
                    if (rows.mark[row] != 0) {
                      waiting.insert(rows.key[row]);
                      return {};
                    }
                    present.insert(rows.key[row]);
                    put(inserts_, batch, row, RowOp::insert);
                    return {};
                  },
                  [&](const RowBatch& batch, const Rows& rows, std::size_t row) -> Result<void> {
                    const auto number = static_cast<std::uint32_t>(row);
                    if (there.count(rows.key[row]) == 0) there.emplace(rows.key[row], select_rows(batch, {&number, 1}));
                    return {};
                  }));
  const std::string doubt = unsure(session_.options, unreadable);
  for (const auto& [key, row] : there) {
    if (waiting.count(key) != 0) continue;
    const bool extra = present.count(key) == 0;
    if (extra && !doubt.empty()) {
      ++report_.left;
      report_.left_for = doubt;
      continue;
    }
    if (extra && both_.replaces() && both_.has_deleted()) {
      put(removes_, row, 0, RowOp::remove);
    } else if (extra || !both_.replaces() || kinds.at(key) == DifferenceKind::doubled) {
      PGCH_TRY(add_key(row));
    }
  }
  return {};
}

// Rows under a version that the source's log hasn't reached hide whatever is written after them: they are deleted.
Result<void> Repair::add_from_the_future(const std::vector<Found>& found) {
  if (!both_.replaces() || !both_.has_version()) return {};
  const std::string version = quote_clickhouse(session_.options.target.version_column);
  const std::string where = both_.target_where(runs_of(found));
  PGCH_ASSIGN(const std::uint64_t newest,
              both_.count(fmt::format("SELECT max({}) FROM {}{}", version, both_.quoted_target(),
                                      where.empty() ? "" : " WHERE " + where)));
  PGCH_ASSIGN(const std::uint64_t now, position());
  if (newest <= now) return {};
  for (const auto* piles : {&inserts_, &removes_}) {
    for (const RowBatch& pile : *piles) {
      for (std::uint32_t row = 0; row < pile.rows; ++row) {
        const std::size_t before = keys_.size();
        PGCH_TRY(add_key(select_rows(pile, {&row, 1})));
        PGCH_ASSIGN(const std::uint64_t bogus,
                    both_.count(fmt::format("SELECT count() FROM {} WHERE {} IN ({}) AND {} > {}",
                                            both_.quoted_target(), key_expression_, keys_.back(), version, now)));
        if (bogus == 0) keys_.resize(before);
      }
    }
  }
  return {};
}

Result<void> Repair::erase() {
  for (std::size_t first = 0; first < keys_.size(); first += keys_of_a_delete) {
    const std::size_t last = std::min(keys_.size(), first + keys_of_a_delete);
    std::string list;
    for (std::size_t i = first; i < last; ++i) list += (list.empty() ? "" : ", ") + keys_[i];
    PGCH_ASSIGN([[maybe_unused]] const std::string done,
                both_.target().query(
                    fmt::format("ALTER TABLE {} DELETE WHERE {} IN ({})", both_.quoted_target(), key_expression_, list),
                    "TSV"));
    PGCH_TRY(wait_for_mutations());
    report_.deleted += last - first;
  }
  return {};
}

// Old servers can't wait by themselves.
Result<void> Repair::wait_for_mutations() {
  const std::string where = both_.target_condition();
  while (true) {
    PGCH_ASSIGN(const std::uint64_t running,
                both_.count("SELECT count() FROM system.mutations WHERE is_done = 0 AND " + where));
    if (running == 0) return {};
    context_.clock.sleep_until(context_.clock.now() + std::chrono::milliseconds(50), context_.stop);
    if (context_.stop.stop_requested())
      return halt(Errc::stopped, "Stopped while ClickHouse deletes rows; repair again to go on.");
  }
}

Result<void> Repair::write(std::vector<RowBatch>& piles) {
  for (RowBatch& pile : piles) {
    if (context_.stop.stop_requested()) return halt(Errc::stopped, "Stopped while repairing; repair again to go on.");
    pile.version = version_;
    if (!both_.replaces() || !both_.has_deleted()) pile.ops.clear();
    pile.stream = "repair";
    const Attempt attempt{"repair." + session_.options.table, pile.stream, generation_, ++sequence_, 1};
    PGCH_TRY(loader_->load(pile, attempt));
    (pile.op_of(0) == RowOp::remove ? report_.deleted : report_.written) += pile.rows;
  }
  return {};
}

Result<void> Repair::mend(const std::vector<Found>& found) {
  // Before the rows are read: a later change of one of them gets a later position.
  PGCH_ASSIGN(version_, position());
  PGCH_TRY(gather(found));
  PGCH_TRY(add_from_the_future(found));
  // Deleted first: what is cut off in between is missing, and a repetition finds that.
  PGCH_TRY(erase());
  PGCH_TRY(write(inserts_));
  return write(removes_);
}

Result<void> Repair::run() {
  // So that the position lies above everything that was sent until now. Without the right to do it, it nearly always
  // is.
  auto moved = both_.source().query("SELECT pg_catalog.pg_logical_emit_message(true, 'pgch', '')");
  if (!moved && (moved.error().code == Errc::stopped || moved.error().code == Errc::connection))
    return std::move(moved).error();
  PGCH_TRY(open_loader());
  report_.left = 0;
  report_.left_for.clear();
  std::vector<Found> all = session_.comparison->found();
  std::sort(all.begin(), all.end(), [](const Found& a, const Found& b) { return a.range < b.range; });
  for (std::size_t first = 0; first < all.size(); first += keys_at_once) {
    const std::size_t last = std::min(all.size(), first + keys_at_once);
    PGCH_TRY(mend({all.begin() + static_cast<std::ptrdiff_t>(first), all.begin() + static_cast<std::ptrdiff_t>(last)}));
  }
  loader_->close();
  return {};
}

}  // namespace
}  // namespace comparing

Result<RepairReport> repair(const VerifySides& sides, const VerifyOptions& options, bool dry_run,
                            const Context& context) {
  RepairReport report;
  PGCH_ASSIGN(auto session, comparing::run(sides, options, context));
  report.before = session->report;
  const DifferenceCounts& found = report.before.differences;
  if (found.total() == 0) return report;
  if (!report.before.has_key) {
    return halt(Errc::unsupported, fmt::format("Table {} has no key, so its rows can't be told apart at ClickHouse: "
                                               "empty {} there and move everything again.",
                                               options.table, report.before.target_table));
  }
  if (dry_run) {
    report.written = found.total() - found.extra;
    if (found.extra != 0) report.left_for = comparing::unsure(options, report.before.source_rejected);
    (report.left_for.empty() ? report.deleted : report.left) = found.extra;
    return report;
  }
  for (unsigned round = 0; round < comparing::rounds_max && session->comparison->counts().total() != 0; ++round) {
    PGCH_TRY(comparing::Repair(sides, *session, context, report).run());
    if (session->comparison->not_kept() == 0) {
      PGCH_TRY(session->comparison->look_again());
    } else {
      PGCH_ASSIGN(session, comparing::run(sides, options, context));
    }
  }
  report.after = session->report;
  report.after.differences = session->comparison->counts();
  report.after.rows.clear();
  session->report.rows.clear();
  PGCH_TRY(session->comparison->name_rows());
  report.after.rows = session->report.rows;
  PGCH_ASSIGN(report.after.target_rows, session->comparison->count_current());
  return report;
}

}  // namespace pgch
