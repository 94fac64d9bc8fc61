#include "pg/numeric.h"

#include <cstring>
#include <string>

#include "base/bytes.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::pg;

namespace {

std::vector<std::byte> unhex(std::string_view hex) {
  std::vector<std::byte> out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

// numeric_send of PostgreSQL 15.20.
struct Case {
  const char* text;
  const char* wire;
};
constexpr Case cases[] = {
    {"NaN", "00000000c0000000"},
    {"Infinity", "00000000d0000020"},
    {"-Infinity", "00000000f0000020"},
    {"0", "0000000000000000"},
    {"0.00", "0000000000000002"},
    {"1", "00010000000000000001"},
    {"-1", "00010000400000000001"},
    {"10000", "00010001000000000001"},
    {"12345678.90", "000300010000000204d2162e2328"},
    {"0.0001", "0001ffff000000040001"},
    {"0.00000001", "0001fffe000000080001"},
    {"99999999999999999999999999999999999999999999999999999999999999999999999999.99",
     "00140012000000020063270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f26ac"},
    {"-0.5", "0001ffff400000011388"},
    {"100000000", "00010002000000000001"},
    {"123456789012345678", "0005000400000000000c0d801ed204d2162e"},
    {"100000000000000000000", "00010005000000000001"},
    {"0.1234567891", "0003ffff0000000a04d2162e238c"},
};

NumericOutcome decimal(const char* wire, unsigned precision, unsigned scale, std::int64_t& out) {
  std::byte value[32] = {};
  const auto outcome = decimal_from_numeric(unhex(wire), precision, scale, 8, value);
  std::memcpy(&out, value, 8);
  return outcome;
}

}  // namespace

TEST_CASE("every numeric is printed as PostgreSQL prints it") {
  for (const Case& c : cases) {
    std::vector<std::byte> out;
    CHECK(text_from_numeric(unhex(c.wire), out) == NumericOutcome::ok);
    CHECK(std::string(as_text(out)) == c.text);
  }
}

TEST_CASE("a numeric becomes its exact Decimal, or is refused; it is never rounded") {
  std::int64_t v = 0;
  CHECK(decimal("000300010000000204d2162e2328", 18, 2, v) == NumericOutcome::ok);
  CHECK(v == 1234567890);
  CHECK(decimal("000300010000000204d2162e2328", 18, 1, v) == NumericOutcome::ok);
  CHECK(v == 123456789);
  CHECK(decimal("000300010000000204d2162e2328", 18, 0, v) == NumericOutcome::inexact);
  CHECK(decimal("000300010000000204d2162e2328", 9, 2, v) == NumericOutcome::too_large);
  CHECK(decimal("0001ffff400000011388", 18, 6, v) == NumericOutcome::ok);
  CHECK(v == -500000);
  CHECK(decimal("0001fffe000000080001", 18, 8, v) == NumericOutcome::ok);
  CHECK(v == 1);
  CHECK(decimal("0001fffe000000080001", 18, 7, v) == NumericOutcome::inexact);
  CHECK(decimal("00010002000000000001", 18, 3, v) == NumericOutcome::ok);
  CHECK(v == 100000000000);
  CHECK(decimal("0005000400000000000c0d801ed204d2162e", 18, 0, v) == NumericOutcome::ok);
  CHECK(v == 123456789012345678);
  CHECK(decimal("00010005000000000001", 18, 0, v) == NumericOutcome::too_large);
  CHECK(decimal("0000000000000002", 18, 2, v) == NumericOutcome::ok);
  CHECK(v == 0);
  for (const char* special : {"00000000c0000000", "00000000d0000020", "00000000f0000020"})
    CHECK(decimal(special, 18, 2, v) == NumericOutcome::not_finite);
}

TEST_CASE("the largest Decimal(76,2) survives in 256 bits") {
  const auto wire = unhex(cases[11].wire);
  std::byte value[32] = {};
  REQUIRE(decimal_from_numeric(wire, 76, 2, 32, value) == NumericOutcome::ok);
  // Recomputed by schoolbook: start from zero and multiply-add nines.
  std::vector<unsigned> limbs(32, 0);
  for (int i = 0; i < 76; ++i) {
    unsigned carry = 9;
    for (unsigned& limb : limbs) {
      const unsigned product = limb * 10 + carry;
      limb = product & 0xFF;
      carry = product >> 8;
    }
  }
  for (std::size_t i = 0; i < 32; ++i) CHECK(std::to_integer<unsigned>(value[i]) == limbs[i]);
  auto negative = wire;
  negative[4] = std::byte{0x40};
  std::byte minus[32] = {};
  REQUIRE(decimal_from_numeric(negative, 76, 2, 32, minus) == NumericOutcome::ok);
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned sum = std::to_integer<unsigned>(value[i]) + std::to_integer<unsigned>(minus[i]) + carry;
    CHECK((sum & 0xFF) == 0);
    carry = sum >> 8;
  }
  CHECK(decimal_from_numeric(wire, 75, 2, 32, value) == NumericOutcome::too_large);
}

TEST_CASE("a numeric cut at any byte, or with impossible parts, is malformed") {
  const auto wire = unhex(cases[8].wire);
  std::byte value[32];
  for (std::size_t n = 0; n < wire.size(); ++n) {
    const std::vector<std::byte> cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(n));
    std::vector<std::byte> text;
    CHECK(decimal_from_numeric(cut, 18, 2, 8, value) == NumericOutcome::malformed);
    CHECK(text_from_numeric(cut, text) == NumericOutcome::malformed);
  }
  CHECK(decimal_from_numeric(unhex("00010000000000002710"), 18, 2, 8, value) ==
        NumericOutcome::malformed);  // digit 10000
  CHECK(decimal_from_numeric(unhex("00010000123400000001"), 18, 2, 8, value) == NumericOutcome::malformed);  // sign
  CHECK(decimal_from_numeric(unhex("00017fff000000000001"), 18, 2, 8, value) ==
        NumericOutcome::too_large);  // 10000^32767
  CHECK(decimal_from_numeric(unhex("00018000000000000001"), 18, 2, 8, value) ==
        NumericOutcome::inexact);  // 10000^-32768
}
