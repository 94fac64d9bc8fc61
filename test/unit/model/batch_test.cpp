#include <cstring>

#include "base/base64.h"
#include "base/bytes.h"
#include "pgch/batch.h"
#include "support/catch.h"

namespace {
using namespace pgch;

std::shared_ptr<const TableSchema> two_columns() {
  return std::make_shared<const TableSchema>(
      TableSchema{"public",
                  "t",
                  {{"id", Kind::int64, false, true, 0, 0, ""}, {"name", Kind::text, true, false, 0, 0, ""}},
                  {"id"}});
}
void add(RowBatch& b, std::int64_t id, const char* name) {
  append_value(b.columns[0], Layout::fixed8, false, std::as_bytes(std::span(&id, 1)));
  if (name == nullptr) {
    append_null(b.columns[1], Layout::varlen);
  } else {
    append_value(b.columns[1], Layout::varlen, true, as_bytes(name));
  }
  ++b.rows;
}
}  // namespace

TEST_CASE("NULL and the empty text have different hashes") {
  RowBatch a, b;
  a.reset(two_columns());
  b.reset(two_columns());
  add(a, 1, nullptr);
  add(b, 1, "");
  const std::size_t all[] = {0, 1};
  CHECK_FALSE(hash_row(a, 0, all) == hash_row(b, 0, all));
  CHECK(content_hash(a) != content_hash(b));
}

TEST_CASE("selected rows keep their values, nulls, versions and ordinals") {
  RowBatch b;
  b.reset(two_columns());
  add(b, 1, "one");
  add(b, 2, nullptr);
  add(b, 3, "three");
  b.versions = {10, 20, 30};
  const std::uint32_t wanted[] = {2, 1};
  const RowBatch s = select_rows(b, wanted);
  REQUIRE(s.rows == 2);
  CHECK(s.ordinals == std::vector<std::uint32_t>{2, 1});
  CHECK(s.versions == std::vector<std::uint64_t>{30, 20});
  CHECK(as_text(s.columns[1].at(0, 0)) == "three");
  CHECK(s.columns[1].is_null(1));
  const std::size_t all[] = {0, 1};
  CHECK(hash_row(s, 0, all) == hash_row(b, 2, all));
  const std::uint32_t first[] = {1};
  CHECK(select_rows(s, first).ordinals == std::vector<std::uint32_t>{1});
}

TEST_CASE("a half-decoded row is taken back") {
  RowBatch b;
  b.reset(two_columns());
  add(b, 1, "one");
  const std::int64_t id = 2;
  append_value(b.columns[0], Layout::fixed8, false, std::as_bytes(std::span(&id, 1)));
  b.columns[1].data.push_back(std::byte{'x'});  // bytes without an end
  truncate_column(b.columns[0], Layout::fixed8, 1);
  truncate_column(b.columns[1], Layout::varlen, 1);
  CHECK(b.columns[0].data.size() == 8);
  CHECK(b.columns[1].data.size() == 3);
  CHECK(b.columns[1].ends.size() == 1);
}

TEST_CASE("keys that differ in where one value ends differ") {
  auto schema = std::make_shared<const TableSchema>(TableSchema{
      "", "t", {{"a", Kind::text, false, true, 0, 0, ""}, {"b", Kind::text, false, true, 0, 0, ""}}, {"a", "b"}});
  RowBatch b;
  b.reset(schema);
  for (const auto& [x, y] : {std::pair{"ab", "c"}, std::pair{"a", "bc"}}) {
    append_value(b.columns[0], Layout::varlen, false, as_bytes(x));
    append_value(b.columns[1], Layout::varlen, false, as_bytes(y));
    ++b.rows;
  }
  const auto key = key_indexes(*schema);
  CHECK(key_bytes(b, 0, key) != key_bytes(b, 1, key));
}

TEST_CASE("base64 round trips and refuses what is not base64") {
  CHECK(base64("user:p\xC3\xA4ss!") == "dXNlcjpww6RzcyE=");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(from_base64(base64(bytes)) == bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
  for (const char* bad : {"A", "AA", "AAA", "=AAA", "AA=A", "A A=", "AAAA=", "====", "-_AA", "AB==", "AAB="})
    CHECK_FALSE(from_base64(bad));
}
