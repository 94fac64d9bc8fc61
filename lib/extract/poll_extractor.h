// The poll method. Why it loses and doubles nothing (but for the plain form), together with the pipeline's journal:
//   - rows are read in the cursor's order, a round's or up to the oldest running transaction, and nothing can appear
//     behind the cursor later: what a snapshot sees does not change, and below the oldest nobody writes any more;
//   - a batch's position holds the cursor behind it and the keys and stamps of its rows: after a crash just these are
//     read again, by their keys. A row that got another stamp since goes with a later round;
//   - the cursor is saved when a batch is acknowledged, in order, and only then is that told: what lies between the
//     cursor and the last open intent is what the journal holds;
//   - what a snapshot saw is on the server's disk before its rows are read: a crash of the server can neither take them
//     back nor give the numbers of their transactions to others.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "extract/keyed_cut.h"
#include "extract/poll_store.h"
#include "extract/poll_table.h"
#include "extract/stream_guard.h"
#include "pg/copy_stream.h"

namespace pgch {

class PollExtractor final : public Extractor {
 public:
  explicit PollExtractor(PollOptions options) : options_(std::move(options)) {}
  ~PollExtractor() override { close(); }

  ExtractorTraits traits() const noexcept override {
    return {false, options_.listen ? "notify" : "poll", options_.listen};
  }
  Result<void> open(const Context& context, std::vector<Intent> pending) override;
  std::shared_ptr<const TableSchema> known_schema() const override { return table_ ? table_->schema : nullptr; }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override;
  Result<void> acknowledge(const std::string& stream, const Position& position) override;
  std::vector<Acknowledged> take_acknowledged() override;
  void abandon(const std::string& stream, const Position& position) noexcept override;
  void close() noexcept override;

 private:
  /// A batch that was handed out, or is to be handed out again.
  struct Out {
    Position position;
    PollCursor cursor;  ///< once it is delivered
    bool delivered = false;
    std::optional<Intent> intent;  ///< of an earlier process
  };
  /// A COPY under way, in a transaction of its own.
  struct Reading {
    std::optional<pg::CopyStream> copy;
    std::span<const std::byte> message;  ///< read but not decoded: it belongs to the next batch
    bool began = false;                  ///< the stream's header was seen
    std::uint64_t limit = 0, taken = 0;
  };
  /// Plain form with a lag: the highest key there was, and when.
  struct Sample {
    Clock::TimePoint at;
    std::vector<std::string> key;
  };
  enum class Begun : std::uint8_t { reading, nothing, later };
  enum class Read : std::uint8_t { rows, none, timeout };

  Result<void> load_cursor(const std::vector<Intent>& pending);
  Result<PollCursor> first_cursor();
  Result<void> check_time(const PollCursor& cursor);
  Result<void> check_cursor(const PollCursor& cursor) const;
  Result<void> check_timeline(std::uint64_t version);
  Result<void> take_pending(std::vector<Intent> pending);
  Result<void> connect();
  Result<void> guard();
  Result<void> claim(StreamGuard& guard) const;
  Result<bool> await_news(const pg::Wait& wait);
  Result<Begun> begin(const BatchLimits& limits);
  Result<Begun> find_bound(std::vector<std::string>& bound);
  Result<void> start_copy(const std::string& now, const std::vector<std::string>& bound, const BatchLimits& limits);
  Result<Read> read(RowBatch& into, const BatchLimits& limits, const pg::Wait& wait);
  Result<void> end_of_rows();
  void end_of_round();
  void seal(RowBatch& into);
  Result<Fetch> replay(RowBatch& into);
  Result<void> save();
  Error failed(Error error);
  pg::Wait patience() const { return {context_->clock.now() + std::chrono::seconds(30), context_->stop}; }

  PollOptions options_;
  std::optional<Context> context_;
  std::string stream_;
  std::optional<PollTable> table_;
  std::optional<KeyedCut> cut_;
  std::unique_ptr<PollCursorStore> store_;
  std::unique_ptr<StreamGuard> guard_;
  std::unique_ptr<pg::Connection> reader_;
  std::optional<Reading> reading_;
  std::unique_ptr<pg::Connection> listener_;  // notify: idle between the notifications
  bool news_ = true;                          // notify: there may be rows
  Clock::TimePoint look_at_{};                // notify: look then, whatever is heard
  PollCursor saved_;                          // as it lies in the store
  PollCursor next_;                           // behind everything that was handed out
  std::deque<Out> outs_;                      // handed out and not yet told as acknowledged, by number
  std::deque<Out> replays_;                   // to be handed out again, by number, before anything new
  std::deque<Sample> samples_;
  std::uint64_t version_ = 0;  // of what is being read
  bool whole_ = false;         // the last COPY was read to its end, and there was no more
  std::vector<Acknowledged> acknowledged_;
};

}  // namespace pgch
