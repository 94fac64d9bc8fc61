#include "extract/snapshot_position.h"

#include "base/bytes.h"

namespace pgch {
namespace {

constexpr std::uint8_t format = 1;

}  // namespace

std::string tid_literal(Place place) {
  return "'(" + std::to_string(block_of(place)) + "," + std::to_string(line_of(place)) + ")'";
}

std::optional<std::pair<PlaceRange, PlaceRange>> halves(PlaceRange range, std::uint64_t lines_max) {
  const std::uint64_t first = block_of(range.from);
  // The block after the last one that the range touches.
  const std::uint64_t end = line_of(range.to) == 0 ? block_of(range.to) : block_of(range.to) + 1;
  if (end - first > 1) {
    const Place middle = place_of(first + (end - first) / 2);
    return std::pair(PlaceRange{range.from, middle}, PlaceRange{middle, range.to});
  }
  const std::uint64_t low = std::max<std::uint64_t>(1, line_of(range.from));
  const std::uint64_t high = line_of(range.to) == 0 ? lines_max + 1 : line_of(range.to);
  if (high <= low + 1) return std::nullopt;
  const Place middle = place_of(first, low + (high - low) / 2);
  return std::pair(PlaceRange{range.from, middle}, PlaceRange{middle, range.to});
}

Position encode(const SnapshotPosition& position) {
  Position out;
  std::string& b = out.bytes;
  b.push_back(static_cast<char>(format));
  for (const std::uint64_t v : {std::uint64_t{position.part}, position.file, position.range.from, position.range.to,
                                position.since, position.version, position.rows})
    put_varint(b, v);
  return out;
}

Result<SnapshotPosition> decode_snapshot_position(const Position& position) {
  ByteReader in(position.bytes);
  SnapshotPosition out;
  const bool known = in.little<std::uint8_t>() == format;
  const std::uint64_t part = in.varint();
  out.part = static_cast<std::uint32_t>(part);
  out.file = in.varint();
  out.range.from = in.varint();
  out.range.to = in.varint();
  out.since = in.varint();
  out.version = in.varint();
  out.rows = in.varint();
  if (!known || !in.ok() || !in.at_end() || out.part != part || out.range.from > out.range.to) {
    return halt(Errc::corrupt,
                "A position in the journal is not one that a snapshot wrote; was the journal made by another pgch or "
                "another method? Use the pgch and the settings that wrote it.");
  }
  return out;
}

}  // namespace pgch
