// Rows by their keys: one join with arrays of keys for some thousand rows.
#include "pgch/lookup.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "base/try.h"
#include "extract/keyed_table.h"
#include "pg/array.h"
#include "pg/cell_text.h"

namespace pgch {
namespace {

constexpr std::size_t answer_bytes_max = 8u << 20;  // libpq holds an answer whole
constexpr std::uint32_t keys_max = 10'000;
constexpr std::size_t row_bytes_min = 64;
constexpr std::chrono::minutes patience{5};

class PostgresLookup final : public RowLookup {
 public:
  explicit PostgresLookup(LookupOptions options) : options_(std::move(options)) {}

  Result<void> open(const Context& context) override {
    close();
    context_.emplace(context);
    return connect();
  }
  Result<Found> look_up(const RowBatch& keys) override;
  std::size_t row_bytes() const noexcept override {
    if (!table_) return row_bytes_min;
    return std::max(static_cast<std::size_t>(table_->catalog.source.row_bytes_estimate), row_bytes_min);
  }
  void close() noexcept override {
    table_.reset();
    connection_.reset();
  }

 private:
  Result<void> connect();
  Result<void> place();
  Result<void> ask(const RowBatch& keys, std::uint32_t from, std::uint32_t to, Found& found);

  LookupOptions options_;
  std::optional<Context> context_;
  std::unique_ptr<pg::Connection> connection_;
  std::optional<KeyedTable> table_;
  std::string select_;
  pg::TupleDecoder decoder_;
  std::vector<Column> extra_;
};

Result<void> PostgresLookup::connect() {
  PGCH_ASSIGN(connection_, pg::Connection::open(options_.postgres, *context_));
  return place();
}

Result<void> PostgresLookup::place() {
  const pg::Wait wait{context_->clock.now() + std::chrono::seconds(30), context_->stop};
  KeyedTable table;
  PGCH_ASSIGN(table.catalog, pg::describe(*connection_, options_.table, options_.columns, {}, wait));
  PGCH_TRY(check_key(table.catalog, "key", *context_));
  PGCH_TRY(check_children(*connection_, table.catalog, wait));
  for (const pg::KeyColumn& k : table.catalog.key) {
    if (k.column != npos) continue;
    return halt(Errc::config, "Column \"" + k.name + "\" of table " + display_name(table.catalog.source.schema) +
                                  " is part of the key, so rows can't be looked up without it: take it into "
                                  "table.columns.");
  }
  table.schema = std::make_shared<const TableSchema>(table.catalog.source.schema);
  table.fields = table.catalog.fields;
  PGCH_TRY(place_keys(table));
  table_ = std::move(table);
  select_ = "SELECT " + table_->select_list() + ", p.n FROM " + table_->from_keys();
  decoder_ = pg::TupleDecoder(table_->fields, table_->main_fields());
  extra_.assign(table_->extra_fields(), {});
  return {};
}

Result<Found> PostgresLookup::look_up(const RowBatch& keys) {
  if (!connection_ || !connection_->alive()) PGCH_TRY(connect());
  if (fingerprint_of(*keys.schema) != fingerprint_of(*table_->schema)) {
    return halt(Errc::schema, "The columns of table " + display_name(*table_->schema) +
                                  " are others than when pgch started: restart it, so that the target is looked at "
                                  "again.");
  }
  Found found;
  found.rows.reset(keys.schema);
  for (Column& c : extra_) c.clear();
  const auto step = static_cast<std::uint32_t>(std::clamp<std::size_t>(answer_bytes_max / row_bytes(), 1, keys_max));
  for (std::uint32_t from = 0; from < keys.rows; from += step)
    PGCH_TRY(ask(keys, from, std::min(keys.rows, from + step), found));
  return found;
}

Result<void> PostgresLookup::ask(const RowBatch& keys, std::uint32_t from, std::uint32_t to, Found& found) {
  std::vector<std::string> arrays;
  for (const pg::KeyColumn& k : table_->catalog.key) {
    pg::ArrayWriter array(pg::oid::text);
    for (std::uint32_t r = from; r < to; ++r)
      array.add(postgres_text(keys.schema->columns[k.column], keys.columns[k.column], r));
    arrays.emplace_back(array.finish());
  }
  std::vector<pg::Parameter> parameters;
  for (const std::string& a : arrays) parameters.push_back({a, pg::oid::text_array, true});
  const std::string doing = "looking up rows of " + display_name(*table_->schema);
  PGCH_ASSIGN(const pg::Answer answer,
              connection_->exec(select_, parameters, doing, {context_->clock.now() + patience, context_->stop}, true));
  const std::size_t fields = table_->fields.size();
  RowBatch& rows = found.rows;
  std::vector<std::byte> memory;
  std::vector<bool> seen(to - from);
  for (std::size_t r = 0; r < answer.rows(); ++r) {
    const auto number = ByteReader(answer.cell(r, fields)).big<std::int64_t>();
    if (number < 1 || number > to - from)
      return halt(Errc::corrupt, "While " + doing + ": PostgreSQL's rows are not what was asked for.");
    const std::uint32_t key = from + static_cast<std::uint32_t>(number - 1);
    if (seen[static_cast<std::size_t>(number - 1)]) {
      return halt(Errc::data, "Table " + display_name(*table_->schema) +
                                  " has several rows for one key, so it is not known which one was meant: name columns "
                                  "that are unique with table.key.");
    }
    seen[static_cast<std::size_t>(number - 1)] = true;
    std::span<const std::byte> message = tuple_of(answer, r, fields, memory);
    switch (decoder_.decode(message, rows.columns.data(), extra_.data(), rows.rows)) {
      case pg::TupleOutcome::row:
        ++rows.rows;
        rows.ordinals.push_back(key);
        break;
      case pg::TupleOutcome::rejected:
        found.unfit.push_back({key, decoder_.why()});
        break;
      case pg::TupleOutcome::trailer:
      case pg::TupleOutcome::malformed:
        return halt(Errc::corrupt, "While " + doing +
                                       ": PostgreSQL's rows are not what was asked for; was the table "
                                       "changed? Restart pgch.");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<RowLookup>> make_lookup(LookupOptions options) {
  if (options.table.empty()) return halt(Errc::config, "A look-up needs the name of a table.");
  return std::unique_ptr<RowLookup>(std::make_unique<PostgresLookup>(std::move(options)));
}

}  // namespace pgch
