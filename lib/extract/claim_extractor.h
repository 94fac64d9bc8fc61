// The methods that claim rows at the source (flag, outbox). Why they are exactly once, together with the pipeline's
// journal:
//   - claims are locked before they are read and until they are settled, in one transaction: nobody else sends them,
//   and
//     what is settled is what was read;
//   - settling is committed only after delivery, and told as acknowledged only after the commit: a crash in between
//     leaves the intent open, and its claims are read again by their keys (`replays_`) before anything new;
//   - a claim that was changed meanwhile has another xmin: it is not part of the replay, and goes the ordinary way
//   later;
//   - while a batch is lost (its transaction died) and not yet handed out again, nothing new is read: its claims are
//     unlocked, and would come a second time under another intent.
// The version of a batch is the WAL's flush position, read after its claims were locked, so that it rises for each row,
// and a crash of the server can't turn it back: flag locks the rows themselves, and an earlier mark of them was
// committed, so flushed, before. The rows of an outbox may change while they are under way, so each of its batches has
// a position of its own (locks_rows): a later batch, which saw as much or more, has a higher one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "extract/claim_lane.h"
#include "extract/keyed_cut.h"
#include "extract/stream_guard.h"
#include "pgch/extractor.h"
#include "pgch/postgres.h"

namespace pgch {

struct ClaimOptions {
  const char* method = "";
  PostgresOptions postgres;
  std::string stream;  ///< empty: "<method>:<schema.table>", and the share
  std::uint32_t share = 1, shares = 1;
  std::uint32_t lanes = 2;
  std::uint32_t lock_timeout_ms = 10'000;
  /// Reads the catalog, and says what is wrong with the table.
  std::function<Result<std::unique_ptr<ClaimTable>>(pg::Connection&, const Context&)> describe;
};

class ClaimExtractor final : public Extractor {
 public:
  explicit ClaimExtractor(ClaimOptions options) : options_(std::move(options)) {}
  ~ClaimExtractor() override { close(); }

  ExtractorTraits traits() const noexcept override { return {false, options_.method}; }
  Result<void> open(const Context& context, std::vector<Intent> pending) override;
  std::shared_ptr<const TableSchema> known_schema() const override { return table_ ? table_->schema : nullptr; }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override;
  Result<void> acknowledge(const std::string& stream, const Position& position) override;
  std::vector<Acknowledged> take_acknowledged() override;
  void abandon(const std::string& stream, const Position& position) noexcept override;
  void close() noexcept override;

 private:
  enum class Read : std::uint8_t { rows, none, timeout };

  Result<void> connect(ClaimLane& lane);
  Result<Fetch> replay(ClaimLane& lane, RowBatch& into);
  Result<void> select(ClaimLane& lane, const BatchLimits& limits, const pg::Wait& wait);
  Result<Read> read(ClaimLane& lane, RowBatch& into, const BatchLimits& limits, const pg::Wait& wait);
  Result<void> seal(ClaimLane& lane, RowBatch& into);
  void end_of_rows(ClaimLane& lane);
  void set_hint(const ClaimLane& lane);
  Result<std::optional<Fetch>> fetch_new(ClaimLane& lane, RowBatch& into, const BatchLimits& limits,
                                         const pg::Wait& wait);
  Result<void> wait_marks(const pg::Wait& wait);
  Result<void> await_marks(const pg::Wait& wait, bool all);
  void pump();
  void drop(ClaimLane& lane);
  void drop_all();
  void finish(ClaimLane& lane);
  /// The stream of the whole table, if this is a share of it; else empty.
  std::string shared_table() const;
  ClaimLane* free_lane();
  bool anything_out() const;
  Error failed(ClaimLane& lane, Error error);
  Result<void> drain_reading(ClaimLane& lane, const pg::Wait& wait);

  ClaimOptions options_;
  const Context* context_ = nullptr;
  std::optional<Context> context_copy_;
  std::string stream_;
  std::unique_ptr<ClaimTable> table_;
  std::unique_ptr<StreamGuard> guard_;
  std::vector<ClaimLane> lanes_;
  std::size_t turn_ = 0;
  std::deque<ClaimOut> replays_;   // to be handed out (again) before anything new
  std::vector<ClaimOut> orphans_;  // out, but their transaction died: wait for acknowledge() or abandon()
  std::vector<ClaimOut> hollow_;   // out, with nothing to mark
  std::vector<Acknowledged> acknowledged_;
  std::uint64_t losses_ = 0;      ///< transactions with batches in them that died
  std::uint64_t releases_ = 0;    ///< transactions that ended with rows locked and not marked
  std::optional<Error> failure_;  // of work that nobody waited for
  std::optional<KeyedCut> cut_;
  std::vector<std::string> hint_;  // the last key seen; empty: start from the beginning
  std::vector<std::string> last_key_;
};

/// Errc::config if share or lanes are out of their ranges.
Result<void> check_claim_options(const ClaimOptions& options);

}  // namespace pgch
