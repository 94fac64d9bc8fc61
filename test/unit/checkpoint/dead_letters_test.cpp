#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "pgch/dead_letter.h"
#include "support/catch.h"
#include "support/scratch.h"

namespace {

using namespace pgch;

class Noon final : public Clock {
 public:
  TimePoint now() override { return {}; }
  void sleep_until(TimePoint, const std::stop_token&) override {}
  std::int64_t wall_us() override { return 1'700'000'000'000'000; }
};

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Folder {
  Folder() {
    options.directory = dir.path();
    options.pipeline = "t";
    dead = std::move(make_file_dead_letters(options)).value();
    REQUIRE(dead->open(context()));
  }
  Context context() { return {null_logger(), clock, stop.get_token()}; }
  std::unique_ptr<DeadLetterBox> box(SendRowAgain again = {}) {
    return std::move(open_file_letters(options, std::move(again), context())).value();
  }
  std::vector<std::string> places() {
    std::vector<std::string> out;
    const auto letters = box()->list(false);
    REQUIRE(letters);
    for (const DeadLetter& one : *letters) out.push_back(one.place);
    return out;
  }
  void put(const std::string& key) { REQUIRE(dead->put("s", {{"bad", "t", key, "payload"}})); }

  test::Scratch dir;
  Noon clock;
  std::stop_source stop;
  FileJournalOptions options;
  std::shared_ptr<DeadLetters> dead;
};

const std::string key_one = std::string("\x01", 1) + "1";  // the text "1", with its length before it

}  // namespace

TEST_CASE("dead letters are JSON lines in a private file") {
  Folder f;
  REQUIRE(f.dead->put("s\"x", {{"bad \"thing\"\n", "t@1", std::string("\0k", 2), "payload"}}));
  CHECK(slurp(dead_letters_path(f.options)) ==
        "{\"stream\":\"s\\\"x\",\"reason\":\"bad "
        "\\\"thing\\\"\\u000a\",\"origin\":\"t@1\",\"time\":1700000000000000,\"key\":\"AGs=\","
        "\"payload\":\"cGF5bG9hZA==\"}\n");
  struct stat st {};
  REQUIRE(::stat(dead_letters_path(f.options).c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
}

TEST_CASE("what was written as a dead letter is told again") {
  Folder f;
  CHECK(f.places().empty());
  REQUIRE(f.dead->put("s\"x", {{"bad \"thing\"\n\\", "t", key_one, std::string("a\0b", 3)}}));
  const auto letters = f.box()->list(true);
  REQUIRE(letters);
  REQUIRE(letters->size() == 1);
  const DeadLetter& one = letters->front();
  CHECK(one.place == "s\"x@1");
  CHECK(one.reason == "bad \"thing\"\n\\");
  CHECK(one.time_us == 1'700'000'000'000'000);
  CHECK(one.payload == std::string("a\0b", 3));
  CHECK(one.key_values == std::vector<std::string>{"1"});
  const auto without = f.box()->list(false);
  REQUIRE(without);
  CHECK(without->front().payload.empty());
  CHECK(without->front().bytes == 3);
}

TEST_CASE("a dead letter that was dropped or replayed is told of no more, and the others keep their places") {
  Folder f;
  for (int i = 0; i < 4; ++i) f.put(key_one);
  const auto dropped = f.box()->drop({"s@2", "s@2"});
  REQUIRE(dropped);
  CHECK(dropped->done == std::vector<std::string>{"s@2"});
  f.put(key_one);  // by a pipeline that runs meanwhile: behind the note
  CHECK(f.places() == std::vector<std::string>{"s@1", "s@3", "s@4", "s@6"});
  std::vector<std::string> sent;
  const auto again = [&](const DeadLetter& one) -> Result<void> {
    if (one.place == "s@3") return halt(Errc::not_found, "it is gone");
    sent.push_back(one.place);
    return {};
  };
  const auto replayed = f.box(again)->replay({"s@1", "s@3", "s@6"});
  REQUIRE(replayed);
  CHECK(sent == std::vector<std::string>{"s@1", "s@6"});
  CHECK(replayed->done == sent);
  REQUIRE(replayed->left.size() == 1);
  CHECK(replayed->left.front().why == "it is gone");
  CHECK(f.places() == std::vector<std::string>{"s@3", "s@4"});
}

TEST_CASE("a place without a dead letter stops a replay before anything is sent") {
  Folder f;
  f.put(key_one);
  std::size_t sent = 0;
  const auto again = [&](const DeadLetter&) -> Result<void> { return ++sent, Result<void>(); };
  const auto replayed = f.box(again)->replay({"s@1", "s@2"});
  REQUIRE_FALSE(replayed);
  CHECK(replayed.error().code == Errc::not_found);
  CHECK(sent == 0);
}

TEST_CASE("a row that can't be sent again ends the replay, and what was sent before stays noted") {
  Folder f;
  for (int i = 0; i < 3; ++i) f.put(key_one);
  const auto again = [&](const DeadLetter& one) -> Result<void> {
    if (one.place == "s@2") return retry(Errc::connection, "away");
    return {};
  };
  CHECK_FALSE(f.box(again)->replay({"s@1", "s@2", "s@3"}));
  CHECK(f.places() == std::vector<std::string>{"s@2", "s@3"});
}

TEST_CASE("a dead letter without the row's key is left") {
  Folder f;
  f.put("");
  f.put("\x05torn");
  const auto again = [](const DeadLetter&) { return Result<void>(); };
  const auto replayed = f.box(again)->replay({"s@1", "s@2"});
  REQUIRE(replayed);
  CHECK(replayed->left.size() == 2);
}

TEST_CASE("a line that a crash tore is no dead letter, and the next one begins behind it") {
  Folder f;
  f.put(key_one);
  {
    std::ofstream file(dead_letters_path(f.options), std::ios::app);
    file << "{\"stream\":\"s\",\"reas";
  }
  f.put(key_one);
  REQUIRE(f.box()->drop({"s@1"}));
  CHECK(f.places() == std::vector<std::string>{"s@3"});
}
