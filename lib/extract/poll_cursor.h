// How far the poll method has read: what is saved, and what each batch's position begins with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "extract/keyed_position.h"
#include "pgch/extract/poll.h"

namespace pgch {

struct PollCursor {
  PollForm form = PollForm::snapshots;
  std::string source;                ///< server, database and table: a cursor means nothing elsewhere
  std::vector<std::string> columns;  ///< names of the columns that rows are ordered by, after the stamp
  std::uint64_t number = 0;          ///< of the last batch; 0: none yet
  std::uint64_t version = 0;         ///< that batch's
  std::string seen;   ///< snapshots: everything this snapshot sees was read; empty: nothing. As PostgreSQL prints it
  std::string round;  ///< snapshots: what this one sees beyond `seen` is being read; empty: no round is under way
  std::uint64_t floor = 0;  ///< xid, xmin: earlier stamps are left out
  bool between = false;     ///< within the order; the two below say behind which row
  std::uint64_t stamp = 0;
  std::vector<std::string> after;  ///< one text for each of `columns`
  bool operator==(const PollCursor&) const = default;
};

std::string encode(const PollCursor& cursor);
/// Errc::corrupt if it is not one.
Result<PollCursor> decode_poll_cursor(std::string_view bytes);

/// A batch's: the cursor once it is delivered, and which rows it held.
struct PollPosition {
  PollCursor cursor;
  KeyedPosition rows;
};
Position encode(const PollPosition& position);
Result<PollPosition> decode_poll_position(const Position& position);

/// The parts of a snapshot as PostgreSQL prints it, "xmin:xmax:xip,…".
struct SnapshotBounds {
  std::uint64_t xmin = 0, xmax = 0;
};
SnapshotBounds bounds_of(std::string_view snapshot) noexcept;
/// The lowest transaction that `round` may see and `seen` does not. One that runs through both is not among them, or
/// each round would read everything since it began.
std::uint64_t lowest_news(std::string_view seen, std::string_view round);

}  // namespace pgch
