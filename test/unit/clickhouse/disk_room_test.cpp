#include "clickhouse/disk_room.h"

#include <filesystem>
#include <fstream>
#include <vector>

#include "base/bytes.h"
#include "support/catch.h"
#include "support/scratch.h"

using namespace pgch;
using namespace pgch::ch;

namespace {

std::string texts(std::initializer_list<std::string_view> all) {
  std::string out;
  for (const std::string_view one : all) put_text(out, one);
  return out;
}
std::string checked(std::string_view part, bool sound) {
  std::string out = texts({part});
  out += sound ? '\1' : '\0';
  return out + texts({sound ? "" : "Unexpected size of file"});
}

}  // namespace

TEST_CASE("what a statement may write is seen by its first word, whatever stands before it") {
  for (const char* sql : {"INSERT INTO t VALUES (1)", "  insert into t", "-- a note\nInsert INTO t",
                          "/* so */ INSERT INTO t", "WITH 1 AS x INSERT INTO t SELECT x"})
    CHECK(writes_of(sql) == Writes::rows);
  for (const char* sql :
       {"CREATE TABLE t", "alter TABLE t", "RENAME TABLE a TO b", "/**/\n#x\nATTACH TABLE t", "DELETE FROM t"})
    CHECK(writes_of(sql) == Writes::definition);
  for (const char* sql : {"SELECT 1", "", "--", "/* CREATE", "DROP TABLE t", "INSERTS", "SET x = 1", "((SELECT 1))"})
    CHECK(writes_of(sql) == Writes::nothing);
}

TEST_CASE("of the new parts just those are dropped whose files are not what they should be") {
  std::vector<std::string> asked;
  const auto spoilt = drop_spoilt_parts(
      [&](const std::string& sql) -> Result<std::string> {
        asked.push_back(sql);
        if (sql.find("system.parts") != std::string::npos)
          return texts({"d", "t", "all_1_1_0"}) + texts({"d", "t`2", "all_2_2_0"}) + texts({"d", "t", "all_3_3_0"});
        if (sql.find("DROP") != std::string::npos) return std::string();
        if (sql.find("all_3") != std::string::npos) return halt(Errc::not_found, "no such part");
        return checked("x", sql.find("all_2") == std::string::npos);
      },
      1'000);
  REQUIRE(spoilt);
  CHECK(*spoilt == 1);
  REQUIRE(asked.size() == 5);
  CHECK(asked[0].find("toDateTime(1000)") != std::string::npos);
  CHECK(asked[3] == "ALTER TABLE `d`.`t\\`2` DROP PART 'all_2_2_0'");
}

TEST_CASE("parts of which nobody knows are an error, not a good end") {
  CHECK_FALSE(drop_spoilt_parts([](const std::string&) -> Result<std::string> { return halt(Errc::io, "no"); }, 0));
  CHECK_FALSE(drop_spoilt_parts(
      [](const std::string& sql) -> Result<std::string> {
        if (sql.find("system.parts") != std::string::npos) return texts({"d", "t", "p"});
        if (sql.find("CHECK") == 0) return checked("p", false);
        return halt(Errc::io, "can't be dropped");
      },
      0));
}

TEST_CASE("a definition without anything in it is found where the engine keeps them") {
  test::Scratch dir;
  CHECK(empty_definition(dir.path()).empty());
  const std::string folder = dir.path() + "/store/abc/abcdef";
  std::filesystem::create_directories(folder + "/all_1_1_0");
  std::ofstream(folder + "/full.sql") << "ATTACH";
  std::ofstream(folder + "/all_1_1_0/empty.sql");
  CHECK(empty_definition(dir.path()).empty());
  std::ofstream(folder + "/t.sql");
  CHECK(empty_definition(dir.path()) == folder + "/t.sql");
}

TEST_CASE("the room of a directory that is not there is no reason to refuse") {
  CHECK(room_at("/nonexistent") > room_watched);
  CHECK(room_at("/tmp") > 0);
}
