#include "verify/pg_hash.h"

#include <bit>
#include <string_view>

#include "base/bytes.h"
#include "support/catch.h"

using pgch::as_bytes;
using pgch::comparing::is_negative;
using pgch::comparing::pg_hash;
using pgch::comparing::pg_hash_decimal;

namespace {

std::int64_t shown(std::uint64_t hash) { return static_cast<std::int64_t>(hash); }

template <class T>
std::span<const std::byte> cell(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

// The values are what PostgreSQL 15 answers to SELECT hashint8extended(5, 3), …
TEST_CASE("whole numbers, texts and doubles are hashed as PostgreSQL does") {
  CHECK(shown(pg_hash(std::int64_t{5}, 3)) == -5727598957719450488);
  CHECK(shown(pg_hash(std::int64_t{-5}, 3)) == 4566310048417840633);
  CHECK(shown(pg_hash(std::int32_t{-7}, 6)) == 4228354739069362386);
  CHECK(shown(pg_hash(as_bytes("hello wonderful world"), 7)) == 4576166335338644550);
  CHECK(shown(pg_hash(as_bytes(std::string_view{}), 0)) == -6939563903564495251);
  CHECK(shown(pg_hash(1.5, 4)) == 3991282682507981867);
  // date_part('epoch', timestamptz '2024-01-01 10:00:00.123456+00')
  CHECK(shown(pg_hash(1704103200.123456, 4)) == 2548020776129077182);
  const unsigned char uuid[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
  CHECK(shown(pg_hash(std::as_bytes(std::span(uuid)), 5)) == -1695993345722519903);
}

TEST_CASE("numerics are hashed as PostgreSQL does, whatever their width and scale") {
  CHECK(shown(pg_hash_decimal(cell(std::int64_t{-12'345'678}), 3, 9)) == -4952687386130563635);
  CHECK(shown(pg_hash_decimal(cell(std::int32_t{-12'345'678}), 3, 9)) == -4952687386130563635);
  CHECK(shown(pg_hash_decimal(cell(std::int64_t{-123'456'780'000}), 7, 9)) == -4952687386130563635);
  CHECK(shown(pg_hash_decimal(cell(std::int32_t{12}), 5, 9)) == 125377412262532810);
  CHECK(shown(pg_hash_decimal(cell(std::int32_t{0}), 5, 9)) == 8);
  __extension__ using Wide = __int128;
  Wide wide = 0;
  for (int i = 0; i < 32; ++i) wide = wide * 10 + 9;
  wide = wide * 1'000'000 + 123'456;
  CHECK(shown(pg_hash_decimal(cell(wide), 6, 9)) == -1548076498329660630);
}

TEST_CASE("a decimal's sign is told from its highest bit") {
  CHECK(is_negative(cell(std::int32_t{-1})));
  CHECK_FALSE(is_negative(cell(std::int64_t{1})));
}
