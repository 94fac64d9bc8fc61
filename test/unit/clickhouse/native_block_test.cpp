#include "clickhouse/native_block.h"

#include "base/bytes.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::ch;

namespace {

std::shared_ptr<const TableSchema> schema() {
  auto s = std::make_shared<TableSchema>();
  s->columns = {{"id", Kind::int32, false, false, 0, 0, ""},
                {"name", Kind::text, true, false, 0, 0, ""},
                {"f", Kind::float64, true, false, 0, 0, ""}};
  return s;
}
const std::vector<std::string> types{"Int32", "Nullable(String)", "Nullable(Float64)"};

RowBatch rows(int count) {
  RowBatch b;
  b.reset(schema());
  for (std::int32_t i = 0; i < count; ++i) {
    append_value(b.columns[0], Layout::fixed4, false, std::as_bytes(std::span(&i, 1)));
    const std::string name(static_cast<std::size_t>(i % 5 == 4 ? 200 + i : i), static_cast<char>('a' + i % 26));
    i % 3 == 1 ? append_null(b.columns[1], Layout::varlen)
               : append_value(b.columns[1], Layout::varlen, true, as_bytes(name));
    const double f = i / 3.0;
    append_value(b.columns[2], Layout::fixed8, true, std::as_bytes(std::span(&f, 1)));
    ++b.rows;
  }
  return b;
}

std::string encoded(const RowBatch& b) {
  std::string out;
  put_block_header(out, 3, b.rows);
  for (std::size_t i = 0; i < 3; ++i) {
    const ColumnSpec& c = b.schema->columns[i];
    REQUIRE(put_column(out, c.name, types[i], b.columns[i], layout_of(c), c.nullable, b.rows));
  }
  return out;
}

}  // namespace

TEST_CASE("a block has the bytes that a real server writes") {
  // SELECT toInt32(7) AS id, CAST('ab' AS Nullable(String)) AS name, CAST(NULL AS Nullable(Float64)) AS f FORMAT Native
  RowBatch b;
  b.reset(schema());
  const std::int32_t seven = 7;
  append_value(b.columns[0], Layout::fixed4, false, std::as_bytes(std::span(&seven, 1)));
  append_value(b.columns[1], Layout::varlen, true, as_bytes("ab"));
  append_null(b.columns[2], Layout::fixed8);
  b.rows = 1;
  const char expected[] =
      "\x03\x01\x02id\x05Int32\x07\0\0\0\x04name\x10Nullable(String)\0\x02"
      "ab\x01"
      "f\x11Nullable(Float64)\x01\0\0\0\0\0\0\0\0";
  CHECK(encoded(b) == std::string(expected, sizeof(expected) - 1));
}

TEST_CASE("blocks cut anywhere are read back whole") {
  const RowBatch first = rows(20), second = rows(3);
  const std::string bytes = encoded(first) + encoded(second);
  for (std::size_t cut = 1; cut <= bytes.size(); ++cut) {
    BlockReader reader(schema(), types);
    std::vector<std::uint64_t> hashes;
    for (std::size_t at = 0; at < bytes.size(); at += cut) {
      REQUIRE(reader.feed(as_bytes(std::string_view(bytes).substr(at, cut)), [&](const RowBatch& b) -> Result<void> {
        hashes.push_back(content_hash(b));
        return {};
      }));
    }
    REQUIRE(reader.finish());
    REQUIRE(hashes == std::vector<std::uint64_t>{content_hash(first), content_hash(second)});
  }
}

TEST_CASE("an answer that ends early or has other columns is refused") {
  const std::string bytes = encoded(rows(5));
  const auto sink = [](const RowBatch&) -> Result<void> { return {}; };
  for (std::size_t n = 1; n < bytes.size(); ++n) {
    BlockReader reader(schema(), types);
    if (reader.feed(as_bytes(std::string_view(bytes).substr(0, n)), sink)) CHECK_FALSE(reader.finish());
  }
  BlockReader other(schema(), {"Int32", "String", "Nullable(Float64)"});
  CHECK_FALSE(other.feed(as_bytes(bytes), sink));
  BlockReader hostile(schema(), types);
  CHECK_FALSE(hostile.feed(as_bytes(std::string(64, '\xff')), sink));
}

TEST_CASE("a NULL for a column that has none is a row's error") {
  const RowBatch b = rows(3);
  std::string out;
  const auto refused = put_column(out, "name", "String", b.columns[1], Layout::varlen, false, b.rows);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().recovery == Recovery::dead_letter);
}
