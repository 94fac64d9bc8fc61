/// Extractor: where rows come from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"

namespace pgch {

struct ExtractorTraits {
  /// A replayed batch has exactly the rows and bytes it had at first (Kafka); else it may have fewer (flag, outbox).
  bool exact_replay = false;
  /// Human name of the method, for logs and status: "flag", "kafka".
  const char* method = "";
  /// fetch() itself waits for new rows until its deadline; else the pipeline waits before it asks an idle source again.
  bool waits = false;
};

/// What fetch() found.
enum class Fetch : std::uint8_t {
  rows,  ///< `into` holds a batch (possibly of zero rows, if it replays an intent that needs nothing more)
  idle,  ///< nothing to read at the moment, and everything handed out before was read to its end
  busy,  ///< nothing can be read until something handed out is acknowledged or abandoned
  end,   ///< there will never be more
};

struct Acknowledged {
  std::string stream;
  Position position;
};

/// Reads one or more ordered streams. One thread calls: open, (fetch | acknowledge | abandon)*, close.
/// Nothing blocks past a deadline or the context's stop.
class PGCH_EXPORT Extractor {
 public:
  virtual ~Extractor() = default;
  virtual ExtractorTraits traits() const noexcept = 0;
  /// Connects and checks that everything needed is there and allowed. `pending` are the intents that an earlier process
  /// left open: the first batches handed out repeat exactly their positions, with `RowBatch::intent` set, before
  /// anything new. The context stays valid until close().
  virtual Result<void> open(const Context& context, std::vector<Intent> pending) = 0;
  /// After open(): what batches will look like, if that is known by now; then the target is made ready before the first
  /// batch, and also if none ever comes.
  virtual std::shared_ptr<const TableSchema> known_schema() const { return nullptr; }
  /// Fills `into` (any previous content is discarded, its memory reused). Sets schema, columns, version, stream,
  /// position. Several batches may be out at once. An Error with Recovery::retry means: call again after a wait; the
  /// extractor has put itself back into a state from which that works (reconnecting if need be), and batches that were
  /// out and that it could no longer acknowledge will be handed out again.
  virtual Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) = 0;
  /// The batch of this stream and position is durable at the far end: set the flag, delete the row, forget it. Called
  /// once for each batch handed out and not abandoned, in the stream's order. It may only begin the work; what has
  /// become durable at the source is told by take_acknowledged(). An Error with Recovery::retry: the source lost the
  /// batch (a connection died); it hands the same position out again, and the pipeline looks for it at the target
  /// before anything is repeated.
  virtual Result<void> acknowledge(const std::string& stream, const Position& position) = 0;
  /// The acknowledgements that are durable at the source by now, each told once. Only then is the intent closed: a
  /// crash before leaves it open, and its rows are looked for at the target, found, and marked.
  virtual std::vector<Acknowledged> take_acknowledged() = 0;
  /// The batch will not be delivered now: release what is held for it, mark nothing.
  virtual void abandon(const std::string& stream, const Position& position) noexcept = 0;
  /// Finishes acknowledgements that are still under way, then lets go of everything. After it, open() may be called
  /// again.
  virtual void close() noexcept = 0;
};

}  // namespace pgch
