// What a ClickHouse server and one table on it are like, read from the server itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "clickhouse/client.h"
#include "clickhouse/types.h"
#include "clickhouse/version.h"
#include "pgch/load/clickhouse.h"

namespace pgch::ch {

struct Server {
  Version version;
  std::string version_text;
  std::string time_zone;
  std::set<std::string, std::less<>> settings;  // names of all settings it knows
  bool knows(std::string_view setting) const { return settings.find(setting) != settings.end(); }
};
Result<Server> ask_server(Client& client);

struct TargetColumn {
  std::string name, type, default_kind;
  bool in_key = false;
};
struct TargetTable {
  std::string engine;
  std::vector<std::string> sorting_key;  // expressions, as the server prints them; empty also if it can't be asked
  bool sorting_key_known = false;
  std::vector<TargetColumn> columns;
  const TargetColumn* find(std::string_view name) const noexcept;
};
// nullopt: no such table (or database).
Result<std::optional<TargetTable>> describe_table(Client& client, const std::string& database,
                                                  const std::string& table);
Result<bool> database_exists(Client& client, const std::string& database);

// How rows of one source schema get into one table, and how they are found again there.
struct TablePlan {
  std::string database, table;
  std::string quoted;               // `database`.`table`
  std::vector<ColumnPlan> columns;  // one for each of the schema's
  std::vector<std::size_t> key;     // indexes of the key's columns, in the key's order
  bool has_version = false, has_deleted = false, has_batch = false;
  std::string engine;
  bool replaces = false;       // rows with equal keys collapse to the newest version
  bool dependents = false;     // materialized views hang on it: an insert's error may come after its rows
  std::string insert_columns;  // quoted, comma-separated, in the order of the block
};
// Proves that every column fits, or says which does not and what mends it.
Result<TablePlan> plan_table(const std::string& database, const TargetOptions& target, const TableSchema& schema,
                             const TargetTable& table, const Server& server);

// "column" or "CAST(column AS type)": what a SELECT has to say so that the value comes in the wire's type.
std::string read_back(const ColumnPlan& column);
// The type it then has. A nested value comes packed, as a text: RowBinary is its form in memory, too.
std::string read_type(const ColumnPlan& column);
// read_back for a column known by its spec; `null_flag` may be empty.
std::string read_nested(const std::string& name, const std::string& type, const std::string& null_flag);
// A condition "key IN (…)" for the rows first … last-1 of wire-form columns (one for each of plan.key); `last` is
// lowered when it would become too long. nullopt if a key's type can't be written as a literal.
std::optional<std::string> key_condition(const TablePlan& plan, const std::vector<const Column*>& key,
                                         std::size_t first, std::size_t& last);
bool can_be_literal(const ColumnSpec& wire) noexcept;

}  // namespace pgch::ch
