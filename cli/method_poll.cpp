// The poll method: new rows are known by a cursor; in its first two forms by a column with each row's transaction.
#include <fmt/format.h>

#include "method.h"

namespace pgch::cli {
namespace {

bool by_column(const TableConfig& table) { return !own_column(table).empty(); }

struct PollFacts {
  bool exists = false, fits = false, fills = false, indexed = false, renewed = false, may_select = false;
  bool notifies = false;
};

Result<PollFacts> poll_facts(PostgresSession& source, const TableConfig& table) {
  auto row = facts_of(
      source, table,
      "SELECT a.attnum IS NOT NULL, a.atttypid = 'xid8'::regtype,"
      " a.attnotnull AND coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE '%pg_current_xact_id()%', false),"
      " EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND "
      "i.indkey[0] = a.attnum),"
      " EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND "
      "g.tgname = '_pgch_poll'),"
      " EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND "
      "g.tgname = '_pgch_notify'),"
      " has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT')"
      " FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT "
      "a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
      " WHERE c.oid = to_regclass($1)",
      table.poll.xid_column);
  if (!row) return std::move(row).error();
  return PollFacts{is_yes((*row)[0]), is_yes((*row)[1]), is_yes((*row)[2]), is_yes((*row)[3]),
                   is_yes((*row)[4]), is_yes((*row)[6]), is_yes((*row)[5])};
}

// "schema"."pgch_cursor" and "schema"."_pgch_poll" beside the table.
Result<std::string> beside(PostgresSession& source, const TableConfig& table, const char* name) {
  auto quoted = quote_postgres_table(table.name);
  if (!quoted) return std::move(quoted).error();
  auto rows = source.query(
      "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = "
      "to_regclass($1)",
      {*quoted});
  if (!rows) return std::move(rows).error();
  if (rows->empty()) return halt(Errc::not_found, "There is no table " + table.name + " in this PostgreSQL database.");
  return rows->front().front().value_or("") + "." + name;
}

Result<std::unique_ptr<Extractor>> make(const Config& config, const TableConfig& table) {
  if (table.shares > 1) {
    return halt(Errc::config, "The setting table.share is for the flag method: a table has one reader that polls.");
  }
  return make_poll(poll_of(config, table));
}

void check_form(const TableConfig& table, Findings& found) {
  if (table.poll.form == PollForm::plain) {
    found.advise(
        fmt::format("bounded risk: in the plain form rows of table {} that are committed after others with a higher "
                    "cursor are lost{}; pgch verify finds them, pgch repair mends them. The forms snapshots, xid and "
                    "xmin lose none",
                    table.name, table.poll.lag.count() == 0 ? "" : ", if they take longer than the lag"));
  } else if (table.poll.form == PollForm::xmin) {
    found.good("new rows are known by their xmin; each round reads the whole table");
  }
}

bool check(const Session& session, PostgresSession& source, const TableConfig& table, Findings& found) {
  const auto facts = poll_facts(source, table);
  if (!facts) {
    found.problem(facts.error());
    return false;
  }
  const std::string mend = "; mend it with: " + command_again(session, "setup", table) + " --apply";
  if (!facts->may_select) tell_unreadable(table, found);
  if (table.poll.store == PollStore::database) {
    const auto store = beside(source, table, "pgch_cursor");
    const auto there = store ? source.query("SELECT to_regclass($1) IS NOT NULL", {*store})
                             : Result<std::vector<PostgresSession::Row>>(store.error());
    if (!there) {
      found.problem(there.error());
    } else if (!is_yes(there->front().front())) {
      found.problem("no table " + *store + " to keep the cursor in" + mend, Errc::not_found);
    } else {
      found.good("table " + *store + " for the cursor");
    }
  }
  check_form(table, found);
  if (table.method == "notify" && facts->notifies) {
    found.good("trigger that notifies pgch of new rows");
  } else if (table.method == "notify") {
    found.advise("no trigger notifies pgch of new rows, so they wait until it looks by itself" + mend);
  }
  if (!by_column(table)) return true;
  const std::string& column = table.poll.xid_column;
  if (!facts->exists) {
    found.problem(fmt::format("table {} has no column {}{}", table.name, column, mend), Errc::not_found);
    return true;
  }
  if (!facts->fits) {
    found.problem(
        fmt::format("the column {} of table {} is no xid8; name another one with \"poll_column\"", column, table.name),
        Errc::schema);
  } else if (!facts->fills) {
    found.problem(fmt::format("the column {} of table {} is not NOT NULL DEFAULT pg_current_xact_id(){}", column,
                              table.name, mend),
                  Errc::schema);
  } else {
    found.good("column " + column + " with each row's transaction");
  }
  if (facts->indexed) {
    found.good("index on it and the key");
  } else {
    found.advise("no index on " + column + " and the key: each round reads the whole table" + mend);
  }
  if (facts->renewed) {
    found.good("trigger that renews it at updates");
  } else if (table.poll_updates) {
    found.problem(fmt::format("table {} has no trigger that renews {} at updates{}", table.name, column, mend),
                  Errc::not_found);
  } else {
    found.advise(
        "updates of rows that were sent are not seen; poll_updates = true, and setup makes a trigger for them");
  }
  return true;
}

Result<SourceTable> describe(PostgresSession& source, const TableConfig& table) {
  auto facts = poll_facts(source, table);
  if (!facts) return std::move(facts).error();
  ColumnSelection columns = table.columns;
  if (facts->exists && by_column(table)) columns.exclude.push_back(table.poll.xid_column);
  return source.describe(table.name, columns);
}

// Two statements, so that no row is rewritten: what is there counts as transaction 0. Rows that are written between the
// two are committed before the second one has its lock, so 0 is right for them, too.
Result<void> column_sql(PostgresSession& source, const TableConfig& table, const SourceTable& described,
                        std::vector<std::string>& out) {
  auto facts = poll_facts(source, table);
  if (!facts) return std::move(facts).error();
  if (facts->exists && !facts->fits) {
    return halt(Errc::schema,
                fmt::format("The column {} of table {} is no xid8; name another one with \"poll_column\".",
                            table.poll.xid_column, table.name));
  }
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto column = quote_postgres(table.poll.xid_column);
  if (!column) return std::move(column).error();
  auto key = key_list(described);
  if (!key) return std::move(key).error();
  out.push_back("ALTER TABLE " + *name + " ADD COLUMN IF NOT EXISTS " + *column + " xid8 NOT NULL DEFAULT '0'");
  out.push_back("ALTER TABLE " + *name + " ALTER COLUMN " + *column + " SET DEFAULT pg_current_xact_id()");
  if (!key->empty()) {
    auto added = add_index(source, table, {table.poll.xid_column, "order"}, "(" + *column + ", " + *key + ")", out);
    if (!added) return added;
  }
  if (!table.poll_updates) return {};
  auto function = beside(source, table, "\"_pgch_poll\"");
  if (!function) return std::move(function).error();
  // Named by the column, since tables may call theirs differently.
  out.push_back("CREATE OR REPLACE FUNCTION " + function->substr(0, function->size() - 1) + "_" + column->substr(1) +
                "() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW." + *column +
                " := pg_current_xact_id(); RETURN NEW; END$$");
  out.push_back("CREATE OR REPLACE TRIGGER \"_pgch_poll\" BEFORE INSERT OR UPDATE ON " + *name +
                " FOR EACH ROW EXECUTE FUNCTION " + function->substr(0, function->size() - 1) + "_" +
                column->substr(1) + "()");
  return {};
}

// Once for each statement, and always the same: PostgreSQL passes on one of those that a transaction sends.
Result<void> notify_sql(PostgresSession& source, const TableConfig& table, const SourceTable& described,
                        std::vector<std::string>& out) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto function = beside(source, table, "\"_pgch_notify\"");
  if (!function) return std::move(function).error();
  const bool updates = table.poll_updates || !by_column(table);
  out.push_back("CREATE OR REPLACE FUNCTION " + *function +
                "() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_notify(TG_ARGV[0], ''); RETURN NULL; END$$");
  out.push_back(std::string("CREATE OR REPLACE TRIGGER \"_pgch_notify\" AFTER INSERT") + (updates ? " OR UPDATE" : "") +
                " ON " + *name + " FOR EACH STATEMENT EXECUTE FUNCTION " + *function + "('" +
                notify_channel(described.schema) + "')");
  return {};
}

Result<std::vector<std::string>> setup_sql(PostgresSession& source, const TableConfig& table,
                                           const SourceTable& described) {
  std::vector<std::string> out;
  if (by_column(table)) {
    if (auto done = column_sql(source, table, described, out); !done) return std::move(done).error();
  }
  if (table.method == "notify") {
    if (auto done = notify_sql(source, table, described, out); !done) return std::move(done).error();
  }
  if (table.poll.store == PollStore::database) {
    auto store = beside(source, table, "pgch_cursor");
    if (!store) return std::move(store).error();
    out.push_back("CREATE TABLE IF NOT EXISTS " + *store +
                  " (pipeline text, stream text, state bytea NOT NULL, saved_at timestamptz NOT NULL DEFAULT now(), "
                  "PRIMARY KEY (pipeline, stream))");
  }
  return out;
}

// The cursors' table may be other tables', too: it stays.
Result<std::vector<std::string>> teardown_sql(PostgresSession& source, const TableConfig& table) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  std::vector<std::string> out;
  if (table.method == "notify") out.push_back("DROP TRIGGER IF EXISTS \"_pgch_notify\" ON " + *name);
  if (!by_column(table)) return out;
  auto column = quote_postgres(table.poll.xid_column);
  if (!column) return std::move(column).error();
  auto drop = drop_index(source, table, {table.poll.xid_column, "order"});
  if (!drop) return std::move(drop).error();
  out.push_back("DROP TRIGGER IF EXISTS \"_pgch_poll\" ON " + *name);
  out.push_back(*drop);
  out.push_back("ALTER TABLE " + *name + " DROP COLUMN IF EXISTS " + *column);
  return out;
}

// Its transaction becomes a new one, and nothing else is changed.
Result<std::string> again_sql(PostgresSession&, const TableConfig& table, const SourceTable& described) {
  if (table.poll.form == PollForm::plain) return no_second_time(table, "the plain form looks above its cursor only");
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto key = key_condition(described);
  if (!key) return std::move(key).error();
  const std::string own =
      by_column(table) ? table.poll.xid_column : described.source_columns[key_indexes(described.schema).front()];
  auto column = quote_postgres(own);
  if (!column) return std::move(column).error();
  return "UPDATE " + *name + " SET " + *column + " = " + (by_column(table) ? "pg_current_xact_id()" : *column) +
         " WHERE " + *key + " RETURNING 1";
}

// Behind the cursor, wherever that is kept.
Result<std::optional<std::uint64_t>> unsent(Session& session, PostgresSession&, const TableConfig& table) {
  PollOptions options = poll_of(session.config, table);
  options.postgres.statement_timeout_s = 5;
  auto rows = poll_unsent(options, session.context());
  // A number that takes that long isn't worth it.
  if (!rows && rows.error().code == Errc::timeout) return std::optional<std::uint64_t>();
  return rows;
}

}  // namespace

const Method poll_method{"poll", make, check, describe, setup_sql, teardown_sql, again_sql, unsent};
const Method notify_method{"notify", make, check, describe, setup_sql, teardown_sql, again_sql, unsent};

}  // namespace pgch::cli
