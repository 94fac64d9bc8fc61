// Settler: makes one batch durable, exactly once. This is the delivery protocol; test/sim crashes it at every step.
//
//   settle(B) := dead letters of B's rejected rows
//                [ if B was intended before: look → keep what is missing ]
//                while rows are left:
//                    INTEND (durable)           a crash from here on finds the intent and looks
//                    load under a fresh attempt number
//                      ok        → settled
//                      in doubt  → look → keep what is missing
//                      refused   → wait, again (nothing is there)
//                      bad data  → halve; a single row goes to the dead letters
//                      else      → the pipeline halts, the intent stays open
//
// Why a fresh number each time: a target may have logged the token without having the rows, and would drop an honest
// repetition; and it may not have logged it and have the rows. So neither is trusted: look, then repeat as something
// new.
#pragma once

#include <atomic>
#include <functional>
#include <stop_token>
#include <string>

#include "pgch/journal.h"
#include "pgch/loader.h"
#include "pgch/pipeline.h"
#include "pipeline/due.h"

namespace pgch {

// Counters of a flow, written by its threads, read by anybody.
struct FlowCounters {
  std::atomic<std::uint64_t> rows_extracted{0}, rows_delivered{0}, rows_rejected{0}, bytes_delivered{0}, batches{0},
      retries{0}, in_doubt{0}, rows_found_landed{0}, bytes_in_flight{0};
};

class Settler {
 public:
  // All are borrowed. `dead_letters` may be null: then a rejected row halts.
  Settler(const PipelineOptions& options, Loader& loader, Journal& journal, DeadLetters* dead_letters,
          FlowCounters& counters, Due& due, const Context& context, bool exact_replay);
  // Returns when all rows of `batch` are durable at the target or in the dead letters. `batch` is consumed.
  // Before the first attempt `intended` is called with the intent, so that the flow can recognise the batch if it comes
  // again.
  Result<void> settle(RowBatch& batch, const std::function<void(const Intent&)>& intended);
  // Makes the target ready for this schema, in one try; settle() does it for a batch whose schema is another.
  Result<void> prepare(const std::shared_ptr<const TableSchema>& schema);

 private:
  Result<void> settle_rows(RowBatch batch, Intent& intent);
  Result<void> settle_halves(const RowBatch& batch, Intent& intent);
  Result<void> load_once(const RowBatch& batch, Intent& intent);
  Result<void> keep_missing(RowBatch& batch, const Intent& intent);
  Result<void> prepare_for(const RowBatch& batch);
  Result<void> put_dead(const std::string& stream, const std::vector<Rejected>& rejected);
  Result<void> set_row_aside(const RowBatch& batch, const Error& why);
  // Repeats `step` while it fails with Recovery::retry, with backoff; a doubt is returned at once.
  Result<void> persist(const char* what, const std::function<Result<void>()>& step);
  Result<void> wait(const Error& why, const char* what);
  Attempt attempt_of(const Intent& intent) const;

  const PipelineOptions& options_;
  Loader& loader_;
  Journal& journal_;
  DeadLetters* dead_letters_;
  FlowCounters& counters_;
  Due& due_;  // of the thread that calls settle()
  Context context_;
  bool exact_replay_;
  std::shared_ptr<const TableSchema> prepared_;
  std::uint32_t failures_ = 0;  // consecutive
  Clock::TimePoint said_at_{};  // when a wait was last told of loudly
};

}  // namespace pgch
