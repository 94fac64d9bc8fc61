// What the snapshot extractor knows of its table: its parts, and the statements that read them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "extract/snapshot_position.h"
#include "pg/catalog.h"
#include "pgch/extract/snapshot.h"

namespace pgch {

/// A table with rows of its own: the table itself, a partition, an inheriting table; or a relation without ctid.
struct SnapshotPart {
  std::uint32_t oid = 0;
  std::uint64_t file = 0;
  std::string quoted;  ///< with ONLY in front where that is right
  std::string name;    ///< for messages
  bool by_ranges = true;
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;  ///< with TOAST
  std::uint64_t block_bytes() const noexcept { return blocks == 0 ? 0 : bytes / blocks; }
};

struct SnapshotTable {
  pg::CatalogTable catalog;
  std::shared_ptr<const TableSchema> schema;
  std::string name;  ///< "schema.table"
  std::vector<SnapshotPart> parts;
  std::vector<pg::FieldPlan> fields;  ///< the columns, then ctid if rows are told apart by it
  std::string selects, where;
  bool keyed = false;
  std::uint64_t lines_max = 291;  ///< of one block
  std::uint64_t block_size = 8192;

  std::size_t main_fields() const noexcept { return schema->columns.size(); }
  struct Horizon {
    std::uint64_t xid = 0;
    std::vector<std::uint32_t> open_xids;
  };
  std::map<std::uint64_t, Horizon> horizons;  ///< of each point, by its version; see SnapshotPoint
  /// COPY of the range. `since`, `before`: version of a point, 0: none. Only rows that came since the one, or that were
  /// there before the other.
  std::string copy(const SnapshotPart& part, PlaceRange range, std::uint64_t since, std::uint64_t before) const;
  std::string copy_whole(const SnapshotPart& part) const;
  /// Two numbers: rows of the range (since `since`), and of them those that came since `changed_since`.
  std::string count(const SnapshotPart& part, PlaceRange range, std::uint64_t since, std::uint64_t changed_since) const;
  /// Hash of what is moved: columns, their types, the condition.
  std::uint64_t plan_hash(const std::string& target) const;

 private:
  std::string condition(PlaceRange range, std::uint64_t since, std::uint64_t before) const;
  std::string came_since(std::uint64_t version) const;
};

/// A connection whose transaction reads at the point.
Result<std::unique_ptr<pg::Connection>> connect_at(const SnapshotOptions& options, const Context& context);
/// (Re)begins the transaction.
Result<void> begin_at(pg::Connection& connection, const SnapshotPoint& point, const pg::Wait& wait);
/// Without a point: as it is now, for a plan that is only shown.
Result<SnapshotTable> describe_snapshot_table(pg::Connection& connection, const SnapshotOptions& options,
                                              const pg::Wait& wait);

}  // namespace pgch
