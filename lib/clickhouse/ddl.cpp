#include "clickhouse/ddl.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "clickhouse/sql.h"
#include "clickhouse/types.h"

namespace pgch::ch {
namespace {

constexpr int deduplication_window = 1000;  // inserts a table of ours remembers by token

std::string key_list(const TableSchema& schema) {
  std::string out;
  for (const std::size_t i : key_indexes(schema)) out += (out.empty() ? "" : ", ") + quote_name(schema.columns[i].name);
  return out;
}

std::string order_by(const TargetOptions& target, const TableSchema& schema) {
  if (!target.order_by.empty()) return target.order_by;
  const std::string key = key_list(schema);
  return key.empty() ? "tuple()" : "(" + key + ")";
}

std::string engine(const TargetOptions& target, bool keyed, const Version& server) {
  if (!target.engine.empty()) return target.engine;
  if (!keyed) return "MergeTree()";
  std::string arguments = quote_name(target.version_column);
  if (server.has_deleted_in_replacing()) arguments += ", " + quote_name(target.deleted_column);
  return "ReplacingMergeTree(" + arguments + ")";
}

std::string table_settings(const TargetOptions& target, std::string_view engine_sql, const Version& server) {
  std::vector<std::string> settings;
  if (engine_sql.find("MergeTree") == std::string_view::npos) return {};
  if (server.has_deduplication_window() && engine_sql.rfind("Replicated", 0) != 0 &&
      engine_sql.rfind("Shared", 0) != 0) {
    settings.push_back(fmt::format("non_replicated_deduplication_window = {}", deduplication_window));
  }
  if (target.fsync && server.has_fsync()) {
    settings.emplace_back("fsync_after_insert = 1");
    settings.emplace_back("fsync_part_directory = 1");
  }
  return settings.empty() ? std::string() : fmt::format("\nSETTINGS {}", fmt::join(settings, ", "));
}

std::string current_view(const std::string& database, const TargetOptions& target, const TableSchema& schema,
                         const std::string& on_cluster) {
  std::string columns;
  for (const ColumnSpec& c : schema.columns) {
    columns += (columns.empty() ? "" : ", ") + quote_name(c.name);
    if (is_nested(c.kind) && c.nullable) columns += ", " + quote_name(null_flag_of(c.name));
  }
  return fmt::format("CREATE VIEW IF NOT EXISTS {}{} AS\nSELECT {}\nFROM {} FINAL\nWHERE {} = 0",
                     quote_name(database, target.table + "_current"), on_cluster, columns,
                     quote_name(database, target.table), quote_name(target.deleted_column));
}

}  // namespace

std::string target_table(const TargetOptions& target, const TableSchema& schema) {
  return target.table.empty() ? schema.table : target.table;
}

Result<void> check_own_names(const TargetOptions& target, const TableSchema& schema) {
  for (const std::string* name : {&target.version_column, &target.deleted_column, &target.batch_column,
                                  &target.row_column, &target.ingested_at_column}) {
    if (!plausible_name(*name))
      return halt(Errc::config, fmt::format("\"{}\" can't be the name of a column that pgch adds", *name));
    if (column_index(schema, *name) != npos) {
      return halt(Errc::config, fmt::format("the source table {} has a column named {}, which is also the name of a "
                                            "column that pgch adds: give the source's another name at the target with "
                                            "the setting table.rename, like rename = {{ {} = \"source{}\" }}, or leave "
                                            "it out with table.exclude",
                                            display_name(schema), *name, *name, *name));
    }
  }
  return {};
}

namespace {

Result<std::string> column_lines(const TargetOptions& target, const TableSchema& schema, const Version& server) {
  for (const auto& [name, codec] : target.codecs) {
    if (column_index(schema, name) == npos)
      return halt(Errc::config, fmt::format("table.codecs names the column {}, which the target doesn't have", name));
  }
  std::string lines;
  for (const ColumnSpec& c : schema.columns) {
    if (c.name.empty() || c.name.find('\0') != std::string::npos)
      return halt(Errc::schema, "a source column has no usable name");
    PGCH_ASSIGN(const std::string type, created_type(c, server));
    const auto codec = target.codecs.find(c.name);
    lines += fmt::format("    {} {}{},\n", quote_name(c.name), type,
                         codec == target.codecs.end() ? "" : " CODEC(" + codec->second + ")");
    if (is_nested(c.kind) && c.nullable) {
      if (column_index(schema, null_flag_of(c.name)) != npos)
        return halt(Errc::schema, fmt::format("the source has a column {}, which is also the name of the column that "
                                              "says where {} is NULL: rename it",
                                              null_flag_of(c.name), c.name));
      lines += fmt::format("    {} UInt8,\n", quote_name(null_flag_of(c.name)));
    }
  }
  return lines;
}

}  // namespace

Result<std::vector<std::string>> create_statements(const std::string& database, const TargetOptions& target,
                                                   const TableSchema& schema, const Version& server) {
  if (!plausible_name(target.table))
    return halt(Errc::config, "the target table needs a name of 1 to 200 bytes without NUL");
  if (schema.columns.empty())
    return halt(Errc::schema, "the source table " + display_name(schema) + " has no columns to move");
  PGCH_TRY(check_own_names(target, schema));
  const bool keyed = !schema.key_order.empty();
  PGCH_ASSIGN(std::string body, column_lines(target, schema, server));
  for (const std::size_t i : key_indexes(schema)) {
    if (schema.columns[i].nullable && target.order_by.empty()) {
      return halt(Errc::schema, fmt::format("key column {} of {} can be NULL, which ClickHouse does not allow in a "
                                            "sorting key: make it NOT NULL at the source, or "
                                            "choose another key",
                                            schema.columns[i].name, display_name(schema)));
    }
  }
  if (keyed) {
    body += fmt::format("    {} UInt64,\n    {} UInt8 DEFAULT 0", quote_name(target.version_column),
                        quote_name(target.deleted_column));
  } else {
    body +=
        fmt::format("    {} UInt64,\n    {} UInt32", quote_name(target.batch_column), quote_name(target.row_column));
  }
  if (target.ingested_at) {
    body += ",\n    " + quote_name(target.ingested_at_column) +
            (server.has_datetime64() ? " DateTime64(3) DEFAULT now64(3)" : " DateTime DEFAULT now()");
  }
  const std::string on_cluster = target.on_cluster.empty() ? std::string() : " ON CLUSTER " + target.on_cluster;
  const std::string engine_sql = engine(target, keyed, server);
  std::string sql = fmt::format("CREATE TABLE IF NOT EXISTS {}{}\n(\n{}\n)\nENGINE = {}",
                                quote_name(database, target.table), on_cluster, body, engine_sql);
  if (!target.partition_by.empty()) sql += "\nPARTITION BY " + target.partition_by;
  if (engine_sql.find("MergeTree") != std::string::npos || !target.order_by.empty())
    sql += "\nORDER BY " + order_by(target, schema);
  if (!target.ttl.empty()) sql += "\nTTL " + target.ttl;
  sql += table_settings(target, engine_sql, server);
  std::vector<std::string> statements{std::move(sql)};
  if (target.current_view && keyed && engine_sql.find("Replacing") != std::string::npos) {
    statements.push_back(current_view(database, target, schema, on_cluster));
  }
  return statements;
}

}  // namespace pgch::ch

namespace pgch {

Result<std::string> clickhouse_ddl(const ClickHouseOptions& options, const TargetOptions& target,
                                   const TableSchema& schema, std::string_view server_version) {
  PGCH_ASSIGN(const ch::Version server, ch::parse_version(server_version));
  TargetOptions named = target;
  named.table = ch::target_table(target, schema);
  PGCH_ASSIGN(const std::vector<std::string> statements,
              ch::create_statements(options.database, named, schema, server));
  return fmt::format("{};\n", fmt::join(statements, ";\n\n"));
}

}  // namespace pgch
