/// Journal: the memory that makes "exactly once" true. Intent first, then the load, then the acknowledgement, then
/// done.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"

namespace pgch {

/// Any thread may call any member after open().
class PGCH_EXPORT Journal {
 public:
  virtual ~Journal() = default;
  /// Takes the journal for this process alone. Errc::conflict if another process has it; Errc::corrupt if it cannot be
  /// trusted: a journal that can't be read stops the pipeline, it is never "started from zero".
  virtual Result<void> open(const Context& context) = 0;
  /// Rises each time the journal is made anew; part of every token.
  virtual std::uint64_t generation() const noexcept = 0;
  /// Intents without a done, of all streams, in the order of their sequence.
  virtual Result<std::vector<Intent>> pending() = 0;
  /// The next unused sequence of a stream.
  virtual std::uint64_t next_sequence(const std::string& stream) = 0;
  /// Writes the intent down with one more attempt, and returns that attempt's number once a crash cannot undo it.
  /// `durable = false` (at-least-once): only a number, which no later process gets again.
  virtual Result<std::uint64_t> intend(const Intent& intent, bool durable) = 0;
  /// The batch is at the target and acknowledged at the source. May be lazy: if a crash undoes it, the batch is looked
  /// for and found.
  virtual Result<void> done(const std::string& stream, std::uint64_t sequence) = 0;
  virtual void close() noexcept = 0;
  /// False: it is forgotten with the process, so exactly-once holds only as long as that lives.
  virtual bool durable() const noexcept { return true; }
};

/// Dead letters: rows and messages that can never be delivered as they are. Any thread.
class PGCH_EXPORT DeadLetters {
 public:
  virtual ~DeadLetters() = default;
  virtual Result<void> open(const Context& context) = 0;
  /// Returns when all of them are durable.
  virtual Result<void> put(const std::string& stream, const std::vector<Rejected>& rejected) = 0;
  virtual void close() noexcept = 0;
};

}  // namespace pgch
