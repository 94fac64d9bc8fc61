#include "pg/types.h"

namespace pgch::pg {
namespace {

TypeMapping numeric(std::int32_t typmod) noexcept {
  // numeric.c: ((precision << 16) | (scale & 0x7FF)) + 4; from 15 on the scale is signed, in 11 bits.
  if (typmod < 4) return {Kind::text, Decoder::numeric_text, 0, 0, false};
  const std::int32_t packed = typmod - 4;
  const std::int32_t precision = (packed >> 16) & 0xFFFF;
  const std::int32_t scale = ((packed & 0x7FF) ^ 1024) - 1024;
  if (precision < 1 || precision > 76 || scale < 0 || scale > precision)
    return {Kind::text, Decoder::numeric_text, 0, 0, false};
  return {Kind::decimal, Decoder::decimal, static_cast<std::uint8_t>(precision), static_cast<std::uint8_t>(scale),
          false};
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
      return {Kind::date, Decoder::date, 0, 0, false};
    case oid::timestamp:
      return {Kind::timestamp, Decoder::timestamp, 0, 6, false};
    case oid::timestamptz:
      return {Kind::timestamptz, Decoder::timestamp, 0, 6, false};
    default:
      return {Kind::text, Decoder::raw, 0, 0, true};
  }
}

}  // namespace pgch::pg
