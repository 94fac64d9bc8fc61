#include "extract/flag_table.h"

#include "base/try.h"

namespace pgch {
namespace {

struct FlagTable final : ClaimTable {
  std::string flag;  ///< quoted

  Result<void> place() {
    PGCH_TRY(place_keys(*this));
    place_stamps();
    return {};
  }
  std::string select(std::uint64_t limit, bool hint) const override;
  std::string select_again() const override;
  std::string mark_by_ctid() const override;
  std::string mark_by_key() const override;
  Error mismarked(std::uint64_t claimed, std::uint64_t marked) const override;

 private:
  std::string counted(std::string update) const;
};

std::string index_hint(const FlagTable& t, const std::string& flag) {
  std::string columns;
  for (const FlagTable::KeyPlace& k : t.keys) columns += (columns.empty() ? "" : ", ") + k.quoted;
  return "CREATE INDEX CONCURRENTLY ON " + t.catalog.quoted + " (" + columns + ") WHERE " + flag + " IS NOT TRUE";
}

Result<void> check_flag(const FlagTable& t, const pg::FlagColumn& flag, const FlagOptions& options) {
  const std::string name = display_name(*t.schema);
  const std::string quoted = t.flag;
  if (!flag.exists) {
    return halt(Errc::not_found, "Table " + name + " has no column \"" + options.flag_column +
                                     "\" to mark sent rows with: run `pgch setup --apply` with the same -c, --from, "
                                     "--to and --table, or ALTER TABLE " +
                                     t.catalog.quoted + " ADD COLUMN " + quoted + " boolean DEFAULT false.");
  }
  if (flag.type != "boolean") {
    return halt(Errc::schema,
                "Column \"" + options.flag_column + "\" of table " + name + " is of type " + flag.type +
                    ", but the flag must be boolean: name another column with the setting flag_column, or change it.");
  }
  if (!flag.may_select || !flag.may_update) {
    return halt(Errc::permission, "The user may not " + std::string(flag.may_select ? "UPDATE" : "SELECT") + " table " +
                                      name + ": GRANT SELECT ON " + t.catalog.quoted + ", and UPDATE (" + quoted +
                                      ") ON it, to the user pgch connects as.");
  }
  return {};
}

std::string FlagTable::select(std::uint64_t limit, bool hint) const {
  std::string sql = "COPY (SELECT " + select_list() + " FROM " + catalog.quoted + " t WHERE t." + flag + " IS NOT TRUE";
  std::vector<std::string> columns;
  for (const KeyPlace& k : keys) columns.push_back(k.quoted);
  sql += share_condition(columns);
  if (hint) sql += " AND (" + key_columns() + ") > (" + hint_values() + ")";
  return sql + " ORDER BY " + key_columns() + " LIMIT " + std::to_string(limit) +
         " FOR NO KEY UPDATE OF t SKIP LOCKED) TO STDOUT (FORMAT binary)";
}

std::string FlagTable::select_again() const {
  return "SELECT " + select_list() + ", p.n FROM " + from_keys() + " WHERE t." + flag +
         " IS NOT TRUE ORDER BY p.n FOR NO KEY UPDATE OF t";
}

std::string FlagTable::mark_by_ctid() const {
  return counted("UPDATE " + catalog.quoted + " AS t SET " + flag + " = TRUE WHERE ctid = ANY ($1)");
}

std::string FlagTable::mark_by_key() const {
  const Join join = join_keys();
  return counted("UPDATE " + catalog.quoted + " AS t SET " + flag + " = TRUE FROM " + join.keys + " WHERE " +
                 join.condition + " AND t." + flag + " IS NOT TRUE");
}

// A trigger that puts the flag back would have every row sent again and again. Asking costs, so only where there is
// one.
std::string FlagTable::counted(std::string update) const {
  if (!marks_counted) return update;
  return "WITH marked AS (" + std::move(update) + " RETURNING t." + flag + " AS flag) " +
         "SELECT pg_catalog.count(*) FILTER (WHERE flag) FROM marked";
}

Error FlagTable::mismarked(std::uint64_t claimed, std::uint64_t marked) const {
  return halt(Errc::data, "Marking " + std::to_string(claimed) + " rows of " + name + " marked " +
                              std::to_string(marked) +
                              ": a trigger, a rule, a row-level policy or a key that is not unique comes between. "
                              "Nothing was marked; let the UPDATE of " +
                              flag + " through, or name the key with table.key.");
}

}  // namespace

Result<std::unique_ptr<ClaimTable>> describe_flag_table(pg::Connection& connection, const FlagOptions& options,
                                                        const Context& context) {
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(30), context.stop};
  auto table = std::make_unique<FlagTable>();
  FlagTable& t = *table;
  t.share = options.share;
  t.shares = options.shares;
  PGCH_ASSIGN(t.flag, quote_postgres(options.flag_column));
  PGCH_ASSIGN(t.catalog, pg::describe(connection, options.table, options.columns, options.flag_column, wait));
  t.name = display_name(t.catalog.source.schema);
  const std::string& name = t.name;
  if (t.catalog.relkind != 'r' && t.catalog.relkind != 'p') {
    return halt(Errc::unsupported, name +
                                       " is not a table (a view or a foreign table, perhaps), so its rows can't be "
                                       "locked and marked: name the table itself.");
  }
  PGCH_TRY(check_children(connection, t.catalog, wait));
  t.schema = std::make_shared<const TableSchema>(t.catalog.source.schema);
  t.fields = t.catalog.fields;
  PGCH_ASSIGN(const pg::FlagColumn flag, pg::describe_flag(connection, t.catalog, options.flag_column, wait));
  PGCH_TRY(check_flag(t, flag, options));
  t.marks_counted = flag.has_before_triggers;
  PGCH_TRY(check_key(t.catalog, "flag", context));
  PGCH_TRY(t.place());
  if (!flag.has_partial_index) {
    context.log.write(LogLevel::warning,
                      "Table " + name +
                          " has no partial index for unsent rows, so finding them gets slower as it "
                          "grows: run `pgch setup --apply` with the same -c, --from, --to and --table, or " +
                          index_hint(t, t.flag) + ".");
  }
  return std::unique_ptr<ClaimTable>(std::move(table));
}

}  // namespace pgch
