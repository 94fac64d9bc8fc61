#include "pg/catalog.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/nearest.h"
#include "base/try.h"

namespace pgch::pg {
namespace {

struct RawColumn {
  std::string name, type;
  std::uint32_t base = 0;
  std::int32_t typmod = -1;
  char typtype = 'b';
  bool not_null = false;
};

// A domain is what it is made of, recursively; the innermost type modifier that is set counts.
constexpr const char* columns_sql = R"(
WITH RECURSIVE d AS (
  SELECT a.attnum, a.attname, a.attnotnull, pg_catalog.format_type(a.atttypid, a.atttypmod) AS shown,
         a.atttypid AS typ, a.atttypmod AS typmod, 0 AS depth
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT d.attnum, d.attname, d.attnotnull, d.shown, t.typbasetype, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE d.typmod END, d.depth + 1
    FROM d JOIN pg_catalog.pg_type t ON t.oid = d.typ WHERE t.typtype = 'd')
SELECT d.attname, d.shown, d.typ::pg_catalog.int8, d.typmod, t.typtype, d.attnotnull
  FROM d JOIN pg_catalog.pg_type t ON t.oid = d.typ WHERE t.typtype <> 'd' ORDER BY d.attnum)";

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
       CASE WHEN c.reltuples > 0 THEN c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.float8 / c.reltuples ELSE 0 END
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
                   answer.cell(r, 4).front(), answer.cell(r, 5) == "t"});
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
  return {};
}

Result<void> add_columns(CatalogTable& out, const std::vector<RawColumn>& columns, const std::vector<std::string>& key,
                         const ColumnSelection& selection, std::string_view excluded) {
  TableSchema& schema = out.source.schema;
  for (const RawColumn& c : columns) {
    const bool wanted = selection.include.empty() || has(selection.include, c.name);
    if (!wanted || has(selection.exclude, c.name) || c.name == excluded) continue;
    const TypeMapping type = map_type(c.base, c.typmod, c.typtype);
    ColumnSpec spec;
    const auto renamed = selection.rename.find(c.name);
    spec.name = renamed == selection.rename.end() ? c.name : renamed->second;
    spec.kind = type.kind;
    spec.key = has(key, c.name);
    spec.nullable = !c.not_null && !spec.key;
    spec.precision = type.precision;
    spec.scale = type.scale;
    spec.source_type = c.type;
    if (column_index(schema, spec.name) != npos) {
      return halt(Errc::config, "Two columns of table " + display_name(schema) + " would both be called \"" +
                                    spec.name + "\"; change the setting table.rename.");
    }
    PGCH_ASSIGN(const std::string quoted, quote_postgres(c.name));
    out.selects.push_back("t." + quoted + (type.cast_to_text ? "::pg_catalog.text" : ""));
    out.fields.push_back({c.name, c.type, type.decoder, layout_of(spec), spec.nullable, spec.precision, spec.scale});
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
      out.key.push_back({name, c.type, index, map_type(c.base, c.typmod, c.typtype), c.not_null});
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
  return halt(Errc::not_found,
              "There is no table " + asked + " in this PostgreSQL database, or the user may not use its schema; " +
                  (near.empty() ? "check the name, the schema and the database." : "did you mean " + near + "?"));
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
  PGCH_ASSIGN(const std::string schema_name, quote_postgres(out.source.schema.schema));
  PGCH_ASSIGN(const std::string table_name, quote_postgres(out.source.schema.table));
  out.quoted = schema_name + "." + table_name;

  PGCH_ASSIGN(const std::vector<RawColumn> columns, read_columns(connection, oid, wait));
  PGCH_TRY(check_names(selection, columns, display_name(out.source.schema)));
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
                  AND pg_catalog.pg_get_expr(i.indpred, i.indrelid) = '(' || pg_catalog.quote_ident(a.attname) || ' IS NOT TRUE)')
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
  return out;
}

}  // namespace pgch::pg
