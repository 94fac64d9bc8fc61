// PostgreSQL types → kinds, and the decoder that reads each one's binary form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pgch/schema.h"

namespace pgch::pg {

/// How a cell's binary form becomes a column's bytes: a closed set, chosen once for each column.
enum class Decoder : std::uint8_t {
  boolean,
  swap2,
  swap4,
  swap8,
  raw,    ///< text, varchar, bpchar, name, json, bytea, enum, and everything cast to text
  jsonb,  ///< one version byte (1), then text
  uuid,
  date,
  timestamp,
  decimal,
  numeric_text,  ///< numeric that fits no Decimal: printed here as PostgreSQL would
};

struct TypeMapping {
  Kind kind = Kind::text;
  Decoder decoder = Decoder::raw;
  std::uint8_t precision = 0, scale = 0;
  bool cast_to_text = false;  ///< the select list must say col::text
};

/// `oid` and `typmod` of the base type, `typtype` as in pg_type ('b', 'e', 'c', …). Never fails: what is not known is
/// text.
TypeMapping map_type(std::uint32_t oid, std::int32_t typmod, char typtype) noexcept;

namespace oid {
inline constexpr std::uint32_t boolean = 16, bytea = 17, name = 19, int8 = 20, int2 = 21, int4 = 23, text = 25,
                               oid = 26, tid = 27, xid = 28, json = 114, float4 = 700, float8 = 701, text_array = 1009,
                               tid_array = 1010, bpchar = 1042, varchar = 1043, date = 1082, timestamp = 1114,
                               timestamptz = 1184, numeric = 1700, uuid = 2950, jsonb = 3802, int4_array = 1007,
                               int8_array = 1016;
}  // namespace oid

}  // namespace pgch::pg
