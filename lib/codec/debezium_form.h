// What a field of a Debezium message holds: by the schema in the message, or else by the column's type and the
// connector's modes. docs/WIRE.md has the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pgch/schema.h"

namespace pgch::codec {

enum class Encoding : std::uint8_t {
  plain,        ///< as in pgch's own JSON
  date,         ///< days since 1970, or an ISO date
  clock,        ///< time of day as a number of 10^-`number` seconds, or an ISO time
  stamp,        ///< the same since 1970, or an ISO date and time
  zoned_clock,  ///< time of day with a zone, as text
  duration,     ///< an interval as a number
  interval,     ///< an interval as ISO 8601, each part by itself
  decimal,      ///< base64 of an unscaled integer, `number` digits after the point; or a number, or {scale, value}
  numeral,      ///< a number as text, as a double, or as {scale, value}
  bits,         ///< base64 of little-endian bytes, `number` bits; or a boolean
  lost_bits,    ///< bit varying: its length is not in the message
  base64_text,  ///< base64 of a text
  base64_url,
  hex,
  point,     ///< {x, y}
  geometry,  ///< {wkb, srid}
  map,       ///< an object, or a string that holds one
  array,     ///< of `item`
};

struct Form {
  Encoding encoding = Encoding::plain;
  /// clock, stamp: 3, 6, 9, or 0 where nobody says which; decimal: the scale; bits: their number
  int number = 0;
  std::shared_ptr<const Form> item{};
};

/// The connector's modes, for messages without a schema (`binary` also for those with one).
struct DebeziumModes {
  enum class Time : std::uint8_t { adaptive, adaptive_time_microseconds, connect, microseconds, nanoseconds };
  enum class Binary : std::uint8_t { base64, base64_url, hex };
  Time time = Time::adaptive;
  bool decimal_as_string = false;
  Binary binary = Binary::base64;
};

/// One field, as Kafka Connect's JsonConverter describes it.
struct FieldSchema {
  std::string type, name;
  int scale = 0, length = 0;
  std::shared_ptr<const FieldSchema> items{};
};
using RowSchema = std::map<std::string, FieldSchema, std::less<>>;

/// The fields of the struct `json` describes, or of its field `part` if that isn't empty. nullopt: it is no such
/// schema.
std::optional<RowSchema> parse_row_schema(std::string_view json, std::string_view part);

/// `schema` may be null.
Form form_of(const ColumnSpec& column, const FieldSchema* schema, const DebeziumModes& modes);

}  // namespace pgch::codec
