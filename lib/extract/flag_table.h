// What the flag extractor knows of its table: the statements it will use, and how a row's key is found in what they
// return.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "extract/keyed_table.h"
#include "pgch/extract/flag.h"

namespace pgch {

/// The rows' stamp is their xmin.
struct FlagTable : KeyedTable {
  std::string flag;  ///< quoted
  std::uint32_t share = 1, shares = 1;
  bool marks_counted = false;  ///< the UPDATEs answer with the number of rows that are marked now

  /// COPY of up to `limit` unsent rows, locked; behind the hint (in the settings pgch.k0 …) if there is one.
  std::string select(std::uint64_t limit, bool hint) const;
  /// SELECT, locked, of the rows with the keys in $1 … (text arrays); one more field than `fields`: the row's number
  /// from 1.
  std::string select_again() const;
  /// UPDATE of the rows whose ctids are in $1; for a plain table, in the transaction that locked them.
  std::string mark_by_ctid() const;
  /// UPDATE of the rows whose keys are in $1 ….
  std::string mark_by_key() const;

 private:
  std::string counted(std::string update) const;
};

/// Everything that can be wrong with the table is said here, each with what to do about it.
Result<FlagTable> describe_flag_table(pg::Connection& connection, const FlagOptions& options, const Context& context);

}  // namespace pgch
