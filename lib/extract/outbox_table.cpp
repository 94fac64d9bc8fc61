#include "extract/outbox_table.h"

#include <algorithm>

#include "base/try.h"

namespace pgch {
namespace {

// In the SQL a note is `t`, and the row that it names `s`.
struct OutboxTable final : ClaimTable {
  std::string rows;                  ///< the table they are looked up in, quoted
  std::vector<std::string> row_key;  ///< columns of the note that hold the row's key, quoted
  std::string lookup;                ///< the condition that joins both

  Result<void> place(pg::CatalogTable source, pg::CatalogTable notes);
  std::string looked_up() const { return " LEFT JOIN " + rows + " s ON " + lookup; }

  std::string select(std::uint64_t limit, bool hint) const override {
    std::string notes =
        "SELECT t.*, t.xmin, t.ctid FROM " + catalog.quoted + " t WHERE TRUE" + share_condition(row_key);
    if (hint) notes += " AND (" + key_columns() + ") > (" + hint_values() + ")";
    notes += " ORDER BY " + key_columns() + " LIMIT " + std::to_string(limit) + " FOR UPDATE OF t SKIP LOCKED";
    return "COPY (SELECT " + select_list() + " FROM (" + notes + ") t" + looked_up() + " ORDER BY " + key_columns() +
           ") TO STDOUT (FORMAT binary)";
  }
  std::string select_again() const override {
    return "SELECT " + select_list() + ", p.n FROM " + from_keys() + looked_up() + " ORDER BY p.n FOR UPDATE OF t";
  }
  std::string mark_by_ctid() const override { return "DELETE FROM " + catalog.quoted + " WHERE ctid = ANY ($1)"; }
  std::string mark_by_key() const override {
    const Join join = join_keys();
    return "DELETE FROM " + catalog.quoted + " t USING " + join.keys + " WHERE " + join.condition;
  }
  Error mismarked(std::uint64_t claimed, std::uint64_t marked) const override {
    return halt(Errc::data, "Deleting " + std::to_string(claimed) + " notes of " + name + " deleted " +
                                std::to_string(marked) +
                                ": a trigger, a rule or a row-level policy comes between. Nothing was deleted; let the "
                                "DELETE through.");
  }
};

bool has_column(const pg::CatalogTable& table, const std::string& name) {
  const auto& names = table.source.source_columns;
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A row that is gone has its key from the note, and nothing else.
Result<void> OutboxTable::place(pg::CatalogTable source, pg::CatalogTable notes) {
  schema = std::make_shared<const TableSchema>(source.source.schema);
  fields = std::move(source.fields);
  catalog = std::move(notes);
  catalog.selects = std::move(source.selects);
  catalog.source.row_bytes_estimate = source.source.row_bytes_estimate;
  for (std::size_t c = 0; c < catalog.selects.size(); ++c) {
    PGCH_ASSIGN(const std::string quoted, quote_postgres(source.source.source_columns[c]));
    std::string& select = catalog.selects[c];  // perhaps within a cast or a function
    const std::size_t at = select.find("t." + quoted);
    if (at == std::string::npos)
      return halt(Errc::internal, "The column " + quoted + " is not read as such; this is a defect.");
    std::string from = "s." + quoted;
    for (std::size_t k = 0; k < source.key.size(); ++k) {
      if (source.key[k].column != c) continue;
      lookup += (lookup.empty() ? "" : " AND ") + from;
      from = "t." + row_key[k] + "::" + source.key[k].type;
      lookup += " = " + from;
      from = "(" + from + ")";
    }
    select.replace(at, quoted.size() + 2, from);
    if (!fields[c].nullable) fields[c].null_as_default = !schema->columns[c].key;
  }
  PGCH_ASSIGN(const std::string key, quote_postgres(source.key.front().name));
  gone_field = fields.size();
  fields.push_back({"gone", "boolean", pg::Decoder::boolean, Layout::fixed1, false, 0, 0});
  catalog.selects.push_back("s." + key + " IS NULL");
  for (pg::KeyColumn& k : catalog.key) k.column = npos;  // the columns that are moved are the row's
  PGCH_TRY(place_keys(*this));
  place_stamps();
  return {};
}

Error no_outbox(const OutboxOptions& options, const std::string& outbox) {
  return halt(Errc::not_found,
              "There is no outbox " + outbox + " for table " + options.table +
                  ": run `pgch setup --apply` with the same settings, or name the outbox with table.outbox.");
}

Result<void> check_rights(pg::Connection& connection, const pg::CatalogTable& rows, const pg::CatalogTable& notes,
                          const pg::Wait& wait) {
  const pg::Parameter tables[] = {{rows.quoted}, {notes.quoted}};
  PGCH_ASSIGN(const pg::Answer rights,
              connection.exec("SELECT pg_catalog.has_table_privilege($1, 'SELECT'), pg_catalog.has_table_privilege($2, "
                              "'SELECT') AND pg_catalog.has_table_privilege($2, 'UPDATE') AND "
                              "pg_catalog.has_table_privilege($2, 'DELETE')",
                              tables, "looking at the outbox's rights", wait));
  if (rights.rows() == 1 && rights.cell(0, 0) == "t" && rights.cell(0, 1) == "t") return {};
  return halt(Errc::permission, "The user may not read table " + display_name(rows.source.schema) +
                                    ", or not claim notes of its outbox: GRANT SELECT ON " + rows.quoted +
                                    " and GRANT SELECT, UPDATE, DELETE ON " + notes.quoted +
                                    " to the user pgch connects as.");
}

}  // namespace

Result<std::unique_ptr<ClaimTable>> describe_outbox_table(pg::Connection& connection, const OutboxOptions& options,
                                                          const Context& context) {
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(30), context.stop};
  PGCH_ASSIGN(pg::CatalogTable rows, pg::describe(connection, options.table, options.columns, {}, wait));
  const std::string table_name = display_name(rows.source.schema);
  PGCH_TRY(check_key(rows, "outbox", context));
  PGCH_TRY(check_children(connection, rows, wait));
  PGCH_ASSIGN(const std::string outbox, outbox_name(options, rows.source.schema.schema));
  auto notes = pg::describe(connection, outbox, {}, {}, wait);
  if (!notes && notes.error().code == Errc::not_found) return no_outbox(options, outbox);
  if (!notes) return std::move(notes).error();

  auto table = std::make_unique<OutboxTable>();
  table->share = options.share;
  table->shares = options.shares;
  table->name = display_name(notes->source.schema);
  table->rows = rows.quoted;
  table->locks_rows = false;
  if (notes->key.empty()) {
    return halt(Errc::schema, "Outbox " + table->name +
                                  " has no primary key, so its notes can't be told apart: ALTER TABLE " +
                                  notes->quoted + " ADD COLUMN _id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY.");
  }
  if (!options.key.empty() && options.key.size() != rows.key.size()) {
    return halt(Errc::config, "The setting table.outbox_key names " + std::to_string(options.key.size()) +
                                  " columns, but the key of table " + table_name + " has " +
                                  std::to_string(rows.key.size()) + ".");
  }
  std::vector<std::string> row_key;
  for (std::size_t k = 0; k < rows.key.size(); ++k) {
    if (rows.key[k].column == npos) {
      return halt(Errc::config, "Column \"" + rows.key[k].name + "\" of table " + table_name +
                                    " is part of the key, so an outbox can't move rows without it: take it into "
                                    "table.columns.");
    }
    row_key.push_back(options.key.empty() ? rows.key[k].name : options.key[k]);
    if (!has_column(*notes, row_key.back())) {
      return halt(Errc::schema, "Outbox " + table->name + " has no column \"" + row_key.back() +
                                    "\" with the key of table " + table_name +
                                    ": name the columns that hold it with table.outbox_key.");
    }
    PGCH_ASSIGN(std::string quoted, quote_postgres(row_key.back()));
    table->row_key.push_back(std::move(quoted));
  }
  std::vector<std::string> own;
  for (const pg::KeyColumn& k : notes->key) own.push_back(k.name);
  table->repeats = own != row_key;
  table->skips_gone = options.skip_gone;
  PGCH_TRY(check_rights(connection, rows, *notes, wait));
  PGCH_TRY(table->place(std::move(rows), *std::move(notes)));
  return std::unique_ptr<ClaimTable>(std::move(table));
}

}  // namespace pgch
