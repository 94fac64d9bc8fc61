// The snapshot extractor's Position: which rows of which file a batch held, and as of which point.
//   byte     1 (this format's version)
//   varints  part (oid), file (relfilenode; of a relation without ctid the version), from, to, since, version, rows
//            (with the rejected ones)
// `from` and `to` are places: block << 16 | line, half open; of a relation without ctid they count rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "pgch/batch.h"
#include "pgch/error.h"

namespace pgch {

using Place = std::uint64_t;
constexpr unsigned line_bits = 16;
constexpr Place place_of(std::uint64_t block, std::uint64_t line = 0) noexcept { return block << line_bits | line; }
constexpr std::uint64_t block_of(Place place) noexcept { return place >> line_bits; }
constexpr std::uint64_t line_of(Place place) noexcept { return place & ((1U << line_bits) - 1); }
/// '(block,line)' in quotes, as SQL has it.
std::string tid_literal(Place place);

struct PlaceRange {
  Place from = 0, to = 0;
  bool operator==(const PlaceRange&) const = default;
};
/// Halves: blocks first, then the lines 1 … lines_max of one block; nullopt if it is one line.
std::optional<std::pair<PlaceRange, PlaceRange>> halves(PlaceRange range, std::uint64_t lines_max);

struct SnapshotPosition {
  std::uint32_t part = 0;
  std::uint64_t file = 0;
  PlaceRange range;
  std::uint64_t since = 0;    ///< 0: all rows; else only those that came since the point of this version
  std::uint64_t version = 0;  ///< of the point it was read at
  std::uint64_t rows = 0;
  bool operator==(const SnapshotPosition&) const = default;
};
Position encode(const SnapshotPosition& position);
/// Errc::corrupt if it is not one.
Result<SnapshotPosition> decode_snapshot_position(const Position& position);

}  // namespace pgch
