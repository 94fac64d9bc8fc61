#include "pgch/batch.h"

#include <array>

#include "base/bytes.h"
#include "base/hash.h"

namespace pgch {

std::size_t RowBatch::bytes() const noexcept {
  std::size_t n = position.bytes.size() + (versions.size() + places.size()) * sizeof(std::uint64_t) +
                  ordinals.size() * sizeof(std::uint32_t) + ops.size();
  for (const Column& c : columns) n += c.bytes();
  for (const Rejected& r : rejected) n += r.reason.size() + r.origin.size() + r.key.size() + r.payload.size();
  return n;
}

void RowBatch::reset(std::shared_ptr<const TableSchema> new_schema) {
  schema = std::move(new_schema);
  columns.resize(schema ? schema->columns.size() : 0);
  for (Column& c : columns) c.clear();
  ops.clear();
  versions.clear();
  ordinals.clear();
  places.clear();
  rejected.clear();
  version = 0;
  rows = 0;
  stream.clear();
  position.bytes.clear();
  intent.reset();
}

void append_null(Column& column, Layout layout) {
  if (const std::size_t width = width_of(layout); width != 0) {
    column.data.resize(column.data.size() + width);
  } else {
    column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  }
  column.nulls.push_back(1);
}

void append_value(Column& column, Layout layout, bool nullable, std::span<const std::byte> value) {
  column.data.insert(column.data.end(), value.begin(), value.end());
  if (layout == Layout::varlen) column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  if (nullable) column.nulls.push_back(0);
}

void truncate_column(Column& column, Layout layout, std::size_t rows) {
  if (const std::size_t width = width_of(layout); width != 0) {
    if (column.data.size() > rows * width) column.data.resize(rows * width);
  } else if (column.ends.size() > rows) {
    column.ends.resize(rows);
    column.data.resize(rows == 0 ? 0 : column.ends.back());
  } else {
    // A value whose end was not written yet: its bytes go too.
    column.data.resize(column.ends.empty() ? 0 : column.ends.back());
  }
  if (column.nulls.size() > rows) column.nulls.resize(rows);
}

RowBatch select_rows(const RowBatch& batch, std::span<const std::uint32_t> rows) {
  RowBatch out;
  out.reset(batch.schema);
  out.stream = batch.stream;
  out.position = batch.position;
  out.version = batch.version;
  out.intent = batch.intent;
  out.rows = static_cast<std::uint32_t>(rows.size());
  out.ordinals.reserve(rows.size());
  for (const std::uint32_t r : rows) {
    out.ordinals.push_back(batch.ordinal_of(r));
    if (!batch.versions.empty()) out.versions.push_back(batch.versions[r]);
    if (!batch.ops.empty()) out.ops.push_back(batch.ops[r]);
    if (!batch.places.empty()) out.places.push_back(batch.places[r]);
  }
  for (std::size_t i = 0; i < batch.columns.size(); ++i) {
    const Layout layout = layout_of(batch.schema->columns[i]);
    const std::size_t width = width_of(layout);
    const Column& from = batch.columns[i];
    Column& to = out.columns[i];
    for (const std::uint32_t r : rows) {
      if (from.is_null(r)) {
        append_null(to, layout);
      } else {
        append_value(to, layout, !from.nulls.empty(), from.at(r, width));
      }
    }
  }
  return out;
}

namespace {
// A cell as bytes that no other cell of the column has: a tag for NULL, else the length (varlen only) and the value.
void put_cell(std::string& out, const Column& column, std::size_t width, std::size_t row) {
  if (column.is_null(row)) {
    out.push_back('\1');
    return;
  }
  out.push_back('\0');
  const auto value = column.at(row, width);
  if (width == 0) put_varint(out, value.size());
  put_raw(out, value.data(), value.size());
}
}  // namespace

std::uint64_t content_hash(const RowBatch& batch) {
  std::uint64_t h = fingerprint_of(*batch.schema);
  std::vector<std::size_t> widths;
  for (const ColumnSpec& column : batch.schema->columns) widths.push_back(width_of(layout_of(column)));
  std::string row_bytes;
  for (std::size_t r = 0; r < batch.rows; ++r) {
    row_bytes.clear();
    put_little(row_bytes, batch.version_of(r));
    put_little(row_bytes, static_cast<std::uint8_t>(batch.op_of(r)));
    for (std::size_t i = 0; i < batch.columns.size(); ++i) put_cell(row_bytes, batch.columns[i], widths[i], r);
    h = hash64(row_bytes, h);
  }
  return h;
}

RowHash hash_row(const RowBatch& batch, std::size_t row, std::span<const std::size_t> columns) {
  thread_local std::string bytes;  // one allocation a thread, not one a row
  bytes.clear();
  for (const std::size_t i : columns)
    put_cell(bytes, batch.columns[i], width_of(layout_of(batch.schema->columns[i])), row);
  const Hash128 h = hash128(as_bytes(bytes));
  return {h.low, h.high};
}

std::string key_bytes(const RowBatch& batch, std::size_t row, std::span<const std::size_t> key_columns) {
  std::string out;
  for (const std::size_t i : key_columns) {
    const auto value = batch.columns[i].at(row, width_of(layout_of(batch.schema->columns[i])));
    put_varint(out, value.size());
    put_raw(out, value.data(), value.size());
  }
  return out;
}

}  // namespace pgch
