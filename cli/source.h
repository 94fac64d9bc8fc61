// What check, setup and status ask PostgreSQL about one table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pgch/postgres.h"
#include "program.h"

namespace pgch::cli {

struct FlagFacts {
  bool column_exists = false, column_is_boolean = false, index_exists = false;
  bool may_select = false, may_update = false;
};
Result<FlagFacts> flag_facts(PostgresSession& source, const TableConfig& table);
Result<std::uint64_t> count_unsent(PostgresSession& source, const TableConfig& table);
/// The table without its flag column, whether that is there or not.
Result<SourceTable> describe_table(PostgresSession& source, const TableConfig& table, bool flag_exists);
/// What is wrong with a table without a key, and what mends it; without a full stop.
std::string key_missing(const TableConfig& table);

/// Statements that make (or take away) the flag column and the partial index on the key.
Result<std::vector<std::string>> flag_setup_sql(const TableConfig& table, const SourceTable& described);
Result<std::vector<std::string>> flag_teardown_sql(const TableConfig& table);

}  // namespace pgch::cli
