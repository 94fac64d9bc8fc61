#include "pipeline/settler.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "base/try.h"
#include "model/row_text.h"

namespace pgch {

Settler::Settler(const PipelineOptions& options, Loader& loader, Journal& journal, DeadLetters* dead_letters,
                 FlowCounters& counters, Due& due, const Context& context, bool exact_replay)
    : options_(options),
      loader_(loader),
      journal_(journal),
      dead_letters_(dead_letters),
      counters_(counters),
      due_(due),
      context_(context),
      exact_replay_(exact_replay) {}

Result<void> Settler::settle(RowBatch& batch, const std::function<void(const Intent&)>& intended) {
  const bool exact = options_.delivery == Delivery::exactly_once;
  PGCH_TRY(prepare_for(batch));
  if (!batch.rejected.empty()) {
    counters_.rows_rejected += batch.rejected.size();
    PGCH_TRY(put_dead(batch.stream, batch.rejected));
    batch.rejected.clear();
  }
  Intent intent;
  const std::size_t bytes = batch.bytes();
  if (batch.intent) {
    intent = *std::move(batch.intent);
    batch.intent.reset();
    if (exact_replay_ && exact && intent.content != content_hash(batch)) {
      return halt(
          Errc::corrupt,
          fmt::format(
              "The batch {} of {} was read again after a restart and is not what it was ({} rows then, {} now). "
              "Repeating it could lose or double rows. Look at what changed in the source before going on.",
              intent.sequence, intent.stream, intent.rows, batch.rows));
    }
    if (exact) PGCH_TRY(keep_missing(batch, intent));
    if (batch.rows == 0) {
      intended(intent);
      return {};
    }
  } else {
    intent = Intent{batch.stream, journal_.next_sequence(batch.stream), {}, batch.position, batch.rows, 0, {}};
    if (exact) {
      // Only a source that replays byte for byte can be held to it.
      if (exact_replay_) intent.content = content_hash(batch);
      PGCH_TRY(persist("marking the target's place", [&]() -> Result<void> {
        PGCH_ASSIGN(intent.mark, loader_.mark());
        return {};
      }));
    }
  }
  if (batch.rows == 0) {
    // Nothing to load, but the position has to be passed: the intent is what names it to the journal.
    PGCH_TRY(persist("writing the journal", [&]() -> Result<void> {
      PGCH_ASSIGN(const std::uint64_t number, journal_.intend(intent, exact));
      intent.attempts.push_back(number);
      return {};
    }));
    intended(intent);
    return {};
  }
  const std::uint64_t rows = batch.rows;
  auto settled = settle_rows(std::move(batch), intent);
  intended(intent);  // with all its attempts, also when it failed: the batch may come again in this process
  PGCH_TRY(std::move(settled));
  counters_.rows_delivered += rows;
  counters_.bytes_delivered += bytes;
  ++counters_.batches;
  return {};
}

Result<void> Settler::settle_halves(const RowBatch& batch, Intent& intent) {
  std::vector<std::uint32_t> rows(batch.rows);
  std::iota(rows.begin(), rows.end(), 0U);
  const std::span<const std::uint32_t> all(rows);
  PGCH_TRY(settle_rows(select_rows(batch, all.first(batch.rows / 2)), intent));
  return settle_rows(select_rows(batch, all.subspan(batch.rows / 2)), intent);
}

Result<void> Settler::settle_rows(RowBatch batch, Intent& intent) {
  std::uint32_t too_big = 0;
  while (batch.rows != 0) {
    if (too_big >= 2 && batch.rows > 1) return settle_halves(batch, intent);
    auto loaded = load_once(batch, intent);
    if (loaded) {
      failures_ = 0;
      return {};
    }
    const Error why = std::move(loaded).error();
    if (why.too_big) ++too_big;
    if (why.in_doubt) {
      ++counters_.in_doubt;
      if (why.recovery != Recovery::halt) PGCH_TRY(wait(why, "loading"));
      if (options_.delivery == Delivery::exactly_once) PGCH_TRY(keep_missing(batch, intent));
      // A person is needed, unless all of it turned out to be there.
      if (why.recovery == Recovery::halt && batch.rows != 0) return why;
      continue;
    }
    switch (why.recovery) {
      case Recovery::halt:
      case Recovery::abandon:
        return why;
      case Recovery::retry:
        PGCH_TRY(wait(why, "loading"));
        break;
      case Recovery::dead_letter:
        return batch.rows == 1 ? set_row_aside(batch, why) : settle_halves(batch, intent);
    }
  }
  return {};
}

Result<void> Settler::load_once(const RowBatch& batch, Intent& intent) {
  due_.at(context_.clock.now());
  const bool exact = options_.delivery == Delivery::exactly_once;
  auto number = journal_.intend(intent, exact);
  if (!number) return std::move(number).error();
  intent.attempts.push_back(*number);
  auto loaded = loader_.load(batch, attempt_of(intent));
  if (!loaded && loaded.error().recovery == Recovery::abandon) {
    Error e = std::move(loaded).error();
    e.recovery = Recovery::halt;  // only a journal can know that a batch is another's
    return e;
  }
  return loaded;
}

Result<void> Settler::keep_missing(RowBatch& batch, const Intent& intent) {
  Landed landed;
  PGCH_TRY(persist("looking for what had landed", [&]() -> Result<void> {
    auto found = loader_.look(intent, batch, attempt_of(intent));
    if (!found) {
      // A look changes nothing, so a lost answer to it is no doubt, just a repetition.
      Error e = std::move(found).error();
      e.in_doubt = false;
      return e;
    }
    landed = *std::move(found);
    return {};
  }));
  const std::size_t there = batch.rows - landed.missing.size();
  counters_.rows_found_landed += there;
  if (there != 0 || batch.rows != 0) {
    context_.log.write(LogLevel::info, fmt::format("batch {} of {}: {} of {} rows had landed", intent.sequence,
                                                   intent.stream, there, batch.rows));
  }
  if (there != 0) batch = select_rows(batch, landed.missing);
  return {};
}

Result<void> Settler::prepare(const std::shared_ptr<const TableSchema>& schema) {
  PGCH_ASSIGN(const LoaderTraits traits, loader_.prepare(*schema));
  if (options_.delivery == Delivery::exactly_once && !traits.can_look) {
    return halt(
        Errc::unsupported,
        fmt::format(
            "Exactly-once delivery into {} can't be promised: {} Mend that, or say delivery = \"at_least_once\".",
            display_name(*schema), traits.why_not));
  }
  prepared_ = schema;
  return {};
}

Result<void> Settler::prepare_for(const RowBatch& batch) {
  if (batch.schema == nullptr || batch.schema == prepared_) return {};
  if (prepared_ != nullptr && *batch.schema == *prepared_) {
    prepared_ = batch.schema;
    return {};
  }
  return persist("preparing the target", [&] { return prepare(batch.schema); });
}

Result<void> Settler::put_dead(const std::string& stream, const std::vector<Rejected>& rejected) {
  if (dead_letters_ == nullptr) {
    return halt(
        Errc::data,
        fmt::format("{} rows of {} can't be moved and there are no dead letters to put them into; the first: {}",
                    rejected.size(), stream, rejected.front().reason));
  }
  return persist("writing dead letters", [&] { return dead_letters_->put(stream, rejected); });
}

Result<void> Settler::set_row_aside(const RowBatch& batch, const Error& why) {
  const auto key = key_indexes(*batch.schema);
  Rejected row{why.message,
               batch.places.empty() ? fmt::format("{} row {} of a batch", batch.stream, batch.ordinal_of(0))
                                    : fmt::format("{}@{}", batch.stream, batch.places[0]),
               key_as_text(batch, 0, key), row_as_text(batch, 0)};
  ++counters_.rows_rejected;
  return put_dead(batch.stream, {std::move(row)});
}

Result<void> Settler::persist(const char* what, const std::function<Result<void>()>& step) {
  // A look that succeeds says nothing of the load that failed before it: that one's waits go on growing.
  const std::uint32_t before = failures_;
  for (;;) {
    auto r = step();
    if (r) {
      failures_ = before;
      return {};
    }
    if (r.error().recovery != Recovery::retry || r.error().in_doubt) return std::move(r).error();
    PGCH_TRY(wait(r.error(), what));
  }
}

Result<void> Settler::wait(const Error& why, const char* what) {
  if (why.recovery == Recovery::abandon) return why;
  ++failures_;
  ++counters_.retries;
  if (options_.retries_max != 0 && failures_ > options_.retries_max) {
    Error e = why;
    e.recovery = Recovery::halt;
    e.message = fmt::format("Gave up {} after {} tries: {}", what, failures_, why.message);
    return e;
  }
  if (context_.stop.stop_requested())
    return Error{Errc::stopped, Recovery::retry, why.in_doubt,
                 "Stopped while " + std::string(what) + ": " + why.message, why.native};
  const std::uint32_t doublings = std::min(failures_ - 1, 16U);
  auto pause = std::min(options_.backoff_min * (1U << doublings), options_.backoff_max);
  // Jitter without a random source: spread by pipeline and count, so that twins do not knock in step.
  pause = pause / 2 + pause * static_cast<long>(hash64(options_.id, failures_) % 1000) / 2000;
  // Loudly at first and once a minute: a night of waiting must not fill the log.
  const auto now = context_.clock.now();
  const bool loudly = failures_ == 1 || now - said_at_ >= std::chrono::minutes(1);
  if (loudly) said_at_ = now;
  context_.log.write(
      loudly ? LogLevel::warning : LogLevel::debug,
      fmt::format("{} failed{}, trying again in {} ms; nothing is lost meanwhile: {}", what,
                  failures_ == 1 ? "" : fmt::format(" {} times in a row", failures_), pause.count(), why.message));
  due_.at(now + pause);
  context_.clock.sleep_until(now + pause, context_.stop);
  if (context_.stop.stop_requested())
    return Error{Errc::stopped, Recovery::retry, why.in_doubt, "Stopped while " + std::string(what) + ".", why.native};
  return {};
}

Attempt Settler::attempt_of(const Intent& intent) const {
  return {options_.id, intent.stream, journal_.generation(), intent.sequence,
          intent.attempts.empty() ? 0 : intent.attempts.back()};
}

}  // namespace pgch
