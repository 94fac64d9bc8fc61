// ClickHouse for questions: what `query`, `verify` and `check` use.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/try.h"
#include "clickhouse/ddl.h"
#include "clickhouse/native_block.h"
#include "clickhouse/sql.h"
#include "load/clickhouse_table.h"

namespace pgch {
namespace {

class ClickHouseSession final : public ClickHouse {
 public:
  ClickHouseSession(ClickHouseOptions options, std::unique_ptr<ch::Client> client, ch::Server server)
      : options_(std::move(options)), client_(std::move(client)), server_(std::move(server)) {}

  Result<std::string> version() override { return server_.version_text; }
  Result<std::string> query(const std::string& sql, std::string_view format) override {
    PGCH_TRY(use_database());
    return client_->query(sql, format);
  }
  Result<void> stream(const std::string& sql, std::string_view format,
                      const std::function<Result<void>(std::string_view)>& sink) override {
    PGCH_TRY(use_database());
    return client_->stream(sql, format, sink);
  }

  Result<std::optional<TableSchema>> describe(const TargetOptions& target) override {
    PGCH_ASSIGN(const auto table, ch::describe_table(*client_, options_.database, target.table));
    if (!table) return std::optional<TableSchema>();
    TableSchema schema;
    schema.schema = options_.database;
    schema.table = target.table;
    for (const ch::TargetColumn& column : table->columns) {
      if (is_own(target, column.name) || (!column.default_kind.empty() && column.default_kind != "DEFAULT")) continue;
      if (is_null_flag(*table, column.name)) continue;
      ColumnSpec spec{column.name, Kind::text, true, column.in_key, 0, 0, column.type};
      if (const auto type = ch::parse_type(column.type)) {
        spec = ch::spec_of(column.name, *type);
        spec.key = column.in_key;
        spec.source_type = column.type;
        if (is_nested(spec.kind)) spec.nullable = table->find(ch::null_flag_of(column.name)) != nullptr;
      }
      if (spec.key) schema.key_order.push_back(spec.name);
      schema.columns.push_back(std::move(spec));
    }
    return std::optional<TableSchema>(std::move(schema));
  }

  Result<void> read(const TargetOptions& target, const TableSchema& schema, bool current,
                    const std::function<Result<void>(const RowBatch&)>& sink, const std::string& where) override {
    const std::string name = ch::target_table(target, schema);
    const std::string quoted = ch::quote_name(options_.database, name);
    PGCH_ASSIGN(const auto table, ch::describe_table(*client_, options_.database, name));
    if (!table) return halt(Errc::not_found, fmt::format("there is no table {} at ClickHouse", quoted));
    std::string select;
    std::vector<std::string> types;
    for (const ColumnSpec& column : schema.columns) {
      if (table->find(column.name) == nullptr)
        return halt(Errc::schema, fmt::format("{} has no column {}", quoted, column.name));
      std::string type = ch::wire_type(column, server_.version);
      // A time in a column of whole numbers is there as microseconds, and a cast would take them for seconds.
      const auto there = ch::parse_type(table->find(column.name)->type);
      if (column.kind == Kind::time && there && there->kind == Kind::int64)
        type = column.nullable ? "Nullable(Int64)" : "Int64";
      std::string expression = fmt::format("CAST({} AS {})", ch::quote_name(column.name), type);
      types.push_back(type);
      if (is_nested(column.kind)) {
        const std::string flag = ch::null_flag_of(column.name);
        if (column.nullable && table->find(flag) == nullptr)
          return halt(Errc::schema, fmt::format("{} has no column {}", quoted, flag));
        expression = ch::read_nested(column.name, type, column.nullable ? flag : std::string());
        types.back() = column.nullable ? "Nullable(String)" : "String";
      }
      select += (select.empty() ? "" : ", ") + expression;
    }
    std::string sql = "SELECT " + select + " FROM " + quoted;
    if (current && table->engine.find("Replacing") != std::string::npos) sql += " FINAL";
    std::string condition = where.empty() ? where : "(" + where + ")";
    if (current && table->find(target.deleted_column) != nullptr)
      condition += (where.empty() ? "" : " AND ") + ch::quote_name(target.deleted_column) + " = 0";
    if (!condition.empty()) sql += " WHERE " + condition;
    ch::BlockReader reader(std::make_shared<TableSchema>(schema), std::move(types));
    PGCH_TRY(
        client_->stream(sql, "Native", [&](std::string_view piece) { return reader.feed(as_bytes(piece), sink); }));
    return reader.finish();
  }

 private:
  // "<name>__is_null" is no column of its own where there is a nested column <name>.
  static bool is_null_flag(const ch::TargetTable& table, const std::string& name) {
    return std::any_of(table.columns.begin(), table.columns.end(), [&](const ch::TargetColumn& c) {
      if (ch::null_flag_of(c.name) != name) return false;
      const auto type = ch::parse_type(c.type);
      return type && is_nested(type->kind);
    });
  }
  static bool is_own(const TargetOptions& t, const std::string& name) {
    const std::string* own[] = {&t.version_column, &t.deleted_column, &t.batch_column, &t.row_column,
                                &t.ingested_at_column};
    return std::any_of(std::begin(own), std::end(own), [&](const std::string* o) { return *o == name; });
  }

  // A database that is not there yet is no reason to refuse SELECT 1.
  Result<void> use_database() {
    if (used_) return {};
    PGCH_ASSIGN(const bool exists, ch::database_exists(*client_, options_.database));
    if (!exists) return {};
    PGCH_TRY(client_->use(options_.database));
    used_ = true;
    return {};
  }

  ClickHouseOptions options_;
  std::unique_ptr<ch::Client> client_;
  ch::Server server_;
  bool used_ = false;
};

}  // namespace

Result<std::unique_ptr<ClickHouse>> open_clickhouse(const ClickHouseOptions& options, const Context& context) {
  if (!ch::plausible_name(options.database)) return halt(Errc::config, "the ClickHouse database needs a name");
  PGCH_ASSIGN(auto client, ch::make_client(options, context));
  PGCH_ASSIGN(auto server, ch::ask_server(*client));
  return std::unique_ptr<ClickHouse>(
      std::make_unique<ClickHouseSession>(options, std::move(client), std::move(server)));
}

}  // namespace pgch
