// What the poll method knows of its table, and the statements of each form. A row's stamp is its transaction's number
// (by the column, or its xmin made 64 bits wide), and 0 in the plain form. The keys are what rows are ordered by within
// a stamp: the table's key, in the plain form behind the cursor's columns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "extract/keyed_table.h"
#include "extract/poll_cursor.h"
#include "pgch/extract/poll.h"

namespace pgch {

struct PollTable : KeyedTable {
  PollForm form = PollForm::snapshots;
  std::string stamp;   ///< as SQL
  std::string source;  ///< server, database, table
  std::string schema_quoted;
  bool indexed = false;  ///< rows come in the cursor's order without a sort

  std::vector<std::string> order_names() const;
  /// COPY of up to `limit` rows behind `cursor`, in order, as the snapshot `now` sees them. Parameters are in settings:
  /// cursor.after in pgch.k0 …; with `bound` (plain) only rows up to the key in pgch.b0 ….
  std::string select(const PollCursor& cursor, const std::string& now, std::uint64_t limit, bool bound) const;
  /// SELECT of how many rows lie behind `cursor`, with the same settings.
  std::string count(const PollCursor& cursor, const std::string& now) const;
  /// The rows with the keys in $1 … (text arrays), their number at the end.
  std::string select_again() const;
  /// The highest keys there are, as texts; no row if there is none.
  std::string select_last() const;
  std::string set_bound() const;

 private:
  std::string where(const PollCursor& cursor, const std::string& now) const;
};

Result<PollTable> describe_poll_table(pg::Connection& connection, const PollOptions& options, const Context& context);

}  // namespace pgch
