#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "extract/snapshot_position.h"
#include "extract/snapshot_progress.h"
#include "extract/snapshot_ranges.h"
#include "test/support/catch.h"
#include "test/support/scratch.h"

using namespace pgch;

namespace {

const Context context{null_logger(), system_clock(), {}};

SnapshotProgress opened(const std::string& directory) {
  auto made = SnapshotProgress::open(directory, "p", false, context);
  if (!made) FAIL(made.error().message);
  return std::move(*made);
}

void filled(const std::string& directory) {
  SnapshotProgress file = opened(directory);
  REQUIRE_FALSE(file.records().exists);
  REQUIRE(file.begin({42, 7, "server/1"}));
  REQUIRE(file.point({"0/1 (timeline 1)", 100, 5000, {4990, 4995}}));
  REQUIRE(file.part(42, 16384, 10));
  REQUIRE(file.done(42, {{place_of(0), place_of(4)}, 100, 400}, 4 * 8192));
  REQUIRE(file.done(42, {{place_of(6), place_of(10)}, 100, 401}, 4 * 8192));
  REQUIRE(file.sync());
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
}

}  // namespace

TEST_CASE("a snapshot's position comes back as it was, and anything else is refused") {
  const SnapshotPosition position{42, 16384, {place_of(3), place_of(4, 7)}, 9, 1ULL << 60, 12345};
  const Position encoded = encode(position);
  const auto decoded = decode_snapshot_position(encoded);
  REQUIRE(decoded);
  CHECK(*decoded == position);
  for (std::size_t n = 0; n < encoded.bytes.size(); ++n)
    CHECK_FALSE(decode_snapshot_position({encoded.bytes.substr(0, n)}));
  CHECK_FALSE(decode_snapshot_position({encoded.bytes + "x"}));
  CHECK_FALSE(decode_snapshot_position({"\2" + encoded.bytes.substr(1)}));
}

TEST_CASE("a range is halved by blocks, then by lines, down to one row, and its halves are the whole") {
  std::vector<PlaceRange> left{{place_of(5), place_of(9)}};
  std::vector<PlaceRange> rows;
  while (!left.empty()) {
    const PlaceRange one = left.back();
    left.pop_back();
    const auto two = halves(one, 8);
    if (!two) {
      rows.push_back(one);
      continue;
    }
    CHECK(two->first.from == one.from);
    CHECK(two->first.to == two->second.from);
    CHECK(two->second.to == one.to);
    CHECK(two->first.from < two->first.to);
    CHECK(two->second.from < two->second.to);
    left.push_back(two->second);
    left.push_back(two->first);
  }
  CHECK(rows.size() == 4 * 8);
  for (std::uint64_t block = 5; block < 9; ++block) {
    for (std::uint64_t line = 1; line <= 8; ++line) {
      int holding = 0;
      for (const PlaceRange& r : rows) holding += r.from <= place_of(block, line) && place_of(block, line) < r.to;
      CHECK(holding == 1);
    }
  }
}

TEST_CASE("finished ranges are known with their gaps, and what is read anew takes their place") {
  RangeMap map;
  map.finish({{10, 20}, 1, 5});
  map.finish({{30, 40}, 1, 6});
  CHECK(map.missing({0, 50}) == std::vector<PlaceRange>{{0, 10}, {20, 30}, {40, 50}});
  CHECK(map.missing({12, 18}).empty());
  CHECK(map.covers({12, 18}, 1));
  CHECK_FALSE(map.covers({12, 18}, 2));
  CHECK_FALSE(map.covers({15, 25}, 1));
  map.finish({{15, 35}, 2, 9});
  const auto all = map.finished();
  REQUIRE(all.size() == 3);
  CHECK(all[0].range == PlaceRange{10, 15});
  CHECK_FALSE(all[0].rows);
  CHECK(all[1].range == PlaceRange{15, 35});
  CHECK(all[1].rows == 9);
  CHECK(all[2].range == PlaceRange{35, 40});
  CHECK(all[2].as_of == 1);
  map.finish({{16, 20}, 3, 1});
  CHECK(map.finished().size() == 5);
  CHECK(map.missing({10, 40}).empty());
}

TEST_CASE("the progress file keeps what was finished, and a part with another file begins anew") {
  const test::Scratch scratch;
  filled(scratch.path());
  {
    SnapshotProgress file = opened(scratch.path());
    const SnapshotRecords& r = file.records();
    REQUIRE(r.exists);
    CHECK(r.key.table == 42);
    CHECK(r.key.system == "server/1");
    REQUIRE(r.points.size() == 1);
    CHECK(r.points[0].open_xids == std::vector<std::uint32_t>{4990, 4995});
    CHECK(r.parts.at(42).ranges.missing({0, place_of(10)}) == std::vector<PlaceRange>{{place_of(4), place_of(6)}});
    CHECK_FALSE(r.ended);
    REQUIRE(file.part(42, 16384, 12));
    CHECK(r.parts.at(42).ranges.finished().size() == 2);
    REQUIRE(file.part(42, 16999, 3));
    CHECK(r.parts.at(42).ranges.finished().empty());
    REQUIRE(file.changed("it was rewritten"));
    REQUIRE(file.ended());
  }
  const SnapshotProgress file = opened(scratch.path());
  CHECK(file.records().ended);
  CHECK(file.records().changes == std::vector<std::string>{"it was rewritten"});
}

TEST_CASE("a record of the progress file that a crash cut short is cut off, at whichever byte") {
  const test::Scratch scratch;
  filled(scratch.path());
  const std::string path = scratch.path() + "/p.snapshot", whole = bytes_of(path);
  std::size_t plan_end = 0;
  {
    const test::Scratch only_plan;
    SnapshotProgress fresh = opened(only_plan.path());
    REQUIRE(fresh.begin({42, 7, "server/1"}));
    plan_end = bytes_of(only_plan.path() + "/p.snapshot").size();
  }
  for (std::size_t n = 0; n < whole.size(); ++n) {
    write(path, whole.substr(0, n));
    auto file = SnapshotProgress::open(scratch.path(), "p", false, context);
    INFO("cut to " << n << " bytes");
    if (!file) {
      // The plan came with the file, in one go: without it this is no crash's work, and to begin anew might double
      // rows.
      CHECK(n > 0);
      CHECK(n < plan_end);
      CHECK(file.error().code == Errc::corrupt);
      continue;
    }
    CHECK((n == 0 || n >= plan_end));
    if (!file->records().exists) {
      REQUIRE(file->begin({1, 1, "s"}));
    } else {
      REQUIRE(file->point({"after", 200, 1, {}}));
    }
    const SnapshotProgress again = opened(scratch.path());
    CHECK(again.records().exists);
  }
}

TEST_CASE("a damaged record of the progress file in front of whole ones stops the snapshot") {
  const test::Scratch scratch;
  filled(scratch.path());
  const std::string path = scratch.path() + "/p.snapshot";
  std::string bytes = bytes_of(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write(path, bytes);
  const auto file = SnapshotProgress::open(scratch.path(), "p", false, context);
  REQUIRE_FALSE(file);
  CHECK(file.error().code == Errc::corrupt);
  CHECK(file.error().message.find("--again") != std::string::npos);
  CHECK(SnapshotProgress::open(scratch.path(), "p", true, context));
}

TEST_CASE(
    "a progress file whose plan is damaged, or is not its first record, is refused with its name and the way out") {
  const test::Scratch scratch;
  const std::string path = scratch.path() + "/p.snapshot";
  {
    SnapshotProgress fresh = opened(scratch.path());
    REQUIRE(fresh.begin({42, 7, "server/1"}));
  }
  const std::string plan = bytes_of(path);
  const std::string header = plan.substr(0, 8), record = plan.substr(8);
  const auto refused = [&](std::string bytes, const std::string& why) {
    write(path, bytes);
    const auto file = SnapshotProgress::open(scratch.path(), "p", false, context);
    REQUIRE_FALSE(file);
    CHECK(file.error().code == Errc::corrupt);
    CHECK(file.error().recovery == Recovery::halt);
    INFO(file.error().message);
    CHECK(file.error().message.find(path) != std::string::npos);
    CHECK(file.error().message.find(why) != std::string::npos);
    CHECK(file.error().message.find("--again") != std::string::npos);
  };
  for (std::size_t at = header.size(); at < plan.size(); ++at) {
    std::string damaged = plan;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    refused(damaged, "its plan is damaged");
  }
  for (std::size_t at = 0; at < header.size(); ++at) {
    std::string damaged = plan;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    refused(damaged, "its header is not one of pgch");
  }
  refused(plan + record, "is out of place");
}
