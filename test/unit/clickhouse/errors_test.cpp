#include "clickhouse/errors.h"

#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::ch;

TEST_CASE("the code is read from the exception's text") {
  CHECK(code_in("Code: 60. DB::Exception: Table default.x doesn't exist.") == 60);
  CHECK(code_in("Code: 241, e.displayText() = DB::Exception: Memory limit") == 241);
  CHECK(code_in("no code here") == 0);
}

TEST_CASE("error 252 is two errors, told apart by its text") {
  const Error parts = classify(
      252, "Code: 252. DB::Exception: Too many parts (300). Merges are processing significantly slower than inserts.");
  CHECK(parts.recovery == Recovery::retry);
  CHECK_FALSE(parts.in_doubt);
  const Error partitions =
      classify(252, "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100).");
  CHECK(partitions.recovery == Recovery::halt);
  CHECK_THAT(partitions.message, Catch::Contains("max_partitions_per_insert_block"));
}

TEST_CASE("codes after which the rows may be there leave doubt") {
  for (const int code : {3, 159, 209, 210, 241, 319, 236, 394, 425, 999}) {
    INFO(code);
    CHECK(classify(code, "").in_doubt);
    CHECK(classify(code, "").recovery == Recovery::retry);
  }
  CHECK(classify(123456, "Code: 123456. DB::Exception: new").in_doubt);
}

TEST_CASE("codes that name a bad value concern rows, and codes of schema and rights stop") {
  for (const int code : {6, 27, 33, 38, 41, 69, 72, 117, 131, 376, 407, 467, 469})
    CHECK(classify(code, "").recovery == Recovery::dead_letter);
  for (const int code : {60, 81, 16, 47, 36, 62, 53, 349, 497, 516, 192, 193})
    CHECK(classify(code, "").recovery == Recovery::halt);
  for (const int code : {202, 203, 164}) {
    CHECK(classify(code, "").recovery == Recovery::retry);
    CHECK_FALSE(classify(code, "").in_doubt);
  }
  CHECK(classify(516, "").code == Errc::authentication);
}

TEST_CASE("a message shows what happened but no value") {
  const Error e = classify(6,
                           "Code: 6. DB::Exception: Cannot parse string 'secret cell' as Int8: syntax error: while "
                           "executing x: Row 1: secret cell");
  CHECK_THAT(e.message, Catch::Contains("Cannot parse string") && !Catch::Contains("secret"));
  CHECK_THAT(classify(60, "Code: 60. DB::Exception: Table a.b doesn't exist.").message,
             Catch::Contains("doesn't exist"));
  CHECK(e.native == "6");
}
