#include "pgch/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/name.h"
#include "base/try.h"
#include "pipeline/flow.h"

namespace pgch {

// One half (direct, produce or consume) or both (run, with a transport between).
class Pipeline::Impl {
 public:
  Impl(Stages stages, PipelineOptions options, Logger& log, Clock& clock)
      : stages_(std::move(stages)), options_(std::move(options)), log_(log), clock_(clock) {}

  Result<void> build() {
    if (stages_.transport == nullptr) {
      produce_ = make(*stages_.extractor, target_loaders(), *stages_.journal, stages_.dead_letters.get(), "direct");
      return {};
    }
    if (stages_.extractor != nullptr) {
      PGCH_ASSIGN(sender_, stages_.transport->make_sender());
      produce_ = make(*stages_.extractor, {sender_.get()}, *stages_.journal, stages_.dead_letters.get(), "produce");
    }
    if (stages_.loader != nullptr) {
      PGCH_ASSIGN(receiver_, stages_.transport->make_receiver());
      consume_ =
          make(*receiver_.extractor, target_loaders(), *receiver_.journal, receiver_.dead_letters.get(), "consume");
    }
    return {};
  }

  Result<void> run(std::stop_token stop) {
    if (produce_ == nullptr || consume_ == nullptr)
      return remember((produce_ ? *produce_ : *consume_).run(std::move(stop)));
    // With `once` the consuming half reads up to the ends that it finds at its start, so the producing half goes first.
    if (options_.once) {
      if (auto r = remember(produce_->run(stop)); !r) return r;
      return remember(consume_->run(std::move(stop)));
    }
    // Either half's failure stops the other.
    std::stop_source both;
    std::stop_callback pass(stop, [&] { both.request_stop(); });
    Result<void> consumed;
    std::thread consumer([&] {
      consumed = remember(consume_->run(both.get_token()));
      if (!consumed) both.request_stop();
    });
    auto produced = remember(produce_->run(both.get_token()));
    if (!produced) both.request_stop();
    consumer.join();
    return produced ? consumed : produced;
  }

  PipelineStats stats() const {
    PipelineStats s;
    if (produce_) s.produce = produce_->stats();
    if (consume_) s.consume = consume_->stats();
    s.begun = true;
    for (const Flow* flow : {produce_.get(), consume_.get()}) {
      if (flow == nullptr) continue;
      s.begun = s.begun && flow->begun();
      s.overdue = std::max(s.overdue, flow->overdue());
    }
    const std::lock_guard lock(mutex_);
    s.last_error = last_error_;
    return s;
  }

 private:
  std::vector<Loader*> target_loaders() const {
    std::vector<Loader*> loaders{stages_.loader.get()};
    for (const auto& loader : stages_.more_loaders) loaders.push_back(loader.get());
    return loaders;
  }
  std::unique_ptr<Flow> make(Extractor& extractor, std::vector<Loader*> loaders, Journal& journal, DeadLetters* dead,
                             const char* half) {
    return std::make_unique<Flow>(FlowParts{&extractor, std::move(loaders), &journal, dead}, options_, log_, clock_,
                                  options_.id + " (" + half + ")");
  }
  Result<void> remember(Result<void> r) {
    if (!r) {
      const std::lock_guard lock(mutex_);
      last_error_ = r.error().message;
    }
    return r;
  }

  Stages stages_;
  PipelineOptions options_;
  Logger& log_;
  Clock& clock_;
  std::unique_ptr<Loader> sender_;
  Receiver receiver_;
  std::unique_ptr<Flow> produce_, consume_;  // after what they borrow
  mutable std::mutex mutex_;
  std::string last_error_;
};

Result<Pipeline> Pipeline::create(Stages stages, PipelineOptions options, Logger& log, Clock& clock) {
  if (!is_plain_name(options.id)) {
    return halt(Errc::config, fmt::format("The pipeline's name \"{}\" can't be used: it takes 1 to 64 letters, digits, "
                                          "dots, underscores and hyphens.",
                                          options.id));
  }
  if (stages.extractor == nullptr && stages.loader == nullptr)
    return halt(Errc::config, "A pipeline needs an extractor, a loader, or both.");
  if ((stages.extractor == nullptr || stages.loader == nullptr) && stages.transport == nullptr) {
    return halt(Errc::config, "Half a pipeline needs a transport: a producer has no loader, a consumer no extractor.");
  }
  if (stages.extractor != nullptr && stages.journal == nullptr) {
    return halt(Errc::config,
                "A pipeline with an extractor needs a journal; make_file_journal() keeps it in a directory, "
                "make_memory_journal() forgets it.");
  }
  if (stages.loader == nullptr && !stages.more_loaders.empty())
    return halt(Errc::config, "A pipeline with more loaders needs a first one.");
  if (stages.journal != nullptr && !stages.journal->durable() && options.delivery == Delivery::exactly_once) {
    log.write(LogLevel::warning, options.id +
                                     ": its journal is forgotten with this process; rows under way in a crash may come "
                                     "twice. make_file_journal() remembers.");
  }
  if (options.batch.rows_max == 0 || options.batch.bytes_max == 0)
    return halt(Errc::config, "batch rows and bytes must be at least 1.");
  if (options.in_flight_bytes_max < options.batch.bytes_max) {
    return halt(Errc::config, fmt::format("The memory limit ({} bytes) is smaller than one batch may be ({} bytes): "
                                          "raise [limits] memory or lower [batch] bytes.",
                                          options.in_flight_bytes_max, options.batch.bytes_max));
  }
  auto impl = std::make_unique<Impl>(std::move(stages), std::move(options), log, clock);
  PGCH_TRY(impl->build());
  return Pipeline(std::move(impl));
}

Pipeline::Pipeline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Pipeline::Pipeline(Pipeline&&) noexcept = default;
Pipeline& Pipeline::operator=(Pipeline&&) noexcept = default;
Pipeline::~Pipeline() = default;
Result<void> Pipeline::run(std::stop_token stop) { return impl_->run(std::move(stop)); }
PipelineStats Pipeline::stats() const { return impl_->stats(); }

}  // namespace pgch
