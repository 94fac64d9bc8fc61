// The golden bytes that the unit tests decode are what this server sends, whichever version it is.
#include "test/support/golden.h"

#include "pg/copy_stream.h"
#include "test/integration/postgres_fixture.h"

using namespace pgch;
using namespace pgch::testing;

namespace {

/// All that COPY (query) TO STDOUT (FORMAT binary) sends.
std::vector<std::byte> sent(pg::Connection& connection, const std::string& query) {
  const pg::Wait wait{system_clock().now() + std::chrono::seconds(30), {}};
  auto answer = connection.exec("COPY (" + query + ") TO STDOUT (FORMAT binary)", {}, "copying golden values", wait);
  if (!answer) FAIL(answer.error().message << " in " << query);
  std::vector<std::byte> out;
  pg::CopyStream stream(connection);
  for (;;) {
    auto step = stream.next();
    if (!step) FAIL(step.error().message << " in " << query);
    if (*step == pg::CopyStream::Step::end) return out;
    if (*step == pg::CopyStream::Step::message) {
      out.insert(out.end(), stream.data().begin(), stream.data().end());
      continue;
    }
    pg::Connection* const one = &connection;
    REQUIRE(pg::wait_for({&one, 1}, system_clock(), wait).operator bool());
  }
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string out;
  for (const std::byte b : bytes) {
    for (const unsigned digit : {std::to_integer<unsigned>(b) >> 4, std::to_integer<unsigned>(b) & 15U})
      out += "0123456789abcdef"[digit];
  }
  return out;
}

}  // namespace

TEST_CASE("this server sends the golden bytes for a row and for every value", "[versions]") {
  TestSchema db;
  db.run(golden_setup);
  auto opened = pg::Connection::open(test_server(), db.context);
  if (!opened) FAIL(opened.error().message);
  pg::Connection& connection = **opened;
  const pg::Wait wait{system_clock().now() + std::chrono::seconds(30), {}};
  REQUIRE(connection.exec("SET search_path = " + db.name + ", public; SET lc_monetary = 'C'", {}, "setting", wait)
              .
              operator bool());
  CHECK(to_hex(sent(connection, golden_row)) == golden_copy);
  for (const Golden& g : golden_values()) {
    if (g.sql == nullptr) continue;
    INFO(g.sql);
    const std::vector<std::byte> stream = sent(connection, std::string("SELECT ") + g.sql);
    // A header of 19 bytes, the count of columns, the value's size; behind it the trailer.
    REQUIRE(stream.size() > 27);
    CHECK(to_hex(std::span(stream).subspan(25, stream.size() - 27)) == g.hex);
  }
}
