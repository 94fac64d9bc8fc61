/// Loader: where rows become durable. ClickHouse over HTTP, the embedded engine, and the producing end of Kafka are
/// loaders.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"

namespace pgch {

struct LoaderTraits {
  /// look() can tell which rows of a batch are there, so exactly-once can be promised.
  bool can_look = false;
  /// Why not, if it can't: a sentence for the user.
  std::string why_not;
};

/// Names one try at one batch. The same attempt is never used for different bytes; a repetition has a new number.
struct Attempt {
  std::string pipeline;
  std::string stream;
  std::uint64_t generation = 0;  ///< of the journal: rises when it is made anew
  std::uint64_t sequence = 0;    ///< the batch's number in its stream
  std::uint64_t number = 0;      ///< unique and rising within the stream and generation
};
/// "pipeline:stream:generation:sequence:number": query id and insert_deduplication_token.
PGCH_EXPORT std::string token_of(const Attempt& attempt);

/// What look() found: the rows (indexes into the batch that was asked about) that are NOT at the target.
struct Landed {
  std::vector<std::uint32_t> missing;
};

/// One object, one connection, one thread; Stages::more_loaders has others beside it.
class PGCH_EXPORT Loader {
 public:
  virtual ~Loader() = default;
  /// Connects and finds out what the server itself can do.
  virtual Result<void> open(const Context& context) = 0;
  /// Called before the first batch of a schema, and again when it changes: creates the table (or topic) if that is
  /// allowed, or proves that every column fits without loss; says what was found.
  virtual Result<LoaderTraits> prepare(const TableSchema& schema) = 0;
  /// What has to be remembered before the first attempt so that look() can find it again (Kafka: end offsets). May be
  /// empty.
  virtual Result<std::string> mark() = 0;
  /// Returns when ALL rows are confirmed durable. Otherwise nothing is there (Error), or it is not known
  /// (Error::in_doubt). Errc::data with Recovery::dead_letter means: nothing was written and some row in the batch can
  /// never be.
  virtual Result<void> load(const RowBatch& batch, const Attempt& attempt) = 0;
  /// Makes sure that no earlier attempt of this intent is still running at the target, then finds out which of
  /// `batch`'s rows (a replay of the intent's rows; fewer are allowed) are there.
  virtual Result<Landed> look(const Intent& intent, const RowBatch& batch, const Attempt& last) = 0;
  virtual void close() noexcept = 0;
};

}  // namespace pgch
