// A snapshot's remaining time, against simulated runs that end when they end.
#include "cli/snapshot_eta.h"

#include <cmath>
#include <deque>
#include <vector>

#include "test/support/catch.h"

using namespace pgch::cli;

namespace {

struct Shape {
  std::uint64_t bytes;
  double rows;
  std::size_t columns;
  double seconds;  ///< that reading it takes
};

struct Seen {
  double at, left;
};

struct Course {
  std::vector<Seen> seen;
  double end = 0;
};

/// Reading and loading share the cores: one alone is twice as fast. Ranges grow at first and shrink at the end, as the
/// extractor's do, and what is read and not loaded is at most `ahead` of a table. Tables come one after another, each
/// needs a moment to begin.
Course course_of(const std::vector<Shape>& shapes, double ahead) {
  constexpr double step = 0.01, beginning = 0.15;
  Course course;
  std::vector<TableProgress> tables;
  for (const Shape& s : shapes) tables.push_back({copy_cost(s.bytes, s.rows, s.columns), s.bytes});
  double now = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    TableProgress& t = tables[i];
    t.begun_s = now;
    now += beginning;
    const auto total = static_cast<double>(t.total);
    const double work = total * step / shapes[i].seconds, full = total / 20, least = full / 8;
    std::deque<std::uint64_t> ranges;  // read, not loaded: where each ends
    double reading = 0, loading = 0, grown = least;
    while (t.done < t.total) {
      now += step;
      const bool loads = !ranges.empty();
      const bool reads = t.read < t.total && static_cast<double>(t.read - t.done) < ahead * total;
      reading += reads ? work * (loads ? 1 : 2) : 0;
      loading += loads ? work * (reads ? 1 : 2) : 0;
      const double range = std::clamp(std::min(grown, static_cast<double>(t.total - t.read) / 4), least, full);
      const auto next = std::min(t.total, t.read + static_cast<std::uint64_t>(range));
      if (reads && reading >= static_cast<double>(next - t.read)) {
        reading -= static_cast<double>(next - t.read);
        t.read = next;
        t.changed_s = now;
        ranges.push_back(next);
        grown *= 1.5;
      }
      if (loads && loading >= static_cast<double>(ranges.front() - t.done)) {
        loading -= static_cast<double>(ranges.front() - t.done);
        t.done = ranges.front();
        t.changed_s = now;
        ranges.pop_front();
      }
      if (const auto rest = seconds_left(tables, now)) course.seen.push_back({now, *rest});
    }
    t.ended_s = now;
  }
  course.end = now;
  return course;
}

/// After a tenth of the time nineteen of twenty looks are right within a fifth of what is left, and none is wrong by
/// more than a third. In the last tenth, where a few ranges are all that is left, of that tenth.
void check(const std::vector<Shape>& shapes, double ahead) {
  const Course course = course_of(shapes, ahead);
  double worst = 0, looks = 0, right = 0;
  for (const Seen& s : course.seen) {
    if (s.at < course.end / 10) continue;
    const double real = course.end - s.at;
    const double error = std::abs(s.left - real) / std::max(real, course.end / 10);
    worst = std::max(worst, error);
    ++looks;
    right += error < 0.2 ? 1 : 0;
  }
  INFO(shapes.size() << " tables, " << ahead << " of one ahead");
  CHECK(worst < 1.0 / 3);
  CHECK(right / looks > 0.95);
}

// By docs/PERFORMANCE.md, 2 cores: 2 million rows of 40 columns, 10 million of 2, 5 million of 6.
const Shape wide{910'000'000, 2e6, 40, 9.2}, narrow{443'000'000, 1e7, 2, 2.9}, logins{750'000'000, 5e6, 6, 3.3};

}  // namespace

TEST_CASE("a snapshot's remaining time is right within a fifth after the first tenth, whichever tables it has") {
  for (const double ahead : {0.03, 0.15}) {
    check({wide}, ahead);
    check({wide, narrow}, ahead);
    check({narrow, wide}, ahead);
    check({wide, logins, narrow}, ahead);
    check({wide, wide, wide}, ahead);
  }
}

TEST_CASE("nothing is said before something was read, and a resumed table counts with what is left of it") {
  TableProgress t{1e9, 1000};
  CHECK_FALSE(seconds_left({&t, 1}, 1));
  t.begun_s = 1;
  CHECK_FALSE(seconds_left({&t, 1}, 2));
  t.read = 500;
  t.done = 250;
  t.changed_s = 4;
  CHECK(seconds_left({&t, 1}, 4).value() ==
        Approx(650 * 2.8 / 350));  // 0.4 of 500 and 0.6 of 250 bytes in 3 seconds, a fifth of one for the beginning
  // Beside it a table that is not begun and costs half as much: half of the time that the first takes.
  const TableProgress both[] = {t, {0.5e9, 77}};
  CHECK(seconds_left(both, 4).value() == Approx(650 * 2.8 / 350 + (3 + 650 * 2.8 / 350) / 2));
  // Without rows a table still costs something.
  CHECK(copy_cost(0, 0, 3) > 0);
  CHECK(copy_cost(1'000'000, -1, 10) > copy_cost(1'000'000, 100, 10));
}
