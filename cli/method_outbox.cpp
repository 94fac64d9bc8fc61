// The outbox method: triggers note the keys of changed rows in a table of their own.
#include <fmt/format.h>

#include <cstdlib>

#include "method.h"

namespace pgch::cli {
namespace {

struct OutboxFacts {
  std::string name;  ///< quoted
  bool exists = false;
  bool ours = false;       ///< in the form that setup makes
  bool triggered = false;  ///< some trigger of the user's or ours runs at changes of the table
  bool may_select = false, may_claim = false;
};

OutboxOptions options_of(const TableConfig& table) {
  OutboxOptions options;
  options.table = table.name;
  options.outbox = table.outbox;
  return options;
}

Result<OutboxFacts> outbox_facts(PostgresSession& source, const TableConfig& table) {
  OutboxFacts facts;
  auto name = outbox_name(options_of(table));
  if (!name) return std::move(name).error();
  facts.name = *std::move(name);
  auto row = facts_of(
      source, table,
      "SELECT to_regclass($2) IS NOT NULL,"
      " EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = to_regclass($2) AND a.attname = '_op' AND NOT "
      "a.attisdropped),"
      " EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'),"
      " has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'),"
      " coalesce(has_table_privilege(to_regclass($2), 'SELECT') AND has_table_privilege(to_regclass($2), 'UPDATE') AND"
      " has_table_privilege(to_regclass($2), 'DELETE'), false)"
      " FROM pg_class c WHERE c.oid = to_regclass($1)",
      facts.name);
  if (!row) return std::move(row).error();
  facts.exists = is_yes((*row)[0]);
  facts.ours = is_yes((*row)[1]);
  facts.triggered = is_yes((*row)[2]);
  facts.may_select = is_yes((*row)[3]);
  facts.may_claim = is_yes((*row)[4]);
  return facts;
}

Result<std::unique_ptr<Extractor>> make(const Config& config, const TableConfig& table) {
  return make_outbox(outbox_of(config, table));
}

bool check(const Session& session, PostgresSession& source, const TableConfig& table, Findings& found) {
  const auto facts = outbox_facts(source, table);
  if (!facts) {
    found.problem(facts.error());
    return false;
  }
  const std::string mend = "; mend it with: " + command_again(session, "setup", table) + " --apply";
  if (!facts->may_select) tell_unreadable(table, found);
  if (!facts->exists) {
    found.problem(fmt::format("there is no outbox {} for table {}{}", facts->name, table.name, mend), Errc::not_found);
    return true;
  }
  if (facts->may_claim) {
    found.good("outbox " + facts->name);
  } else {
    found.problem(
        fmt::format("no right to take notes from the outbox {0}; mend it with: GRANT SELECT, UPDATE, DELETE ON "
                    "{0} TO <user>",
                    facts->name),
        Errc::permission);
  }
  if (facts->triggered) {
    found.good("triggers on table " + table.name);
  } else {
    found.problem(fmt::format("no trigger on table {} notes its changes{}", table.name, facts->ours ? mend : ""),
                  Errc::not_found);
  }
  return true;
}

Result<SourceTable> describe(PostgresSession& source, const TableConfig& table) {
  return source.describe(table.name, table.columns);
}

Result<std::vector<std::string>> setup_sql(PostgresSession& source, const TableConfig& table,
                                           const SourceTable& described) {
  auto facts = outbox_facts(source, table);
  if (!facts) return std::move(facts).error();
  // An outbox in a form of its own has triggers of its own.
  if (facts->exists && !facts->ours) return std::vector<std::string>{};
  return outbox_setup_sql(options_of(table), described);
}

Result<std::vector<std::string>> teardown_sql(PostgresSession&, const TableConfig& table) {
  auto statements = outbox_teardown_sql(options_of(table));
  // An outbox that was named may be the user's own.
  if (statements && !table.outbox.empty()) statements->pop_back();
  return statements;
}

Result<std::string> again_sql(PostgresSession& source, const TableConfig& table, const SourceTable& described) {
  auto facts = outbox_facts(source, table);
  if (!facts) return std::move(facts).error();
  if (!facts->exists || !facts->ours)
    return no_second_time(table, "its outbox " + facts->name + " has a form of its own");
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto key = key_list(described);
  if (!key) return std::move(key).error();
  auto condition = key_condition(described);
  if (!condition) return std::move(condition).error();
  return "INSERT INTO " + facts->name + " (_op, " + *key + ") SELECT 'U', " + *key + " FROM " + *name + " WHERE " +
         *condition + " RETURNING 1";
}

Result<std::optional<std::uint64_t>> unsent(Session&, PostgresSession& source, const TableConfig& table) {
  auto facts = outbox_facts(source, table);
  if (!facts) return std::move(facts).error();
  if (!facts->exists) return std::optional<std::uint64_t>();
  auto rows = source.query("SELECT count(*) FROM " + facts->name);
  if (!rows) return std::move(rows).error();
  return std::optional<std::uint64_t>(std::strtoull(rows->at(0).at(0).value_or("0").c_str(), nullptr, 10));
}

}  // namespace

const Method outbox_method{"outbox", make, check, describe, setup_sql, teardown_sql, again_sql, unsent};

}  // namespace pgch::cli
