#include "clickhouse/native_block.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/bytes.h"
#include "base/try.h"

namespace pgch::ch {
namespace {

constexpr std::size_t header_bytes_max = 1U << 16;
constexpr std::uint64_t rows_max = 1U << 26;

Error damaged(std::string_view what) {
  return halt(Errc::corrupt, "the server's answer in Native format cannot be read: " + std::string(what));
}

// Length bytes first, one resize, then plain copies: this is the loop that all text goes through.
void put_texts(std::string& out, const Column& column, std::size_t rows) {
  const auto* data = reinterpret_cast<const char*>(column.data.data());
  std::size_t at = out.size();
  out.resize(at + column.data.size() + rows * 5);  // a length below 2^32 takes at most five bytes
  char* p = out.data() + at;
  std::size_t begin = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t end = column.ends[r];
    std::size_t n = end - begin;
    while (n >= 0x80) {
      *p++ = static_cast<char>(static_cast<unsigned char>(n | 0x80));
      n >>= 7;
    }
    *p++ = static_cast<char>(n);
    const std::size_t size = end - begin;
    // Most texts are short: 16 bytes at once while there is room behind them, both here and there.
    if (size <= 16 && begin + 16 <= column.data.size()) {
      std::memcpy(p, data + begin, 16);
    } else if (size != 0) {
      std::memcpy(p, data + begin, size);
    }
    p += size;
    begin = end;
  }
  out.resize(static_cast<std::size_t>(p - out.data()));
}

}  // namespace

void put_block_header(std::string& out, std::size_t columns, std::size_t rows) {
  put_varint(out, columns);
  put_varint(out, rows);
}

Result<void> put_column(std::string& out, std::string_view name, std::string_view type, const Column& column,
                        Layout layout, bool nullable, std::size_t rows) {
  put_text(out, name);
  put_text(out, type);
  if (nullable) {
    if (column.nulls.empty()) {
      out.append(rows, '\0');
    } else {
      put_raw(out, column.nulls.data(), rows);
    }
  } else if (!column.nulls.empty() && std::memchr(column.nulls.data(), 1, column.nulls.size()) != nullptr) {
    return Error{Errc::data,
                 Recovery::dead_letter,
                 false,
                 "Column " + std::string(name) + " is NULL, which the target's " + std::string(type) + " cannot hold",
                 {}};
  }
  if (layout == Layout::varlen) {
    put_texts(out, column, rows);
  } else {
    put_raw(out, column.data.data(), rows * width_of(layout));
  }
  return {};
}

void put_values(std::string& out, std::string_view name, std::string_view type, std::span<const std::byte> values) {
  put_text(out, name);
  put_text(out, type);
  put_raw(out, values.data(), values.size());
}

BlockReader::BlockReader(std::shared_ptr<const TableSchema> schema, std::vector<std::string> types)
    : types_(std::move(types)) {
  batch_.reset(std::move(schema));
}

Result<void> BlockReader::feed(std::span<const std::byte> bytes, const Sink& sink) {
  if (!pending_.empty()) {
    put_raw(pending_, bytes.data(), bytes.size());
    bytes = as_bytes(pending_);
  }
  bytes_ = bytes;
  at_ = 0;
  for (;;) {
    PGCH_ASSIGN(const bool more, step(sink));
    if (!more) break;
  }
  std::string left(as_text(rest()));
  pending_ = std::move(left);
  bytes_ = {};
  return {};
}

Result<void> BlockReader::finish() const {
  if (state_ != State::block || !pending_.empty()) return damaged("it ends in the middle of a block");
  return {};
}

Result<bool> BlockReader::step(const Sink& sink) {
  switch (state_) {
    case State::block:
      return block_header(sink);
    case State::column:
      return column_header();
    case State::nulls: {
      Column& c = batch_.columns[column_];
      const std::size_t n = std::min(rows_ - c.nulls.size(), rest().size());
      put_raw(c.nulls, rest().data(), n);
      at_ += n;
      if (c.nulls.size() < rows_) return false;
      state_ = layout_of(batch_.schema->columns[column_]) == Layout::varlen ? State::lengths : State::fixed;
      return true;
    }
    case State::fixed: {
      const std::size_t wanted = rows_ * width_of(layout_of(batch_.schema->columns[column_]));
      if (!copy(batch_.columns[column_].data, wanted)) return false;
      column_done();
      break;
    }
    case State::lengths:
    case State::text: {
      PGCH_ASSIGN(const bool all, texts());
      if (!all) return false;
      column_done();
      break;
    }
  }
  if (state_ == State::block) {  // that was the last column
    batch_.rows = static_cast<std::uint32_t>(rows_);
    if (rows_ != 0) PGCH_TRY(sink(batch_));
    for (Column& c : batch_.columns) c.clear();
  }
  return true;
}

Result<bool> BlockReader::block_header(const Sink&) {
  if (rest().empty()) return false;
  ByteReader reader(rest());
  const std::uint64_t columns = reader.varint();
  const std::uint64_t rows = reader.varint();
  if (!reader.ok()) {
    if (rest().size() >= 20) return damaged("a block's head is not plausible");
    return false;
  }
  at_ += rest().size() - reader.left();
  if (columns == 0 && rows == 0) return true;
  if (columns != types_.size() || rows > rows_max)
    return damaged("a block has another number of columns than asked for");
  rows_ = rows;
  column_ = 0;
  state_ = State::column;
  return true;
}

Result<bool> BlockReader::column_header() {
  ByteReader reader(rest());
  reader.text();
  const std::string_view type = reader.text();
  if (!reader.ok()) {
    if (rest().size() > header_bytes_max) return damaged("a column's name is not plausible");
    return false;
  }
  if (type != types_[column_]) {
    return damaged("column " + batch_.schema->columns[column_].name + " came as " + std::string(type) + " instead of " +
                   types_[column_]);
  }
  at_ += rest().size() - reader.left();
  const ColumnSpec& spec = batch_.schema->columns[column_];
  if (spec.nullable) {
    state_ = State::nulls;
  } else {
    state_ = layout_of(spec) == Layout::varlen ? State::lengths : State::fixed;
  }
  return true;
}

bool BlockReader::copy(std::vector<std::byte>& into, std::size_t bytes_wanted) {
  const std::size_t n = std::min(bytes_wanted - into.size(), rest().size());
  const auto piece = rest().first(n);
  into.insert(into.end(), piece.begin(), piece.end());
  at_ += n;
  return into.size() == bytes_wanted;
}

// Values one by one, from wherever the last piece was cut: before, in or after a length.
Result<bool> BlockReader::texts() {
  Column& c = batch_.columns[column_];
  while (c.ends.size() < rows_) {
    if (state_ == State::lengths) {
      ByteReader reader(rest());
      const std::uint64_t n = reader.varint();
      if (!reader.ok()) {
        if (rest().size() >= 10) return damaged("a text's length is not plausible");
        return false;
      }
      if (n > std::numeric_limits<std::uint32_t>::max() - c.data.size())
        return damaged("a block has more than 4 GiB of text in one column");
      at_ += rest().size() - reader.left();
      text_left_ = n;
      state_ = State::text;
    }
    const std::size_t n = std::min(text_left_, rest().size());
    const auto piece = rest().first(n);
    c.data.insert(c.data.end(), piece.begin(), piece.end());
    at_ += n;
    text_left_ -= n;
    if (text_left_ != 0) return false;
    c.ends.push_back(static_cast<std::uint32_t>(c.data.size()));
    state_ = State::lengths;
  }
  return true;
}

void BlockReader::column_done() {
  ++column_;
  state_ = column_ == types_.size() ? State::block : State::column;
}

}  // namespace pgch::ch
