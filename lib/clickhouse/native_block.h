// ClickHouse's Native format as it goes over HTTP and into the embedded engine (client revision 0, so no block info):
//   block  = columns:varint rows:varint column*
//   column = name:text type:text data         text = length:varint bytes
//   data   = [null:byte × rows, if Nullable] (value × rows | text × rows)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/batch.h"
#include "pgch/error.h"

namespace pgch::ch {

void put_block_header(std::string& out, std::size_t columns, std::size_t rows);
// One column; `nullable` is whether `type` is Nullable(…). Refuses a NULL where the type has none.
Result<void> put_column(std::string& out, std::string_view name, std::string_view type, const Column& column,
                        Layout layout, bool nullable, std::size_t rows);
// A column of pgch's own (_version …): fixed-width values, not nullable.
void put_values(std::string& out, std::string_view name, std::string_view type, std::span<const std::byte> values);

// Reads Native blocks that arrive in pieces cut anywhere, and hands out each block as a RowBatch of `schema`. The
// blocks must have exactly these columns, in this order, with the types given; anything else is Errc::corrupt.
class BlockReader {
 public:
  using Sink = std::function<Result<void>(const RowBatch&)>;
  BlockReader(std::shared_ptr<const TableSchema> schema, std::vector<std::string> types);
  Result<void> feed(std::span<const std::byte> bytes, const Sink& sink);
  Result<void> finish() const;  // refuses an end in the middle of a block

 private:
  enum class State : std::uint8_t { block, column, nulls, fixed, lengths, text };
  Result<bool> step(const Sink& sink);  // false: needs more bytes
  Result<bool> block_header(const Sink& sink);
  Result<bool> column_header();
  bool copy(std::vector<std::byte>& into, std::size_t bytes_wanted);
  Result<bool> texts();
  void column_done();
  std::span<const std::byte> rest() const noexcept { return bytes_.subspan(at_); }

  std::vector<std::string> types_;
  RowBatch batch_;
  std::string pending_;               // what is left of earlier pieces
  std::span<const std::byte> bytes_;  // pending_ or the piece itself
  std::size_t at_ = 0;
  State state_ = State::block;
  std::size_t rows_ = 0, column_ = 0, text_left_ = 0;
};

}  // namespace pgch::ch
