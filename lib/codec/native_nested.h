// A nested column of a Native block, taken apart into cells as a Column holds them (model/packed.h).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "pgch/schema.h"

namespace pgch::codec {

/// Finds its parts in a block first, checking everything; then gives out cell after cell. The block's bytes are lent.
class NestedReader {
 public:
  explicit NestedReader(const ColumnSpec& type);
  /// Takes the column's `rows` values off the reader; false: they are damaged.
  bool open(ByteReader& in, std::size_t rows);
  /// Appends the next value. Called once for each row.
  void append_value(std::vector<std::byte>& out);

 private:
  bool open_cells(ByteReader& in, std::size_t cells);
  bool open_elements(ByteReader& in, std::size_t rows);
  void append_cell(std::vector<std::byte>& out);

  const ColumnSpec* type_;
  std::size_t width_;
  ByteReader nulls_{std::span<const std::byte>()}, values_{std::span<const std::byte>()};
  std::uint64_t end_ = 0;  // of the elements given out
  std::vector<NestedReader> children_;
};

}  // namespace pgch::codec
