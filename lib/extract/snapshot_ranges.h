// What is known of each range of one file: read, and as of when, or not read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "extract/snapshot_position.h"

namespace pgch {

/// A range that is durable at the target.
struct FinishedRange {
  PlaceRange range;
  std::uint64_t as_of = 0;            ///< version of the point: what came since is looked for under a new one
  std::optional<std::uint64_t> rows;  ///< that it had; nullopt: not known any more, since a part of it was read anew
};

/// Not thread-safe.
class RangeMap {
 public:
  /// Takes the place of what was known of the range.
  void finish(const FinishedRange& finished);
  std::vector<FinishedRange> finished() const;
  /// What of `whole` is not finished, in order.
  std::vector<PlaceRange> missing(PlaceRange whole) const;
  /// All of it is finished, nowhere as of an earlier point.
  bool covers(PlaceRange range, std::uint64_t as_of) const;
  void clear() noexcept { map_.clear(); }

 private:
  std::map<Place, FinishedRange> map_;  // by its beginning; they don't overlap
};

}  // namespace pgch
