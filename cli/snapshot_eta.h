// How long a snapshot of several tables will still take.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace pgch::cli {

/// One table of a snapshot: bytes of its files that this run has to copy, and how far it has come with them.
struct TableProgress {
  double cost = 0;  ///< copy_cost()
  std::uint64_t total = 0;
  std::uint64_t read = 0;                      ///< from PostgreSQL
  std::uint64_t done = 0;                      ///< durable at the target
  std::optional<double> begun_s{}, ended_s{};  ///< seconds since the run began
  double changed_s = 0;                        ///< when `read` or `done` grew last, in the same seconds
};

inline constexpr double table_begins_s = 0.2;  ///< until its first row is read

/// What a table's copy costs beside that of others, about in nanoseconds. Measured (docs/PERFORMANCE.md): a value costs
/// 100 ns on two cores, whichever type it has, so tables of the same size take very different times; a row by itself
/// 50, behind another table that the target still merges. Where the rows are not known (never analysed) they are taken
/// to have 8 bytes for each column.
inline double copy_cost(std::uint64_t bytes, double rows, std::size_t columns) noexcept {
  constexpr double row = 50, value = 100, byte = 1, row_header = 28;
  const auto width = static_cast<double>(columns);
  const auto size = static_cast<double>(bytes);
  if (rows < 0) rows = size / (row_header + 8 * width);
  return table_begins_s * 1e9 + (row + value * width) * rows + byte * size;
}

/// nullopt as long as nothing was read. A part of the work for a byte is done when it was read, the rest when it is at
/// the target: reading runs ahead at first, and loading is faster at the end, so either of them alone would mislead.
/// A table's first ranges are few, so the speed of the tables before it is taken along; tables that come cost what the
/// others cost. Progress comes in pieces: between them time just passes, unless a piece takes much longer than it
/// should.
inline std::optional<double> seconds_left(std::span<const TableProgress> tables, double now_s) noexcept {
  constexpr double reading = 0.4;      // of all the work for a byte; 0.25 to 0.45 of the CPU time, as measured
  constexpr double taken_along = 0.3;  // of a table
  double seconds = 0, cost = 0, left = 0, cost_left = 0;
  for (const TableProgress& t : tables) {
    if (!t.ended_s) continue;
    seconds += *t.ended_s - t.begun_s.value_or(*t.ended_s);
    cost += t.cost;
  }
  for (const TableProgress& t : tables) {
    if (t.ended_s) continue;
    if (!t.begun_s || t.total == 0) {
      cost_left += t.cost;
      continue;
    }
    const auto total = static_cast<double>(t.total);
    const std::uint64_t done = std::min(t.done, t.total), read = std::clamp(t.read, done, t.total);
    const double worked = reading * static_cast<double>(read) + (1 - reading) * static_cast<double>(done);
    const double before = cost > 0 ? taken_along * total : 0;
    if (worked + before <= 0) return std::nullopt;
    const double expected = cost > 0 ? std::max(0.0, seconds / cost * t.cost - table_begins_s) * taken_along : 0;
    const auto rest_at = [&](double at) {
      const double since = at - *t.begun_s;
      return (total - worked) * (std::max(since - table_begins_s, since / 2) + expected) / (worked + before);
    };
    const double changed = std::clamp(t.changed_s, *t.begun_s, now_s);
    const double rest = std::max(rest_at(changed) - (now_s - changed), rest_at(now_s) / 4);
    left += rest;
    seconds += now_s - *t.begun_s + rest;
    cost += t.cost;
  }
  if (cost <= 0) return std::nullopt;
  return left + seconds / cost * cost_left;
}

}  // namespace pgch::cli
