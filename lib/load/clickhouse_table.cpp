#include "load/clickhouse_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/try.h"
#include "clickhouse/ddl.h"
#include "clickhouse/sql.h"

namespace pgch::ch {
namespace {

Error unreadable() { return halt(Errc::corrupt, "the server's answer about its own tables cannot be read"); }

// Rows of texts, from RowBinary: no escaping to undo.
Result<std::vector<std::vector<std::string>>> texts(Client& client, const std::string& sql, std::size_t columns) {
  PGCH_ASSIGN(const std::string answer, client.query(sql, "RowBinary"));
  std::vector<std::vector<std::string>> rows;
  ByteReader reader(answer);
  while (!reader.at_end()) {
    std::vector<std::string> row;
    for (std::size_t i = 0; i < columns; ++i) row.emplace_back(reader.text());
    if (!reader.ok()) return unreadable();
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<void> expect_own(const TargetTable& table, const std::string& name, std::string_view type,
                        const std::string& quoted, bool& has) {
  const TargetColumn* column = table.find(name);
  has = column != nullptr;
  if (column == nullptr || column->type == type || (type == "UInt8" && column->type == "Bool")) return {};
  return halt(Errc::schema,
              fmt::format("column {} of {} is {}, but pgch needs it to be {}: change its type, or rename it", name,
                          quoted, column->type, type));
}

// ClickHouse has no NULL for arrays, tuples and maps.
Result<void> expect_null_flag(const TargetTable& table, const std::string& name, const std::string& quoted) {
  const std::string flag = null_flag_of(name);
  bool has = false;
  PGCH_TRY(expect_own(table, flag, "UInt8", quoted, has));
  if (has) return {};
  return halt(Errc::schema,
              fmt::format("column {} can be NULL at the source, which its type can't be at ClickHouse, and {} has no "
                          "column that says so: ALTER TABLE {} ADD COLUMN {} UInt8, or set null_nested = \"empty\"",
                          name, quoted, quoted, quote_name(flag)));
}

Error missing_column(const ColumnSpec& column, const std::string& quoted, const Version& server) {
  auto type = created_type(column, server);
  return halt(Errc::schema,
              fmt::format("the target table {} has no column {}: add it with ALTER TABLE {} ADD COLUMN {} {}, or leave "
                          "it out of what is moved",
                          quoted, column.name, quoted, quote_name(column.name), type ? *type : std::string("String")));
}

}  // namespace

const TargetColumn* TargetTable::find(std::string_view name) const noexcept {
  const auto it = std::find_if(columns.begin(), columns.end(), [&](const TargetColumn& c) { return c.name == name; });
  return it == columns.end() ? nullptr : &*it;
}

Result<Server> ask_server(Client& client) {
  PGCH_ASSIGN(const auto about, texts(client, "SELECT version(), timezone()", 2));
  if (about.size() != 1) return unreadable();
  Server server;
  server.version_text = about[0][0];
  server.time_zone = about[0][1];
  PGCH_ASSIGN(server.version, parse_version(server.version_text));
  PGCH_ASSIGN(const auto settings, texts(client, "SELECT name FROM system.settings", 1));
  for (const auto& row : settings) server.settings.insert(row[0]);
  return server;
}

Result<bool> database_exists(Client& client, const std::string& database) {
  PGCH_ASSIGN(const auto found,
              texts(client, "SELECT name FROM system.databases WHERE name = " + quote_text(database), 1));
  return !found.empty();
}

Result<std::optional<TargetTable>> describe_table(Client& client, const std::string& database,
                                                  const std::string& table) {
  const std::string where = " WHERE database = " + quote_text(database);
  PGCH_ASSIGN(const auto engines,
              texts(client, "SELECT engine FROM system.tables" + where + " AND name = " + quote_text(table), 1));
  if (engines.empty()) return std::optional<TargetTable>();
  TargetTable out;
  out.engine = engines[0][0];
  const std::string list = "SELECT name, type, default_kind, ";
  const std::string from = " FROM system.columns" + where + " AND table = " + quote_text(table);
  auto columns = texts(client, list + "toString(is_in_sorting_key)" + from, 4);
  // Servers before 19 do not tell what is in the key.
  if (!columns && columns.error().recovery == Recovery::halt) columns = texts(client, list + "'0'" + from, 4);
  if (!columns) return std::move(columns).error();
  for (auto& row : *columns)
    out.columns.push_back({std::move(row[0]), std::move(row[1]), std::move(row[2]), row[3] == "1"});
  return std::optional<TargetTable>(std::move(out));
}

Result<TablePlan> plan_table(const std::string& database, const TargetOptions& target, const TableSchema& schema,
                             const TargetTable& table, const Server& server) {
  TablePlan plan;
  plan.database = database;
  plan.table = target.table;
  plan.quoted = quote_name(database, target.table);
  plan.key = key_indexes(schema);
  plan.engine = table.engine;
  plan.replaces = table.engine.find("Replacing") != std::string::npos;
  if (table.engine == "View" || table.engine == "MaterializedView") {
    return halt(Errc::schema, fmt::format("{} is a view; pgch needs the table behind it as its target", plan.quoted));
  }
  PGCH_TRY(check_own_names(target, schema));
  for (const ColumnSpec& column : schema.columns) {
    const TargetColumn* there = table.find(column.name);
    if (there == nullptr) return missing_column(column, plan.quoted, server.version);
    if (there->default_kind == "ALIAS" || there->default_kind == "MATERIALIZED") {
      return halt(Errc::schema, fmt::format("column {} of {} is {}: ClickHouse computes it itself, so it can't be "
                                            "filled; leave it out of what is moved",
                                            column.name, plan.quoted, there->default_kind));
    }
    PGCH_ASSIGN(ColumnPlan fitted, plan_column(column, there->type, server.version, server.time_zone, plan.quoted));
    plan.insert_columns += (plan.insert_columns.empty() ? "" : ", ") + quote_name(column.name);
    if (is_nested(column.kind) && column.nullable) {
      PGCH_TRY(expect_null_flag(table, column.name, plan.quoted));
      fitted.null_flag = null_flag_of(column.name);
      plan.insert_columns += ", " + quote_name(fitted.null_flag);
    }
    plan.columns.push_back(std::move(fitted));
  }
  bool has_row = false;
  PGCH_TRY(expect_own(table, target.version_column, "UInt64", plan.quoted, plan.has_version));
  PGCH_TRY(expect_own(table, target.deleted_column, "UInt8", plan.quoted, plan.has_deleted));
  PGCH_TRY(expect_own(table, target.batch_column, "UInt64", plan.quoted, plan.has_batch));
  if (plan.has_batch) PGCH_TRY(expect_own(table, target.row_column, "UInt32", plan.quoted, has_row));
  plan.has_batch = plan.has_batch && has_row;
  if (plan.has_version) plan.insert_columns += ", " + quote_name(target.version_column);
  if (plan.has_deleted) plan.insert_columns += ", " + quote_name(target.deleted_column);
  if (plan.has_batch)
    plan.insert_columns += ", " + quote_name(target.batch_column) + ", " + quote_name(target.row_column);
  return plan;
}

std::string read_nested(const std::string& name, const std::string& type, const std::string& null_flag) {
  const std::string packed = "formatRow('RowBinary', CAST(" + quote_name(name) + " AS " + type + "))";
  return null_flag.empty() ? packed : "if(" + quote_name(null_flag) + " != 0, NULL, " + packed + ")";
}

std::string read_type(const ColumnPlan& column) {
  if (!is_nested(column.wire.kind)) return column.wire_name;
  return column.null_flag.empty() ? "String" : "Nullable(String)";
}

std::string read_back(const ColumnPlan& column) {
  if (is_nested(column.wire.kind)) return read_nested(column.wire.name, column.wire_name, column.null_flag);
  const std::string name = quote_name(column.wire.name);
  return column.read_back_cast ? "CAST(" + name + " AS " + column.wire_name + ")" : name;
}

}  // namespace pgch::ch
