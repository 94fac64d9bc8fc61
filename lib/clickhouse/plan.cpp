// Does a column fit, and how do its values get there: one decision for each column of a table, taken once.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <limits>

#include "base/try.h"
#include "clickhouse/sql.h"
#include "clickhouse/types.h"

namespace pgch::ch {
namespace {

__extension__ using Wide = __int128;

bool is_integer(Kind k) noexcept { return k >= Kind::int8 && k <= Kind::uint64; }
bool is_signed(Kind k) noexcept { return k <= Kind::int64; }
bool is_time(Kind k) noexcept { return k == Kind::timestamp || k == Kind::timestamptz; }
bool is_textual(Kind k) noexcept {
  return k == Kind::text || k == Kind::bytes || k == Kind::json || k == Kind::enumeration;
}
bool is_utc(std::string_view zone) noexcept {
  constexpr std::array<std::string_view, 8> names{"UTC",  "Etc/UTC",  "GMT", "Etc/GMT",
                                                  "Zulu", "Etc/Zulu", "UCT", "Universal"};
  for (const auto name : names) {
    if (zone == name) return true;
  }
  return false;
}

constexpr std::int64_t power10(unsigned n) noexcept {
  std::int64_t p = 1;
  while (n-- > 0) p *= 10;
  return p;
}

std::int64_t clamped_ticks(std::int64_t seconds, std::uint8_t scale, std::int64_t extra) noexcept {
  const Wide ticks = static_cast<Wide>(seconds) * power10(scale) + extra;
  if (ticks > std::numeric_limits<std::int64_t>::max()) return std::numeric_limits<std::int64_t>::max();
  if (ticks < std::numeric_limits<std::int64_t>::min()) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(ticks);
}

void set_range(ColumnPlan& plan, const Version& server) {
  const TimeRange range = plan.convert == Convert::date16 ? TimeRange{0, 65'535} : time_range(plan.wire, server);
  plan.low = range.low;
  plan.high = range.high;
}

bool fit_integer(const ColumnSpec& from, ColumnPlan& plan) {
  const std::size_t have = width_of(layout_of(from)), want = width_of(layout_of(plan.wire));
  if (want < have) return false;
  plan.convert = from.kind == plan.wire.kind ? Convert::none : Convert::integer;
  return true;
}
bool fit_decimal(const ColumnSpec& from, ColumnPlan& plan) {
  const ColumnSpec& to = plan.wire;
  if (to.scale < from.scale || to.precision - to.scale < from.precision - from.scale) return false;
  if (to.scale == from.scale && layout_of(to) == layout_of(from)) return true;
  plan.convert = Convert::decimal;
  return layout_of(to) != Layout::fixed32 && layout_of(from) != Layout::fixed32;
}

bool fit_kind(const ColumnSpec& from, const ServerType& type, ColumnPlan& plan);

// The block has the source's own types, and the server widens them: only what it does without loss is allowed.
bool fit_element(const ColumnSpec& from, const ServerType& to) {
  if (from.nullable && !to.nullable && !is_nested(from.kind)) return false;
  if (is_nested(from.kind)) {
    if (from.kind != to.kind || from.elements.size() != to.elements.size()) return false;
    for (std::size_t i = 0; i < from.elements.size(); ++i) {
      const std::string &ours = from.elements[i].name, &theirs = to.elements[i].name;
      if (from.kind == Kind::tuple && !ours.empty() && !theirs.empty() && ours != theirs) return false;
      if (!fit_element(from.elements[i], to.elements[i])) return false;
    }
    return true;
  }
  ColumnPlan plan;
  plan.wire = spec_of({}, to);
  if (!fit_kind(from, to, plan)) return false;
  if (plan.convert == Convert::integer) return is_signed(from.kind) == is_signed(to.kind);
  return plan.convert == Convert::none || plan.convert == Convert::real || plan.convert == Convert::decimal;
}

// Sets plan.convert; false: does not fit.
bool fit_kind(const ColumnSpec& from, const ServerType& type, ColumnPlan& plan) {
  const Kind to = type.kind;
  if (is_nested(from.kind)) return fit_element(from, type);
  if (is_textual(from.kind)) {
    if (type.parsed) return from.kind == Kind::json || from.kind == Kind::text;
    if (type.enumerated) return from.kind == Kind::text || from.kind == Kind::enumeration;
    return to == Kind::text;
  }
  if (to == Kind::text) {
    plan.convert = Convert::time_text;
    return from.kind == Kind::date || is_time(from.kind);
  }
  if (is_integer(from.kind) && is_integer(to)) return fit_integer(from, plan);
  if (from.kind == Kind::decimal && to == Kind::decimal) return fit_decimal(from, plan);
  if (is_time(from.kind) && is_time(to)) {
    plan.convert = type.scale == from.scale ? Convert::none : Convert::ticks;
    return type.scale >= from.scale && type.scale <= 9;
  }
  if (from.kind == Kind::datetime && is_time(to)) {
    plan.convert = Convert::ticks;
    return type.scale <= 9;
  }
  if (from.kind == Kind::float32 && to == Kind::float64) {
    plan.convert = Convert::real;
    return true;
  }
  if (from.kind == Kind::date && to == Kind::date16) {
    plan.convert = Convert::date16;
    return true;
  }
  if (from.kind == Kind::boolean && to == Kind::uint8) return true;
  if (from.kind == Kind::time) return to == Kind::int64 || (to == Kind::time && type.scale == from.scale);
  return from.kind == to;
}

// Within a nested value the server converts, and what it makes of a Time64 as a number are seconds.
bool has_time_as_number(const ColumnSpec& from, const ServerType& to) {
  if (!is_nested(from.kind)) return from.kind == Kind::time && to.kind == Kind::int64;
  for (std::size_t i = 0; i < from.elements.size() && i < to.elements.size(); ++i) {
    if (has_time_as_number(from.elements[i], to.elements[i])) return true;
  }
  return false;
}

Error misfit(const ColumnSpec& source, std::string_view target_type, const Version& server, std::string_view table,
             std::string_view why) {
  auto wanted = created_type(source, server);
  std::string mend =
      wanted ? fmt::format(" Mend it with: ALTER TABLE {} MODIFY COLUMN {} {}", table, quote_name(source.name), *wanted)
             : std::string();
  return halt(Errc::schema,
              fmt::format("Column {}: the source's {} does not fit into {} of {} without loss{}{}.{}", source.name,
                          source.source_type.empty() ? wire_type(source, server) : source.source_type, target_type,
                          table, why.empty() ? "" : ": ", why, mend));
}

template <class From>
Wide load(const std::byte* p) noexcept {
  From v;
  std::memcpy(&v, p, sizeof(v));
  return static_cast<Wide>(v);
}
using Load = Wide (*)(const std::byte*) noexcept;
Load loader_of(Kind k, Layout layout) noexcept {
  switch (k) {
    case Kind::int8:
      return load<std::int8_t>;
    case Kind::int16:
      return load<std::int16_t>;
    case Kind::uint8:
      return load<std::uint8_t>;
    case Kind::uint16:
    case Kind::date16:
      return load<std::uint16_t>;
    case Kind::uint32:
    case Kind::datetime:
      return load<std::uint32_t>;
    case Kind::uint64:
      return load<std::uint64_t>;
    default:
      break;
  }
  if (layout == Layout::fixed16) return load<Wide>;
  return layout == Layout::fixed8 ? load<std::int64_t> : load<std::int32_t>;
}

struct Bounds {
  Wide low, high;
};
Bounds bounds_of(Kind k, std::size_t width) noexcept {
  const auto bits = static_cast<unsigned>(width * 8);
  if (is_integer(k) && !is_signed(k)) return {0, (static_cast<Wide>(1) << bits) - 1};
  if (bits >= 128) return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  const Wide half = static_cast<Wide>(1) << (bits - 1);
  return {-half, half - 1};
}

Error does_not_fit(const ColumnPlan& plan, std::size_t row) {
  return Error{Errc::data,
               Recovery::dead_letter,
               false,
               fmt::format("Column {}: the value in row {} of the batch is outside of what {} of the target can hold",
                           plan.source.name, row, plan.target_type),
               {}};
}

// All conversions between whole numbers of fixed width: integers, decimals, ticks, days.
Result<void> convert_numbers(const ColumnPlan& plan, const Column& from, std::size_t rows, Column& to) {
  const Layout from_layout = layout_of(plan.source);
  const std::size_t have = width_of(from_layout), want = width_of(layout_of(plan.wire));
  const Load load_one = loader_of(plan.source.kind, from_layout);
  Wide factor = 1;
  if (plan.convert == Convert::ticks || plan.convert == Convert::decimal) {
    const unsigned from_scale = plan.source.kind == Kind::datetime ? 0 : plan.source.scale;
    for (unsigned i = from_scale; i < plan.wire.scale; ++i) factor *= 10;
  }
  Bounds allowed = bounds_of(plan.wire.kind, want);
  if (plan.low <= plan.high) allowed = {plan.low, plan.high};
  const bool check = plan.convert != Convert::decimal;  // a decimal's value is within its own precision, which fits
  to.data.resize(rows * want);
  for (std::size_t r = 0; r < rows; ++r) {
    const Wide value = load_one(from.data.data() + r * have) * factor;
    if (check && (value < allowed.low || value > allowed.high) && !from.is_null(r)) return does_not_fit(plan, r);
    std::memcpy(to.data.data() + r * want, &value, want);
  }
  return {};
}

void convert_real(const Column& from, std::size_t rows, Column& to) {
  to.data.resize(rows * sizeof(double));
  for (std::size_t r = 0; r < rows; ++r) {
    float v;
    std::memcpy(&v, from.data.data() + r * sizeof(v), sizeof(v));
    const double wide = static_cast<double>(v);
    std::memcpy(to.data.data() + r * sizeof(wide), &wide, sizeof(wide));
  }
}

struct Civil {
  std::int64_t year;
  unsigned month, day;
};
// Days since 1970-01-01 → proleptic Gregorian date (the well-known era arithmetic).
Civil civil_of(std::int64_t days) noexcept {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto doe = static_cast<unsigned>(days - era * 146'097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const unsigned month = mp < 10 ? mp + 3 : mp - 9;
  return {static_cast<std::int64_t>(yoe) + era * 400 + (month <= 2 ? 1 : 0), month, doy - (153 * mp + 2) / 5 + 1};
}

std::string time_text(const ColumnSpec& column, std::span<const std::byte> value) {
  const auto raw = static_cast<std::int64_t>(column.kind == Kind::date ? load<std::int32_t>(value.data())
                                                                       : load<std::int64_t>(value.data()));
  std::int64_t days = raw, rest = 0;
  if (column.kind != Kind::date) {
    const std::int64_t day = 86'400 * power10(column.scale);
    days = raw / day - (raw % day < 0 ? 1 : 0);
    rest = raw - days * day;
  }
  const Civil c = civil_of(days);
  std::string out = fmt::format("{:04}-{:02}-{:02}", c.year > 0 ? c.year : 1 - c.year, c.month, c.day);
  if (column.kind != Kind::date) {
    const std::int64_t second = rest / power10(column.scale);
    std::int64_t fraction = rest % power10(column.scale);
    out += fmt::format(" {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if (fraction != 0) {
      std::string digits = fmt::format("{:0{}}", fraction, column.scale);
      digits.erase(digits.find_last_not_of('0') + 1);
      out += "." + digits;
    }
    if (column.kind == Kind::timestamptz) out += "+00";
  }
  if (c.year <= 0) out += " BC";
  return out;
}

Result<void> check_range(const ColumnPlan& plan, const Column& column, std::size_t rows) {
  const bool narrow = layout_of(plan.source) == Layout::fixed4;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::byte* p = column.data.data() + r * (narrow ? 4 : 8);
    const auto v = static_cast<std::int64_t>(narrow ? load<std::int32_t>(p) : load<std::int64_t>(p));
    if ((v < plan.low || v > plan.high) && !column.is_null(r)) return does_not_fit(plan, r);
  }
  return {};
}

}  // namespace

TimeRange time_range(const ColumnSpec& wire, const Version& server) noexcept {
  if (is_time(wire.kind)) {
    const bool wide = server.has_wide_datetime64();
    return {clamped_ticks(wide ? -62'167'219'200 : -2'208'988'800, wire.scale, 0),
            clamped_ticks(wide ? 253'402'300'799 : 10'413'791'999, wire.scale, power10(wire.scale) - 1)};
  }
  if (wire.kind == Kind::date) return {-25'567, 120'529};
  return {};
}

Result<ColumnPlan> plan_column(const ColumnSpec& source, std::string_view target_type, const Version& server,
                               std::string_view server_zone, std::string_view table) {
  const auto type = parse_type(target_type);
  if (!type) return misfit(source, target_type, server, table, "pgch cannot write that type");
  ColumnPlan plan;
  plan.source = source;
  plan.target_type = target_type;
  plan.wire = {source.name, type->kind, type->nullable, source.key, type->precision, type->scale, source.source_type};
  if (is_textual(source.kind)) plan.wire.kind = source.kind;
  if (is_nested(source.kind)) {
    plan.wire.nullable = source.nullable;
    plan.wire.elements = source.elements;
  }
  if (!fit_kind(source, *type, plan)) return misfit(source, target_type, server, table, "");
  if (source.nullable && !type->nullable && !is_nested(source.kind))
    return misfit(source, target_type, server, table, "it has NULLs and the target's column does not allow them");
  if (is_time(type->kind) && source.kind == Kind::timestamp) {
    plan.wire.kind = Kind::timestamp;
    if (!is_utc(type->time_zone.empty() ? server_zone : std::string_view(type->time_zone))) {
      return misfit(source, target_type, server, table,
                    "a timestamp without time zone would be shown shifted, since that column's time zone is not UTC");
    }
  }
  if (is_nested(source.kind) && server.has_time64() && has_time_as_number(source, *type)) {
    return misfit(source, target_type, server, table,
                  "the server would make whole seconds of the microseconds of a time within another value");
  }
  plan.parsed = type->parsed;
  plan.server = server;
  plan.wire_name = wire_type(plan.wire, server);
  plan.read_back_cast = plan.wire_name != target_type;
  set_range(plan, server);
  return plan;
}

Result<const Column*> to_wire(const ColumnPlan& plan, const Column& column, std::size_t rows, Column& scratch) {
  scratch.clear();
  switch (plan.convert) {
    case Convert::none:
      if (plan.low <= plan.high) PGCH_TRY(check_range(plan, column, rows));
      return &column;
    case Convert::integer:
    case Convert::decimal:
    case Convert::ticks:
    case Convert::date16:
      PGCH_TRY(convert_numbers(plan, column, rows, scratch));
      break;
    case Convert::real:
      convert_real(column, rows, scratch);
      break;
    case Convert::time_text:
      for (std::size_t r = 0; r < rows; ++r) {
        if (!column.is_null(r)) {
          const std::string text = time_text(plan.source, column.at(r, width_of(layout_of(plan.source))));
          scratch.data.insert(scratch.data.end(), reinterpret_cast<const std::byte*>(text.data()),
                              reinterpret_cast<const std::byte*>(text.data() + text.size()));
        }
        scratch.ends.push_back(static_cast<std::uint32_t>(scratch.data.size()));
      }
      break;
  }
  scratch.nulls = column.nulls;
  return &scratch;
}

}  // namespace pgch::ch
