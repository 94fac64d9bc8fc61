/// RowLookup: whole rows by their keys, for messages that hold only keys (KafkaOptions::format "key").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"
#include "pgch/postgres.h"

namespace pgch {

/// What became of the keys that were asked for. A key that is in neither is gone.
struct Found {
  RowBatch rows;  ///< `ordinals`: each row's index among the keys
  struct Unfit {
    std::uint32_t key = 0;  ///< index
    std::string reason;     ///< a sentence; names column and type, never the value
  };
  std::vector<Unfit> unfit;  ///< rows that are there, with a value that no column can hold
};

/// One thread. Nothing blocks past the context's stop.
class PGCH_EXPORT RowLookup {
 public:
  virtual ~RowLookup() = default;
  /// The context stays valid until close().
  virtual Result<void> open(const Context& context) = 0;
  /// Of `keys` only the key's columns count; the rows have the same schema, and are as they are now: never older than
  /// the message that named them, so it is asked where that message's transaction is visible (a standby may lag).
  /// Error with Recovery::retry: ask again later; Errc::limit: for fewer keys, since the rows of these have more than
  /// bytes_max, as row_bytes() knows by now.
  virtual Result<Found> look_up(const RowBatch& keys, std::size_t bytes_max) = 0;
  /// About how many bytes a row has, as far as is known; bounds a batch's keys.
  virtual std::size_t row_bytes() const noexcept = 0;
  virtual void close() noexcept = 0;
};

struct LookupOptions {
  PostgresOptions postgres;
  std::string table;  ///< "table" or "schema.table"
  ColumnSelection columns;
  std::string own_column;  ///< of the source's method, never read; it need not be there
};
/// Looks up in PostgreSQL, many keys a statement. Needs SELECT on the table.
PGCH_EXPORT Result<std::unique_ptr<RowLookup>> make_lookup(LookupOptions options);

}  // namespace pgch
