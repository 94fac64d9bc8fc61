// The rows that differ, by name: keys, columns, values.
#include <algorithm>
#include <unordered_map>

#include "base/try.h"
#include "verify/cell_text.h"
#include "verify/comparison.h"

namespace pgch::comparing {
namespace {

std::optional<std::string> value(const ColumnSpec& spec, const Column& column, std::size_t row) {
  if (column.is_null(row)) return std::nullopt;
  return cell_text(spec, column.at(row, width_of(layout_of(spec))));
}

void name_key(const Sides& sides, const RowBatch& batch, std::size_t row, RowDifference& out) {
  if (!out.key.empty()) return;
  for (const std::size_t i : sides.key()) {
    const ColumnSpec& spec = sides.schema().columns[i];
    out.key.emplace_back(spec.name, value(spec, batch.columns[i], row).value_or("NULL"));
  }
}

bool same(const ColumnSpec& spec, const Column& a, std::size_t row_a, const Column& b, std::size_t row_b) {
  if (a.is_null(row_a) || b.is_null(row_b)) return a.is_null(row_a) == b.is_null(row_b);
  const std::size_t width = width_of(layout_of(spec));
  const auto left = a.at(row_a, width), right = b.at(row_b, width);
  return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

}  // namespace

Result<std::uint64_t> Comparison::visit(const std::vector<Found>& which, const BatchSink& source,
                                        const BatchSink& target) {
  std::unordered_map<std::uint64_t, const Found*> keys;
  for (const Found& one : which) keys.emplace(one.key, &one);
  const auto each = [&](const BatchSink& sink) {
    return [&keys, &sink](const Rows& rows) -> Result<void> {
      for (std::size_t row = 0; row < rows.key.size(); ++row) {
        if (keys.count(rows.key[row]) != 0) PGCH_TRY(sink(*rows.batch, rows, row));
      }
      return {};
    };
  };
  std::uint64_t rejected = 0;
  PGCH_TRY(sides_.read_both(runs_of(which), true, each(source), each(target), rejected));
  return rejected;
}

Result<void> Comparison::name_rows() {
  if (!sides_.has_key() || found_.empty() || options_.max_rows == 0) return {};
  std::vector<Found> shown = found_;
  const std::size_t count = std::min(options_.max_rows, shown.size());
  const auto before = [](const Found& a, const Found& b) {
    return a.range != b.range ? a.range < b.range : a.key < b.key;
  };
  std::partial_sort(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(count), shown.end(), before);
  shown.resize(count);
  std::unordered_map<std::uint64_t, std::pair<RowBatch, RowBatch>> pairs;
  for (const Found& one : shown) pairs.try_emplace(one.key);
  const auto take = [](RowBatch& into, const RowBatch& batch, std::size_t row) -> Result<void> {
    const auto number = static_cast<std::uint32_t>(row);
    if (into.rows == 0) into = select_rows(batch, {&number, 1});
    return {};
  };
  PGCH_TRY(visit(
      shown,
      [&](const RowBatch& b, const Rows& r, std::size_t row) { return take(pairs.at(r.key[row]).first, b, row); },
      [&](const RowBatch& b, const Rows& r, std::size_t row) { return take(pairs.at(r.key[row]).second, b, row); }));
  for (const Found& one : shown) {
    const auto& [here, there] = pairs.at(one.key);
    RowDifference out;
    out.kind = one.kind;
    if (here.rows > 0) name_key(sides_, here, 0, out);
    if (there.rows > 0) name_key(sides_, there, 0, out);
    if (out.key.empty()) continue;  // gone since
    for (std::size_t i = 0; here.rows > 0 && there.rows > 0 && i < sides_.schema().columns.size(); ++i) {
      const ColumnSpec& spec = sides_.schema().columns[i];
      if (same(spec, here.columns[i], 0, there.columns[i], 0)) continue;
      out.columns.push_back(spec.name);
      if (!options_.show_values) continue;
      out.source_values.push_back(value(spec, here.columns[i], 0));
      out.target_values.push_back(value(spec, there.columns[i], 0));
    }
    report_.rows.push_back(std::move(out));
  }
  return {};
}

}  // namespace pgch::comparing
