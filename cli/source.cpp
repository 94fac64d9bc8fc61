#include "source.h"

#include <fmt/format.h>

#include <cstdlib>

namespace pgch::cli {
namespace {

Result<std::string> index_name(const TableConfig& table) {
  // A name's limit is 63 bytes. What has to be cut is told apart by its length and sum, or a second table would get no
  // index.
  std::string name = bare_name(table) + "_" + table.flag_column + "_unsent";
  if (name.size() > 63) {
    unsigned sum = 0;
    for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
    std::size_t cut = 63 - 9;
    while (cut > 0 && (static_cast<unsigned char>(name[cut]) & 0xC0) == 0x80) --cut;
    name = name.substr(0, cut) + fmt::format("_{:08x}", sum);
  }
  return quote_postgres(name);
}

bool yes(const std::optional<std::string>& cell) { return cell && (*cell == "t" || *cell == "true"); }

}  // namespace

Result<FlagFacts> flag_facts(PostgresSession& source, const TableConfig& table) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto rows = source.query(
      "SELECT a.attnum IS NOT NULL, a.atttypid = 'bool'::regtype,"
      " EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NOT NULL"
      "   AND pg_get_expr(i.indpred, i.indrelid) LIKE '%' || $2 || '%'),"
      " has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'),"
      " a.attnum IS NOT NULL AND has_column_privilege(c.oid, a.attnum, 'UPDATE')"
      " FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT "
      "a.attisdropped"
      " WHERE c.oid = to_regclass($1)",
      {*name, table.flag_column});
  if (!rows) return std::move(rows).error();
  if (rows->empty()) {
    if (auto described = source.describe(table.name, {}); !described) return std::move(described).error();
    return halt(Errc::not_found, "There is no table " + table.name + " in this PostgreSQL database.");
  }
  const auto& row = rows->front();
  return FlagFacts{yes(row[0]), yes(row[1]), yes(row[2]), yes(row[3]), yes(row[4])};
}

Result<std::uint64_t> count_unsent(PostgresSession& source, const TableConfig& table) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto flag = quote_postgres(table.flag_column);
  if (!flag) return std::move(flag).error();
  auto rows = source.query("SELECT count(*) FROM " + *name + " WHERE " + *flag + " IS NOT TRUE");
  if (!rows) return std::move(rows).error();
  return std::strtoull(rows->at(0).at(0).value_or("0").c_str(), nullptr, 10);
}

std::string key_missing(const TableConfig& table) {
  return fmt::format(
      "table {} has no key, and the flag method must know which rows it sent: add a primary key, or name "
      "unique columns with the setting table.key",
      table.name);
}

Result<SourceTable> describe_table(PostgresSession& source, const TableConfig& table, bool flag_exists) {
  ColumnSelection columns = table.columns;
  if (flag_exists) columns.exclude.push_back(table.flag_column);
  return source.describe(table.name, columns);
}

Result<std::vector<std::string>> flag_setup_sql(const TableConfig& table, const SourceTable& described) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto flag = quote_postgres(table.flag_column);
  if (!flag) return std::move(flag).error();
  auto index = index_name(table);
  if (!index) return std::move(index).error();
  std::vector<std::string> out{"ALTER TABLE " + *name + " ADD COLUMN IF NOT EXISTS " + *flag +
                               " BOOLEAN DEFAULT FALSE"};
  std::string key;
  for (const std::size_t i : key_indexes(described.schema)) {
    auto column = quote_postgres(described.source_columns[i]);
    if (!column) return std::move(column).error();
    key += (key.empty() ? "" : ", ") + *column;
  }
  // Without it each batch reads past all rows that were sent before.
  if (!key.empty())
    out.push_back("CREATE INDEX CONCURRENTLY IF NOT EXISTS " + *index + " ON " + *name + " (" + key + ") WHERE " +
                  *flag + " IS NOT TRUE");
  return out;
}

Result<std::vector<std::string>> flag_teardown_sql(const TableConfig& table) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto flag = quote_postgres(table.flag_column);
  if (!flag) return std::move(flag).error();
  auto index = index_name(table);
  if (!index) return std::move(index).error();
  const std::string schema = name->find("\".\"") == std::string::npos ? "" : name->substr(0, name->find("\".\"") + 2);
  return std::vector<std::string>{"DROP INDEX CONCURRENTLY IF EXISTS " + schema + *index,
                                  "ALTER TABLE " + *name + " DROP COLUMN IF EXISTS " + *flag};
}

}  // namespace pgch::cli
