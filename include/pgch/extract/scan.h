/// Scan: every row of a table once, as of one snapshot, by COPY BINARY. Used by verify; nothing is acknowledged.
#pragma once

#include <memory>
#include <string>

#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/postgres.h"

namespace pgch {

struct ScanOptions {
  PostgresOptions postgres;
  std::string table;
  ColumnSelection columns;
  std::string where;  ///< SQL condition over the alias t; empty: all rows
};
/// Views may be scanned too. The snapshot lives as long as the connection: if that is lost the scan fails
/// (Recovery::halt), since what was read and what would be read need not fit together.
PGCH_EXPORT Result<std::unique_ptr<Extractor>> make_scan(ScanOptions options);

}  // namespace pgch
