#include "extract/keyed_position.h"

#include <limits>

#include "test/support/catch.h"

using namespace pgch;

namespace {

KeyedPosition sample() {
  KeyedPosition p;
  p.version = 0x0010'0000'1234'5678;
  p.moved = 3;
  KeyCells id;
  id.name = "id";
  id.integer = true;
  id.integers = {std::numeric_limits<std::int64_t>::min(), 7, std::numeric_limits<std::int64_t>::max(), -1};
  KeyCells name;
  name.name = "na me";
  for (const char* s : {"", "a", "grüß", "a very long text that fits no small buffer"}) name.add_text(s);
  p.keys = {id, name};
  p.stamps = {5, 5, 4294967295U, 5};
  return p;
}

}  // namespace

TEST_CASE("a position of the flag method comes back as it was") {
  const auto back = decode_keyed_position(encode(sample()));
  REQUIRE(back);
  CHECK(back->version == sample().version);
  CHECK(back->moved == 3);
  CHECK(back->stamps == sample().stamps);
  REQUIRE(back->keys.size() == 2);
  CHECK(back->keys[0].name == "id");
  CHECK(back->keys[0].integers == sample().keys[0].integers);
  CHECK(back->keys[0].text(0) == "-9223372036854775808");
  CHECK(back->keys[1].text(2) == "grüß");
  CHECK(back->keys[1].text(3) == "a very long text that fits no small buffer");
}

TEST_CASE("neighbouring integer keys cost a byte each") {
  KeyedPosition p;
  KeyCells id;
  id.name = "id";
  id.integer = true;
  for (std::int64_t i = 0; i < 10'000; ++i) id.integers.push_back(1'000'000'000'000 + i);
  p.keys = {id};
  p.moved = 10'000;
  p.stamps.assign(10'000, 77);
  CHECK(encode(p).bytes.size() < 10'100);
}

TEST_CASE("a position cut at any byte, or with a byte too many, is corrupt") {
  const Position whole = encode(sample());
  for (std::size_t n = 0; n < whole.bytes.size(); ++n) {
    const auto cut = decode_keyed_position({whole.bytes.substr(0, n)});
    INFO("cut at " << n);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == Errc::corrupt);
  }
  CHECK_FALSE(decode_keyed_position({whole.bytes + "x"}));
}

TEST_CASE("a position with any byte changed is refused or read, but never crashes") {
  const Position whole = encode(sample());
  for (std::size_t i = 0; i < whole.bytes.size(); ++i) {
    for (const int bits : {0x01, 0x80, 0xFF}) {
      Position broken = whole;
      broken.bytes[i] = static_cast<char>(broken.bytes[i] ^ bits);
      const auto read = decode_keyed_position(broken);
      // What is read is a position: written again and read again it is the same.
      if (!read) {
        CHECK(read.error().code == Errc::corrupt);
      } else {
        CHECK(decode_keyed_position(encode(*read)));
      }
    }
  }
}
