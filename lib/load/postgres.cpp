// PostgreSQL as a target. A batch is copied into a temporary table shaped like the target's columns (so that the input
// functions judge every value), and from there inserted in one transaction; rows whose key is there already are left
// alone. An advisory lock on (pipeline, stream), held to the transaction's end, makes look() wait for a load that lost
// its client.
#include "pgch/load/postgres.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/try.h"
#include "pg/array.h"
#include "pg/catalog.h"
#include "pg/cell_text.h"
#include "pg/connection.h"
#include "pg/copy_stream.h"

namespace pgch {
namespace {

class PostgresLoader final : public Loader {
 public:
  explicit PostgresLoader(PostgresTargetOptions options) : options_(std::move(options)) {}

  Result<void> open(const Context& context) override {
    close();
    context_.emplace(context);
    return connect();
  }
  Result<LoaderTraits> prepare(const TableSchema& schema) override;
  Result<std::string> mark() override { return std::string(); }
  Result<void> load(const RowBatch& batch, const Attempt& attempt) override;
  Result<Landed> look(const Intent& intent, const RowBatch& batch, const Attempt& last) override;
  void close() noexcept override {
    connection_.reset();
    staged_ = false;
  }

 private:
  Result<void> connect();
  Result<void> create(const TableSchema& schema);
  Result<void> stage();
  Result<void> copy_rows(const RowBatch& batch);
  Result<void> lock(const Attempt& attempt);
  Result<void> run(const std::string& sql, std::span<const pg::Parameter> parameters = {});
  pg::Wait wait() const { return {context_->clock.now() + std::chrono::seconds(120), context_->stop}; }

  PostgresTargetOptions options_;
  std::optional<Context> context_;
  std::unique_ptr<pg::Connection> connection_;
  std::string quoted_, columns_;        // of the target; "a", "b"
  std::vector<std::string> key_types_;  // of the batch's key, at the target
  std::vector<std::string> key_names_;  // quoted
  bool staged_ = false;
};

Result<void> PostgresLoader::connect() {
  if (connection_ && connection_->alive()) return {};
  staged_ = false;
  PGCH_ASSIGN(connection_, pg::Connection::open(options_.postgres, *context_));
  return {};
}

Result<void> PostgresLoader::run(const std::string& sql, std::span<const pg::Parameter> parameters) {
  PGCH_TRY(connection_->exec(sql, parameters, "writing to PostgreSQL table " + options_.table, wait()));
  return {};
}

Result<void> PostgresLoader::create(const TableSchema& schema) {
  PGCH_ASSIGN(const std::string table, quote_postgres_table(options_.table));
  PGCH_ASSIGN(const std::string flag, quote_postgres(options_.flag_column));
  std::string sql = "CREATE TABLE IF NOT EXISTS " + table + " (", key;
  for (const ColumnSpec& c : schema.columns) {
    PGCH_ASSIGN(const std::string name, quote_postgres(c.name));
    sql += name + " " + postgres_type(c) + (c.nullable ? ", " : " NOT NULL, ");
  }
  sql += flag + " boolean NOT NULL DEFAULT false";
  for (const std::string& k : schema.key_order) {
    PGCH_ASSIGN(const std::string name, quote_postgres(k));
    key += (key.empty() ? "" : ", ") + name;
  }
  if (!key.empty()) sql += ", PRIMARY KEY (" + key + ")";
  PGCH_TRY(run(sql + ")"));
  if (!key.empty()) PGCH_TRY(run("CREATE INDEX ON " + table + " (" + key + ") WHERE " + flag + " IS NOT TRUE"));
  return {};
}

Result<LoaderTraits> PostgresLoader::prepare(const TableSchema& schema) {
  PGCH_TRY(connect());
  auto found = pg::describe(*connection_, options_.table, {}, {}, wait());
  if (!found && found.error().code == Errc::not_found && options_.create) {
    PGCH_TRY(create(schema));
    found = pg::describe(*connection_, options_.table, {}, {}, wait());
  }
  if (!found) return std::move(found).error();
  const pg::CatalogTable& table = *found;
  quoted_ = table.quoted;
  columns_.clear();
  key_types_.clear();
  key_names_.clear();
  staged_ = false;
  for (const ColumnSpec& c : schema.columns) {
    if (column_index(table.source.schema, c.name) == npos) {
      return halt(Errc::schema, "PostgreSQL table " + display_name(table.source.schema) + " has no column \"" + c.name +
                                    "\", which the rows have: add it, or leave it out with the setting table.exclude.");
    }
    if (is_nested(c.kind)) {
      return halt(Errc::unsupported, "Column \"" + c.name +
                                         "\" is an array, tuple or map, which pgch does not write into PostgreSQL; "
                                         "leave it out with the setting table.exclude.");
    }
    PGCH_ASSIGN(const std::string name, quote_postgres(c.name));
    columns_ += (columns_.empty() ? "" : ", ") + name;
  }
  // The target's own key decides what "there already" means; it must be among the rows' columns.
  for (const pg::KeyColumn& k : table.key) {
    if (column_index(schema, k.name) == npos) continue;
    PGCH_ASSIGN(const std::string name, quote_postgres(k.name));
    key_names_.push_back(name);
    key_types_.push_back(k.type);
  }
  const bool by_key = !table.key.empty() && key_names_.size() == table.key.size();
  bool same = by_key && schema.key_order.size() == table.key.size();
  for (std::size_t i = 0; same && i < table.key.size(); ++i) same = schema.key_order[i] == table.key[i].name;
  if (!same) {
    key_names_.clear();
    return LoaderTraits{
        false,
        "PostgreSQL table " + display_name(table.source.schema) +
            " has not the key that the rows have, so it can't be told which rows are there; add that primary key."};
  }
  return LoaderTraits{true, {}};
}

// One temporary table for the connection, emptied by each commit.
Result<void> PostgresLoader::stage() {
  if (staged_) return {};
  PGCH_TRY(
      run("DROP TABLE IF EXISTS pg_temp.pgch_stage; CREATE TEMP TABLE pgch_stage ON COMMIT DELETE ROWS AS SELECT " +
          columns_ + " FROM " + quoted_ + " WITH NO DATA"));
  staged_ = true;
  return {};
}

Result<void> PostgresLoader::lock(const Attempt& attempt) {
  const std::string key = std::to_string(static_cast<std::int64_t>(hash64(attempt.pipeline + "\n" + attempt.stream)));
  const pg::Parameter p{key};
  return run("SELECT pg_catalog.pg_advisory_xact_lock($1::pg_catalog.int8)", {&p, 1});
}

Result<void> PostgresLoader::copy_rows(const RowBatch& batch) {
  const std::string doing = "writing to PostgreSQL table " + options_.table;
  PGCH_TRY(connection_->send("COPY pg_temp.pgch_stage (" + columns_ + ") FROM STDIN (FORMAT text)", {}, doing));
  PGCH_ASSIGN(const pg::Answer begun, connection_->answer(wait()));
  if (!begun.is_copy_in()) return halt(Errc::internal, "While " + doing + ": PostgreSQL did not begin to copy.");
  constexpr std::size_t piece_bytes = 256 << 10;
  std::string piece;
  for (std::size_t r = 0; r < batch.rows; ++r) {
    append_copy_line(piece, batch, r);
    if (piece.size() < piece_bytes && r + 1 < batch.rows) continue;
    PGCH_TRY(pg::put_copy_data(*connection_, as_bytes(piece), wait()));
    piece.clear();
  }
  PGCH_TRY(pg::end_copy(*connection_, wait()));
  return {};
}

Result<void> PostgresLoader::load(const RowBatch& batch, const Attempt& attempt) {
  if (batch.rows == 0) return {};
  PGCH_TRY(connect());
  PGCH_TRY(stage());
  const auto write = [&]() -> Result<void> {
    PGCH_TRY(run("BEGIN"));
    PGCH_TRY(lock(attempt));
    PGCH_TRY(copy_rows(batch));
    return run("INSERT INTO " + quoted_ + " (" + columns_ + ") OVERRIDING SYSTEM VALUE SELECT " + columns_ +
               " FROM pg_temp.pgch_stage ON CONFLICT DO NOTHING");
  };
  if (auto written = write(); !written) {
    Error e = std::move(written).error();
    // Nothing is committed: whatever happened, nothing is there.
    if (e.code == Errc::data) e.recovery = Recovery::dead_letter;
    if (!connection_->alive() || !run("ROLLBACK")) close();
    return e;
  }
  if (auto committed = run("COMMIT"); !committed) {
    Error e = std::move(committed).error();
    e.in_doubt = e.native.empty() || e.code == Errc::connection;
    close();
    return e;
  }
  return {};
}

Result<Landed> PostgresLoader::look(const Intent&, const RowBatch& batch, const Attempt& last) {
  Landed out;
  if (batch.rows == 0) return out;
  if (key_names_.empty())
    return halt(Errc::unsupported,
                "PostgreSQL table " + options_.table + " has no key, so it can't be told which rows are there.");
  PGCH_TRY(connect());
  std::string arrays, names, conditions;
  std::vector<std::string> values;
  const std::vector<std::size_t> keys = key_indexes(*batch.schema);
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const std::string n = std::to_string(k);
    arrays += (k == 0 ? "$" : ", $") + std::to_string(k + 1) + "::pg_catalog.text[]::" + key_types_[k] + "[]";
    names += (k == 0 ? "k" : ", k") + n;
    conditions += (k == 0 ? "t." : " AND t.") + key_names_[k] + " = p.k" + n;
    pg::ArrayWriter array(pg::oid::text);
    for (std::size_t r = 0; r < batch.rows; ++r)
      array.add(postgres_text(batch.schema->columns[keys[k]], batch.columns[keys[k]], r));
    values.emplace_back(array.finish());
  }
  std::vector<pg::Parameter> parameters;
  for (const std::string& v : values) parameters.push_back({v, pg::oid::text_array, true});
  PGCH_TRY(run("BEGIN"));
  const std::string sql = "SELECT p.n FROM pg_catalog.unnest(" + arrays + ") WITH ORDINALITY AS p(" + names +
                          ", n) WHERE NOT EXISTS (SELECT FROM " + quoted_ + " t WHERE " + conditions + ") ORDER BY p.n";
  // A load that lost its client may still be running; it holds the lock until it has ended, one way or the other.
  const auto ask = [&]() -> Result<pg::Answer> {
    PGCH_TRY(lock(last));
    return connection_->exec(sql, parameters, "looking for rows in PostgreSQL table " + options_.table, wait(), true);
  };
  auto answer = ask();
  if (!connection_->alive() || !run("ROLLBACK")) close();
  if (!answer) return std::move(answer).error();
  for (std::size_t r = 0; r < answer->rows(); ++r) {
    out.missing.push_back(static_cast<std::uint32_t>(ByteReader(answer->cell(r, 0)).big<std::int64_t>() - 1));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Loader>> make_postgres_loader(PostgresTargetOptions options) {
  PGCH_TRY(quote_postgres_table(options.table));
  PGCH_TRY(quote_postgres(options.flag_column));
  return std::unique_ptr<Loader>(new PostgresLoader(std::move(options)));
}

}  // namespace pgch
