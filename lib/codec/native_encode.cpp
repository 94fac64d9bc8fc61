#include <numeric>

#include "base/bytes.h"
#include "base/try.h"
#include "clickhouse/native_block.h"
#include "clickhouse/types.h"
#include "codec/native_message.h"

namespace pgch::codec {
namespace {

std::size_t varint_bytes(std::size_t n) noexcept {
  std::size_t bytes = 1;
  for (; n >= 0x80; n >>= 7) ++bytes;
  return bytes;
}

// Rows first … first + rows - 1 of the column, as a column of their own.
void slice(const Column& from, std::size_t width, std::size_t first, std::size_t rows, Column& to) {
  to.clear();
  const auto at = [](auto& vector, std::size_t i) { return vector.begin() + static_cast<std::ptrdiff_t>(i); };
  if (!from.nulls.empty()) to.nulls.assign(at(from.nulls, first), at(from.nulls, first + rows));
  if (width != 0) {
    to.data.assign(at(from.data, first * width), at(from.data, (first + rows) * width));
    return;
  }
  const std::uint32_t begin = first == 0 ? 0 : from.ends[first - 1];
  const std::uint32_t end = rows == 0 ? begin : from.ends[first + rows - 1];
  to.data.assign(at(from.data, begin), at(from.data, end));
  to.ends.resize(rows);
  for (std::size_t r = 0; r < rows; ++r) to.ends[r] = from.ends[first + r] - begin;
}

template <class T, class Get>
void put_own(std::string& out, std::string_view name, std::string_view type, std::uint32_t rows, const Get& get) {
  std::vector<T> values(rows);
  for (std::uint32_t r = 0; r < rows; ++r) values[r] = get(r);
  ch::put_values(out, name, type, std::as_bytes(std::span<const T>(values)));
}

}  // namespace

Result<void> NativeEncoder::open(std::shared_ptr<const TableSchema> schema) {
  schema_ = std::move(schema);
  types_.clear();
  varlen_.clear();
  nested_.clear();
  columns_ = 3;
  fixed_bytes_ = sizeof(std::uint32_t) + sizeof(std::uint64_t) + sizeof(std::uint8_t);
  head_bytes_ = 96;  // counts, and pgch's own columns
  for (std::size_t i = 0; i < schema_->columns.size(); ++i) {
    const ColumnSpec& column = schema_->columns[i];
    if (column.name == native_row || column.name == native_version || column.name == native_op) {
      return halt(Errc::config, "The column " + column.name + " of " + display_name(*schema_) +
                                    " has the name of one that the format native adds: leave it out with "
                                    "table.exclude, or choose another format");
    }
    const bool flagged = is_nested(column.kind) && column.nullable;
    types_.push_back(ch::wire_type(column, ch::native_version_written));
    columns_ += flagged ? 2 : 1;
    head_bytes_ += column.name.size() + types_.back().size() + 10 + (flagged ? column.name.size() + 24 : 0);
    fixed_bytes_ += width_of(layout_of(column)) + (column.nullable ? 1 : 0);
    if (is_nested(column.kind)) {
      nested_.push_back(i);
    } else if (layout_of(column) == Layout::varlen) {
      varlen_.push_back(i);
    }
  }
  return {};
}

std::size_t NativeEncoder::bytes_of(const RowBatch& batch, std::uint32_t row) const noexcept {
  std::size_t bytes = fixed_bytes_;
  for (const std::size_t i : varlen_) {
    const std::size_t n = batch.columns[i].at(row, 0).size();
    bytes += n + varint_bytes(n);
  }
  // Counts of elements take eight bytes instead of one.
  for (const std::size_t i : nested_) bytes += 16 + batch.columns[i].at(row, 0).size() * 2;
  return bytes;
}

Result<void> NativeEncoder::append_block(const RowBatch& batch, std::uint32_t first, std::uint32_t rows,
                                         std::string& out) {
  ch::put_block_header(out, columns_, rows);
  put_own<std::uint32_t>(out, native_row, "UInt32", rows, [&](std::uint32_t r) { return batch.ordinal_of(first + r); });
  put_own<std::uint64_t>(out, native_version, "UInt64", rows,
                         [&](std::uint32_t r) { return batch.version_of(first + r); });
  put_own<std::uint8_t>(out, native_op, "UInt8", rows,
                        [&](std::uint32_t r) { return static_cast<std::uint8_t>(batch.op_of(first + r)); });
  for (std::size_t i = 0; i < schema_->columns.size(); ++i) {
    const ColumnSpec& spec = schema_->columns[i];
    const Layout layout = layout_of(spec);
    slice(batch.columns[i], width_of(layout), first, rows, scratch_);
    if (!is_nested(spec.kind)) {
      PGCH_TRY(ch::put_column(out, spec.name, types_[i], scratch_, layout, spec.nullable, rows));
      continue;
    }
    put_text(out, spec.name);
    put_text(out, types_[i]);
    PGCH_TRY(ch::put_nested_values(out, spec, scratch_, rows));
    if (spec.nullable)
      put_own<std::uint8_t>(out, ch::null_flag_of(spec.name), "UInt8", rows,
                            [&](std::uint32_t r) { return static_cast<std::uint8_t>(scratch_.is_null(r) ? 1 : 0); });
  }
  return {};
}

std::optional<std::vector<std::uint32_t>> native_rows(std::string_view message) {
  ByteReader in(message);
  in.varint();
  const std::uint64_t rows = in.varint();
  if (in.text() != native_row || in.text() != "UInt32" || rows > in.left() / sizeof(std::uint32_t)) return std::nullopt;
  std::vector<std::uint32_t> out(static_cast<std::size_t>(rows));
  for (std::uint32_t& row : out) row = in.little<std::uint32_t>();
  if (!in.ok()) return std::nullopt;
  return out;
}

}  // namespace pgch::codec
