#include "pgch/extract/outbox.h"

#include <fmt/format.h>

#include "base/try.h"
#include "extract/claim_extractor.h"
#include "extract/outbox_table.h"

namespace pgch {
namespace {

// "s"."t" → "s"."t<end>"
std::string beside(const std::string& quoted, const std::string& end) {
  return quoted.substr(0, quoted.size() - 1) + end + "\"";
}

// The last part of a quoted name: "s"."t" → "t"
std::string last_part(const std::string& quoted) {
  const auto at = quoted.rfind("\".\"");
  return at == std::string::npos ? quoted : quoted.substr(at + 2);
}

// A name without a schema is one in this schema, if that is known.
Result<std::string> within(const std::string& schema, const std::string& quoted) {
  if (schema.empty() || last_part(quoted) != quoted) return quoted;
  PGCH_ASSIGN(const std::string prefix, quote_postgres(schema));
  return prefix + "." + quoted;
}

struct Names {
  std::string table, outbox, function;
};

Result<Names> names_of(const OutboxOptions& options, const std::string& schema) {
  Names names;
  PGCH_ASSIGN(const std::string table, quote_postgres_table(options.table));
  PGCH_ASSIGN(names.table, within(schema, table));
  PGCH_ASSIGN(names.outbox, outbox_name(options, schema));
  names.function = beside(names.outbox, "_note");
  return names;
}

std::string trigger(const Names& names, const std::string& event, const std::string& when, const std::string& rows) {
  const std::string name = beside(last_part(names.outbox), "_" + event);
  return fmt::format("DROP TRIGGER IF EXISTS {0} ON {1}; CREATE TRIGGER {0} {2} ON {1}{3} EXECUTE FUNCTION {4}()", name,
                     names.table, when, rows, names.function);
}

// What notes keys, whatever the search_path of the session, and without rights of the writer's own on the outbox.
std::string function_of(const Names& names, const std::string& body) {
  return fmt::format(
      "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "
      "pg_temp AS $pgch$\nBEGIN\n{}  RETURN NULL;\nEND\n$pgch$",
      names.function, body);
}

struct KeySql {
  std::string columns, news, olds, same;  ///< k; (NEW.k); (OLD.k); n.k = o.k
};

std::vector<std::string> by_statement(const Names& names, const KeySql& key) {
  const std::string note = "INSERT INTO " + names.outbox + " (_op, " + key.columns + ") SELECT ";
  // A key that an UPDATE took away is one that is gone.
  const std::string body =
      "  IF TG_OP = 'INSERT' THEN\n    " + note + "'I', " + key.columns +
      " FROM new_rows;\n  ELSIF TG_OP = 'UPDATE' THEN\n    " + note + "'U', " + key.columns + " FROM new_rows;\n    " +
      note + "'D', " + key.columns + " FROM old_rows o WHERE NOT EXISTS (SELECT FROM new_rows n WHERE " + key.same +
      ");\n  ELSIF TG_OP = 'DELETE' THEN\n    " + note + "'D', " + key.columns + " FROM old_rows;\n  ELSE\n    " +
      note + "'D', " + key.columns + " FROM " + names.table + ";\n  END IF;\n";
  const std::string olds = " REFERENCING OLD TABLE AS old_rows", news = " REFERENCING NEW TABLE AS new_rows";
  const std::string each = " FOR EACH STATEMENT";
  return {function_of(names, body), trigger(names, "insert", "AFTER INSERT", news + each),
          trigger(names, "update", "AFTER UPDATE", olds + " NEW TABLE AS new_rows" + each),
          trigger(names, "delete", "AFTER DELETE", olds + each), trigger(names, "truncate", "BEFORE TRUNCATE", each)};
}

// Whoever writes to a partition itself fires row triggers only.
std::vector<std::string> by_row(const Names& names, const KeySql& key) {
  const std::string note = "INSERT INTO " + names.outbox + " (_op, " + key.columns + ") ";
  const std::string body = "  IF TG_OP = 'TRUNCATE' THEN\n    " + note + "SELECT 'D', " + key.columns + " FROM " +
                           names.table + ";\n    RETURN NULL;\n  END IF;\n  IF TG_OP <> 'DELETE' THEN\n    " + note +
                           "VALUES (left(TG_OP, 1)::\"char\", " + key.news +
                           ");\n  END IF;\n  IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (" + key.news + ") <> (" +
                           key.olds + ")) THEN\n    " + note + "VALUES ('D', " + key.olds + ");\n  END IF;\n";
  return {function_of(names, body), trigger(names, "change", "AFTER INSERT OR UPDATE OR DELETE", " FOR EACH ROW"),
          trigger(names, "truncate", "BEFORE TRUNCATE", " FOR EACH STATEMENT")};
}

}  // namespace

Result<std::string> outbox_name(const OutboxOptions& options, const std::string& schema) {
  if (options.outbox.empty()) {
    PGCH_ASSIGN(const std::string table, quote_postgres_table(options.table));
    return within(schema, beside(table, "_outbox"));
  }
  PGCH_ASSIGN(const std::string named, quote_postgres_table(options.outbox));
  return within(schema, named);
}

Result<std::unique_ptr<Extractor>> make_outbox(OutboxOptions options) {
  if (options.table.empty()) return halt(Errc::config, "The outbox method needs a table: set the setting table.");
  PGCH_TRY(names_of(options, {}));
  ClaimOptions claims{"outbox",       options.postgres, options.stream,          options.share,
                      options.shares, options.lanes,    options.lock_timeout_ms, {}};
  PGCH_TRY(check_claim_options(claims));
  claims.describe = [options = std::move(options)](pg::Connection& connection, const Context& context) {
    return describe_outbox_table(connection, options, context);
  };
  return std::unique_ptr<Extractor>(new ClaimExtractor(std::move(claims)));
}

Result<std::vector<std::string>> outbox_setup_sql(const OutboxOptions& options, const SourceTable& described) {
  PGCH_ASSIGN(const Names names, names_of(options, described.schema.schema));
  std::string columns;
  KeySql key;
  for (const std::size_t i : key_indexes(described.schema)) {
    PGCH_ASSIGN(const std::string c, quote_postgres(described.source_columns[i]));
    const std::string comma = key.columns.empty() ? "" : ", ";
    columns += ", " + c + " " + described.schema.columns[i].source_type + " NOT NULL";
    key.columns += comma + c;
    key.news += comma + "NEW." + c;
    key.olds += comma + "OLD." + c;
    key.same += (key.same.empty() ? "n." : " AND n.") + c + " = o." + c;
  }
  if (key.columns.empty()) {
    return halt(Errc::schema, "Table " + options.table +
                                  " has no key, and an outbox notes keys: add a primary key, or name unique columns "
                                  "with the setting table.key.");
  }
  std::vector<std::string> out{
      "CREATE TABLE IF NOT EXISTS " + names.outbox +
      " (_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, _op \"char\" NOT NULL, _xid xid8 "
      "NOT NULL DEFAULT pg_catalog.pg_current_xact_id()" +
      columns + ")"};
  for (std::string& s : described.plain_table ? by_statement(names, key) : by_row(names, key))
    out.push_back(std::move(s));
  return out;
}

Result<std::vector<std::string>> outbox_teardown_sql(const OutboxOptions& options) {
  PGCH_ASSIGN(const Names names, names_of(options, {}));
  // With the function go its triggers.
  return std::vector<std::string>{"DROP FUNCTION IF EXISTS " + names.function + "() CASCADE",
                                  "DROP TABLE IF EXISTS " + names.outbox};
}

}  // namespace pgch
