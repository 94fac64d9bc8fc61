#include "verify/row_sum.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "base/try.h"
#include "verify/pg_hash.h"

namespace pgch::comparing {
namespace {

using Form = RowSum::Form;

// What a NULL hashes to in SQL: it only has to be no value's.
std::uint64_t null_hash(std::uint64_t seed) noexcept { return pg_hash(std::int32_t{-1}, seed + 1000); }

// Types whose text by their output function is what moves; the cast to text may say something else.
std::string_view output_of(std::string_view type) noexcept {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> known{{
      {"character", "bpcharout"},
      {"numeric", "numeric_out"},
      {"interval", "interval_out"},
      {"inet", "inet_out"},
      {"cidr", "cidr_out"},
      {"macaddr", "macaddr_out"},
      {"macaddr8", "macaddr8_out"},
      {"bit varying", "varbit_out"},
      {"bit", "bit_out"},
      {"time with time zone", "timetz_out"},
  }};
  for (const auto& [name, function] : known) {
    if (type == name) return function;
  }
  return {};
}

// "numeric(10,2)" → "numeric", "timestamp(3) with time zone" → "timestamp with time zone"
std::string base_type(std::string_view type) {
  std::string out(type);
  const auto open = out.find('('), close = out.find(')');
  if (open != std::string::npos && close != std::string::npos && open < close) out.erase(open, close - open + 1);
  return out;
}

struct Expression {
  Form form = Form::text;
  std::string sql{};  // empty: none
};

Expression text_of(const std::string& value, std::uint64_t seed) {
  return {Form::text, fmt::format("pg_catalog.hashtextextended({} COLLATE \"C\", {})", value, seed)};
}

Expression of_text(const std::string& type, const std::string& c, std::uint64_t seed) {
  if (type == "text" || type == "character varying") return text_of(c, seed);
  if (const auto output = output_of(type); !output.empty())
    return text_of(fmt::format("pg_catalog.textin(pg_catalog.{}({}))", output, c), seed);
  return {};
}

Expression of_number(const ColumnSpec& column, const std::string& type, const std::string& c, std::uint64_t seed) {
  switch (column.kind) {
    case Kind::boolean:
      if (type != "boolean") break;
      return {Form::truth, fmt::format("pg_catalog.hashint4extended({}::pg_catalog.int4, {})", c, seed)};
    case Kind::int16:
    case Kind::int32:
      if (type != "smallint" && type != "integer") break;
      return {Form::integer, fmt::format("pg_catalog.hashint4extended({}, {})", c, seed)};
    case Kind::int64:
      if (type != "bigint") break;
      return {Form::wide, fmt::format("(pg_catalog.hashint8extended({}, {}) # {})", c, seed, c)};
    case Kind::uint32:
      if (type != "oid") break;
      return {Form::unsigned_, fmt::format("pg_catalog.hashoidextended({}, {})", c, seed)};
    case Kind::float32:
    case Kind::float64:
      if (type != "real" && type != "double precision") break;
      // PostgreSQL's function takes -0 for 0.
      return {Form::real, fmt::format("CASE WHEN {0} = 0 THEN pg_catalog.hashtextextended({0}::pg_catalog.text COLLATE "
                                      "\"C\", {1}) ELSE pg_catalog.hashfloat8extended({0}, {1}) END",
                                      c, seed)};
    case Kind::decimal:
      if (type != "numeric") break;
      return {Form::decimal,
              fmt::format("pg_catalog.hash_numeric_extended({0}, CASE WHEN {0} < 0 THEN {1} ELSE {2} END)", c,
                          seed + 2000, seed)};
    default:
      break;
  }
  return {};
}

Expression of_ticks(const std::string& c, std::uint64_t seed) {
  return {Form::ticks, fmt::format("pg_catalog.hashfloat8extended(pg_catalog.date_part('epoch', {}), {})", c, seed)};
}

Expression of(const ColumnSpec& column, const std::string& c, std::uint64_t seed) {
  const std::string type = base_type(column.source_type);
  switch (column.kind) {
    case Kind::date:
      if (type != "date") break;
      return {Form::days, fmt::format("pg_catalog.hashint4extended(CASE WHEN pg_catalog.isfinite({0}) THEN {0} - "
                                      "'1970-01-01'::pg_catalog.date ELSE 2147483647 END, {1})",
                                      c, seed)};
    case Kind::timestamp:
    case Kind::timestamptz:
      if (column.scale == 6 && type.rfind("timestamp", 0) == 0) return of_ticks(c, seed);
      break;
    case Kind::uuid:
      if (type != "uuid") break;
      return {Form::uuid, fmt::format("pg_catalog.uuid_hash_extended({}, {})", c, seed)};
    case Kind::bytes:
      if (type != "bytea") break;
      return {Form::hex,
              fmt::format("pg_catalog.hashtextextended(pg_catalog.encode({}, 'hex') COLLATE \"C\", {})", c, seed)};
    case Kind::json:
      if (type != "json" && type != "jsonb") break;
      return text_of(c + "::pg_catalog.text", seed);
    case Kind::enumeration:
      return text_of(c + "::pg_catalog.text", seed);
    case Kind::text:
      return of_text(type, c, seed);
    default:
      if (column.scale == 6 && type == "time without time zone") return of_ticks(c, seed);
      return of_number(column, type, c, seed);
  }
  return {};
}

template <class T>
T get(std::span<const std::byte> cell) noexcept {
  T value{};
  std::memcpy(&value, cell.data(), std::min(sizeof(T), cell.size()));
  return value;
}

std::int64_t whole(std::span<const std::byte> cell) noexcept {
  if (cell.size() == 2) return get<std::int16_t>(cell);
  if (cell.size() == 4) return get<std::int32_t>(cell);
  return get<std::int64_t>(cell);
}

std::uint64_t real(double value, std::uint64_t seed) noexcept {
  if (value != 0) return pg_hash(value, seed);
  return pg_hash(as_bytes(std::signbit(value) ? "-0" : "0"), seed);
}

std::uint64_t hex(std::span<const std::byte> cell, std::uint64_t seed) {
  thread_local std::string text;
  text.clear();
  constexpr const char* digits = "0123456789abcdef";
  for (const std::byte b : cell) {
    text.push_back(digits[std::to_integer<unsigned>(b) >> 4]);
    text.push_back(digits[std::to_integer<unsigned>(b) & 15]);
  }
  return pg_hash(as_bytes(text), seed);
}

// Halves as ClickHouse lays them out; PostgreSQL has the bytes in the order they are printed in.
std::uint64_t uuid(std::span<const std::byte> cell, std::uint64_t seed) noexcept {
  const std::uint64_t halves[2] = {byteswap(get<std::uint64_t>(cell.first(8))),
                                   byteswap(get<std::uint64_t>(cell.subspan(8)))};
  return pg_hash(std::as_bytes(std::span(halves)), seed);
}

}  // namespace

Result<RowSum> RowSum::of(const SourceTable& table, std::vector<std::size_t> columns, bool by_database) {
  RowSum out;
  out.columns_ = std::move(columns);
  if (!by_database) return out;
  std::string sum;
  for (const std::size_t i : out.columns_) {
    const ColumnSpec& column = table.schema.columns[i];
    PGCH_ASSIGN(const std::string name, quote_postgres(table.source_columns[i]));
    const std::uint64_t seed = i + 1;
    const Expression one = comparing::of(column, "t." + name, seed);
    if (one.sql.empty()) {
      out.why_not_ = fmt::format("{} ({})", column.name, column.source_type);
      out.parts_.clear();
      return out;
    }
    const std::size_t width = width_of(layout_of(column));
    out.parts_.push_back({one.form, i, seed, width, column.scale});
    const std::string cell = column.nullable
                                 ? fmt::format("coalesce({}, {})", one.sql, static_cast<std::int64_t>(null_hash(seed)))
                                 : one.sql;
    sum += (sum.empty() ? "" : " # ") + cell;
  }
  out.sql_ = sum;
  return out;
}

void RowSum::hash(const RowBatch& batch, std::vector<std::uint64_t>& out) const {
  out.assign(batch.rows, 0);
  if (parts_.empty()) {
    for (std::size_t row = 0; row < batch.rows; ++row) out[row] = hash_row(batch, row, columns_).low;
    return;
  }
  for (const Part& part : parts_) {
    const Column& column = batch.columns[part.column];
    const auto each = [&](const auto& hash_of) {
      for (std::size_t row = 0; row < batch.rows; ++row)
        out[row] ^= column.is_null(row) ? null_hash(part.seed) : hash_of(column.at(row, part.width));
    };
    using Cell = std::span<const std::byte>;
    switch (part.form) {
      case Form::truth:
        each([&](Cell c) { return pg_hash(std::int32_t{c[0] == std::byte{0} ? 0 : 1}, part.seed); });
        break;
      case Form::integer:
        each([&](Cell c) { return pg_hash(static_cast<std::int32_t>(whole(c)), part.seed); });
        break;
      case Form::wide:
        each([&](Cell c) { return pg_hash(whole(c), part.seed) ^ static_cast<std::uint64_t>(whole(c)); });
        break;
      case Form::unsigned_:
      case Form::days:
        each([&](Cell c) { return pg_hash(get<std::int32_t>(c), part.seed); });
        break;
      case Form::real:
        each([&](Cell c) { return real(c.size() == 4 ? get<float>(c) : get<double>(c), part.seed); });
        break;
      case Form::decimal:
        each([&](Cell c) { return pg_hash_decimal(c, part.scale, is_negative(c) ? part.seed + 2000 : part.seed); });
        break;
      case Form::ticks:
        each([&](Cell c) { return pg_hash(static_cast<double>(whole(c)) / 1e6, part.seed); });
        break;
      case Form::text:
        each([&](Cell c) { return pg_hash(c, part.seed); });
        break;
      case Form::hex:
        each([&](Cell c) { return hex(c, part.seed); });
        break;
      case Form::uuid:
        each([&](Cell c) { return uuid(c, part.seed); });
        break;
    }
  }
  // Not linear in the columns: values that changed places between two rows change the sum.
  for (std::uint64_t& h : out) h ^= pg_hash(static_cast<std::int64_t>(h), 0);
}

}  // namespace pgch::comparing
