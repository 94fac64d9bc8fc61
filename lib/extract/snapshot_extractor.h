// The snapshot extractor: what is to be read, who reads it, what is out, what is finished.
//
// Why it is exactly once, together with the pipeline's journal (docs/decisions/0004-snapshot.md has the reasons):
//   - a batch is one range of ctid as of one snapshot: the same rows, in the same order, whoever reads it;
//   - a range is in the progress file (fsync) before its batch is told as acknowledged; a crash in between leaves the
//     intent open, and its range is handed out again before anything new;
//   - under a new snapshot each finished range is compared with what it was: rows that came since are read, too, so an
//     UPDATE that moved a row from a range not read yet into one that was loses nothing.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "extract/snapshot_progress.h"
#include "extract/snapshot_reader.h"

namespace pgch {

class SnapshotExtractor final : public Extractor {
 public:
  explicit SnapshotExtractor(SnapshotOptions options) : options_(std::move(options)) {}
  ~SnapshotExtractor() override { close(); }

  ExtractorTraits traits() const noexcept override { return {false, "snapshot", true}; }
  Result<void> open(const Context& context, std::vector<Intent> pending) override;
  std::shared_ptr<const TableSchema> known_schema() const override { return table_ ? table_->schema : nullptr; }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override;
  Result<void> acknowledge(const std::string& stream, const Position& position) override;
  std::vector<Acknowledged> take_acknowledged() override { return std::exchange(acknowledged_, {}); }
  void abandon(const std::string& stream, const Position& position) noexcept override;
  void close() noexcept override;

 private:
  /// Something for a worker to do.
  struct Work {
    enum class Kind : std::uint8_t {
      read,    ///< the piece's rows
      replay,  ///< a batch that an earlier process had under way
      recheck  ///< whether a finished range is still what it was; and what came since
    };
    Kind kind = Kind::read;
    SnapshotPiece piece;
    bool whole = false;                        ///< of a relation without ctid: all of it
    std::optional<std::uint64_t> rows_before;  ///< recheck: that the range had
    std::optional<std::uint64_t> rows_after;   ///< read of what came since: rows of the whole range with them
    SnapshotPosition old;                      ///< replay
    std::optional<Intent> intent;              ///< replay
  };
  /// What becomes of a batch that is out when it is acknowledged.
  struct Out {
    std::uint32_t part = 0;
    std::optional<FinishedRange> finished;
    std::uint64_t bytes = 0;
    std::optional<Work> then;
  };
  struct Ready {
    RowBatch batch;
    Out out;
    bool replay = false;
    std::size_t size = 0;
  };
  struct Note {
    std::uint32_t part = 0;
    FinishedRange finished;
    std::uint64_t bytes = 0;
  };
  /// How dense a part is, learned while reading.
  struct Density {
    std::uint64_t blocks = 0, rows = 0, bytes = 0;
    std::uint64_t guess = 0;             ///< blocks of a range, until something was read
    std::vector<double> column_bytes{};  ///< of a row, by column
  };

  // Planning, in open().
  Result<void> plan(std::vector<Intent> pending);
  Result<void> check_target() const;
  Result<void> check_same_plan() const;
  Result<void> plan_parts();
  Result<void> plan_replays(std::vector<Intent> pending, std::map<std::uint32_t, RangeMap>& planned);
  void plan_part(const SnapshotPart& part, const RangeMap& ranges);
  const SnapshotPart* find_part(std::uint32_t oid) const noexcept;
  void add_status();

  // A worker's thread.
  void work_loop(std::size_t worker);
  std::optional<Work> next_work();
  Result<void> perform(SnapshotReader& reader, Work& work);
  Result<void> perform_read(SnapshotReader& reader, const Work& work);
  Result<void> perform_whole(SnapshotReader& reader, const Work& work);
  Result<void> perform_replay(SnapshotReader& reader, Work& work);
  Result<void> perform_recheck(SnapshotReader& reader, Work& work);
  void hand_over(RowBatch&& batch, const SnapshotPosition& position, Out out, std::optional<Intent> intent);
  void split(const Work& work);
  void learn(const Work& work, const SnapshotReader& reader, const RowBatch& batch);
  void reserve(const SnapshotPiece& piece, RowBatch& batch) const;
  std::uint64_t blocks_of_range(const SnapshotPart& part) const;
  std::uint64_t tapered(std::uint64_t blocks) const;
  RowBatch blank();
  SnapshotPosition position_of(const Work& work, std::uint64_t rows) const;
  void note_change(const std::string& sentence);
  std::uint64_t disk_bytes(const SnapshotPart& part, PlaceRange range) const noexcept;

  // The caller's thread.
  void start(const BatchLimits& limits);
  bool finished_reading() const;  // with the lock held
  Result<void> write_notes();
  Result<void> write_end();
  void tell_end();

  SnapshotOptions options_;
  std::optional<Context> context_;
  std::shared_ptr<SnapshotStatus> status_;
  std::optional<SnapshotTable> table_;
  std::optional<SnapshotProgress> progress_;
  std::unique_ptr<pg::Connection> first_connection_;
  std::uint64_t version_ = 0;
  bool anew_ = false;  ///< there was no progress file, or it is not to count
  std::string stream_;
  std::stop_source stop_;
  std::optional<std::stop_callback<std::function<void()>>> pass_stop_;
  std::vector<std::thread> workers_;
  BatchLimits limits_;

  mutable std::mutex mutex_;  // guards what is between here and the next comment
  std::condition_variable wake_workers_, wake_fetch_;
  std::deque<Work> replays_, rechecks_, queue_;
  std::deque<std::pair<const SnapshotPart*, PlaceRange>> gaps_;
  std::map<const SnapshotPart*, Density> density_;
  std::uint64_t cut_ = 0;         // ranges cut off the gaps so far
  std::size_t replays_left_ = 0;  // not handed out yet
  std::size_t active_ = 0;        // workers at something
  std::deque<Ready> ready_;
  std::size_t ready_bytes_ = 0;
  std::vector<RowBatch> blanks_;
  std::vector<Note> notes_;
  std::vector<std::string> changes_;
  std::optional<Error> failure_;
  bool over_ = false;

  // The caller's thread alone:
  std::map<std::pair<std::string, std::string>, Out> out_;
  std::vector<Acknowledged> acknowledged_;
  std::uint64_t handed_out_ = 0;
  bool started_ = false, ended_ = false, incomplete_ = false;
};

}  // namespace pgch
