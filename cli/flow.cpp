#include "flow.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <thread>

#include "service.h"

namespace pgch::cli {
namespace {

using Seconds = std::chrono::duration<double>;

struct Running {
  std::string name;
  std::optional<Pipeline> pipeline;
  std::optional<std::uint64_t> rows_expected;
  std::string dead_letter_file, dead_letter_topic, brokers;
  std::optional<Error> error;
  std::atomic<bool> ended{false};
  bool stored_at_far_end = false;  // the consuming half's numbers are the ones that count
};

struct Totals {
  std::uint64_t rows = 0, bytes = 0, extracted = 0, rejected = 0, retries = 0, in_doubt = 0, found = 0, batches = 0;
  std::optional<std::uint64_t> expected = 0;
  std::string last_error;
};

void add(Totals& totals, const Running& one) {
  if (!one.pipeline) return;
  const PipelineStats stats = one.pipeline->stats();
  const FlowStats& far = one.stored_at_far_end ? stats.consume : stats.produce;
  totals.rows += far.rows_delivered;
  totals.bytes += far.bytes_delivered;
  totals.batches += far.batches;
  totals.extracted += one.stored_at_far_end && stats.produce.rows_extracted == 0 ? stats.consume.rows_extracted
                                                                                 : stats.produce.rows_extracted;
  totals.rejected += stats.produce.rows_rejected + stats.consume.rows_rejected;
  totals.retries += stats.produce.retries + stats.consume.retries;
  totals.in_doubt += stats.produce.in_doubt + stats.consume.in_doubt;
  totals.found += stats.produce.rows_found_landed + stats.consume.rows_found_landed;
  if (totals.expected && one.rows_expected) {
    *totals.expected += *one.rows_expected;
  } else {
    totals.expected.reset();
  }
  if (!stats.last_error.empty()) totals.last_error = stats.last_error;
}

Totals totals_of(const std::vector<std::unique_ptr<Running>>& all) {
  Totals totals;
  for (const auto& one : all) add(totals, *one);
  return totals;
}

std::string progress_line(const Totals& now, double rows_per_s, double bytes_per_s) {
  std::string line = counted(now.rows, "row");
  if (now.expected && *now.expected >= now.rows && *now.expected > 0) {
    const double part = static_cast<double>(now.rows) / static_cast<double>(*now.expected);
    constexpr int width = 20;
    const int full = static_cast<int>(part * width);
    line = fmt::format("[{}{}] {:3.0f} %  {} of {} rows", std::string(static_cast<std::size_t>(full), '#'),
                       std::string(static_cast<std::size_t>(width - full), '.'), part * 100, human_count(now.rows),
                       human_count(*now.expected));
  }
  line +=
      fmt::format(", {} rows/s, {}/s", human_count(static_cast<std::uint64_t>(rows_per_s)), human_bytes(bytes_per_s));
  if (now.expected && *now.expected > now.rows && rows_per_s >= 1) {
    line += fmt::format(", {} left", human_seconds(static_cast<double>(*now.expected - now.rows) / rows_per_s));
  }
  if (now.rejected != 0) line += ", " + counted(now.rejected, "dead letter");
  if (now.retries != 0) line += ", " + counted(now.retries, "retry", "retries");
  return line;
}

// Draws until told to end: four times a second on a terminal, else a line every five seconds while something moves.
class Display {
 public:
  Display(Session& session, const std::vector<std::unique_ptr<Running>>& all)
      : session_(session), all_(all), started_(std::chrono::steady_clock::now()) {
    if (!session.quiet) thread_ = std::jthread([this](const std::stop_token& over) { loop(over); });
  }
  ~Display() {
    thread_ = {};
    session_.log.draw({});
  }
  Display(const Display&) = delete;
  Display& operator=(const Display&) = delete;
  double seconds() const { return Seconds(std::chrono::steady_clock::now() - started_).count(); }

 private:
  void loop(const std::stop_token& over) {
    const auto interval = session_.log.terminal() ? std::chrono::milliseconds(250) : std::chrono::milliseconds(5000);
    Totals before;
    auto last = started_;
    double rows_per_s = 0, bytes_per_s = 0;
    std::mutex mutex;
    std::condition_variable_any wake;
    while (true) {
      std::unique_lock lock(mutex);
      if (wake.wait_for(lock, over, interval, [&] { return over.stop_requested(); })) return;
      const auto now = std::chrono::steady_clock::now();
      const Totals totals = totals_of(all_);
      const double elapsed = Seconds(now - last).count();
      const double weight = rows_per_s == 0 || !session_.log.terminal() ? 1 : 0.3;  // of the newest measurement
      rows_per_s += weight * (static_cast<double>(totals.rows - before.rows) / elapsed - rows_per_s);
      bytes_per_s += weight * (static_cast<double>(totals.bytes - before.bytes) / elapsed - bytes_per_s);
      if (session_.log.terminal()) {
        session_.log.draw(progress_line(totals, rows_per_s, bytes_per_s));
      } else if (totals.rows != before.rows || totals.retries != before.retries) {
        session_.log.plain(progress_line(totals, rows_per_s, bytes_per_s));
      }
      before = totals;
      last = now;
    }
  }

  Session& session_;
  const std::vector<std::unique_ptr<Running>>& all_;
  std::chrono::steady_clock::time_point started_;
  std::jthread thread_;
};

// Ready when each has begun or ended: with one of several gone the others go on.
ServiceState service_state(const std::vector<std::unique_ptr<Running>>& all) {
  ServiceState out;
  out.ready = true;
  bool any = false;
  for (const auto& one : all) {
    const PipelineStats stats = one->pipeline->stats();
    out.ready = out.ready && (stats.begun || one->ended);
    any = any || stats.begun;
    out.overdue = std::max(out.overdue, stats.overdue);
  }
  out.ready = out.ready && any;
  const Totals totals = totals_of(all);
  out.status = out.ready ? counted(totals.rows, "row") + " moved" : "Waiting for the servers";
  if (totals.rejected != 0) out.status += ", " + counted(totals.rejected, "dead letter");
  if (totals.retries != 0) out.status += ", " + counted(totals.retries, "retry", "retries");
  return out;
}

void print_summary(const Session& session, const std::string& verb, const Totals& totals, double seconds,
                   const std::vector<std::unique_ptr<Running>>& all, int status) {
  const bool ended_badly = status != exit_done && status != exit_dead_letters;
  const double rate = seconds > 0 ? static_cast<double>(totals.rows) / seconds : 0;
  if (session.json) {
    std::string failed;
    for (const auto& one : all) {
      if (one->error) {
        failed +=
            fmt::format("{}{{\"name\":{},\"code\":{},\"message\":{}}}", failed.empty() ? "" : ",", json_text(one->name),
                        json_text(name_of(one->error->code)), json_text(one->error->message));
      }
    }
    print(
        fmt::format("{{\"verb\":\"{}\",\"status\":\"{}\",\"rows\":{},\"bytes\":{},\"batches\":{},\"seconds\":{:.3f},"
                    "\"rows_per_s\":{:.0f},\"dead_letters\":{},"
                    "\"retries\":{},\"in_doubt\":{},\"rows_found_landed\":{},\"errors\":[{}]}}\n",
                    verb,
                    ended_badly                   ? "failed"
                    : status == exit_dead_letters ? "dead_letters"
                                                  : "done",
                    totals.rows, totals.bytes, totals.batches, seconds, rate, totals.rejected, totals.retries,
                    totals.in_doubt, totals.found, failed));
    return;
  }
  if (session.quiet || (ended_badly && totals.rows == 0)) return;  // its error says it all
  std::string line = fmt::format("{}: {}, {} in {}", ended_badly ? "Failed" : "Done", counted(totals.rows, "row"),
                                 human_bytes(static_cast<double>(totals.bytes)), human_seconds(seconds));
  if (totals.rows != 0) line += fmt::format(" ({} rows/s)", human_count(static_cast<std::uint64_t>(rate)));
  if (totals.found != 0) line += "; " + counted(totals.found, "row") + " of an earlier attempt found at the target";
  if (totals.rejected != 0) line += "; " + counted(totals.rejected, "dead letter");
  print(line + "\n");
}

// Also with -q: what couldn't be moved must not go unseen, and nobody should have to search for it.
void tell_of_dead_letters(const std::vector<std::unique_ptr<Running>>& all) {
  for (const auto& one : all) {
    if (!one->pipeline) continue;
    const PipelineStats stats = one->pipeline->stats();
    if (const std::uint64_t n = stats.produce.rows_rejected; n != 0 && !one->dead_letter_file.empty()) {
      std::cerr << "pgch: " << counted(n, "row") << " of " << one->name << " could not be moved and "
                << (n == 1 ? "lies" : "lie") << " as " << (n == 1 ? "a dead letter" : "dead letters") << " in "
                << one->dead_letter_file << "; look at the reasons with: jq -r .reason " << one->dead_letter_file
                << '\n';
    }
    if (const std::uint64_t n = stats.consume.rows_rejected; n != 0 && !one->dead_letter_topic.empty()) {
      std::cerr << "pgch: " << counted(n, "message") << " for " << one->name << " could not be moved and "
                << (n == 1 ? "lies" : "lie") << " as " << (n == 1 ? "a dead letter" : "dead letters") << " in topic "
                << one->dead_letter_topic << "; look at the reasons with: kcat -C -e -b " << one->brokers << " -t "
                << one->dead_letter_topic << " -f '%h\\n'\n";
    }
  }
}

}  // namespace

Result<int> run_all(Session& session, std::vector<NamedPipeline> pipelines, const std::string& verb) {
  std::vector<std::unique_ptr<Running>> all;
  for (NamedPipeline& one : pipelines) {
    auto running = std::make_unique<Running>();
    running->name = one.name;
    running->rows_expected = one.rows_expected;
    running->dead_letter_file = one.dead_letter_file;
    running->dead_letter_topic = one.dead_letter_topic;
    running->brokers = one.brokers;
    // A transport and a loader mean that the rows are counted where the transport's far end stores them.
    running->stored_at_far_end = one.stages.transport != nullptr && one.stages.loader != nullptr;
    auto pipeline = Pipeline::create(std::move(one.stages), one.options, session.log, system_clock());
    if (!pipeline) return std::move(pipeline).error();
    running->pipeline.emplace(*std::move(pipeline));
    all.push_back(std::move(running));
  }
  double seconds = 0;
  {
    const Display display(session, all);
    const ServiceNotices notices(session, [&all] { return service_state(all); });
    std::vector<std::jthread> threads;
    threads.reserve(all.size());
    for (const auto& one : all) {
      threads.emplace_back([&session, &all, running = one.get()] {
        auto done = running->pipeline->run(session.stop.get_token());
        running->ended = true;
        if (done) return;
        // A stop that somebody asked for is no failure: what wasn't settled is taken up again by the next start.
        if (done.error().code == Errc::stopped && session.stop.stop_requested()) return;
        running->error = std::move(done).error();
        if (all.size() > 1)
          session.log.write(LogLevel::error, fmt::format("{} has stopped: {}", running->name, running->error->message));
      });
    }
    threads.clear();  // joins
    seconds = display.seconds();
  }
  const Totals totals = totals_of(all);
  int status = totals.rejected != 0 ? exit_dead_letters : exit_done;
  const Error* first = nullptr;
  for (const auto& one : all) {
    if (one->error && first == nullptr) first = &*one->error;
  }
  if (first != nullptr) status = exit_of(*first) == exit_usage ? exit_usage : exit_failed;
  print_summary(session, verb, totals, seconds, all, status);
  tell_of_dead_letters(all);
  if (first != nullptr) fail(&session, false, *first);
  return status;
}

}  // namespace pgch::cli
