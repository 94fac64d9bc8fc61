// A table cut into ranges of one key column, in about equal parts: PostgreSQL says in SQL which range a row is in, pgch
// finds it for rows that were read, and both sides can be asked for the rows of some ranges only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/load/clickhouse.h"
#include "pgch/postgres.h"

namespace pgch::comparing {

class Ranges {
 public:
  // Samples the key columns' values and takes the one with the most distinct ones. One range if the table is small, has
  // no key, or none whose order is the same everywhere. `quoted` is the table's name for SQL.
  static Result<Ranges> plan(PostgresSession& source, const SourceTable& table, const std::string& quoted);

  std::size_t count() const noexcept { return bounds_.size() + 1; }
  void locate(const RowBatch& batch, std::vector<std::uint32_t>& out) const;
  // The number of a row's range, over the alias t.
  std::string source_range() const;
  // Conditions for the ranges first … last; empty if that is all of them.
  std::string source_where(std::size_t first, std::size_t last) const;
  std::string target_where(std::size_t first, std::size_t last) const;

 private:
  // Types whose order is the same in PostgreSQL, in ClickHouse (by a suitable expression) and here.
  enum class Form : std::uint8_t { none, number, text, uuid, ticks, days };
  struct Bound {
    std::int64_t number = 0;
    std::string text;
    bool operator<(const Bound& other) const noexcept {
      return number != other.number ? number < other.number : text < other.text;
    }
  };
  static Form form_of(const ColumnSpec& column) noexcept;
  Bound bound_at(const Column& column, std::size_t row) const;
  Result<std::vector<Bound>> sample(PostgresSession& source, const std::string& quoted, double percent) const;
  std::string source_literal(const Bound& bound) const;
  std::string target_literal(const Bound& bound) const;
  std::string target_value() const;

  Form form_ = Form::none;
  std::size_t column_ = 0, width_ = 0;
  std::string type_;           // as PostgreSQL names it, for casts
  std::string source_value_;   // t."id", with COLLATE "C" for texts
  std::string target_column_;  // quoted
  std::vector<Bound> bounds_;  // the least value of each range but the first
};

}  // namespace pgch::comparing
