// CREATE statements for target tables: with a key ReplacingMergeTree by version, without one MergeTree with batch and
// row numbers.
#pragma once

#include <string>
#include <vector>

#include "clickhouse/version.h"
#include "pgch/error.h"
#include "pgch/load/clickhouse.h"
#include "pgch/schema.h"

namespace pgch::ch {

// CREATE TABLE, then, if wanted, CREATE VIEW <table>_current. `target.table` is set.
Result<std::vector<std::string>> create_statements(const std::string& database, const TargetOptions& target,
                                                   const TableSchema& schema, const Version& server);
// The table's name at the target: the option's, else the source's.
std::string target_table(const TargetOptions& target, const TableSchema& schema);
// Errc::config if a source column has the name of one of pgch's own.
Result<void> check_own_names(const TargetOptions& target, const TableSchema& schema);

}  // namespace pgch::ch
