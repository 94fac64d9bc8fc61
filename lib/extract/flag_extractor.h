// The flag method. Why it is exactly once, together with the pipeline's journal:
//   - rows are locked before they are read and until they are marked, in one transaction: nobody else sends them, and
//   what
//     is marked is what was read;
//   - the marks are committed only after delivery, and told as acknowledged only after the commit: a crash in between
//   leaves
//     the intent open, and its rows are read again by their keys (`replays_`) before anything new;
//   - a row that was changed meanwhile has another xmin: it is not part of the replay, and goes the ordinary way later;
//   - while a batch is lost (its transaction died) and not yet handed out again, nothing new is read: its rows are
//   unlocked,
//     and would come a second time under another intent.
// The version of a batch is the WAL's flush position, read after its rows were locked. Any earlier mark of these rows
// was committed, so flushed, before we could lock them: hence it rises for each row, and a crash of the server can't
// turn it back.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "extract/flag_guard.h"
#include "extract/flag_lane.h"
#include "extract/keyed_cut.h"
#include "pgch/extract/flag.h"

namespace pgch {

class FlagExtractor final : public Extractor {
 public:
  explicit FlagExtractor(FlagOptions options) : options_(std::move(options)) {}
  ~FlagExtractor() override { close(); }

  ExtractorTraits traits() const noexcept override { return {false, "flag"}; }
  Result<void> open(const Context& context, std::vector<Intent> pending) override;
  std::shared_ptr<const TableSchema> known_schema() const override { return table_ ? table_->schema : nullptr; }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override;
  Result<void> acknowledge(const std::string& stream, const Position& position) override;
  std::vector<Acknowledged> take_acknowledged() override;
  void abandon(const std::string& stream, const Position& position) noexcept override;
  void close() noexcept override;

 private:
  enum class Read : std::uint8_t { rows, none, timeout };

  Result<void> connect(FlagLane& lane);
  Result<Fetch> replay(FlagLane& lane, RowBatch& into);
  Result<void> select(FlagLane& lane, const BatchLimits& limits, const pg::Wait& wait);
  Result<Read> read(FlagLane& lane, RowBatch& into, const BatchLimits& limits, const pg::Wait& wait);
  Result<void> seal(FlagLane& lane, RowBatch& into);
  void end_of_rows(FlagLane& lane);
  void set_hint(const FlagLane& lane);
  Result<std::optional<Fetch>> fetch_new(FlagLane& lane, RowBatch& into, const BatchLimits& limits,
                                         const pg::Wait& wait);
  Result<void> wait_marks(const pg::Wait& wait);
  Result<void> await_marks(const pg::Wait& wait, bool all);
  void pump();
  void drop(FlagLane& lane);
  void drop_all();
  void finish(FlagLane& lane);
  /// The stream of the whole table, if this is a share of it; else empty.
  std::string shared_table() const;
  FlagLane* free_lane();
  bool anything_out() const;
  Error failed(FlagLane& lane, Error error);
  Result<void> drain_reading(FlagLane& lane, const pg::Wait& wait);

  FlagOptions options_;
  const Context* context_ = nullptr;
  std::optional<Context> context_copy_;
  std::string stream_;
  std::optional<FlagTable> table_;
  std::unique_ptr<FlagGuard> guard_;
  std::vector<FlagLane> lanes_;
  std::size_t turn_ = 0;
  std::deque<FlagOut> replays_;   // to be handed out (again) before anything new
  std::vector<FlagOut> orphans_;  // out, but their transaction died: wait for acknowledge() or abandon()
  std::vector<FlagOut> hollow_;   // out, with nothing to mark
  std::vector<Acknowledged> acknowledged_;
  std::uint64_t losses_ = 0;      ///< transactions with batches in them that died
  std::uint64_t releases_ = 0;    ///< transactions that ended with rows locked and not marked
  std::optional<Error> failure_;  // of work that nobody waited for
  std::optional<KeyedCut> cut_;
  std::vector<std::string> hint_;  // the last key seen; empty: start from the beginning
  std::vector<std::string> last_key_;
};

}  // namespace pgch
