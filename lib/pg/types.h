// PostgreSQL's scalar types → kinds, and the decoder that reads each one's binary form. type_map.h has all the others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  int256,        ///< numeric as a whole number
  money,         ///< int8 of the currency's smallest unit
  time,
  timetz_text,
  interval_text,  ///< ISO 8601, as PostgreSQL prints it with IntervalStyle = iso_8601
  interval_parts,
  inet_text,
  inet_ipv6,
  macaddr_text,
  macaddr_number,
  bits_text,
  bits_number,
  point,
  vector,
  halfvec,
  hstore,
  array,
  composite,
  range,
  multirange,
};

struct FieldPlan;
/// What the decoders of nested values need beside the field's own plan.
struct NestedPlan {
  ColumnSpec shape;              ///< kind and elements, as the schema has them
  std::vector<FieldPlan> parts;  ///< element; fields; lower and upper bound
  std::vector<std::uint32_t> part_oids;
  unsigned dimensions = 1;  ///< of an array
};

struct TypeMapping {
  Kind kind = Kind::text;
  Decoder decoder = Decoder::raw;
  std::uint8_t precision = 0, scale = 0;
  bool cast_to_text = false;      ///< the select list must say col::text
  bool can_misfit = false;        ///< there are values that the kind can't hold
  std::string before{}, after{};  ///< around the column in the select list, if not just ::text
  std::vector<ColumnSpec> elements{};
  std::string target_type{};  ///< ColumnSpec::target_type
  std::shared_ptr<const NestedPlan> nested{};
};

/// `oid` and `typmod` of the base type, `typtype` as in pg_type ('b', 'e', 'c', …). Never fails: what is not known is
/// text.
TypeMapping map_type(std::uint32_t oid, std::int32_t typmod, char typtype) noexcept;

namespace oid {
inline constexpr std::uint32_t boolean = 16, bytea = 17, name = 19, int8 = 20, int2 = 21, int2vector = 22, int4 = 23,
                               text = 25, oid = 26, tid = 27, xid = 28, cid = 29, oidvector = 30, json = 114,
                               point = 600, cidr = 650, float4 = 700, float8 = 701, macaddr8 = 774, money = 790,
                               macaddr = 829, inet = 869, text_array = 1009, tid_array = 1010, bpchar = 1042,
                               varchar = 1043, date = 1082, time = 1083, timestamp = 1114, timestamptz = 1184,
                               interval = 1186, timetz = 1266, bit = 1560, varbit = 1562, numeric = 1700, uuid = 2950,
                               pg_lsn = 3220, jsonb = 3802, int4_array = 1007, int8_array = 1016, xid8 = 5069;
}  // namespace oid

}  // namespace pgch::pg
