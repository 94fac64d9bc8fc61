// Which rows a batch of a keyed table held (flag, outbox, poll), so that they can be found, and told from changed ones,
// after a crash.
//   byte     1 (this format's version)
//   varint   the batch's version (source position)
//   varint   rows that were moved; varint rows in all (the rest were rejected, and come last)
//   varint   key columns; for each: text name, byte kind (0 texts, 1 integers),
//            then one value a row: text, or the zigzag varint of the difference to the row before
//   stamps:  runs of (varint stamp, varint rows) until all rows are covered
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/batch.h"
#include "pgch/error.h"

namespace pgch {

/// One key column's values, one a row.
struct KeyCells {
  std::string name;
  bool integer = false;
  std::vector<std::int64_t> integers;
  Column texts;
  void clear() noexcept {
    integers.clear();
    texts.clear();
  }
  std::size_t size() const noexcept { return integer ? integers.size() : texts.ends.size(); }
  void add_text(std::string_view value);
  /// The value as text, as a cast from text understands it.
  std::string text(std::size_t row) const;
};

struct KeyedPosition {
  std::uint64_t version = 0;
  std::uint32_t moved = 0;
  std::vector<KeyCells> keys;
  std::vector<std::uint64_t> stamps;  ///< one a row: moved first, then rejected; flag: its xmin
};

Position encode(const KeyedPosition& position);
/// Errc::corrupt if it is not one.
Result<KeyedPosition> decode_keyed_position(const Position& position);

}  // namespace pgch
