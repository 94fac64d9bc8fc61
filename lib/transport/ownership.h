// The partitions that this process owns at the moment, and the batches of them that are out. The extractor's thread and
// the loader's (through the journal) both work on it, under its lock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/consumer.h"
#include "pgch/batch.h"
#include "pgch/error.h"
#include "pgch/journal.h"
#include "transport/intent_note.h"

namespace pgch::transport {

/// A batch that was handed out: the records from `first` up to, not including, `next`.
struct HandedOut {
  std::int64_t first = 0, next = 0;
  HighWaters before, after;
  std::uint64_t sequence = 0, first_attempt = 0;  ///< 0 until intended
  bool intended = false;                          ///< its intent is committed, or is being committed
  bool finished = false;                          ///< it is at the target
};

struct Owned {
  std::int32_t partition = 0;
  std::uint64_t epoch = 0;  ///< of the assignment: a position of an earlier one means nothing any more
  Note note;                ///< sequence and attempt as last given out
  std::deque<HandedOut> out;
  std::int64_t done_next = 0;  ///< everything before it is at the target
  HighWaters done_waters;
  bool dirty = false;     ///< done_next is not committed yet
  bool revoking = false;  ///< nothing new is begun
  bool restart = false;   ///< a batch was abandoned: read again from the committed offset

  HandedOut* find(std::int64_t first) noexcept;
  bool under_way() const noexcept;  ///< some batch is intended and not finished
  /// Takes finished batches off the front.
  void settle();
};

class Ownership {
 public:
  explicit Ownership(std::string topic) : topic_(std::move(topic)) {}

  std::string stream_of(std::int32_t partition) const { return topic_ + "/" + std::to_string(partition); }
  Owned* find(std::string_view stream);  ///< with the lock held
  bool any_out();                        ///< some batch is handed out, to be read again, or being given up
  /// Marks the batch finished; nothing if it is not ours any more.
  void finish(const std::string& stream, const Position& position);
  void finish(const std::string& stream, std::uint64_t sequence);
  /// Commits what is finished and was not committed, if nothing is out there. Stale ownership is no error.
  Result<void> close_partition(std::int32_t partition);

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::int32_t, Owned> owned;
  std::shared_ptr<kafka::Consumer> consumer;

 private:
  std::string topic_;
};

struct PartitionPosition {
  std::uint64_t epoch = 0;
  std::int64_t first = 0, next = 0;
};
Position encode_position(const PartitionPosition& position);
std::optional<PartitionPosition> decode_position(const Position& position);

/// "This partition is no longer ours": the pipeline abandons the batch; whoever owns the partition now settles it.
Error revoked_error(const std::string& stream);

std::shared_ptr<Journal> make_commit_journal(std::shared_ptr<Ownership> ownership);

}  // namespace pgch::transport
