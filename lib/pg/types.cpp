#include "pg/types.h"

namespace pgch::pg {
namespace {

TypeMapping numeric(std::int32_t typmod) noexcept {
  // numeric.c: ((precision << 16) | (scale & 0x7FF)) + 4; from 15 on the scale is signed, in 11 bits.
  if (typmod < 4) return {Kind::text, Decoder::numeric_text, 0, 0, false};
  const std::int32_t packed = typmod - 4;
  const std::int32_t precision = (packed >> 16) & 0xFFFF;
  const std::int32_t scale = ((packed & 0x7FF) ^ 1024) - 1024;
  // A negative scale is zeros before the point; a scale above the precision, zeros behind it.
  const std::int32_t digits = scale < 0 ? precision - scale : scale > precision ? scale : precision;
  if (precision < 1 || digits > 76) return {Kind::text, Decoder::numeric_text, 0, 0, false};
  return {Kind::decimal,
          Decoder::decimal,
          static_cast<std::uint8_t>(digits),
          static_cast<std::uint8_t>(scale < 0 ? 0 : scale),
          false,
          true};
}

}  // namespace

TypeMapping map_type(std::uint32_t type, std::int32_t typmod, char typtype) noexcept {
  if (typtype == 'e') return {Kind::enumeration, Decoder::raw, 0, 0, false};
  switch (type) {
    case oid::boolean:
      return {Kind::boolean, Decoder::boolean, 0, 0, false};
    case oid::int2:
      return {Kind::int16, Decoder::swap2, 0, 0, false};
    case oid::int4:
      return {Kind::int32, Decoder::swap4, 0, 0, false};
    case oid::int8:
      return {Kind::int64, Decoder::swap8, 0, 0, false};
    case oid::oid:
    case oid::xid:
    case oid::cid:
      return {Kind::uint32, Decoder::swap4, 0, 0, false};
    case oid::float4:
      return {Kind::float32, Decoder::swap4, 0, 0, false};
    case oid::float8:
      return {Kind::float64, Decoder::swap8, 0, 0, false};
    case oid::numeric:
      return numeric(typmod);
    case oid::text:
    case oid::varchar:
    case oid::bpchar:
    case oid::name:
      return {Kind::text, Decoder::raw, 0, 0, false};
    case oid::json:
      return {Kind::json, Decoder::raw, 0, 0, false};
    case oid::jsonb:
      return {Kind::json, Decoder::jsonb, 0, 0, false};
    case oid::bytea:
      return {Kind::bytes, Decoder::raw, 0, 0, false};
    case oid::uuid:
      return {Kind::uuid, Decoder::uuid, 0, 0, false};
    case oid::date:
      return {Kind::date, Decoder::date, 0, 0, false, true};
    case oid::timestamp:
      return {Kind::timestamp, Decoder::timestamp, 0, 6, false, true};
    case oid::timestamptz:
      return {Kind::timestamptz, Decoder::timestamp, 0, 6, false, true};
    case oid::xid8:
    case oid::pg_lsn:
      return {Kind::uint64, Decoder::swap8, 0, 0, false};
    case oid::time:
      return {Kind::time, Decoder::time, 0, 6, false};
    case oid::timetz:
      return {Kind::text, Decoder::timetz_text, 0, 0, false};
    case oid::interval:
      return {Kind::text, Decoder::interval_text, 0, 0, false};
    case oid::inet:
    case oid::cidr:
      return {Kind::text, Decoder::inet_text, 0, 0, false};
    case oid::macaddr:
    case oid::macaddr8:
      return {Kind::text, Decoder::macaddr_text, 0, 0, false};
    case oid::bit:
    case oid::varbit:
      return {Kind::text, Decoder::bits_text, 0, 0, false};
    default:
      return {Kind::text, Decoder::raw, 0, 0, true};
  }
}

}  // namespace pgch::pg
