// What is to be read: at first all of it, after a kill what is not finished, and what may have changed since.
#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "extract/snapshot_extractor.h"

namespace pgch {
namespace {

// Ages of transactions are 32 bits: beyond that a row's xmin says nothing.
constexpr std::uint64_t age_max = (std::uint64_t{1} << 31) - (1U << 20);
// Instead of a point's version: a batch that was under way at a kill tells by itself what becomes of its range.
constexpr std::uint64_t being_settled = ~std::uint64_t{0};
constexpr const char* rewritten_text = " was rewritten (VACUUM FULL, CLUSTER, TRUNCATE, ALTER TABLE or REFRESH)";

Error rewritten(const std::string& part) {
  return halt(Errc::conflict, part + rewritten_text +
                                  " since a part of it was copied, and it has no key by which those rows could be told "
                                  "from new ones: empty the target and begin anew with --again.");
}

}  // namespace

Result<void> SnapshotExtractor::open(const Context& context, std::vector<Intent> pending) {
  close();
  context_.emplace(context);
  status_ = options_.status;
  stop_ = std::stop_source();
  pass_stop_.emplace(context.stop, [this] {
    stop_.request_stop();
    const std::lock_guard lock(mutex_);
    wake_workers_.notify_all();
    wake_fetch_.notify_all();
  });
  over_ = started_ = ended_ = incomplete_ = false;
  acknowledged_.clear();
  handed_out_ = 0;
  auto planned = plan(std::move(pending));
  if (!planned) close();
  return planned;
}

Result<void> SnapshotExtractor::plan(std::vector<Intent> pending) {
  const Context own{context_->log, context_->clock, stop_.get_token()};
  PGCH_ASSIGN(first_connection_, connect_at(options_, own));
  const pg::Wait wait{context_->clock.now() + std::chrono::seconds(60), own.stop};
  PGCH_ASSIGN(table_, describe_snapshot_table(*first_connection_, options_, wait));
  stream_ = "snapshot:" + table_->name + "/";
  for (const Intent& intent : pending) {
    if (intent.stream.rfind(stream_, 0) == 0) continue;
    return halt(Errc::config, "The journal holds batches of stream \"" + intent.stream +
                                  "\", but this is a snapshot of " + table_->name +
                                  ": use the settings the pipeline was started with, or another pipeline name.");
  }
  for (const SnapshotPart& part : table_->parts) {
    if (part.by_ranges || table_->keyed || options_.repeats_allowed) continue;
    return halt(Errc::unsupported, part.name +
                                       " is a view or a foreign table: it can't be read in ranges, so a "
                                       "snapshot of it that is killed begins anew, and without a key its rows would be "
                                       "stored twice. Name a key with table.key, or say delivery = \"at_least_once\".");
  }
  PGCH_ASSIGN(progress_, SnapshotProgress::open(options_.directory, options_.pipeline, options_.again, *context_));
  anew_ = !progress_->records().exists;
  PGCH_TRY(check_target());
  if (anew_) {
    PGCH_TRY(
        progress_->begin({table_->catalog.oid, table_->plan_hash(options_.target), options_.point->system_identifier}));
  } else {
    PGCH_TRY(check_same_plan());
  }
  // When this is opened once more, it goes on.
  options_.again = false;
  options_.target_state = SnapshotTarget::unknown;
  if (progress_->records().ended) {
    ended_ = true;
    status_->already = true;
    tell_end();
  }
  PGCH_TRY(plan_parts());
  std::map<std::uint32_t, RangeMap> planned;
  for (const auto& [oid, part] : progress_->records().parts) planned[oid] = part.ranges;
  PGCH_TRY(plan_replays(std::move(pending), planned));
  if (!ended_) {
    for (const SnapshotPart& part : table_->parts) plan_part(part, planned[part.oid]);
  }
  PGCH_TRY(write_notes());
  PGCH_TRY(progress_->sync());
  add_status();
  if (ended_ && !replays_.empty()) {
    ended_ = false;  // they are settled first; then it is written that it ended once more
  }
  return {};
}

// A target that was dropped, emptied or exchanged has lost what was copied; and beside rows that are there already,
// those of a table without key would be there twice.
Result<void> SnapshotExtractor::check_target() const {
  bool copied = false;
  for (const auto& [oid, part] : progress_->records().parts) {
    for (const FinishedRange& one : part.ranges.finished()) copied = copied || one.rows.value_or(0) != 0;
  }
  if (copied && options_.target_state == SnapshotTarget::empty) {
    return halt(Errc::config, "Rows of " + table_->name + " were copied before (" + progress_->path() + "), and the " +
                                  "target has none: it was dropped, emptied or exchanged. Begin anew with --again.");
  }
  if (anew_ && !table_->keyed && !options_.repeats_allowed && options_.target_state == SnapshotTarget::filled) {
    return halt(Errc::config,
                "Table " + table_->name + " has no key, and its target has rows: what is there already " +
                    "would be doubled. Empty the target first (TRUNCATE TABLE), name another, go on with the "
                    "state directory that the earlier copy had, or say delivery = \"at_least_once\".");
  }
  return {};
}

Result<void> SnapshotExtractor::check_same_plan() const {
  const SnapshotRecords& records = progress_->records();
  const std::string mend = " Use what it was started with, or begin anew with --again.";
  if (records.key.system != options_.point->system_identifier) {
    return halt(Errc::config, "The snapshot of " + table_->name + " in " + progress_->path() +
                                  " was begun on another server or database." + mend);
  }
  if (records.key.table != table_->catalog.oid) {
    return halt(Errc::config, "Table " + table_->name + " was dropped and made again since its snapshot in " +
                                  progress_->path() + " was begun." + mend);
  }
  if (records.key.plan != table_->plan_hash(options_.target)) {
    return halt(Errc::config, "The snapshot of " + table_->name + " in " + progress_->path() +
                                  " was begun with other columns, types, another condition or another target." + mend);
  }
  for (const auto& point : records.points) {
    if (options_.point->xid_max - std::min(options_.point->xid_max, point.horizon) < age_max) continue;
    return halt(Errc::unsupported, "The snapshot of " + table_->name +
                                       " was begun two thousand million transactions ago, so what changed since can't "
                                       "be told any more: begin anew with --again.");
  }
  return {};
}

// The point and the parts as they are now, in the file. What was done of a part that was rewritten is void.
Result<void> SnapshotExtractor::plan_parts() {
  const SnapshotRecords& records = progress_->records();
  const SnapshotPoint& point = *options_.point;
  version_ = point.version;
  bool same = false;
  for (const auto& before : records.points) {
    same = before.name == point.name && before.horizon == point.horizon;
    version_ = same ? before.version : std::max(version_, before.version + 1);
  }
  if (!same && !ended_) PGCH_TRY(progress_->point({point.name, version_, point.horizon, point.open_xids}));
  for (const auto& one : records.points) table_->horizons[one.version] = {one.horizon, one.open_xids};
  if (ended_) return {};
  for (SnapshotPart& part : table_->parts) {
    if (!part.by_ranges) part.file = version_;
    const auto known = records.parts.find(part.oid);
    if (known != records.parts.end() && known->second.file != part.file && !known->second.ranges.finished().empty()) {
      if (!table_->keyed && !options_.repeats_allowed) return rewritten(part.name);
      const std::string what = part.by_ranges ? rewritten_text : " can't be read in ranges and was not finished";
      const std::string sentence = part.name + what + "; it is copied anew, rows already copied as newer versions.";
      context_->log.write(LogLevel::warning, sentence);
      if (part.by_ranges) PGCH_TRY(progress_->changed(sentence));
    }
    PGCH_TRY(progress_->part(part.oid, part.file, part.blocks));
  }
  for (const auto& [oid, known] : records.parts) {
    if (find_part(oid) != nullptr || known.ranges.finished().empty()) continue;
    const std::string sentence =
        "A partition of " + table_->name + " is gone since its rows were copied; they are still at the target.";
    context_->log.write(LogLevel::warning, sentence);
    PGCH_TRY(progress_->changed(sentence));
  }
  return {};
}

Result<void> SnapshotExtractor::plan_replays(std::vector<Intent> pending, std::map<std::uint32_t, RangeMap>& planned) {
  // Of two of the same range the newer holds: it is the same rows, read anew.
  std::vector<std::pair<std::uint64_t, Intent>> newest_first;
  for (Intent& intent : pending) {
    const auto position = decode_snapshot_position(intent.position);
    const std::uint64_t version = position ? position->version : 0;
    newest_first.emplace_back(version, std::move(intent));
  }
  std::stable_sort(newest_first.begin(), newest_first.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (auto& [version, intent] : newest_first) {
    Work work;
    work.kind = Work::Kind::replay;
    auto position = decode_snapshot_position(intent.position);
    const SnapshotPart* part = position ? find_part(position->part) : nullptr;
    if (position) work.old = *position;
    // Ranges of a file that is gone can't be read again: the batch is handed out without rows, and what they were is
    // read under the new snapshot.
    const bool readable = part != nullptr && part->by_ranges && part->file == position->file && !anew_ &&
                          table_->horizons.count(position->version) != 0 &&
                          (position->since == 0 || table_->horizons.count(position->since) != 0);
    if (part != nullptr && part->by_ranges && part->file != position->file && !anew_ && !table_->keyed &&
        !options_.repeats_allowed)
      return rewritten(part->name);
    if (readable && !planned[part->oid].covers(work.old.range, work.old.version)) {
      work.piece = {part, work.old.range, work.old.since, 0};
      planned[part->oid].finish({work.old.range, being_settled, std::nullopt});
    }
    work.intent = std::move(intent);
    replays_.push_back(std::move(work));
  }
  replays_left_ = replays_.size();
  return {};
}

void SnapshotExtractor::plan_part(const SnapshotPart& part, const RangeMap& ranges) {
  if (!part.by_ranges) {
    Work work;
    work.whole = true;
    work.piece.part = &part;
    queue_.push_back(std::move(work));
    return;
  }
  for (const PlaceRange& gap : ranges.missing({0, place_of(part.blocks)})) gaps_.emplace_back(&part, gap);
  for (const FinishedRange& one : ranges.finished()) {
    if (one.as_of == being_settled) continue;
    // No transaction has begun since: nothing can have changed.
    const SnapshotTable::Horizon& then = table_->horizons.at(one.as_of);
    if (then.xid >= options_.point->xid_max && then.open_xids.empty()) continue;
    Work work;
    work.kind = Work::Kind::recheck;
    work.piece = {&part, one.range, one.as_of, 0};
    work.rows_before = one.rows;
    rechecks_.push_back(std::move(work));
  }
}

const SnapshotPart* SnapshotExtractor::find_part(std::uint32_t oid) const noexcept {
  for (const SnapshotPart& part : table_->parts) {
    if (part.oid == oid) return &part;
  }
  return nullptr;
}

void SnapshotExtractor::add_status() {
  std::uint64_t total = 0, done = 0, rows = 0;
  for (const SnapshotPart& part : table_->parts) total += part.bytes;
  for (const auto& [oid, part] : progress_->records().parts) {
    done += part.bytes;
    for (const FinishedRange& one : part.ranges.finished()) rows += one.rows.value_or(0);
  }
  status_->bytes_total = std::max(total, done);
  status_->bytes_skipped = done;
  status_->bytes_read = done;
  status_->bytes_done = done;
  status_->rows_done = rows;
  const auto& points = progress_->records().points;
  if (ended_) {
    context_->log.write(LogLevel::info, table_->name + " was already copied, as of " +
                                            (points.empty() ? std::string("nothing") : points.back().name));
  } else if (points.size() > 1) {
    context_->log.write(
        LogLevel::info,
        fmt::format(
            "{}: going on with what is not finished, under a new snapshot ({}); {} finished ranges are compared "
            "with what they were",
            table_->name, options_.point->name, rechecks_.size()));
  }
}

}  // namespace pgch
