#include "snapshot_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <iostream>

namespace pgch::cli {

SnapshotTotals::SnapshotTotals(Session& session) : session_(session), started_(std::chrono::steady_clock::now()) {}

double SnapshotTotals::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

void SnapshotTotals::expect(const std::string& table, std::uint64_t bytes, double cost) {
  const std::lock_guard lock(mutex_);
  tables_.emplace_back();
  tables_.back().name = table;
  tables_.back().bytes = bytes;
  tables_.back().cost = tables_.back().progress.cost = cost;
  started_ = std::chrono::steady_clock::now();
}

std::shared_ptr<SnapshotStatus> SnapshotTotals::begin(const std::string& table) {
  const std::lock_guard lock(mutex_);
  current_ =
      &*std::find_if(tables_.begin(), tables_.end(), [&](const Table& t) { return t.name == table && !t.status; });
  current_->status = std::make_shared<SnapshotStatus>();
  current_->progress.begun_s = seconds();
  return current_->status;
}

void SnapshotTotals::running(const Pipeline* pipeline) {
  const std::lock_guard lock(mutex_);
  pipeline_ = pipeline;
}

void SnapshotTotals::over(const PipelineStats& stats, const std::string& dead_letters, const Error* error) {
  observe();
  const std::lock_guard lock(mutex_);
  pipeline_ = nullptr;
  current_->flow = stats.produce;
  current_->dead_letters = dead_letters;
  current_->over = true;
  current_->progress.ended_s = seconds();
  if (error != nullptr) current_->error = error->message;
}

// Bytes of the tables' files. What has no size of its own (views) counts as nothing.
SnapshotTotals::Sums SnapshotTotals::sums() const {
  Sums out;
  for (const Table& t : tables_) {
    if (!t.status) {
      out.bytes_total += t.bytes;
      continue;
    }
    const std::uint64_t total = t.status->bytes_total, skipped = t.status->bytes_skipped;
    const std::uint64_t done = t.status->ended ? total : std::min<std::uint64_t>(t.status->bytes_done, total);
    out.bytes_total += std::max(total, t.over ? 0 : t.bytes);
    out.bytes += done;
    out.bytes_here += done - std::min(done, t.status->ended && t.status->already ? done : skipped);
    out.rows += t.status->rows_done;
  }
  return out;
}

// What the tables' statuses say now, and when it changed.
void SnapshotTotals::observe() {
  const std::lock_guard lock(mutex_);
  for (Table& t : tables_) {
    if (!t.status || t.progress.ended_s) continue;
    TableProgress& p = t.progress;
    const std::uint64_t total = t.status->bytes_total,
                        skipped = std::min<std::uint64_t>(t.status->bytes_skipped, total);
    const auto here = [&](std::uint64_t bytes) { return std::clamp(bytes, skipped, total) - skipped; };
    const std::uint64_t read = here(t.status->bytes_read), done = here(t.status->bytes_done);
    if (read != p.read || done != p.done) p.changed_s = seconds();
    p.read = read;
    p.done = done;
    p.total = total - skipped;
    // Of a resumed table only what is left.
    p.cost =
        t.status->already ? 0 : t.cost * (total == 0 ? 1 : static_cast<double>(p.total) / static_cast<double>(total));
  }
}

std::optional<double> SnapshotTotals::left() const {
  std::vector<TableProgress> all;
  for (const Table& t : tables_) all.push_back(t.progress);
  return seconds_left(all, seconds());
}

std::string SnapshotTotals::line() const {
  const std::lock_guard lock(mutex_);
  const Sums now = sums();
  const double elapsed = seconds();
  std::string out;
  if (now.bytes_total != 0) {
    const double part = static_cast<double>(now.bytes) / static_cast<double>(now.bytes_total);
    constexpr int width = 20;
    const int full = std::clamp(static_cast<int>(part * width), 0, width);
    out = fmt::format("[{}{}] {:3.0f} %  {} of {}, ", std::string(static_cast<std::size_t>(full), '#'),
                      std::string(static_cast<std::size_t>(width - full), '.'), part * 100,
                      human_bytes(static_cast<double>(now.bytes)), human_bytes(static_cast<double>(now.bytes_total)));
  }
  out += counted(now.rows, "row");
  // A first range says nothing yet.
  if (now.bytes_here != 0 && elapsed > 0.5 && now.bytes_total > now.bytes) {
    out += fmt::format(", {}/s", human_bytes(static_cast<double>(now.bytes_here) / elapsed));
    if (const auto seconds = left()) out += fmt::format(", {} left", human_seconds(*seconds));
  }
  if (current_ != nullptr && tables_.size() > 1) out += ", " + current_->name;
  if (pipeline_ != nullptr) {
    const FlowStats stats = pipeline_->stats().produce;
    if (stats.rows_rejected != 0) out += ", " + counted(stats.rows_rejected, "dead letter");
    if (stats.retries != 0) out += ", " + counted(stats.retries, "retry", "retries");
  }
  return out;
}

// Four times a second on a terminal, else a line every five seconds.
std::shared_ptr<void> SnapshotTotals::display() {
  if (session_.quiet) return nullptr;
  auto thread = std::make_unique<std::jthread>([this](const std::stop_token& over) {
    // Progress is looked at as often as that in either case, for the time that is left.
    constexpr auto tick = std::chrono::milliseconds(250);
    const unsigned ticks = session_.log.terminal() ? 1 : 20;
    std::mutex mutex;
    std::condition_variable_any wake;
    for (unsigned n = 1;; ++n) {
      std::unique_lock lock(mutex);
      if (wake.wait_for(lock, over, tick, [&] { return over.stop_requested(); })) return;
      observe();
      if (n % ticks != 0) continue;
      if (session_.log.terminal()) {
        session_.log.draw(line());
      } else {
        session_.log.plain(line());
      }
    }
  });
  return {thread.release(), [this](void* p) {
            delete static_cast<std::jthread*>(p);
            session_.log.draw({});
          }};
}

std::string SnapshotTotals::as_json(const char* status, double seconds) const {
  std::string list;
  std::uint64_t rows = 0, bytes = 0, dead = 0, found = 0;
  for (const Table& t : tables_) {
    std::string points, warnings;
    const bool begun = t.status != nullptr;
    if (begun) {
      for (const std::string& one : t.status->points) points += (points.empty() ? "" : ",") + json_text(one);
      for (const std::string& one : t.status->warnings) warnings += (warnings.empty() ? "" : ",") + json_text(one);
    }
    const bool ended = begun && t.status->ended;
    list += fmt::format(
        "{}{{\"table\":{},\"status\":\"{}\",\"rows\":{},\"rows_in_all\":{},\"bytes\":{},\"consistent\":{},\"points\":[{"
        "}],"
        "\"warnings\":[{}],\"dead_letters\":{},\"rows_found_landed\":{},\"error\":{}}}",
        list.empty() ? "" : ",", json_text(t.name),
        !ended                                     ? "unfinished"
        : t.status->already && t.flow.batches == 0 ? "already"
                                                   : "done",
        t.flow.rows_delivered, begun ? t.status->rows_done.load() : 0, t.flow.bytes_delivered,
        ended ? (t.status->consistent ? "true" : "false") : "null", points, warnings, t.flow.rows_rejected,
        t.flow.rows_found_landed, t.error.empty() ? "null" : json_text(t.error));
    rows += t.flow.rows_delivered;
    bytes += t.flow.bytes_delivered;
    dead += t.flow.rows_rejected;
    found += t.flow.rows_found_landed;
  }
  return fmt::format(
      "{{\"verb\":\"snapshot\",\"status\":\"{}\",\"rows\":{},\"bytes\":{},\"seconds\":{:.3f},\"rows_per_s\":{:.0f},"
      "\"dead_letters\":{},\"rows_found_landed\":{},\"tables\":[{}]}}\n",
      status, rows, bytes, seconds, seconds > 0 ? static_cast<double>(rows) / seconds : 0, dead, found, list);
}

void SnapshotTotals::print_table(const Table& t) const {
  if (!t.status || !t.status->ended) return;
  const SnapshotStatus& s = *t.status;
  const std::string last = s.points.empty() ? "nothing" : s.points.back();
  if (s.already && t.flow.batches == 0) {
    print(fmt::format("{}: already copied, as of {}; --again begins anew\n", t.name, last));
    return;
  }
  std::string line = fmt::format("{}: {}", t.name, counted(t.flow.rows_delivered, "row"));
  if (s.rows_done > t.flow.rows_delivered + t.flow.rows_rejected)
    line += fmt::format(", {} with earlier runs", counted(s.rows_done - t.flow.rows_rejected, "row"));
  if (t.flow.rows_found_landed != 0)
    line += "; " + counted(t.flow.rows_found_landed, "row") + " of an earlier attempt found at the target";
  print(line + (s.consistent ? fmt::format("; as of {}\n", last) : "\n"));
  if (s.consistent) return;
  std::string why, points;
  for (const std::string& one : s.warnings) why += (why.empty() ? "" : "; ") + one;
  for (const std::string& one : s.points) points += (points.empty() ? "" : ", ") + one;
  print(fmt::format(
      "  NOT consistent as of one point: {}. Rows were read as of: {}. Every row of the last point is there; "
      "rows that were deleted meanwhile, and without a key older versions, may be there, too. A copy as of one "
      "point: --again.\n",
      why, points));
}

Result<int> SnapshotTotals::end(const std::optional<Error>& error) {
  session_.log.draw({});
  const double elapsed = seconds();
  std::uint64_t rows = 0, bytes = 0, dead = 0;
  bool all_ended = true;
  for (const Table& t : tables_) {
    rows += t.flow.rows_delivered;
    bytes += t.flow.bytes_delivered;
    dead += t.flow.rows_rejected;
    all_ended = all_ended && t.status && t.status->ended;
  }
  int status = dead != 0 ? exit_dead_letters : exit_done;
  if (error) status = exit_of(*error) == exit_usage ? exit_usage : exit_failed;
  if (session_.json) {
    print(as_json(error ? "failed" : !all_ended ? "stopped" : dead != 0 ? "dead_letters" : "done", elapsed));
  } else if (!session_.quiet) {
    for (const Table& t : tables_) print_table(t);
    if (rows != 0 || (all_ended && !error)) {
      print(fmt::format("{}: {}, {} in {}{}\n",
                        error       ? "Failed"
                        : all_ended ? "Done"
                                    : "Stopped; the same command goes on",
                        counted(rows, "row"), human_bytes(static_cast<double>(bytes)), human_seconds(elapsed),
                        rows != 0 ? fmt::format(" ({} rows/s)", human_count(static_cast<std::uint64_t>(
                                                                    static_cast<double>(rows) / elapsed)))
                                  : ""));
    }
  }
  for (const Table& t : tables_) {
    if (t.flow.rows_rejected == 0) continue;
    std::cerr << "pgch: " << counted(t.flow.rows_rejected, "row") << " of " << t.name
              << " could not be moved; see the reasons with: jq -r .reason " << t.dead_letters << '\n';
  }
  if (error) fail(&session_, false, *error);
  return status;
}

}  // namespace pgch::cli
