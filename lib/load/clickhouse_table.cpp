#include "load/clickhouse_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

// "id, cityHash64(a, b)": at the commas that stand in no brackets and no quotes.
std::vector<std::string> split_expressions(std::string_view list) {
  std::vector<std::string> out;
  std::string one;
  int depth = 0;
  char quote = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const char c = list[i];
    if (quote != 0) {
      if (c == '\\' && i + 1 < list.size()) one += list[i++];
      if (list[i] == quote) quote = 0;
    } else if (c == '`' || c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == '[') {
      ++depth;
    } else if (c == ')' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 0) {
      out.push_back(std::exchange(one, {}));
      while (i + 1 < list.size() && list[i + 1] == ' ') ++i;
      continue;
    }
    one += list[i];
  }
  if (!one.empty()) out.push_back(std::move(one));
  // Some servers print ORDER BY (id, x) with its brackets.
  if (out.size() == 1 && out[0].size() >= 2 && out[0].front() == '(' && out[0].back() == ')')
    return split_expressions(std::string_view(out[0]).substr(1, out[0].size() - 2));
  return out;
}

// `a\nb`, as the server quotes names → the name.
std::string unquoted(std::string_view name) {
  if (name.size() < 2 || name.front() != '`' || name.back() != '`') return std::string(name);
  static constexpr std::string_view marks = "bfnrt0av", bytes("\b\f\n\r\t\0\a\v", 8);
  std::string out;
  for (std::size_t i = 1; i + 1 < name.size(); ++i) {
    if (name[i] == '\\' && i + 2 < name.size()) {
      const std::size_t mark = marks.find(name[++i]);
      out += mark == std::string_view::npos ? name[i] : bytes[mark];
    } else if (name[i] == '`' && name[i + 1] == '`' && i + 2 < name.size()) {
      out += name[++i];
    } else {
      out += name[i];
    }
  }
  return out;
}

// Rows with one sorting key become one row: then the source's key has to be in it.
Result<void> expect_key_kept(const TargetTable& table, const TargetOptions& target, const TableSchema& schema,
                             const std::string& quoted) {
  if (table.engine.find("Replacing") == std::string::npos || !table.sorting_key_known) return {};
  std::vector<std::string> needed = schema.key_order;
  if (needed.empty()) needed = {target.batch_column, target.row_column};
  for (const std::string& name : needed) {
    const bool there = std::any_of(table.sorting_key.begin(), table.sorting_key.end(),
                                   [&](const std::string& e) { return unquoted(e) == name; });
    if (there) continue;
    if (schema.key_order.empty()) {
      return halt(Errc::schema,
                  fmt::format("{} is a {} and keeps one row for each ({}), but the source's table has no key, so "
                              "different rows would become one: take a MergeTree, or name a key (table.key)",
                              quoted, table.engine, fmt::join(table.sorting_key, ", ")));
    }
    return halt(
        Errc::schema,
        fmt::format("{} is a {} and keeps one row for each ({}), but column {} of the source's key is not among "
                    "these, so different rows would become one: make the table with it in ORDER BY, or take a "
                    "MergeTree",
                    quoted, table.engine, fmt::join(table.sorting_key, ", "), name));
  }
  return {};
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
  const std::string of_table = " FROM system.tables" + where + " AND name = " + quote_text(table);
  PGCH_ASSIGN(const auto engines, texts(client, "SELECT engine" + of_table, 1));
  if (engines.empty()) return std::optional<TargetTable>();
  TargetTable out;
  out.engine = engines[0][0];
  // The oldest servers do not tell.
  if (const auto sorted = texts(client, "SELECT sorting_key" + of_table, 1); sorted && sorted->size() == 1) {
    out.sorting_key = split_expressions(sorted->front().front());
    out.sorting_key_known = true;
  } else if (!sorted && sorted.error().recovery == Recovery::retry) {
    return sorted.error();
  }
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
  PGCH_TRY(expect_key_kept(table, target, schema, plan.quoted));
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
