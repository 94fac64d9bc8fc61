// Golden bytes, captured from a PostgreSQL 15 by each type's send function: what they become, and that no piece of them
// is taken for a whole.
#include "base/bytes.h"
#include "model/packed.h"
#include "test/support/catch.h"
#include "test/support/type_plans.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> out;
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<std::byte>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

struct Golden {
  std::uint32_t type;
  const char* hex;
  const char* json;
  bool pieces_fail = true;  ///< texts are good at any length
  std::int32_t dimensions = 0;
};

const Golden golden[] = {
    {pg::oid::boolean, "01", "true"},
    {pg::oid::int2, "fffe", "-2"},
    {pg::oid::int4, "80000000", "-2147483648"},
    {pg::oid::int8, "7fffffffffffffff", "9223372036854775807"},
    {pg::oid::float4, "3fc00000", "1.5"},
    {pg::oid::float8, "bfb999999999999a", "-0.1"},
    {pg::oid::numeric, "0003000140000003000109291a7c", "\"-12345.678\""},
    {pg::oid::money, "fffffffffffffb2e", "-12.34"},
    {pg::oid::uuid, "00112233445566778899aabbccddeeff", "\"00112233-4455-6677-8899-aabbccddeeff\""},
    {pg::oid::date, "00002279", "\"2024-02-29\""},
    {pg::oid::timestamptz, "0002b58341728614", "\"2024-02-29T12:34:56.789012Z\""},
    {pg::oid::time, "000000141dd76000", "\"24:00:00.000000\""},
    {pg::oid::timetz, "0000000a7a3d2320ffffb2a8", "\"12:30:00.5+05:30\""},
    {pg::oid::interval, "fffffffc9368357800000003fffffff2", "\"P-1Y-2M3DT-4H-5M-6.789S\""},
    {pg::oid::inet, "020800040a000001", "\"10.0.0.1/8\""},
    {pg::oid::inet, "0380001020010db8000000000000000000000001", "\"2001:db8::1\""},
    {pg::oid::cidr, "020801040a000000", "\"10.0.0.0/8\""},
    {pg::oid::macaddr, "08002b010203", "\"08:00:2b:01:02:03\""},
    {pg::oid::macaddr8, "08002b0102030405", "\"08:00:2b:01:02:03:04:05\"", false},
    {pg::oid::varbit, "00000004b0", "\"1011\""},
    {pg::oid::jsonb, "017b2261223a205b312c206e756c6c5d7d", "\"{\\\"a\\\": [1, null]}\"", false},
    {pg::oid::xid8, "ffffffffffffffff", "18446744073709551615"},
    {pg::oid::pg_lsn, "00000016b374d848", "97500059720"},
    {pg::oid::point, "3ff8000000000000c000000000000000", "[1.5,-2]"},
    {int4_array, "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003", "[1,null,3]"},
    {int4_array,
     "00000002000000000000001700000002000000010000000200000001000000040000000100000004000000020000000400000003000000040"
     "0"
     "000004",
     "[[1,2],[3,4]]", true, 2},
    {int4_array, "000000000000000000000017", "[]"},
    {text_array, "0000000100000001000000190000000300000001000000016100000000ffffffff", "[\"a\",\"\",null]"},
    {composite,
     "00000003000000170000000400000007000000190000000178000003ef0000001c00000001000000000000001700000001000000010000000"
     "400"
     "000001",
     "{\"n\":7,\"t\":\"x\",\"list\":[1]}"},
    {int4range, "0200000004000000010000000400000005", "{\"lower\":1,\"upper\":5,\"flags\":2}"},
    {int4range, "01", "{\"lower\":null,\"upper\":null,\"flags\":1}"},
    {int4range, "080000000400000005", "{\"lower\":null,\"upper\":5,\"flags\":8}"},
    {int4multirange, "0000000200000011020000000400000001000000040000000200000009120000000400000005",
     "[{\"lower\":1,\"upper\":2,\"flags\":2},{\"lower\":5,\"upper\":null,\"flags\":18}]"},
    {hstore, "00000002000000016100000001310000000162ffffffff", "{\"a\":\"1\",\"b\":null}"},
    // pgvector's vector_send: int16 dimensions, int16 nothing, numbers.
    {vector, "000200003f800000c0000000", "[1,-2]"},
    {halfvec, "000400003c00c0000001fc00", "[1,-2,5.9604645e-08,\"-Infinity\"]"},
};

}  // namespace

TEST_CASE("golden bytes of every type become its value") {
  for (const Golden& g : golden) {
    INFO("type " << g.type << " bytes " << g.hex);
    const TypePlan plan = plan_of(g.type, rich_types(), g.dimensions);
    RowBatch batch;
    std::string why;
    const auto outcome = decode_cell(plan, from_hex(g.hex), batch, &why);
    INFO(why);
    REQUIRE(outcome == pg::TupleOutcome::row);
    CHECK(json_of(batch) == g.json);
    if (plan.field.nested) CHECK(is_packed(plan.schema->columns[0], batch.columns[0].at(0, 0)));
  }
}

TEST_CASE("no piece of golden bytes is taken for a whole, and bytes behind them are noticed") {
  for (const Golden& g : golden) {
    const TypePlan plan = plan_of(g.type, rich_types(), g.dimensions);
    auto bytes = from_hex(g.hex);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      INFO("type " << g.type << ", " << n << " of the bytes " << g.hex);
      RowBatch batch;
      const auto outcome = decode_cell(plan, std::span(bytes).first(n), batch);
      CHECK((outcome == pg::TupleOutcome::rejected || !g.pieces_fail));
      if (outcome == pg::TupleOutcome::rejected) CHECK(batch.columns[0].bytes() == 0);
    }
    bytes.push_back(std::byte{0});
    RowBatch batch;
    INFO("type " << g.type << ", one byte more than " << g.hex);
    CHECK((decode_cell(plan, bytes, batch) == pg::TupleOutcome::rejected || !g.pieces_fail));
  }
}

TEST_CASE("an array's lies about its size, its type and its indexes are refused") {
  const TypePlan plan = plan_of(int4_array);
  RowBatch batch;
  std::string why;
  // 2^30 elements in no bytes; seven dimensions; a negative size.
  for (const char* hex : {"000000010000000000000017400000000000000100", "0000000700000000000000170000000100000001",
                          "00000001000000000000001780000000000000010000000400000001"}) {
    INFO(hex);
    CHECK(decode_cell(plan, from_hex(hex), batch) == pg::TupleOutcome::rejected);
  }
  CHECK(decode_cell(plan, from_hex("000000010000000000000017000000020000000500000004000000010000000400000002"), batch,
                    &why) == pg::TupleOutcome::rejected);
  CHECK_THAT(why, Catch::Contains("whose indexes don't begin at 1"));
  CHECK(decode_cell(
            plan,
            from_hex("0000000200000000000000170000000200000001000000020000000100000004000000010000000400000002000000"
                     "04000000030000000400000004"),
            batch, &why) == pg::TupleOutcome::rejected);
  CHECK_THAT(why, Catch::Contains("other dimensions"));
}

TEST_CASE("a policy decides about what does not fit, and only about that") {
  const auto infinity = from_hex("7fffffff"), date_1800 = from_hex("fffee2b7"), short_date = from_hex("7fff");
  const auto shifted = from_hex("000000010000000000000017000000020000000500000004000000010000000400000002");
  RowBatch batch;
  for (const char* policy : {"null", "clamp"}) {
    INFO(policy);
    const bool clamp = std::string_view(policy) == "clamp";
    const TypePlan date = plan_of(pg::oid::date, rich_types(policy));
    REQUIRE(decode_cell(date, infinity, batch) == pg::TupleOutcome::row);
    CHECK(json_of(batch) == (clamp ? "\"2299-12-31\"" : "null"));
    REQUIRE(decode_cell(date, date_1800, batch) == pg::TupleOutcome::row);
    CHECK(json_of(batch) == (clamp ? "\"1900-01-01\"" : "null"));
    CHECK(decode_cell(date, short_date, batch) == pg::TupleOutcome::rejected);
    REQUIRE(decode_cell(plan_of(int4_array, rich_types(policy)), shifted, batch) == pg::TupleOutcome::row);
    CHECK(json_of(batch) == (clamp ? "[1,2]" : "null"));
  }
  // Elements have NULLs of their own.
  const auto dates = from_hex("00000001000000000000043a0000000200000001000000047fffffff0000000400002279");
  REQUIRE(decode_cell(plan_of(date_array, rich_types("null")), dates, batch) == pg::TupleOutcome::row);
  CHECK(json_of(batch) == "[null,\"2024-02-29\"]");
  REQUIRE(decode_cell(plan_of(date_array, rich_types("clamp")), dates, batch) == pg::TupleOutcome::row);
  CHECK(json_of(batch) == "[\"2299-12-31\",\"2024-02-29\"]");
  CHECK(decode_cell(plan_of(date_array), dates, batch) == pg::TupleOutcome::rejected);
}

TEST_CASE("clamping a numeric rounds as PostgreSQL does, and has no nearest number for NaN") {
  const auto typmod = static_cast<std::int32_t>((4 << 16 | 1) + 4);  // numeric(4,1)
  const TypePlan plan = plan_of(pg::oid::numeric, rich_types("clamp"), 0, typmod);
  const std::pair<const char*, const char*> values[] = {
      {"00010000000000020005", "5.0"},       {"0002000000000002000509c4", "5.3"},  // 5.25
      {"0002000040000002000509c4", "-5.3"},                                        // half away from zero
      {"00010001000000000063", "999.9"},                                           // 990000
      {"0000000040000000", "0.0"},                                                 // -0
      {"00000000d0000000", "999.9"},                                               // Infinity
      {"00000000f0000000", "-999.9"},                                              // -Infinity
      {"0001fc18000003e80001", "0.0"},                                             // 1e-4000
      {"000200000000000203e7264c", "999.9"},  // 999.98 rounds to 1000.0, which is too large
  };
  RowBatch batch;
  for (const auto& [hex, want] : values) {
    INFO(hex);
    REQUIRE(decode_cell(plan, from_hex(hex), batch) == pg::TupleOutcome::row);
    CHECK(json_of(batch) == want);
  }
  CHECK(decode_cell(plan, from_hex("00000000c0000000"), batch) == pg::TupleOutcome::rejected);
}
