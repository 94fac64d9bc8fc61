#include "verify/ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/bytes.h"
#include "base/try.h"

namespace pgch::comparing {
namespace {

constexpr double pages_to_sample = 300;
constexpr std::size_t rows_of_a_range = 8192, ranges_max = 1024;

template <class T>
T get(std::span<const std::byte> cell) noexcept {
  T value{};
  std::memcpy(&value, cell.data(), std::min(sizeof(T), cell.size()));
  return value;
}

bool is_varchar(const std::string& type) { return type == "text" || type.rfind("character varying", 0) == 0; }

std::string quoted_text(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

// No escaping to get wrong, whatever the bytes.
std::string unhex(const std::string& text) {
  std::string out = "unhex('";
  for (const char c : text) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out + "')";
}

std::string printed_uuid(std::span<const std::byte> cell) {
  const auto high = get<std::uint64_t>(cell.first(8)), low = get<std::uint64_t>(cell.subspan(8));
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF, low >> 48,
                     low & 0xFFFF'FFFF'FFFF);
}

std::int64_t number_of(const std::string& text) noexcept {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Ranges::Form Ranges::form_of(const ColumnSpec& column) noexcept {
  const std::string& type = column.source_type;
  switch (column.kind) {
    case Kind::int16:
    case Kind::int32:
    case Kind::int64:
      return type == "smallint" || type == "integer" || type == "bigint" ? Form::number : Form::none;
    case Kind::text:
      return is_varchar(type) ? Form::text : Form::none;
    case Kind::uuid:
      return type == "uuid" ? Form::uuid : Form::none;
    case Kind::timestamp:
    case Kind::timestamptz:
      return column.scale == 6 && type.rfind("timestamp", 0) == 0 ? Form::ticks : Form::none;
    case Kind::date:
      return type == "date" ? Form::days : Form::none;
    default:
      return Form::none;
  }
}

Result<Ranges> Ranges::plan(PostgresSession& source, const SourceTable& table, const std::string& quoted) {
  Ranges best;
  std::vector<Bound> most;
  double rows = 0;
  PGCH_ASSIGN(const auto size,
              source.query("SELECT greatest(pg_catalog.pg_relation_size(c), (SELECT "
                           "sum(pg_catalog.pg_relation_size(relid)) FROM pg_catalog.pg_partition_tree(c))) / 8192 FROM "
                           "(SELECT $1::pg_catalog.regclass AS c) x",
                           {quoted}));
  const double pages = size.empty() || !size[0][0] ? 0 : static_cast<double>(number_of(*size[0][0]));
  if (pages < 64) return best;
  const double share = std::min(1.0, pages_to_sample / pages);
  for (const std::size_t i : key_indexes(table.schema)) {
    const ColumnSpec& column = table.schema.columns[i];
    Ranges one;
    one.form_ = form_of(column);
    if (one.form_ == Form::none) continue;
    PGCH_ASSIGN(const std::string name, quote_postgres(table.source_columns[i]));
    one.column_ = i;
    one.width_ = width_of(layout_of(column));
    one.type_ = column.source_type;
    one.source_value_ = "t." + name + (one.form_ == Form::text ? " COLLATE \"C\"" : "");
    one.target_column_ = quote_clickhouse(column.name);
    auto found = one.sample(source, quoted, share * 100);
    if (!found) {
      if (found.error().code == Errc::stopped || found.error().code == Errc::connection)
        return std::move(found).error();
      continue;  // a view, say, has no sample
    }
    rows = std::max(rows, static_cast<double>(found->size()) / share);
    const std::size_t all = found->size();
    found->erase(std::unique(found->begin(), found->end(), [](const Bound& a, const Bound& b) { return !(a < b); }),
                 found->end());
    if (found->size() <= most.size() || all == 0) continue;
    most = *std::move(found);
    best = std::move(one);
  }
  const std::size_t wanted =
      std::min({ranges_max, most.size() / 4 + 1, static_cast<std::size_t>(rows / rows_of_a_range) + 1});
  for (std::size_t i = 1; i < wanted; ++i) best.bounds_.push_back(most[i * most.size() / wanted]);
  return best;
}

Result<std::vector<Ranges::Bound>> Ranges::sample(PostgresSession& source, const std::string& quoted,
                                                  double percent) const {
  const char* number = form_ == Form::ticks  ? "(pg_catalog.date_part('epoch', {0}) * 1000000)::pg_catalog.int8"
                       : form_ == Form::days ? "{0} - '1970-01-01'::pg_catalog.date"
                                             : "0";
  const std::string finite =
      form_ == Form::ticks || form_ == Form::days ? " AND pg_catalog.isfinite(" + source_value_ + ")" : "";
  PGCH_ASSIGN(const auto rows,
              source.query(fmt::format("SELECT {}::pg_catalog.text, {} FROM {} t TABLESAMPLE SYSTEM ({}) WHERE {} IS "
                                       "NOT NULL{}",
                                       source_value_, fmt::format(fmt::runtime(number), source_value_), quoted, percent,
                                       source_value_, finite)));
  std::vector<Bound> out;
  out.reserve(rows.size());
  for (const auto& row : rows) {
    if (!row[0] || !row[1]) continue;
    Bound bound;
    if (form_ == Form::number) {
      bound.number = number_of(*row[0]);
    } else if (form_ == Form::text || form_ == Form::uuid) {
      bound.text = *row[0];
    } else {
      bound.number = number_of(*row[1]);
    }
    out.push_back(std::move(bound));
  }
  std::sort(out.begin(), out.end());
  return out;
}

Ranges::Bound Ranges::bound_at(const Column& column, std::size_t row) const {
  const auto cell = column.at(row, width_);
  Bound out;
  if (form_ == Form::text) {
    out.text = as_text(cell);
  } else if (form_ == Form::uuid) {
    out.text = printed_uuid(cell);
  } else if (width_ == 2) {
    out.number = get<std::int16_t>(cell);
  } else {
    out.number = width_ == 4 ? get<std::int32_t>(cell) : get<std::int64_t>(cell);
  }
  return out;
}

void Ranges::locate(const RowBatch& batch, std::vector<std::uint32_t>& out) const {
  out.assign(batch.rows, 0);
  if (bounds_.empty()) return;
  const Column& column = batch.columns[column_];
  for (std::size_t row = 0; row < batch.rows; ++row) {
    if (column.is_null(row)) continue;
    // Rows mostly come in the key's order.
    const Bound value = bound_at(column, row);
    const std::size_t last = row == 0 ? 0 : out[row - 1];
    const bool same = (last == 0 || !(value < bounds_[last - 1])) && (last == bounds_.size() || value < bounds_[last]);
    out[row] = static_cast<std::uint32_t>(
        same ? last
             : static_cast<std::size_t>(std::upper_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin()));
  }
}

std::string Ranges::source_literal(const Bound& bound) const {
  switch (form_) {
    case Form::text:
    case Form::uuid:
      return quoted_text(bound.text) + "::" + (form_ == Form::uuid ? "pg_catalog.uuid" : "pg_catalog.text");
    case Form::ticks:
      return fmt::format("('1970-01-01 00:00:00+00'::{} + {} * interval '1 second' + {} * interval '1 microsecond')",
                         type_, bound.number / 1'000'000, bound.number % 1'000'000);
    case Form::days:
      return fmt::format("('1970-01-01'::pg_catalog.date + ({}))", bound.number);
    case Form::number:
    case Form::none:
      break;
  }
  return quoted_text(std::to_string(bound.number)) + "::" + type_;
}

std::string Ranges::source_range() const {
  if (bounds_.empty()) return "0";
  std::string list;
  for (const Bound& bound : bounds_) list += (list.empty() ? "" : ",") + source_literal(bound);
  const std::string value =
      form_ == Form::text ? source_value_.substr(0, source_value_.rfind(" COLLATE")) + "::pg_catalog.text COLLATE \"C\""
                          : source_value_;
  return fmt::format("coalesce(pg_catalog.width_bucket({}, ARRAY[{}]), 0)", value, list);
}

std::string Ranges::source_where(std::size_t first, std::size_t last) const {
  if (first == 0 && last == bounds_.size()) return {};
  std::string out;
  if (first > 0) out = source_value_ + " >= " + source_literal(bounds_[first - 1]);
  if (last < bounds_.size())
    out += (out.empty() ? "" : " AND ") + source_value_ + " < " + source_literal(bounds_[last]);
  return first > 0 ? out : fmt::format("({} OR {} IS NULL)", out, source_value_);
}

std::string Ranges::target_value() const {
  switch (form_) {
    case Form::text:
      return "CAST(" + target_column_ + " AS String)";
    case Form::uuid:
      return "toString(" + target_column_ + ")";
    case Form::ticks:
      return "reinterpretAsInt64(CAST(" + target_column_ + " AS DateTime64(6, 'UTC')))";
    case Form::days:
      return "toInt32(" + target_column_ + ")";
    case Form::number:
    case Form::none:
      break;
  }
  return target_column_;
}

std::string Ranges::target_literal(const Bound& bound) const {
  if (form_ == Form::text) return unhex(bound.text);
  if (form_ == Form::uuid) return "'" + bound.text + "'";
  return std::to_string(bound.number);
}

std::string Ranges::target_where(std::size_t first, std::size_t last) const {
  if (first == 0 && last == bounds_.size()) return {};
  std::string out;
  if (first > 0) out = target_value() + " >= " + target_literal(bounds_[first - 1]);
  if (last < bounds_.size())
    out += (out.empty() ? "" : " AND ") + target_value() + " < " + target_literal(bounds_[last]);
  return out;
}

}  // namespace pgch::comparing
