#include "extract/poll_cursor.h"

#include "test/support/catch.h"

using namespace pgch;

namespace {

PollPosition sample() {
  PollPosition p;
  p.cursor.form = PollForm::xid;
  p.cursor.source = "123/4/5/6";
  p.cursor.columns = {"a", "b"};
  p.cursor.number = 7;
  p.cursor.version = 1ULL << 52;
  p.cursor.seen = "10:20:10,14";
  p.cursor.round = "14:30:14";
  p.cursor.floor = 3;
  p.cursor.between = true;
  p.cursor.stamp = 1ULL << 40;
  p.cursor.after = {"1", ""};
  KeyCells id;
  id.name = "a";
  id.integer = true;
  id.integers = {5};
  p.rows.keys = {id};
  p.rows.moved = 1;
  p.rows.stamps = {1ULL << 40};
  return p;
}

}  // namespace

TEST_CASE("a position of the poll method comes back as it was, and cut at any byte it is corrupt") {
  const Position whole = encode(sample());
  const auto back = decode_poll_position(whole);
  REQUIRE(back);
  CHECK(back->cursor == sample().cursor);
  CHECK(back->rows.stamps == sample().rows.stamps);
  CHECK(back->rows.keys[0].integers == sample().rows.keys[0].integers);
  for (std::size_t n = 0; n < whole.bytes.size(); ++n) {
    INFO("cut at " << n);
    CHECK_FALSE(decode_poll_position({whole.bytes.substr(0, n)}));
  }
  CHECK_FALSE(decode_poll_position({whole.bytes + "x"}));
  CHECK_FALSE(decode_poll_position(encode(sample().rows)));  // the flag method's
}

TEST_CASE("a round begins at the lowest transaction that it may see and the one before did not") {
  CHECK(lowest_news("10:20:", "10:30:") == 20);
  CHECK(lowest_news("10:20:10,14", "10:30:10") == 14);
  CHECK(lowest_news("10:20:10,14", "10:30:10,14,25") == 20);
  CHECK(lowest_news("10:20:10,14,19", "31:31:") == 10);
  CHECK(lowest_news("7:7:", "7:7:") == 7);
}
