// Bytes that real servers send: PostgreSQL 14.19, 15.20 and 18.0 send the same for each of these values. The unit tests
// decode them; test/integration/golden_test.cpp asks the server at hand for them again.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "test/support/type_plans.h"

namespace pgch::testing {

inline std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> out;
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<std::byte>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

/// What COPY (golden_row) TO STDOUT (FORMAT binary) sends, from the header to the trailer.
inline constexpr const char* golden_row =
    "SELECT true, (-2)::int2, 2147483647, (-9223372036854775808)::int8, 4294967295::oid, '-0'::float4, 'NaN'::float8, "
    "-1234567.8901::numeric(20,4), 'grüß', '', '{\"a\": [1, 2]}'::json, '{\"b\":null}'::jsonb, '\\x00ff'::bytea, "
    "'00112233-4455-6677-8899-aabbccddeeff'::uuid, date '1900-01-01', '2299-12-31 23:59:59.999999'::timestamp, "
    "NULL::int4";
inline constexpr const char* golden_copy =
    "5047434f50590aff0d0a0000000000000000000011000000010100000002fffe000000047fffffff000000088000000000"
    "00000000000004ffffffff0000000480000000000000087ff80000000000000000000e0003000140000004007b11d722c500"
    "0000066772c3bcc39f000000000000000d7b2261223a205b312c20325d7d0000000c017b2262223a206e756c6c7d00000002"
    "00ff0000001000112233445566778899aabbccddeeff00000004ffff7154000000080021a248a9b4dfffffffffffffff";

/// The bytes of one value.
struct Golden {
  std::uint32_t type;
  const char* sql;  ///< the value; null: of an extension that Debian has no package of
  const char* hex;
  const char* json;         ///< what it becomes
  bool pieces_fail = true;  ///< texts are good at any length
  std::int32_t dimensions = 0;
};

/// The composite type of type_plans.h, and the extension.
inline constexpr const char* golden_setup =
    "CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public; CREATE TYPE golden_pair AS (n int4, t text, list int4[])";

inline const std::vector<Golden>& golden_values() {
  static const std::vector<Golden> values{
      {pg::oid::boolean, "true", "01", "true"},
      {pg::oid::int2, "(-2)::int2", "fffe", "-2"},
      {pg::oid::int4, "(-2147483648)::int4", "80000000", "-2147483648"},
      {pg::oid::int8, "9223372036854775807", "7fffffffffffffff", "9223372036854775807"},
      {pg::oid::float4, "1.5::float4", "3fc00000", "1.5"},
      {pg::oid::float8, "(-0.1)::float8", "bfb999999999999a", "-0.1"},
      {pg::oid::numeric, "-12345.678", "0003000140000003000109291a7c", "\"-12345.678\""},
      {pg::oid::money, "'-12.34'::money", "fffffffffffffb2e", "-12.34"},
      {pg::oid::uuid, "'00112233-4455-6677-8899-aabbccddeeff'::uuid", "00112233445566778899aabbccddeeff",
       "\"00112233-4455-6677-8899-aabbccddeeff\""},
      {pg::oid::date, "date '2024-02-29'", "00002279", "\"2024-02-29\""},
      {pg::oid::timestamptz, "timestamptz '2024-02-29 12:34:56.789012Z'", "0002b58341728614",
       "\"2024-02-29T12:34:56.789012Z\""},
      {pg::oid::time, "time '24:00:00'", "000000141dd76000", "\"24:00:00.000000\""},
      {pg::oid::timetz, "timetz '12:30:00.5+05:30'", "0000000a7a3d2320ffffb2a8", "\"12:30:00.5+05:30\""},
      {pg::oid::interval, "'-1 year -2 mons 3 days -04:05:06.789'::interval", "fffffffc9368357800000003fffffff2",
       "\"P-1Y-2M3DT-4H-5M-6.789S\""},
      {pg::oid::inet, "inet '10.0.0.1/8'", "020800040a000001", "\"10.0.0.1/8\""},
      {pg::oid::inet, "inet '2001:db8::1'", "0380001020010db8000000000000000000000001", "\"2001:db8::1\""},
      {pg::oid::cidr, "cidr '10.0.0.0/8'", "020801040a000000", "\"10.0.0.0/8\""},
      {pg::oid::macaddr, "macaddr '08:00:2b:01:02:03'", "08002b010203", "\"08:00:2b:01:02:03\""},
      {pg::oid::macaddr8, "macaddr8 '08:00:2b:01:02:03:04:05'", "08002b0102030405", "\"08:00:2b:01:02:03:04:05\"",
       false},
      {pg::oid::varbit, "'1011'::varbit", "00000004b0", "\"1011\""},
      {pg::oid::jsonb, "'{\"a\": [1, null]}'::jsonb", "017b2261223a205b312c206e756c6c5d7d",
       "\"{\\\"a\\\": [1, null]}\"", false},
      {pg::oid::xid8, "'18446744073709551615'::xid8", "ffffffffffffffff", "18446744073709551615"},
      {pg::oid::pg_lsn, "'16/B374D848'::pg_lsn", "00000016b374d848", "97500059720"},
      {pg::oid::point, "point '(1.5,-2)'", "3ff8000000000000c000000000000000", "[1.5,-2]"},
      {int4_array, "'{1,NULL,3}'::int4[]",
       "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003", "[1,null,3]"},
      {int4_array, "'{{1,2},{3,4}}'::int4[]",
       "000000020000000000000017000000020000000100000002000000010000000400000001000000040000000200000004000000030000000"
       "400000004",
       "[[1,2],[3,4]]", true, 2},
      {int4_array, "'{}'::int4[]", "000000000000000000000017", "[]"},
      {text_array, "'{a,\"\",NULL}'::text[]", "0000000100000001000000190000000300000001000000016100000000ffffffff",
       "[\"a\",\"\",null]"},
      {composite, "(7, 'x', '{1}')::golden_pair",
       "00000003000000170000000400000007000000190000000178000003ef0000001c000000010000000000000017000000010000000100000"
       "00400000001",
       "{\"n\":7,\"t\":\"x\",\"list\":[1]}"},
      {int4range, "int4range '[1,5)'", "0200000004000000010000000400000005", "{\"lower\":1,\"upper\":5,\"flags\":2}"},
      {int4range, "int4range 'empty'", "01", "{\"lower\":null,\"upper\":null,\"flags\":1}"},
      {int4range, "int4range '(,5)'", "080000000400000005", "{\"lower\":null,\"upper\":5,\"flags\":8}"},
      {int4multirange, "int4multirange '{[1,2),[5,)}'",
       "0000000200000011020000000400000001000000040000000200000009120000000400000005",
       "[{\"lower\":1,\"upper\":2,\"flags\":2},{\"lower\":5,\"upper\":null,\"flags\":18}]"},
      {hstore, "'a=>1, b=>NULL'::hstore", "00000002000000016100000001310000000162ffffffff", "{\"a\":\"1\",\"b\":null}"},
      // pgvector's vector_send: int16 dimensions, int16 nothing, numbers.
      {vector, nullptr, "000200003f800000c0000000", "[1,-2]"},
      {halfvec, nullptr, "000400003c00c0000001fc00", "[1,-2,5.9604645e-08,\"-Infinity\"]"},
  };
  return values;
}

}  // namespace pgch::testing
