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
constexpr std::uint32_t keys_at_first = 100;  // until it is known how large rows are
// For a whole batch: a stop, the group and a watchdog wait for it.
constexpr std::chrono::seconds patience{60};

class PostgresLookup final : public RowLookup {
 public:
  explicit PostgresLookup(LookupOptions options) : options_(std::move(options)) {}

  Result<void> open(const Context& context) override {
    close();
    context_.emplace(context);
    return connect();
  }
  Result<Found> look_up(const RowBatch& keys, std::size_t bytes_max) override;
  std::size_t row_bytes() const noexcept override {
    const double estimate = table_ ? table_->catalog.source.row_bytes_estimate : 0;
    const double seen = rows_seen_ == 0 ? 0 : static_cast<double>(bytes_seen_) / static_cast<double>(rows_seen_);
    return std::max(static_cast<std::size_t>(std::max(estimate, seen)), row_bytes_min);
  }
  void close() noexcept override {
    table_.reset();
    connection_.reset();
  }

 private:
  Result<void> connect();
  Result<void> place();
  Result<void> ask(const RowBatch& keys, std::uint32_t from, std::uint32_t to, const pg::Wait& wait, Found& found);
  Result<void> take(const pg::Answer& answer, std::uint32_t from, std::uint32_t to, Found& found);

  LookupOptions options_;
  std::optional<Context> context_;
  std::unique_ptr<pg::Connection> connection_;
  std::optional<KeyedTable> table_;
  std::string select_;
  pg::TupleDecoder decoder_;
  std::vector<Column> extra_;
  std::uint64_t rows_seen_ = 0, bytes_seen_ = 0;
};

// Kinds of which the cell is not the text that PostgreSQL reads the same value from: another row would be found, or
// none, and none is a deletion.
bool reads_back(const pg::FieldPlan& field, const ColumnSpec& column) noexcept {
  switch (field.decoder) {
    case pg::Decoder::interval_parts:
    case pg::Decoder::inet_ipv6:
    case pg::Decoder::macaddr_number:
    case pg::Decoder::bits_number:
      return false;
    case pg::Decoder::time:
      return column.kind != Kind::int64;
    default:
      return !is_nested(column.kind);
  }
}

Result<void> PostgresLookup::connect() {
  PGCH_ASSIGN(connection_, pg::Connection::open(options_.postgres, *context_));
  const pg::Wait wait{context_->clock.now() + std::chrono::seconds(30), context_->stop};
  PGCH_ASSIGN(const pg::Answer standby,
              connection_->exec("SELECT pg_catalog.pg_is_in_recovery()", {}, "asking whether it is the primary", wait));
  if (standby.rows() != 1 || standby.cell(0, 0) != "f") {
    connection_.reset();
    return retry(
        Errc::unsupported,
        "The PostgreSQL server is a standby, where a row may be missing that is there already: rows are looked "
        "up at the primary, and pgch waits for it.");
  }
  return place();
}

Result<void> PostgresLookup::place() {
  const pg::Wait wait{context_->clock.now() + std::chrono::seconds(30), context_->stop};
  KeyedTable table;
  PGCH_ASSIGN(table.catalog, pg::describe(*connection_, options_.table, options_.columns, options_.own_column, wait));
  PGCH_TRY(check_key(table.catalog, "key", *context_));
  PGCH_TRY(check_children(*connection_, table.catalog, wait));
  for (const pg::KeyColumn& k : table.catalog.key) {
    if (k.column != npos &&
        !reads_back(table.catalog.fields[k.column], table.catalog.source.schema.columns[k.column])) {
      return halt(Errc::unsupported,
                  "Column \"" + k.name + "\" of table " + display_name(table.catalog.source.schema) +
                      " is part of the key and becomes a type by which rows can't be looked up: leave "
                      "its type at the default ([types]), or take another kafka.format.");
    }
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

Result<Found> PostgresLookup::look_up(const RowBatch& keys, std::size_t bytes_max) {
  if (!connection_ || !connection_->alive()) PGCH_TRY(connect());
  if (fingerprint_of(*keys.schema) != fingerprint_of(*table_->schema)) {
    return halt(Errc::schema, "The columns of table " + display_name(*table_->schema) +
                                  " are others than when pgch started: restart it, so that the target is looked at "
                                  "again.");
  }
  const pg::Wait wait{context_->clock.now() + patience, context_->stop};
  Found found;
  found.rows.reset(keys.schema);
  for (Column& c : extra_) c.clear();
  for (std::uint32_t from = 0; from < keys.rows;) {
    const std::uint32_t most = rows_seen_ == 0 ? keys_at_first : keys_max;
    const auto step = static_cast<std::uint32_t>(std::clamp<std::size_t>(answer_bytes_max / row_bytes(), 1, most));
    const std::uint32_t to = std::min(keys.rows, from + step);
    PGCH_TRY(ask(keys, from, to, wait, found));
    from = to;
    if (found.rows.bytes() > bytes_max) {
      return retry(Errc::limit, "Rows of " + display_name(*table_->schema) + " have about " +
                                    std::to_string(row_bytes()) +
                                    " bytes, more than was thought: fewer are looked up "
                                    "at once.");
    }
  }
  return found;
}

// A key that PostgreSQL refuses is found by halves: the others have nothing to do with it.
Result<void> PostgresLookup::ask(const RowBatch& keys, std::uint32_t from, std::uint32_t to, const pg::Wait& wait,
                                 Found& found) {
  std::vector<std::string> arrays;
  for (const pg::KeyColumn& k : table_->catalog.key) {
    pg::ArrayWriter array(pg::oid::text);
    for (std::uint32_t r = from; r < to; ++r)
      array.add(postgres_text(keys.schema->columns[k.column], keys.columns[k.column], r));
    arrays.emplace_back(array.finish());
  }
  std::vector<pg::Parameter> parameters;
  for (const std::string& a : arrays) parameters.push_back({a, pg::oid::text_array, true});
  const auto answer =
      connection_->exec(select_, parameters, "looking up rows of " + display_name(*table_->schema), wait, true);
  if (answer) return take(*answer, from, to, found);
  const std::string_view state = answer.error().native;
  if (state.substr(0, 2) != "22" && state.substr(0, 2) != "23") return answer.error();
  if (to - from > 1) {
    const std::uint32_t middle = from + (to - from) / 2;
    PGCH_TRY(ask(keys, from, middle, wait, found));
    return ask(keys, middle, to, wait, found);
  }
  found.unfit.push_back({from, "PostgreSQL takes no such key for table " + display_name(*table_->schema) +
                                   " (SQLSTATE " + std::string(state) + ")"});
  return {};
}

Result<void> PostgresLookup::take(const pg::Answer& answer, std::uint32_t from, std::uint32_t to, Found& found) {
  const std::string doing = "looking up rows of " + display_name(*table_->schema);
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
    const std::size_t message_bytes = message.size();
    switch (decoder_.decode(message, rows.columns.data(), extra_.data(), rows.rows)) {
      case pg::TupleOutcome::row:
        ++rows.rows;
        ++rows_seen_;
        bytes_seen_ += message_bytes;
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
