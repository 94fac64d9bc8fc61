#include "extract/poll_table.h"

#include <algorithm>

#include "base/try.h"

namespace pgch {
namespace {

// A row's xmin has 32 bits; the rest comes from where the count is now. Numbers below 3 are PostgreSQL's own.
std::string wide_xmin() {
  const std::string raw = "t.xmin::pg_catalog.text::pg_catalog.int8";
  const std::string now =
      "(SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8)";
  return "(CASE WHEN " + raw + " < 3 THEN " + raw + " ELSE " + now + " - ((" + now + " - " + raw +
         ") & 4294967295::pg_catalog.int8) END)";
}

std::string quoted_snapshot(const std::string& snapshot) {
  return "pg_catalog.pg_visible_in_snapshot(t.$, '" + snapshot + "'::pg_catalog.pg_snapshot)";
}

std::string with(std::string text, const std::string& column) {
  text.replace(text.find("t.$"), 3, column);
  return text;
}

struct XidColumn {
  bool exists = false, fits = false, not_null = false, fills = false, may_select = false, indexed = false;
  std::string number;  ///< another one if it was dropped and made again
};

Result<XidColumn> describe_xid(pg::Connection& connection, const pg::CatalogTable& table, const std::string& column,
                               const pg::Wait& wait) {
  static constexpr const char* sql = R"(
SELECT a.atttypid = 'pg_catalog.xid8'::pg_catalog.regtype, a.attnotnull,
       coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%pg_current_xact_id()%', false),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid AND i.indpred IS NULL
                  AND i.indkey[0] = a.attnum), a.attnum
  FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped)";
  const std::string oid = std::to_string(table.oid);
  const pg::Parameter p[] = {{oid}, {column}};
  PGCH_ASSIGN(const pg::Answer got, connection.exec(sql, p, "reading the catalog", wait));
  if (got.rows() == 0) return XidColumn{};
  const auto yes = [&](std::size_t i) { return got.cell(0, i) == "t"; };
  return XidColumn{true, yes(0), yes(1), yes(2), yes(3), yes(4), std::string(got.cell(0, 5))};
}

Error xid_problem(const std::string& name, const std::string& column, const std::string& what) {
  return halt(Errc::schema,
              "Column \"" + column + "\" of table " + name + " " + what +
                  ": run `pgch setup --apply` with the same -c, --from, --to and --table, or choose another form with "
                  "table.poll_form (xmin for small tables; plain, at a risk).");
}

Result<void> check_xid(const PollTable& t, const XidColumn& xid, const std::string& column, const Context& context) {
  const std::string name = display_name(*t.schema);
  if (!xid.exists) return xid_problem(name, column, "is not there, by which new rows are found");
  if (!xid.fits) return xid_problem(name, column, "is no xid8");
  if (!xid.not_null || !xid.fills) {
    return xid_problem(name, column, "is not NOT NULL DEFAULT pg_current_xact_id(), so it does not show every new row");
  }
  if (!xid.may_select) {
    return halt(Errc::permission, "The user may not SELECT column \"" + column + "\" of table " + name +
                                      ": GRANT SELECT ON " + t.catalog.quoted + " to the user pgch connects as.");
  }
  if (!xid.indexed) {
    context.log.write(LogLevel::warning, "Table " + name + " has no index on \"" + column +
                                             "\" and the key, so every round reads the whole table: run `pgch setup "
                                             "--apply` with the same -c, --from, --to and --table.");
  }
  return {};
}

// The plain form is ordered by the cursor's columns, then by those of the key that are not among them.
Result<void> order_plain(PollTable& t, pg::Connection& connection, const PollOptions& options, const Context& context,
                         const pg::Wait& wait) {
  std::vector<std::string> order = options.cursor;
  for (const pg::KeyColumn& k : t.catalog.key) {
    if (std::find(order.begin(), order.end(), k.name) == order.end()) order.push_back(k.name);
  }
  ColumnSelection selection = options.columns;
  selection.key = order;
  PGCH_ASSIGN(pg::CatalogTable ordered, pg::describe(connection, options.table, selection, options.xid_column, wait));
  for (pg::KeyColumn& k : ordered.key) {
    const auto& names = t.catalog.source.source_columns;
    const auto at = std::find(names.begin(), names.end(), k.name);
    k.column = at == names.end() ? npos : static_cast<std::size_t>(at - names.begin());
    if (!k.not_null && t.catalog.relkind != 'v' && t.catalog.relkind != 'm') {
      context.log.write(LogLevel::warning, "Column \"" + k.name + "\" of " + display_name(*t.schema) +
                                               " may be NULL: rows in which it is are never read.");
    }
  }
  t.catalog.key = std::move(ordered.key);
  context.log.write(LogLevel::warning,
                    "Bounded risk: " + display_name(*t.schema) +
                        " is polled in the plain form, which loses rows that are committed after others with a higher "
                        "cursor. `pgch verify` finds them and `pgch repair` mends them; the forms snapshots, xid and "
                        "xmin lose none.");
  return {};
}

Result<std::string> source_of(pg::Connection& connection, const pg::CatalogTable& table, const pg::Wait& wait) {
  PGCH_ASSIGN(const pg::Answer got,
              connection.exec("SELECT c.system_identifier || '/' || d.oid FROM pg_catalog.pg_control_system() c, "
                              "pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
                              {}, "asking which server this is", wait));
  if (got.rows() != 1) return halt(Errc::internal, "PostgreSQL did not say which server it is.");
  return std::string(got.cell(0, 0)) + "/" + std::to_string(table.oid);
}

}  // namespace

std::vector<std::string> PollTable::order_names() const {
  std::vector<std::string> out;
  for (const pg::KeyColumn& k : catalog.key) out.push_back(k.name);
  return out;
}

std::string PollTable::where(const PollCursor& cursor, const std::string& now) const {
  const auto number = [](std::uint64_t n) { return "'" + std::to_string(n) + "'::pg_catalog.xid8"; };
  std::string out;
  const auto also = [&out](const std::string& condition) { out += (out.empty() ? "" : " AND ") + condition; };
  if (form == PollForm::snapshots) {
    also(stamp + " < " + number(bounds_of(cursor.round).xmax));
    also(with(quoted_snapshot(cursor.round), stamp));
    if (!cursor.seen.empty()) {
      also(stamp + " >= " + number(lowest_news(cursor.seen, cursor.round)));
      also("NOT " + with(quoted_snapshot(cursor.seen), stamp));
    }
  } else if (form == PollForm::xid) {
    also(stamp + " < " + number(bounds_of(now).xmin));
    also(stamp + " >= " + number(cursor.floor));
  } else if (form == PollForm::xmin) {
    also(stamp + " < " + std::to_string(bounds_of(now).xmin));
    also(stamp + " >= " + std::to_string(cursor.floor));
  }
  // Nobody can say where a NULL stands.
  for (std::size_t k = 0; form == PollForm::plain && k < keys.size(); ++k) {
    if (!catalog.key[k].not_null) also("t." + keys[k].quoted + " IS NOT NULL");
  }
  if (!cursor.between) return out.empty() ? "true" : out;
  if (form == PollForm::plain) {
    also("(" + key_columns() + ") > (" + hint_values() + ")");
  } else {
    const std::string at =
        form == PollForm::xmin ? std::to_string(cursor.stamp) + "::pg_catalog.int8" : number(cursor.stamp);
    also("(" + stamp + ", " + key_columns() + ") > (" + at + ", " + hint_values() + ")");
  }
  return out;
}

std::string PollTable::select(const PollCursor& cursor, const std::string& now, std::uint64_t limit, bool bound) const {
  std::string condition = where(cursor, now);
  if (bound) {
    std::string values = hint_values();
    for (std::size_t at = 0; (at = values.find("'pgch.k", at)) != std::string::npos; at += 7)
      values.replace(at, 7, "'pgch.b");
    condition += " AND (" + key_columns() + ") <= (" + values + ")";
  }
  const std::string order = form == PollForm::plain ? key_columns() : stamp + ", " + key_columns();
  return "COPY (SELECT " + select_list() + " FROM " + catalog.quoted + " t WHERE " + condition + " ORDER BY " + order +
         " LIMIT " + std::to_string(limit) + ") TO STDOUT (FORMAT binary)";
}

std::string PollTable::count(const PollCursor& cursor, const std::string& now) const {
  return "SELECT pg_catalog.count(*) FROM " + catalog.quoted + " t WHERE " + where(cursor, now);
}

std::string PollTable::select_again() const {
  return "SELECT " + select_list() + ", p.n FROM " + from_keys() + " ORDER BY p.n";
}

std::string PollTable::select_last() const {
  std::string texts, order;
  for (const KeyPlace& k : keys) {
    texts += (texts.empty() ? "t." : ", t.") + k.quoted + "::pg_catalog.text";
    order += (order.empty() ? "t." : ", t.") + k.quoted + " DESC";
  }
  const std::string first = "t." + keys.front().quoted;
  return "SELECT " + texts + " FROM " + catalog.quoted + " t WHERE " + first + " IS NOT NULL ORDER BY " + order +
         " LIMIT 1";
}

std::string PollTable::set_bound() const {
  std::string sql = set_hint();
  for (std::size_t at = 0; (at = sql.find("'pgch.k", at)) != std::string::npos; at += 7) sql.replace(at, 7, "'pgch.b");
  return sql;
}

Result<PollTable> describe_poll_table(pg::Connection& connection, const PollOptions& options, const Context& context) {
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(30), context.stop};
  PollTable t;
  t.form = options.form;
  PGCH_ASSIGN(t.catalog, pg::describe(connection, options.table, options.columns, options.xid_column, wait));
  t.schema = std::make_shared<const TableSchema>(t.catalog.source.schema);
  t.fields = t.catalog.fields;
  PGCH_ASSIGN(t.schema_quoted, quote_postgres(t.schema->schema));
  const bool table = t.catalog.relkind == 'r' || t.catalog.relkind == 'p';
  if (!table && options.form != PollForm::plain) {
    return halt(Errc::unsupported, display_name(*t.schema) +
                                       " is not a table, so its rows have no transaction of their own: only "
                                       "table.poll_form = \"plain\" reads it, with the columns that table.poll_cursor "
                                       "and table.key name.");
  }
  PGCH_TRY(check_children(connection, t.catalog, wait));
  if (table || t.catalog.key.empty()) PGCH_TRY(check_key(t.catalog, "poll", context));
  if (t.catalog.row_security) {
    context.log.write(LogLevel::warning, "Table " + display_name(*t.schema) +
                                             " has row security, and its policies may hide rows from this user: they "
                                             "are not read. A user with BYPASSRLS sees them all.");
  }
  PGCH_ASSIGN(t.source, source_of(connection, t.catalog, wait));
  std::string select = "0::pg_catalog.int8";
  if (options.form == PollForm::plain) {
    PGCH_TRY(order_plain(t, connection, options, context, wait));
    t.indexed = true;
  } else if (options.form == PollForm::xmin) {
    select = t.stamp = wide_xmin();
  } else {
    PGCH_ASSIGN(const XidColumn xid, describe_xid(connection, t.catalog, options.xid_column, wait));
    PGCH_TRY(check_xid(t, xid, options.xid_column, context));
    PGCH_ASSIGN(const std::string quoted, quote_postgres(options.xid_column));
    select = t.stamp = "t." + quoted;
    t.indexed = xid.indexed;
    // Rows that were written while it was away would count as read.
    t.source += "/" + xid.number;
  }
  PGCH_TRY(place_keys(t));
  t.stamp_field = t.fields.size();
  t.fields.push_back({"the row's transaction", "xid8", pg::Decoder::swap8, Layout::fixed8, false, 0, 0});
  t.catalog.selects.push_back(select);
  return t;
}

}  // namespace pgch
