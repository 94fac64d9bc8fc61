// Golden bytes, captured from real servers (test/support/golden.h): what they become, and that no piece of them is
// taken for a whole.
#include "base/bytes.h"
#include "model/packed.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

using namespace pgch;
using namespace pgch::testing;

TEST_CASE("golden bytes of every type become its value") {
  for (const Golden& g : golden_values()) {
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
  for (const Golden& g : golden_values()) {
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
