#include "extract/snapshot_ranges.h"

#include <algorithm>

namespace pgch {

void RangeMap::finish(const FinishedRange& finished) {
  const auto [from, to] = finished.range;
  if (from >= to) return;
  auto at = map_.lower_bound(from);
  if (at != map_.begin() && std::prev(at)->second.range.to > from) --at;
  while (at != map_.end() && at->second.range.from < to) {
    const FinishedRange old = at->second;
    at = map_.erase(at);
    // How many rows are in a remainder nobody has counted.
    if (old.range.from < from) map_[old.range.from] = {{old.range.from, from}, old.as_of, std::nullopt};
    if (old.range.to > to) map_[to] = {{to, old.range.to}, old.as_of, std::nullopt};
  }
  map_[from] = finished;
}

std::vector<FinishedRange> RangeMap::finished() const {
  std::vector<FinishedRange> out;
  out.reserve(map_.size());
  for (const auto& [from, one] : map_) out.push_back(one);
  return out;
}

std::vector<PlaceRange> RangeMap::missing(PlaceRange whole) const {
  std::vector<PlaceRange> out;
  Place at = whole.from;
  for (const auto& [from, one] : map_) {
    if (one.range.to <= at) continue;
    if (from >= whole.to) break;
    if (from > at) out.push_back({at, from});
    at = one.range.to;
  }
  if (at < whole.to) out.push_back({at, whole.to});
  return out;
}

bool RangeMap::covers(PlaceRange range, std::uint64_t as_of) const {
  if (!missing(range).empty()) return false;
  return std::all_of(map_.begin(), map_.end(), [&](const auto& entry) {
    const FinishedRange& one = entry.second;
    return one.range.to <= range.from || one.range.from >= range.to || one.as_of >= as_of;
  });
}

}  // namespace pgch
