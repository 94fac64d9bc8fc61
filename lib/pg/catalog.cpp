#include "pg/catalog.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/nearest.h"
#include "base/try.h"
#include "pg/type_map.h"

namespace pgch::pg {
namespace {

struct RawColumn {
  std::string name, type;
  std::uint32_t oid = 0;
  std::int32_t typmod = -1;
  std::int32_t dimensions = 0;
  bool not_null = false;
  TypeMapping mapping{};
};

constexpr const char* columns_sql = R"(
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid::pg_catalog.int8, a.atttypmod, a.attndims, a.attnotnull
  FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum)";

// The primary key first, then the narrowest unique index that could be one.
constexpr const char* key_sql = R"(
SELECT i.indexrelid::pg_catalog.int8, a.attname
  FROM pg_catalog.pg_index i
  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = $1::pg_catalog.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
   AND NOT (0 = ANY (i.indkey::pg_catalog.int2[]))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute n WHERE n.attrelid = i.indrelid AND n.attnum = ANY (i.indkey::pg_catalog.int2[]) AND NOT n.attnotnull)
 ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid, k.n)";

constexpr const char* table_sql = R"(
SELECT c.oid::pg_catalog.int8, n.nspname, c.relname, c.relkind, c.relhassubclass, c.reltuples,
       CASE WHEN c.reltuples > 0 THEN c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.float8 / c.reltuples ELSE 0 END,
       pg_catalog.row_security_active(c.oid)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = pg_catalog.to_regclass($1))";

template <class T>
T number(std::string_view text) noexcept {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool has(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::string shown_list(const std::vector<RawColumn>& columns) {
  std::string out;
  for (const RawColumn& c : columns) out += (out.empty() ? "" : ", ") + c.name;
  return out;
}

Result<std::vector<RawColumn>> read_columns(Connection& connection, const std::string& oid, const Wait& wait) {
  const Parameter p{oid};
  PGCH_ASSIGN(const Answer answer, connection.exec(columns_sql, {&p, 1}, "reading the catalog", wait));
  std::vector<RawColumn> out;
  for (std::size_t r = 0; r < answer.rows(); ++r) {
    out.push_back({std::string(answer.cell(r, 0)), std::string(answer.cell(r, 1)),
                   number<std::uint32_t>(answer.cell(r, 2)), number<std::int32_t>(answer.cell(r, 3)),
                   number<std::int32_t>(answer.cell(r, 4)), answer.cell(r, 5) == "t"});
  }
  return out;
}

/// The key's column names, and whether a unique index vouches for them.
Result<std::vector<std::string>> read_key(Connection& connection, const std::string& oid,
                                          const ColumnSelection& selection, bool& unique, const Wait& wait) {
  const Parameter p{oid};
  PGCH_ASSIGN(const Answer answer, connection.exec(key_sql, {&p, 1}, "reading the catalog", wait));
  std::vector<std::vector<std::string>> candidates;
  std::string_view last;
  for (std::size_t r = 0; r < answer.rows(); ++r) {
    if (candidates.empty() || answer.cell(r, 0) != last) candidates.emplace_back();
    last = answer.cell(r, 0);
    candidates.back().emplace_back(answer.cell(r, 1));
  }
  if (selection.key.empty()) return candidates.empty() ? std::vector<std::string>() : candidates.front();
  unique = std::any_of(candidates.begin(), candidates.end(), [&](const std::vector<std::string>& candidate) {
    return std::all_of(candidate.begin(), candidate.end(), [&](const std::string& c) { return has(selection.key, c); });
  });
  return selection.key;
}

Result<void> check_names(const ColumnSelection& selection, const std::vector<RawColumn>& columns,
                         const std::string& table) {
  const auto check = [&](const std::string& name, const char* setting) -> Result<void> {
    for (const RawColumn& c : columns) {
      if (c.name == name) return {};
    }
    return halt(Errc::not_found, "Table " + table + " has no column \"" + name + "\", which the setting " + setting +
                                     " names; its columns are " + shown_list(columns) + ".");
  };
  for (const std::string& c : selection.include) PGCH_TRY(check(c, "table.columns"));
  for (const std::string& c : selection.exclude) PGCH_TRY(check(c, "table.exclude"));
  for (const std::string& c : selection.key) PGCH_TRY(check(c, "table.key"));
  for (const auto& [from, to] : selection.rename) PGCH_TRY(check(from, "table.rename"));
  for (const auto& [column, word] : selection.as) PGCH_TRY(check(column, "table.as"));
  for (const auto& [column, policy] : selection.misfit) PGCH_TRY(check(column, "table.misfit"));
  return {};
}

std::string chosen(const std::map<std::string, std::string>& words, const std::string& column) {
  const auto found = words.find(column);
  return found == words.end() ? std::string() : found->second;
}

Result<void> map_columns(Connection& connection, std::vector<RawColumn>& columns, const ColumnSelection& selection,
                         const Wait& wait) {
  std::vector<std::uint32_t> oids;
  for (const RawColumn& c : columns) oids.push_back(c.oid);
  const bool by_output = !selection.as.empty() || !selection.misfit.empty() || selection.types.misfit == "string" ||
                         !selection.types.as.empty();
  PGCH_ASSIGN(const TypeCatalog catalog, read_types(connection, oids, by_output, wait));
  const TypeMapper mapper(catalog, selection.types);
  for (RawColumn& c : columns) {
    auto mapped =
        mapper.map(c.oid, c.typmod, c.dimensions, chosen(selection.as, c.name), chosen(selection.misfit, c.name));
    if (!mapped)
      return halt(Errc::config,
                  "The setting table.as for column \"" + c.name + "\" (" + c.type + "): " + mapped.error().message);
    c.mapping = std::move(*mapped);
  }
  return {};
}

// What is to be done with the column's cells, and with what can't be: `spec` learns whether it can be NULL.
FieldPlan plan_field(const RawColumn& column, ColumnSpec& spec, const ColumnSelection& selection) {
  const TypeMapping& type = column.mapping;
  const std::string own = chosen(selection.misfit, column.name);
  FieldPlan field{column.name, column.type, type.decoder, layout_of(spec), true, spec.precision, spec.scale};
  field.misfit = misfit_of(own.empty() ? selection.types.misfit : own);
  // Two keys that became the same would be one row at the target.
  if (spec.key) field.misfit = Misfit::fail;
  spec.misfit = field.misfit;
  const bool becomes_null = type.can_misfit && field.misfit == Misfit::null;
  spec.nullable = !spec.key && (!column.not_null || becomes_null);
  const bool defaults = chosen(selection.types.as, is_nested(spec.kind) ? "null_nested" : "nulls") ==
                        (is_nested(spec.kind) ? "empty" : "default");
  if (spec.nullable && defaults) {
    spec.nullable = false;
    field.null_as_default = true;
  }
  field.nullable = spec.nullable;
  field.wide_years = chosen(selection.types.as, "years") == "0000-9999";
  field.nested = type.nested;
  return field;
}

Result<void> add_columns(CatalogTable& out, const std::vector<RawColumn>& columns, const std::vector<std::string>& key,
                         const ColumnSelection& selection, std::string_view excluded) {
  TableSchema& schema = out.source.schema;
  for (const RawColumn& c : columns) {
    const bool wanted = selection.include.empty() || has(selection.include, c.name);
    if (!wanted || has(selection.exclude, c.name) || c.name == excluded) continue;
    const TypeMapping& type = c.mapping;
    ColumnSpec spec = shape_of(type);
    const auto renamed = selection.rename.find(c.name);
    spec.name = renamed == selection.rename.end() ? c.name : renamed->second;
    spec.key = has(key, c.name);
    if (spec.key && type.decoder == Decoder::bits_number && c.oid == oid::varbit) {
      return halt(Errc::config, "Column \"" + c.name +
                                    "\" is part of the key, and as uint64 its values 1 and 01 would " +
                                    "be the same: take string for it (types.bit, table.as).");
    }
    FieldPlan field = plan_field(c, spec, selection);
    spec.source_type = c.type;
    if (column_index(schema, spec.name) != npos) {
      return halt(Errc::config, "Two columns of table " + display_name(schema) + " would both be called \"" +
                                    spec.name + "\"; change the setting table.rename.");
    }
    PGCH_ASSIGN(const std::string quoted, quote_postgres(c.name));
    out.selects.push_back(type.before + "t." + quoted + type.after);
    out.fields.push_back(std::move(field));
    schema.columns.push_back(std::move(spec));
    out.source.source_columns.push_back(c.name);
  }
  if (schema.columns.empty()) {
    return halt(Errc::config, "No column of table " + display_name(schema) +
                                  " is left to move; change the settings table.columns or table.exclude.");
  }
  return {};
}

void add_key(CatalogTable& out, const std::vector<RawColumn>& columns, const std::vector<std::string>& key) {
  bool whole = !key.empty();
  for (const std::string& name : key) {
    const auto at = std::find(out.source.source_columns.begin(), out.source.source_columns.end(), name);
    const std::size_t index =
        at == out.source.source_columns.end() ? npos : static_cast<std::size_t>(at - out.source.source_columns.begin());
    whole = whole && index != npos;
    for (const RawColumn& c : columns) {
      if (c.name != name) continue;
      out.key.push_back({name, c.type, index, c.mapping, c.not_null});
    }
  }
  // Half a key is none: the target's rows could not be told apart by it.
  for (ColumnSpec& spec : out.source.schema.columns) spec.key = spec.key && whole;
  if (!whole) return;
  for (const KeyColumn& k : out.key) out.source.schema.key_order.push_back(out.source.schema.columns[k.column].name);
}

constexpr const char* tables_sql = R"(
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY 1, 2 LIMIT 10000)";

Error no_such_table(Connection& connection, std::string_view table, const std::string& asked, const Wait& wait) {
  std::string near;
  if (auto all = connection.exec(tables_sql, {}, "reading the catalog", wait); all) {
    // With its schema, as it was asked for; else by the table's own name, in whichever schema that is.
    const auto dot = table.rfind('.');
    std::vector<std::string> whole, bare;
    for (std::size_t r = 0; r < all->rows(); ++r) {
      bare.emplace_back(all->cell(r, 1));
      whole.push_back(std::string(all->cell(r, 0)) + "." + bare.back());
    }
    if (dot != std::string_view::npos) near = nearest_name(table, whole);
    if (near.empty()) {
      const std::string name = nearest_name(dot == std::string_view::npos ? table : table.substr(dot + 1), bare);
      if (!name.empty())
        near = whole[static_cast<std::size_t>(std::find(bare.begin(), bare.end(), name) - bare.begin())];
    }
  }
  return halt(
      Errc::not_found,
      "There is no table " + asked + " in this PostgreSQL database, or the user may not use its schema; " +
          (table.find(',') != std::string_view::npos ? "several tables are named one by one: --table a --table b."
           : near.empty()                            ? "check the name, the schema and the database."
                                                     : "did you mean " + near + "?"));
}

}  // namespace

Result<CatalogTable> describe(Connection& connection, std::string_view table, const ColumnSelection& selection,
                              std::string_view excluded, const Wait& wait) {
  PGCH_ASSIGN(const std::string asked, quote_postgres_table(table));
  const Parameter p{asked};
  PGCH_ASSIGN(const Answer found, connection.exec(table_sql, {&p, 1}, "looking for table " + std::string(table), wait));
  if (found.rows() == 0) return no_such_table(connection, table, asked, wait);
  CatalogTable out;
  const std::string oid(found.cell(0, 0));
  out.oid = number<std::uint32_t>(oid);
  out.source.schema.schema = found.cell(0, 1);
  out.source.schema.table = found.cell(0, 2);
  out.relkind = found.cell(0, 3).front();
  out.source.plain_table = out.relkind == 'r' && found.cell(0, 4) == "f";
  out.source.rows_estimate = number<double>(found.cell(0, 5));
  out.source.row_bytes_estimate = number<double>(found.cell(0, 6));
  out.row_security = found.cell(0, 7) == "t";
  PGCH_ASSIGN(const std::string schema_name, quote_postgres(out.source.schema.schema));
  PGCH_ASSIGN(const std::string table_name, quote_postgres(out.source.schema.table));
  out.quoted = schema_name + "." + table_name;

  PGCH_ASSIGN(std::vector<RawColumn> columns, read_columns(connection, oid, wait));
  PGCH_TRY(check_names(selection, columns, display_name(out.source.schema)));
  PGCH_TRY(map_columns(connection, columns, selection, wait));
  PGCH_ASSIGN(const std::vector<std::string> key, read_key(connection, oid, selection, out.key_unique, wait));
  PGCH_TRY(add_columns(out, columns, key, selection, excluded));
  add_key(out, columns, key);
  return out;
}

Result<FlagColumn> describe_flag(Connection& connection, const CatalogTable& table, const std::string& flag,
                                 const Wait& wait) {
  static constexpr const char* sql = R"(
SELECT pg_catalog.format_type(a.atttypid, NULL), a.atttypid = 16,
       pg_catalog.has_any_column_privilege(a.attrelid, 'SELECT') AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid AND i.indpred IS NOT NULL
                  AND pg_catalog.pg_get_expr(i.indpred, i.indrelid) = '(' || pg_catalog.quote_ident(a.attname) || ' IS NOT TRUE)'),
       EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 18 = 18
                  AND (g.tgrelid = a.attrelid OR g.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(a.attrelid))))
  FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped)";
  const std::string oid = std::to_string(table.oid);
  const Parameter p[] = {{oid}, {flag}};
  PGCH_ASSIGN(const Answer answer, connection.exec(sql, p, "reading the catalog", wait));
  FlagColumn out;
  if (answer.rows() == 0) return out;
  out.exists = true;
  out.type = answer.cell(0, 1) == "t" ? "boolean" : std::string(answer.cell(0, 0));
  out.may_select = answer.cell(0, 2) == "t";
  out.may_update = answer.cell(0, 3) == "t";
  out.has_partial_index = answer.cell(0, 4) == "t";
  out.has_before_triggers = answer.cell(0, 5) == "t";
  return out;
}

}  // namespace pgch::pg
