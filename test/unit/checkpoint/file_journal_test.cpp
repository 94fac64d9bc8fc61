#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "pgch/checkpoint/file.h"
#include "support/catch.h"
#include "support/scratch.h"

namespace {

using namespace pgch;

struct Opened {
  explicit Opened(const std::string& directory, std::size_t bytes_max = 64u << 20) {
    FileJournalOptions options;
    options.directory = directory;
    options.pipeline = "t";
    options.bytes_max = bytes_max;
    journal = std::move(make_file_journal(options)).value();
    result = journal->open(Context{null_logger(), system_clock(), stop.get_token()});
  }
  std::stop_source stop;
  std::shared_ptr<Journal> journal;
  Result<void> result;
};

Intent intent_of(Journal& journal, const std::string& stream, const std::string& position) {
  return Intent{stream, journal.next_sequence(stream), {}, Position{position}, 7, 42, "mark"};
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void spew(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST_CASE("an intent without a done is pending after a restart, with everything that was written down") {
  test::Scratch dir;
  std::uint64_t generation = 0;
  {
    Opened o(dir.path());
    REQUIRE(o.result);
    generation = o.journal->generation();
    Intent first = intent_of(*o.journal, "s", "abc");
    CHECK(o.journal->intend(first, true).value() == 1);
    first.attempts.push_back(1);
    CHECK(o.journal->intend(first, true).value() == 2);
    Intent second = intent_of(*o.journal, "s", "def");
    CHECK(o.journal->intend(second, true).value() == 3);
    CHECK(o.journal->done("s", second.sequence));
  }
  Opened again(dir.path());
  REQUIRE(again.result);
  CHECK(again.journal->generation() == generation);
  const auto pending = again.journal->pending().value();
  REQUIRE(pending.size() == 1);
  CHECK(pending[0].stream == "s");
  CHECK(pending[0].sequence == 1);
  CHECK(pending[0].attempts == std::vector<std::uint64_t>{1, 2});
  CHECK(pending[0].position.bytes == "abc");
  CHECK(pending[0].rows == 7);
  CHECK(pending[0].content == 42);
  CHECK(pending[0].mark == "mark");
  CHECK(again.journal->next_sequence("s") == 3);
}

TEST_CASE("at-least-once writes no intents, and its numbers do not come again after a restart") {
  test::Scratch dir;
  std::uint64_t number = 0;
  std::uint64_t sequence = 0;
  for (int run = 0; run < 3; ++run) {
    Opened o(dir.path());
    REQUIRE(o.result);
    for (int i = 0; i < 10; ++i) {
      const Intent intent = intent_of(*o.journal, "s", "p");
      CHECK(intent.sequence > sequence);
      sequence = intent.sequence;
      const auto got = o.journal->intend(intent, false);
      REQUIRE(got);
      CHECK(*got > number);
      number = *got;
    }
    CHECK(o.journal->pending().value().empty());
  }
  Opened o(dir.path());
  const Intent intent = intent_of(*o.journal, "s", "p");
  CHECK(intent.sequence > sequence);
  CHECK(o.journal->intend(intent, true).value() > number);
}

TEST_CASE("a second process is refused while the first has the journal") {
  test::Scratch dir;
  Opened first(dir.path());
  REQUIRE(first.result);
  Opened second(dir.path());
  REQUIRE_FALSE(second.result);
  CHECK(second.result.error().code == Errc::conflict);
  first.journal->close();
  Opened third(dir.path());
  CHECK(third.result);
}

TEST_CASE("an append that a crash cut short is cut off at every length, and the rest is kept") {
  test::Scratch dir;
  {
    Opened o(dir.path());
    REQUIRE(o.journal->intend(intent_of(*o.journal, "s", "kept"), true));
  }
  const std::string path = dir.path() + "/t.journal";
  const std::string whole = slurp(path);
  {
    Opened o(dir.path());
    REQUIRE(o.journal->intend(intent_of(*o.journal, "s", "torn"), true));
  }
  const std::string longer = slurp(path);
  for (std::size_t size = whole.size(); size < longer.size(); ++size) {
    spew(path, longer.substr(0, size));
    Opened o(dir.path());
    REQUIRE(o.result);
    const auto pending = o.journal->pending().value();
    REQUIRE(pending.size() == 1);
    CHECK(pending[0].position.bytes == "kept");
  }
}

TEST_CASE("a damaged record with whole ones behind it stops the pipeline") {
  test::Scratch dir;
  {
    Opened o(dir.path());
    REQUIRE(o.journal->intend(intent_of(*o.journal, "s", "one"), true));
    REQUIRE(o.journal->intend(intent_of(*o.journal, "s", "two"), true));
  }
  const std::string path = dir.path() + "/t.journal";
  const std::string good = slurp(path);
  std::size_t refused = 0;
  for (std::size_t at = 0; at < good.find("two"); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    spew(path, bad);
    Opened o(dir.path());
    if (!o.result) {
      CHECK(o.result.error().code == Errc::corrupt);
      ++refused;
    } else {
      // Only the last record's own bytes may be taken for a torn append; the first intent is never lost silently.
      REQUIRE(o.journal->pending().value().size() >= 1);
      CHECK(o.journal->pending().value()[0].position.bytes == "one");
    }
  }
  CHECK(refused > 20);
}

TEST_CASE("a journal beyond its limit is written anew with what is open, and numbers go on") {
  test::Scratch dir;
  {
    Opened o(dir.path(), 4096);
    REQUIRE(o.result);
    REQUIRE(o.journal->intend(intent_of(*o.journal, "s", "open all the time"), true));
    for (int i = 0; i < 500; ++i) {
      const Intent next = intent_of(*o.journal, "s", std::string(50, 'x'));
      REQUIRE(o.journal->intend(next, true));
      REQUIRE(o.journal->done("s", next.sequence));
    }
  }
  CHECK(slurp(dir.path() + "/t.journal").size() < 8192);
  Opened o(dir.path(), 4096);
  REQUIRE(o.result);
  const auto pending = o.journal->pending().value();
  REQUIRE(pending.size() == 1);
  CHECK(pending[0].position.bytes == "open all the time");
  CHECK(o.journal->next_sequence("s") == 502);
  CHECK(o.journal->intend(intent_of(*o.journal, "s", "y"), true).value() >= 502);
}

TEST_CASE("a journal that was put back from an older copy gives no number twice") {
  test::Scratch dir;
  const std::string path = dir.path() + "/t.journal";
  std::string older;
  std::uint64_t last = 0;
  {
    Opened o(dir.path());
    REQUIRE(o.result);
    older = slurp(path);
    for (const char* place : {"a", "b", "c"}) last = o.journal->intend(intent_of(*o.journal, "s", place), true).value();
  }
  spew(path, older);
  Opened o(dir.path());
  REQUIRE(o.result);
  CHECK(o.journal->intend(intent_of(*o.journal, "s", "d"), true).value() > last);
  CHECK(o.journal->intend(intent_of(*o.journal, "t", "d"), false).value() > last);
}

TEST_CASE("a full disk is told as such, and the journal goes on when there is room") {
  test::Scratch dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
    // Without the right to mount, a file size limit gives the same short write.
    WARN("no right to mount a small file system here");
    return;
  }
  {
    Opened o(dir.path());
    REQUIRE(o.result);
    Intent big = intent_of(*o.journal, "s", std::string(30'000, 'p'));
    REQUIRE(o.journal->intend(big, true));
    Intent next = intent_of(*o.journal, "s", std::string(60'000, 'q'));
    const auto full = o.journal->intend(next, true);
    REQUIRE_FALSE(full);
    CHECK(full.error().recovery == Recovery::retry);
    CHECK(full.error().code == Errc::limit);
    REQUIRE(o.journal->done("s", big.sequence));
    Intent small = intent_of(*o.journal, "s", "small");
    CHECK(o.journal->intend(small, true));
  }
  {
    Opened o(dir.path());
    REQUIRE(o.result);
    CHECK(o.journal->pending().value().size() == 1);
  }
  ::umount(dir.path().c_str());
}

TEST_CASE("a journal that could not be made is made by the next try") {
  test::Scratch dir;
  // The limit of a file's size is the process's own, so this happens in a child.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit none{0, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
    Opened o(dir.path());
    if (o.result) ::_exit(1);
    ::setrlimit(RLIMIT_FSIZE, &before);
    if (!o.journal->open(Context{null_logger(), system_clock(), o.stop.get_token()})) ::_exit(2);
    if (!o.journal->intend(intent_of(*o.journal, "s", "abc"), true)) ::_exit(3);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  Opened again(dir.path());
  REQUIRE(again.result);
  CHECK(again.journal->pending().value().size() == 1);
}

TEST_CASE("names that would leave the state directory are refused") {
  for (const char* name : {"", "../x", ".hidden", "a/b", "a b", "a\nb"}) {
    FileJournalOptions options;
    options.pipeline = name;
    const auto made = make_file_journal(options);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Errc::config);
  }
}

TEST_CASE("a journal that is a symbolic link is refused") {
  test::Scratch dir;
  REQUIRE(::symlink("/dev/null", (dir.path() + "/t.journal").c_str()) == 0);
  Opened o(dir.path());
  CHECK_FALSE(o.result);
}
