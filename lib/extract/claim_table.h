// A table whose rows are claimed: locked, read, and marked (or deleted) in one transaction. FlagTable and OutboxTable
// are its two kinds.
#pragma once

#include <string>

#include "extract/keyed_table.h"

namespace pgch {

/// The claims' stamp is their xmin.
struct ClaimTable : KeyedTable {
  virtual ~ClaimTable() = default;

  std::string name;  ///< of the table that is claimed, for messages
  std::uint32_t share = 1, shares = 1;
  bool locks_rows = true;      ///< the rows that are moved are locked themselves: they can't change while they are out
  bool marks_counted = false;  ///< the marking statements answer with the number of rows that are marked now

  /// COPY of up to `limit` rows, their claims locked; behind the hint (in the settings pgch.k0 …) if there is one.
  virtual std::string select(std::uint64_t limit, bool hint) const = 0;
  /// SELECT, locked, of the claims with the keys in $1 … (text arrays); one more field than `fields`: the claim's
  /// number from 1.
  virtual std::string select_again() const = 0;
  /// Marks the claims whose ctids are in $1; for a plain table, in the transaction that locked them.
  virtual std::string mark_by_ctid() const = 0;
  /// Marks the claims whose keys are in $1 ….
  virtual std::string mark_by_key() const = 0;
  /// What it means, and what to do, if other rows than the claimed ones were marked.
  virtual Error mismarked(std::uint64_t claimed, std::uint64_t marked) const = 0;

 protected:
  /// After place_keys(): the fields for stamp and ctid.
  void place_stamps();
  /// " AND …": those that this share takes, by a hash of these columns; empty if there is one share.
  std::string share_condition(const std::vector<std::string>& columns) const;
};

}  // namespace pgch
