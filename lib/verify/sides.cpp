#include "verify/sides.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>
#include <optional>
#include <thread>

#include "base/try.h"

namespace pgch::comparing {
namespace {

Error stopped() { return halt(Errc::stopped, "Stopped before everything was compared."); }

// A column of pgch's own.
ColumnSpec own(const std::string& name, Kind kind) {
  ColumnSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.nullable = false;
  return spec;
}

// In hexadecimal digits there is nothing to escape.
std::string unhex(const std::string& text) {
  std::string out = "unhex('";
  for (const char c : text) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out + "')";
}

}  // namespace

Result<std::uint64_t> to_number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size())
    return halt(Errc::corrupt, "The answer to a count is not a number.");
  return value;
}

Result<std::unique_ptr<Sides>> Sides::open(const VerifySides& sides, const VerifyOptions& options,
                                           const Context& context) {
  std::unique_ptr<Sides> out(new Sides(sides, options, context));
  PGCH_ASSIGN(out->source_, sides.source());
  PGCH_ASSIGN(out->quoted_, quote_postgres_table(options.table));
  if (!options.flag_column.empty()) {
    PGCH_ASSIGN(const std::string flag, quote_postgres(options.flag_column));
    // Without the column there is nothing that waits: a table that came by snapshot, say.
    PGCH_ASSIGN(const bool there, out->has_column(options.flag_column));
    if (there) out->flag_ = "t." + flag;
  }
  if (!options.own_column.empty()) {
    PGCH_ASSIGN(const bool there, out->has_column(options.own_column));
    if (there) out->options_.columns.exclude.push_back(options.own_column);
  }
  PGCH_TRY(out->describe());
  PGCH_ASSIGN(out->target_, sides.target());
  PGCH_TRY(out->describe_target());
  return out;
}

Result<bool> Sides::has_column(const std::string& name) {
  PGCH_ASSIGN(const auto there, source_->query("SELECT true FROM pg_catalog.pg_attribute WHERE attrelid = "
                                               "pg_catalog.to_regclass($1) AND attname = $2 AND NOT attisdropped",
                                               {quoted_, name}));
  return !there.empty();
}

Result<void> Sides::describe() {
  ColumnSelection columns = options_.columns;
  if (!flag_.empty()) columns.exclude.push_back(options_.flag_column);
  PGCH_ASSIGN(table_, source_->describe(options_.table, columns));
  key_ = key_indexes(table_.schema);
  std::vector<std::size_t> all(table_.schema.columns.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  PGCH_ASSIGN(rows_, RowSum::of(table_, all, options_.by_database));
  PGCH_ASSIGN(keys_, RowSum::of(table_, key_, has_key()));
  if (!rows_.why_not().empty()) why_streamed_ = rows_.why_not();
  if (!options_.by_database) why_streamed_ = "as asked for";
  return {};
}

void Sides::stream_instead(const std::string& why) {
  why_streamed_ = why;
  std::vector<std::size_t> all(table_.schema.columns.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  if (auto plain = RowSum::of(table_, all, false)) rows_ = *std::move(plain);
}

Result<void> Sides::describe_target() {
  PGCH_ASSIGN(const auto there, target_->describe(options_.target));
  target_exists_ = there.has_value();
  if (!target_exists_) return {};
  for (const ColumnSpec& column : table_.schema.columns) {
    // Reading it would fail with the engine's words.
    if (column_index(*there, column.name) == npos) {
      return halt(Errc::schema, fmt::format("The ClickHouse table {} has no column \"{}\", which table {} in "
                                            "PostgreSQL has; add it, or leave it out with \"exclude\".",
                                            options_.target.table, column.name, options_.table));
    }
  }
  PGCH_ASSIGN(const std::string engine,
              target_->query("SELECT engine FROM system.tables WHERE " + target_condition("name"), "TSV"));
  replaces_ = engine.find("Replacing") != std::string::npos;
  const auto has = [this](const std::string& name) -> Result<bool> {
    PGCH_ASSIGN(const std::string answer, target_->query("SELECT count() FROM system.columns WHERE " +
                                                             target_condition() + " AND name = " + unhex(name),
                                                         "TSV"));
    return answer == "1\n";
  };
  PGCH_ASSIGN(has_version_, has(options_.target.version_column));
  PGCH_ASSIGN(has_deleted_, has(options_.target.deleted_column));
  PGCH_ASSIGN(ranges_, Ranges::plan(*source_, table_, quoted_));
  return {};
}

std::string Sides::target_condition(const char* name) const {
  return fmt::format("database = currentDatabase() AND {} = {}", name, unhex(options_.target.table));
}

std::string Sides::ranges_where(const Runs& runs) const {
  std::string out;
  for (const auto& [first, last] : runs) {
    const std::string one = ranges_.source_where(first, last);
    if (one.empty()) return {};
    out += (out.empty() ? "" : " OR ") + ("(" + one + ")");
  }
  return out;
}

std::string Sides::source_where(const Runs& runs) const {
  const std::string ranges = ranges_where(runs);
  if (options_.where.empty()) return ranges;
  return "(" + options_.where + ")" + (ranges.empty() ? "" : " AND (" + ranges + ")");
}

std::string Sides::source_rows(const std::string& more) const {
  std::string where = options_.where.empty() ? std::string() : "(" + options_.where + ")";
  if (!more.empty()) where += (where.empty() ? "" : " AND ") + ("(" + more + ")");
  return quoted_ + " t" + (where.empty() ? "" : " WHERE " + where);
}

std::string Sides::target_where(const Runs& runs) const {
  std::string out;
  for (const auto& [first, last] : runs) {
    const std::string one = ranges_.target_where(first, last);
    if (one.empty()) return {};
    out += (out.empty() ? "" : " OR ") + ("(" + one + ")");
  }
  return out;
}

void Sides::hash(const RowBatch& batch, Rows& out) const {
  out.batch = &batch;
  rows_.hash(batch, out.sum);
  if (has_key()) {
    keys_.hash(batch, out.key);
  } else {
    out.key = out.sum;
  }
  ranges_.locate(batch, out.range);
}

Result<void> Sides::read_source(const Runs& runs, const RowSink& sink, std::uint64_t& rejected) {
  ColumnSelection columns = options_.columns;
  const bool flagged = !flag_.empty();
  if (flagged && !columns.include.empty()) columns.include.push_back(options_.flag_column);
  if (flagged) std::erase(columns.exclude, options_.flag_column);
  PGCH_ASSIGN(auto scan, sides_.scan(columns, source_where(runs)));
  PGCH_TRY(scan->open(context_, {}));
  RowBatch batch;
  Rows rows;
  const BatchLimits limits;
  while (true) {
    if (context_.stop.stop_requested()) return stopped();
    PGCH_ASSIGN(const Fetch found, scan->fetch(batch, limits, context_.clock.now() + std::chrono::seconds(60)));
    if (found == Fetch::end) break;
    if (found == Fetch::busy || found == Fetch::idle) continue;
    rejected += batch.rejected.size();
    rows.mark.assign(batch.rows, 0);
    TableSchema schema = *batch.schema;
    if (const std::size_t at = flagged ? column_index(schema, options_.flag_column) : npos; at != npos) {
      for (std::size_t row = 0; row < batch.rows; ++row) {
        const bool sent = !batch.columns[at].is_null(row) && batch.columns[at].data[row] != std::byte{0};
        rows.mark[row] = sent ? 0 : 1;
      }
      batch.columns.erase(batch.columns.begin() + static_cast<std::ptrdiff_t>(at));
      schema.columns.erase(schema.columns.begin() + static_cast<std::ptrdiff_t>(at));
    }
    // Equal hashes need equal layouts on both sides.
    if (schema.columns != table_.schema.columns)
      return halt(Errc::conflict,
                  fmt::format("The columns of table {} changed during the comparison; run it again.", options_.table));
    batch.schema = std::make_shared<const TableSchema>(std::move(schema));
    hash(batch, rows);
    PGCH_TRY(sink(rows));
  }
  scan->close();
  return {};
}

Result<void> Sides::read_target(const Runs& runs, bool current, const RowSink& sink) {
  TableSchema schema = table_.schema;
  const std::size_t moved = schema.columns.size();
  const bool deleted = has_deleted_ && !current;
  const bool versions = has_version_ && current;
  if (versions) schema.columns.push_back(own(options_.target.version_column, Kind::uint64));
  if (deleted) schema.columns.push_back(own(options_.target.deleted_column, Kind::uint8));
  Rows rows;
  const auto take = [&](const RowBatch& batch) -> Result<void> {
    if (context_.stop.stop_requested()) return stopped();
    hash(batch, rows);
    rows.mark.assign(batch.rows, 0);
    if (versions) {
      rows.version.resize(batch.rows);
      std::memcpy(rows.version.data(), batch.columns[moved].data.data(), batch.rows * sizeof(std::uint64_t));
    }
    for (std::size_t row = 0; deleted && row < batch.rows; ++row)
      rows.mark[row] = static_cast<std::uint8_t>(batch.columns.back().data[row]);
    return sink(rows);
  };
  return target_->read(options_.target, schema, current, take, target_where(runs));
}

Result<void> Sides::read_both(const Runs& runs, bool current, const RowSink& source, const RowSink& target,
                              std::uint64_t& rejected) {
  std::optional<Result<void>> here, there;
  {
    const std::jthread reader([&] { there.emplace(read_target(runs, current, target)); });
    here.emplace(read_source(runs, source, rejected));
  }
  if (!*here) return std::move(*here).error();
  return std::move(*there);
}

Result<std::uint64_t> Sides::count(const std::string& clickhouse_sql) {
  PGCH_ASSIGN(const std::string answer, target_->query(clickhouse_sql, "TSV"));
  return to_number(answer);
}

}  // namespace pgch::comparing
