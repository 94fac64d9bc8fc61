// Kinds ↔ ClickHouse types, and whether a source column fits a target column without loss (docs/TYPES.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clickhouse/version.h"
#include "pgch/batch.h"
#include "pgch/error.h"
#include "pgch/schema.h"

namespace pgch::ch {

// A column's type as the server names it, taken apart.
struct ServerType {
  Kind kind = Kind::text;  // DateTime64: timestamptz
  bool nullable = false;
  bool low_cardinality = false;
  bool enumerated = false;  // Enum8 or Enum16: kind is enumeration
  std::uint8_t precision = 0, scale = 0;
  bool parsed = false;      // JSON: kind is json; the server parses the text, and prints it otherwise than it came
  std::string time_zone{};  // of DateTime and DateTime64, if written there
  std::string name{};       // of a Tuple's field
  std::vector<ServerType> elements{};
};
// nullopt: a type that pgch cannot write (FixedString, Int128, Variant …).
std::optional<ServerType> parse_type(std::string_view name);
// As a column of that type would be read.
ColumnSpec spec_of(const std::string& name, const ServerType& type);
// "<name>__is_null", which stands beside a nullable column of a nested type.
std::string null_flag_of(const std::string& name);

// "Nullable(DateTime64(6, 'UTC'))": what stands in a Native block for this column.
std::string wire_type(const ColumnSpec& column, const Version& server);
// Blocks that are kept (in Kafka) name types as this server does, whatever server reads them.
inline constexpr Version native_version_written{26, 7};
// The same as wire_type() for CREATE TABLE (LowCardinality for enumerations), or why the server can't hold it without
// loss.
Result<std::string> created_type(const ColumnSpec& column, const Version& server);

// How a source column's values become the wire's.
enum class Convert : std::uint8_t {
  none,       // the same bytes
  integer,    // another width or sign; every value is checked
  real,       // Float32 → Float64
  decimal,    // more digits
  ticks,      // finer DateTime64, or DateTime → DateTime64; checked
  date16,     // Date32 → Date; checked
  time_text,  // dates and times → String, as PostgreSQL prints them in ISO style
};

struct ColumnPlan {
  ColumnSpec source;
  ColumnSpec wire;              // named and typed as it goes over the wire; `name` is the target's
  std::string target_type;      // as the server names it
  std::string wire_name;        // wire_type(wire)
  bool parsed = false;          // of type JSON: what comes back is not the text that was sent
  bool read_back_cast = false;  // a SELECT needs CAST(… AS wire_name): LowCardinality, Enum, another time zone
  std::string null_flag{};      // the target's column that says which rows of a nested column are NULL; empty: none
  Convert convert = Convert::none;
  std::int64_t low = 0, high = 0;  // allowed values of dates and times; low > high: anything
  Version server{};
};

// Errc::schema with a sentence that names the column, both types and what mends it, if the column does not fit.
// `table` is the quoted name; `server_zone` the server's time zone.
Result<ColumnPlan> plan_column(const ColumnSpec& source, std::string_view target_type, const Version& server,
                               std::string_view server_zone, std::string_view table);

// Appends a nested column in Native form. Errc::data with Recovery::dead_letter if a value within does not fit.
Result<void> put_nested(std::string& out, const ColumnPlan& plan, const Column& column, std::size_t rows);

// The same without name and type, and without asking whether times fit any server: for a block that is not for one.
Result<void> put_nested_values(std::string& out, const ColumnSpec& type, const Column& column, std::size_t rows);

// Days and ticks that the server can hold: the binary formats do not check, and others come out as other values.
struct TimeRange {
  std::int64_t low = 1, high = 0;  // low > high: any
};
TimeRange time_range(const ColumnSpec& wire, const Version& server) noexcept;

// The column in wire form: `column` itself if nothing has to be done, else `scratch`, filled. Errc::data with
// Recovery::dead_letter if a value does not fit.
Result<const Column*> to_wire(const ColumnPlan& plan, const Column& column, std::size_t rows, Column& scratch);

}  // namespace pgch::ch
