#include "pg/cell_text.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "pg/numeric.h"

namespace pgch {
namespace {

template <class T>
T read(std::span<const std::byte> cell) noexcept {
  T v;
  std::memcpy(&v, cell.data(), sizeof v);
  return v;
}

template <class T>
std::string float_text(T v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v < 0 ? "-Infinity" : "Infinity";
  return fmt::format("{}", v);  // the shortest text that reads back as the same bits
}

std::string date_text(std::int64_t days) {
  const std::chrono::year_month_day d{std::chrono::sys_days{std::chrono::days{static_cast<int>(days)}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(d.year()), static_cast<unsigned>(d.month()),
                     static_cast<unsigned>(d.day()));
}

std::string time_text(std::int64_t ticks, unsigned scale) {
  std::int64_t a_second = 1;
  for (unsigned i = 0; i < scale; ++i) a_second *= 10;
  std::int64_t seconds = ticks / a_second, fraction = ticks % a_second;
  if (fraction < 0) {
    fraction += a_second;
    --seconds;
  }
  std::int64_t days = seconds / 86'400, rest = seconds % 86'400;
  if (rest < 0) {
    rest += 86'400;
    --days;
  }
  std::string out = date_text(days) + fmt::format(" {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
  if (scale > 0) out += fmt::format(".{:0{}}", fraction, scale);
  return out;
}

std::string uuid_text(std::span<const std::byte> cell) {
  const auto high = read<std::uint64_t>(cell), low = read<std::uint64_t>(cell.subspan(8));
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF, low >> 48,
                     low & 0xFFFFFFFFFFFFULL);
}

std::string clock_text(std::int64_t ticks, unsigned scale) {
  std::int64_t a_second = 1;
  for (unsigned i = 0; i < scale; ++i) a_second *= 10;
  const std::int64_t seconds = ticks / a_second;
  std::string out = fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (scale > 0) out += fmt::format(".{:0{}}", ticks % a_second, scale);
  return out;
}

std::string ipv6_text(std::span<const std::byte> cell) {
  std::string out;
  for (std::size_t i = 0; i < 16; i += 2) {
    out += fmt::format("{}{:x}", i == 0 ? "" : ":",
                       (std::to_integer<unsigned>(cell[i]) << 8) | std::to_integer<unsigned>(cell[i + 1]));
  }
  return out;
}

std::string bytes_text(std::span<const std::byte> cell) {
  std::string out = "\\x";
  for (const std::byte b : cell) out += fmt::format("{:02x}", std::to_integer<unsigned>(b));
  return out;
}

}  // namespace

std::string postgres_text(const ColumnSpec& spec, const Column& column, std::size_t row) {
  const auto cell = column.at(row, width_of(layout_of(spec)));
  switch (spec.kind) {
    case Kind::boolean:
      return cell[0] != std::byte{0} ? "t" : "f";
    case Kind::int8:
      return std::to_string(read<std::int8_t>(cell));
    case Kind::int16:
      return std::to_string(read<std::int16_t>(cell));
    case Kind::int32:
      return std::to_string(read<std::int32_t>(cell));
    case Kind::int64:
      return std::to_string(read<std::int64_t>(cell));
    case Kind::uint8:
      return std::to_string(read<std::uint8_t>(cell));
    case Kind::uint16:
      return std::to_string(read<std::uint16_t>(cell));
    case Kind::uint32:
      return std::to_string(read<std::uint32_t>(cell));
    case Kind::uint64:
      return std::to_string(read<std::uint64_t>(cell));
    case Kind::float32:
      return float_text(read<float>(cell));
    case Kind::float64:
      return float_text(read<double>(cell));
    case Kind::decimal:
      return pg::text_from_decimal(cell, spec.scale);
    case Kind::date16:
      return date_text(read<std::uint16_t>(cell));
    case Kind::date:
      return date_text(read<std::int32_t>(cell));
    case Kind::datetime:
      return time_text(read<std::uint32_t>(cell), 0) + "+00";
    case Kind::timestamp:
      return time_text(read<std::int64_t>(cell), spec.scale);
    case Kind::timestamptz:
      return time_text(read<std::int64_t>(cell), spec.scale) + "+00";
    case Kind::uuid:
      return uuid_text(cell);
    case Kind::bytes:
      return bytes_text(cell);
    case Kind::time:
      return clock_text(read<std::int64_t>(cell), spec.scale);
    case Kind::int256:
      return pg::text_from_decimal(cell, 0);
    case Kind::ipv6:
      return ipv6_text(cell);
    case Kind::array:
    case Kind::tuple:
    case Kind::map:
    case Kind::text:
    case Kind::json:
    case Kind::enumeration:
      return std::string(as_text(cell));
  }
  return {};
}

void append_copy_line(std::string& out, const RowBatch& batch, std::size_t row) {
  for (std::size_t c = 0; c < batch.columns.size(); ++c) {
    if (c > 0) out += '\t';
    if (batch.columns[c].is_null(row)) {
      out += "\\N";
      continue;
    }
    for (const char ch : postgres_text(batch.schema->columns[c], batch.columns[c], row)) {
      switch (ch) {
        case '\\':
          out += "\\\\";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        default:
          out += ch;
      }
    }
  }
  out += '\n';
}

std::string postgres_type(const ColumnSpec& spec) {
  switch (spec.kind) {
    case Kind::boolean:
      return "boolean";
    case Kind::int8:
    case Kind::uint8:
    case Kind::int16:
      return "smallint";
    case Kind::uint16:
    case Kind::int32:
      return "integer";
    case Kind::uint32:
    case Kind::int64:
      return "bigint";
    case Kind::uint64:
      return "numeric(20,0)";
    case Kind::float32:
      return "real";
    case Kind::float64:
      return "double precision";
    case Kind::decimal:
      return fmt::format("numeric({},{})", spec.precision, spec.scale);
    case Kind::date16:
    case Kind::date:
      return "date";
    case Kind::timestamp:
      return "timestamp";
    case Kind::datetime:
    case Kind::timestamptz:
      return "timestamptz";
    case Kind::uuid:
      return "uuid";
    case Kind::bytes:
      return "bytea";
    case Kind::json:
      return "jsonb";
    case Kind::time:
      return "time";
    case Kind::int256:
      return "numeric(77,0)";
    case Kind::ipv6:
      return "inet";
    case Kind::array:
    case Kind::tuple:
    case Kind::map:
    case Kind::text:
    case Kind::enumeration:
      return "text";
  }
  return "text";
}

}  // namespace pgch
