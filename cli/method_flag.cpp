// The flag method: a boolean column says which rows were sent.
#include <fmt/format.h>

#include <cstdlib>

#include "method.h"

namespace pgch::cli {
namespace {

struct FlagFacts {
  bool column_exists = false, column_is_boolean = false, index_exists = false;
  bool may_select = false, may_update = false;
};

Result<FlagFacts> flag_facts(PostgresSession& source, const TableConfig& table) {
  auto row = facts_of(
      source, table,
      "SELECT a.attnum IS NOT NULL, a.atttypid = 'bool'::regtype,"
      " EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NOT NULL"
      "   AND pg_get_expr(i.indpred, i.indrelid) LIKE '%' || $2 || '%'),"
      " has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'),"
      " a.attnum IS NOT NULL AND has_column_privilege(c.oid, a.attnum, 'UPDATE')"
      " FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT "
      "a.attisdropped"
      " WHERE c.oid = to_regclass($1)",
      table.flag_column);
  if (!row) return std::move(row).error();
  return FlagFacts{is_yes((*row)[0]), is_yes((*row)[1]), is_yes((*row)[2]), is_yes((*row)[3]), is_yes((*row)[4])};
}

Result<std::unique_ptr<Extractor>> make(const Config& config, const TableConfig& table) {
  return make_flag(flag_of(config, table));
}

bool check(const Session& session, PostgresSession& source, const TableConfig& table, Findings& found) {
  const auto facts = flag_facts(source, table);
  if (!facts) {
    found.problem(facts.error());
    return false;
  }
  const std::string mend = "; mend it with: " + command_again(session, "setup", table) + " --apply";
  if (!facts->may_select) tell_unreadable(table, found);
  if (!facts->column_exists) {
    found.problem(fmt::format("table {} has no column {}{}", table.name, table.flag_column, mend), Errc::not_found);
    return true;
  }
  if (!facts->column_is_boolean) {
    found.problem(fmt::format("the column {} of table {} is no boolean; name another one with \"flag_column\"",
                              table.flag_column, table.name),
                  Errc::schema);
  } else if (!facts->may_update) {
    found.problem(fmt::format("no right to mark rows of table {}; mend it with: GRANT UPDATE ({}) ON {} TO <user>",
                              table.name, table.flag_column, table.name),
                  Errc::permission);
  } else {
    found.good("flag column " + table.flag_column);
  }
  if (facts->index_exists) {
    found.good("partial index on the rows not sent");
  } else {
    found.advise("no partial index on the rows not sent: each batch reads past all that were sent" + mend);
  }
  return true;
}

Result<SourceTable> describe(PostgresSession& source, const TableConfig& table) {
  auto facts = flag_facts(source, table);
  if (!facts) return std::move(facts).error();
  ColumnSelection columns = table.columns;
  if (facts->column_exists) columns.exclude.push_back(table.flag_column);
  return source.describe(table.name, columns);
}

Result<std::vector<std::string>> setup_sql(PostgresSession& source, const TableConfig& table,
                                           const SourceTable& described) {
  auto facts = flag_facts(source, table);
  if (!facts) return std::move(facts).error();
  if (facts->column_exists && !facts->column_is_boolean) {
    return halt(Errc::schema,
                fmt::format("The column {} of table {} is no boolean; name another one with \"flag_column\".",
                            table.flag_column, table.name));
  }
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto flag = quote_postgres(table.flag_column);
  if (!flag) return std::move(flag).error();
  auto key = key_list(described);
  if (!key) return std::move(key).error();
  std::vector<std::string> out{"ALTER TABLE " + *name + " ADD COLUMN IF NOT EXISTS " + *flag +
                               " BOOLEAN DEFAULT FALSE"};
  // Without it each batch reads past all rows that were sent before.
  if (!key->empty()) {
    auto added =
        add_index(source, table, {table.flag_column, "unsent"}, "(" + *key + ") WHERE " + *flag + " IS NOT TRUE", out);
    if (!added) return std::move(added).error();
  }
  return out;
}

Result<std::vector<std::string>> teardown_sql(PostgresSession& source, const TableConfig& table) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto flag = quote_postgres(table.flag_column);
  if (!flag) return std::move(flag).error();
  auto drop = drop_index(source, table, {table.flag_column, "unsent"});
  if (!drop) return std::move(drop).error();
  return std::vector<std::string>{*drop, "ALTER TABLE " + *name + " DROP COLUMN IF EXISTS " + *flag};
}

Result<std::string> again_sql(PostgresSession&, const TableConfig& table, const SourceTable& described) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto flag = quote_postgres(table.flag_column);
  if (!flag) return std::move(flag).error();
  auto key = key_condition(described);
  if (!key) return std::move(key).error();
  return "UPDATE " + *name + " SET " + *flag + " = FALSE WHERE " + *key + " RETURNING 1";
}

Result<std::optional<std::uint64_t>> unsent(Session&, PostgresSession& source, const TableConfig& table) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto flag = quote_postgres(table.flag_column);
  if (!flag) return std::move(flag).error();
  auto rows = source.query("SELECT count(*) FROM " + *name + " WHERE " + *flag + " IS NOT TRUE");
  if (!rows) return std::move(rows).error();
  return std::optional<std::uint64_t>(std::strtoull(rows->at(0).at(0).value_or("0").c_str(), nullptr, 10));
}

}  // namespace

const Method flag_method{"flag", make, check, describe, setup_sql, teardown_sql, again_sql, unsent};

}  // namespace pgch::cli
