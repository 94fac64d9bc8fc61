#include "extract/flag_table.h"

#include <cstring>

#include "base/bytes.h"
#include "base/try.h"

namespace pgch {
namespace {

bool is_integer(Kind kind) noexcept {
  return kind == Kind::int16 || kind == Kind::int32 || kind == Kind::int64 || kind == Kind::uint32;
}

std::int64_t read_integer(Kind kind, const std::byte* little) noexcept {
  const auto as = [little]<class T>(T v) {
    std::memcpy(&v, little, sizeof v);
    return static_cast<std::int64_t>(v);
  };
  if (kind == Kind::int16) return as(std::int16_t{});
  if (kind == Kind::int32) return as(std::int32_t{});
  if (kind == Kind::uint32) return as(std::uint32_t{});
  return as(std::int64_t{});
}

std::string index_hint(const FlagTable& t, const std::string& flag) {
  std::string columns;
  for (const FlagTable::KeyPlace& k : t.keys) columns += (columns.empty() ? "" : ", ") + k.quoted;
  return "CREATE INDEX CONCURRENTLY ON " + t.catalog.quoted + " (" + columns + ") WHERE " + flag + " IS NOT TRUE";
}

/// Places the key's columns in the tuple, adding fields for those that the moved columns do not give readably.
Result<void> place_keys(FlagTable& t) {
  for (const pg::KeyColumn& key : t.catalog.key) {
    FlagTable::KeyPlace place;
    PGCH_ASSIGN(place.quoted, quote_postgres(key.name));
    place.kind = key.mapping.kind;
    place.integer = is_integer(place.kind);
    const bool readable = place.integer || ((place.kind == Kind::text || place.kind == Kind::enumeration) &&
                                            key.mapping.decoder == pg::Decoder::raw);
    if (readable && key.column != npos) {
      place.field = key.column;
    } else {
      place.field = t.fields.size();
      pg::FieldPlan field;
      field.name = key.name;
      field.source_type = key.type;
      field.nullable = false;
      field.decoder = place.integer ? key.mapping.decoder : pg::Decoder::raw;
      if (place.integer) {
        ColumnSpec spec;
        spec.kind = place.kind;
        field.layout = layout_of(spec);
      }
      t.fields.push_back(field);
      t.catalog.selects.push_back("t." + place.quoted + (place.integer ? "" : "::pg_catalog.text"));
    }
    t.keys.push_back(std::move(place));
  }
  t.xmin_field = t.fields.size();
  t.fields.push_back({"xmin", "xid", pg::Decoder::swap4, Layout::fixed4, false, 0, 0});
  t.ctid_field = t.fields.size();
  t.fields.push_back({"ctid", "tid", pg::Decoder::raw, Layout::varlen, false, 0, 0});
  t.catalog.selects.push_back("t.xmin");
  t.catalog.selects.push_back("t.ctid");
  return {};
}

Result<void> check_key(const pg::CatalogTable& table, const Context& context) {
  const std::string name = display_name(table.source.schema);
  if (table.key.empty()) {
    return halt(Errc::schema, "Table " + name +
                                  " has no key: the flag method must know which rows it sent. Add one (ALTER TABLE " +
                                  table.quoted + " ADD PRIMARY KEY (…)), or name unique columns with table.key.");
  }
  for (const pg::KeyColumn& k : table.key) {
    if (k.not_null) continue;
    return halt(Errc::schema, "Column \"" + k.name + "\" of table " + name +
                                  " is part of the key but may be NULL: ALTER TABLE " + table.quoted +
                                  " ALTER COLUMN \"" + k.name +
                                  "\" SET NOT NULL, or choose another key with table.key.");
  }
  if (!table.key_unique) {
    context.log.write(
        LogLevel::warning,
        "Table " + name +
            ": no unique index proves that table.key is a key; two rows with one key would be taken for one.");
  }
  return {};
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

}  // namespace

std::string FlagTable::select_list() const {
  std::string out;
  for (const std::string& s : catalog.selects) out += (out.empty() ? "" : ", ") + s;
  return out;
}

std::string FlagTable::select(std::uint64_t limit, bool hint) const {
  std::string columns, values;
  for (std::size_t k = 0; k < keys.size(); ++k) {
    columns += (k == 0 ? "t." : ", t.") + keys[k].quoted;
    values += (k == 0 ? "" : ", ") +
              ("pg_catalog.current_setting('pgch.k" + std::to_string(k) + "')::" + catalog.key[k].type);
  }
  std::string sql = "COPY (SELECT " + select_list() + " FROM " + catalog.quoted + " t WHERE t." + flag + " IS NOT TRUE";
  if (shares > 1) {
    std::string text;
    for (const KeyPlace& k : keys)
      text += (text.empty() ? "" : " || pg_catalog.chr(31) || ") + ("t." + k.quoted + "::pg_catalog.text");
    const std::string n = std::to_string(shares);
    sql += " AND ((pg_catalog.hashtextextended(" + text + ", 0) % " + n + ") + " + n + ") % " + n + " = " +
           std::to_string(share - 1);
  }
  if (hint) sql += " AND (" + columns + ") > (" + values + ")";
  return sql + " ORDER BY " + columns + " LIMIT " + std::to_string(limit) +
         " FOR NO KEY UPDATE OF t SKIP LOCKED) TO STDOUT (FORMAT binary)";
}

std::string FlagTable::set_hint() const {
  std::string sql = "SELECT ";
  for (std::size_t k = 0; k < keys.size(); ++k) {
    sql += (k == 0 ? "" : ", ") + ("pg_catalog.set_config('pgch.k" + std::to_string(k) + "', $" +
                                   std::to_string(k + 1) + "::pg_catalog.text, true)");
  }
  return sql;
}

std::string FlagTable::join_keys() const {
  std::string arrays, names, conditions;
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const std::string n = std::to_string(k);
    // One unnest an array: the form with several arguments can't be written with its schema.
    arrays += (k == 0 ? "" : ", ") + ("pg_catalog.unnest($" + std::to_string(k + 1) + "::pg_catalog.text[]::") +
              catalog.key[k].type + "[])";
    names += (k == 0 ? "k" : ", k") + n;
    conditions += (k == 0 ? "t." : " AND t.") + keys[k].quoted + " = p.k" + n;
  }
  return "ROWS FROM (" + arrays + ") WITH ORDINALITY AS p(" + names + ", n)\n" + conditions;
}

std::string FlagTable::select_again() const {
  const std::string join = join_keys();
  const std::size_t cut = join.find('\n');
  return "SELECT " + select_list() + ", p.n FROM " + join.substr(0, cut) + " JOIN " + catalog.quoted + " t ON " +
         join.substr(cut + 1) + " WHERE t." + flag + " IS NOT TRUE ORDER BY p.n FOR NO KEY UPDATE OF t";
}

std::string FlagTable::mark_by_ctid() const {
  return counted("UPDATE " + catalog.quoted + " AS t SET " + flag + " = TRUE WHERE ctid = ANY ($1)");
}

std::string FlagTable::mark_by_key() const {
  const std::string join = join_keys();
  const std::size_t cut = join.find('\n');
  return counted("UPDATE " + catalog.quoted + " AS t SET " + flag + " = TRUE FROM " + join.substr(0, cut) + " WHERE " +
                 join.substr(cut + 1) + " AND t." + flag + " IS NOT TRUE");
}

// A trigger that puts the flag back would have every row sent again and again. Asking costs, so only where there is
// one.
std::string FlagTable::counted(std::string update) const {
  if (!marks_counted) return update;
  return "WITH marked AS (" + std::move(update) + " RETURNING t." + flag + " AS flag) " +
         "SELECT pg_catalog.count(*) FILTER (WHERE flag) FROM marked";
}

std::vector<KeyCells> FlagTable::key_cells() const {
  std::vector<KeyCells> out(keys.size());
  for (std::size_t k = 0; k < keys.size(); ++k) {
    out[k].name = catalog.key[k].name;
    out[k].integer = keys[k].integer;
  }
  return out;
}

void FlagTable::add_keys(std::vector<KeyCells>& to, const RowBatch& batch, std::span<const Column> extra) const {
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const std::size_t field = keys[k].field;
    const Column& column = field < main_fields() ? batch.columns[field] : extra[field - main_fields()];
    const std::size_t width = width_of(fields[field].layout);
    for (std::size_t r = 0; r < batch.rows; ++r) {
      if (keys[k].integer) {
        to[k].integers.push_back(read_integer(keys[k].kind, column.data.data() + r * width));
      } else {
        to[k].add_text(as_text(column.at(r, 0)));
      }
    }
  }
}

bool FlagTable::add_keys(std::vector<KeyCells>& to, std::span<const std::byte> tuple) const {
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const auto cell = pg::tuple_cell(tuple, keys[k].field);
    if (!cell) return false;
    if (!keys[k].integer) {
      to[k].add_text(as_text(*cell));
      continue;
    }
    // The wire is big-endian.
    std::byte little[8] = {};
    if (cell->size() > sizeof little) return false;
    for (std::size_t i = 0; i < cell->size(); ++i) little[i] = (*cell)[cell->size() - 1 - i];
    to[k].integers.push_back(read_integer(keys[k].kind, little));
  }
  return true;
}

Result<FlagTable> describe_flag_table(pg::Connection& connection, const FlagOptions& options, const Context& context) {
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(30), context.stop};
  FlagTable t;
  t.share = options.share;
  t.shares = options.shares;
  PGCH_ASSIGN(t.flag, quote_postgres(options.flag_column));
  PGCH_ASSIGN(t.catalog, pg::describe(connection, options.table, options.columns, options.flag_column, wait));
  const std::string name = display_name(t.catalog.source.schema);
  if (t.catalog.relkind != 'r' && t.catalog.relkind != 'p') {
    return halt(Errc::unsupported, name +
                                       " is not a table (a view or a foreign table, perhaps), so its rows can't be "
                                       "locked and marked: name the table itself.");
  }
  if (t.catalog.relkind == 'r' && !t.catalog.source.plain_table) {
    const pg::Parameter table{t.catalog.quoted};
    PGCH_ASSIGN(
        const pg::Answer children,
        connection.exec("SELECT 1 FROM pg_catalog.pg_inherits WHERE inhparent = $1::pg_catalog.regclass LIMIT 1",
                        {&table, 1}, "looking for child tables", wait));
    if (children.rows() != 0) {
      return halt(Errc::unsupported, name +
                                         " has child tables that inherit from it, and over those no key is unique, so "
                                         "rows would replace each other: name the child tables one by one.");
    }
  }
  t.schema = std::make_shared<const TableSchema>(t.catalog.source.schema);
  t.fields = t.catalog.fields;
  PGCH_ASSIGN(const pg::FlagColumn flag, pg::describe_flag(connection, t.catalog, options.flag_column, wait));
  PGCH_TRY(check_flag(t, flag, options));
  t.marks_counted = flag.has_before_triggers;
  PGCH_TRY(check_key(t.catalog, context));
  PGCH_TRY(place_keys(t));
  if (!flag.has_partial_index) {
    context.log.write(LogLevel::warning,
                      "Table " + name +
                          " has no partial index for unsent rows, so finding them gets slower as it "
                          "grows: run `pgch setup --apply` with the same -c, --from, --to and --table, or " +
                          index_hint(t, t.flag) + ".");
  }
  return t;
}

}  // namespace pgch
