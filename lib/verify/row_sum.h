// A hash of each row that both sides can compute: PostgreSQL in SQL by its own functions, pgch over the columns that it
// reads. The sum of all rows' hashes, modulo 2^64, doesn't depend on their order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/postgres.h"

namespace pgch::comparing {

class RowSum {
 public:
  // Over these columns (indexes). By PostgreSQL's functions if every column has one and `by_database`; else by hash_row
  // over what is read.
  static Result<RowSum> of(const SourceTable& table, std::vector<std::size_t> columns, bool by_database);
  // An expression of type bigint over the alias t, to be passed through mixed_sql; empty: PostgreSQL can't compute it.
  const std::string& sql() const noexcept { return sql_; }
  // Why it can't: a column's name and type; empty if it can.
  const std::string& why_not() const noexcept { return why_not_; }
  // `name` is that of a column which holds sql().
  static std::string mixed_sql(const std::string& name) {
    return name + " # pg_catalog.hashint8extended(" + name + ", 0)";
  }
  // The hash of each row. The batch may have more columns than the table.
  void hash(const RowBatch& batch, std::vector<std::uint64_t>& out) const;

  // How one column's values are hashed.
  enum class Form : std::uint8_t {
    truth,
    integer,    // by hashint4extended
    wide,       // by hashint8extended, and the value itself: alone it folds 64 bits to 32
    unsigned_,  // oid
    real,
    decimal,
    days,
    ticks,  // as seconds in a double, which holds every microsecond of the years that fit
    text,
    hex,
    uuid,
  };

 private:
  struct Part {
    Form form;
    std::size_t column;
    std::uint64_t seed;
    std::size_t width;
    std::uint8_t scale;
  };
  std::string sql_, why_not_;
  std::vector<Part> parts_;
  std::vector<std::size_t> columns_;
};

}  // namespace pgch::comparing
