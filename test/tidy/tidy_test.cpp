// The rules that a compiler does not hold: who may include whom, what may not be called, how large a file may grow.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "pgch/config.h"
#include "support/catch.h"

namespace {

namespace fs = std::filesystem;
const fs::path root = PGCH_SOURCE_DIR;

std::vector<fs::path> sources(const std::string& under) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(root / under)) {
    const auto ext = entry.path().extension();
    if (ext == ".h" || ext == ".cpp") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream in(path);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

std::string where(const fs::path& path, std::size_t line) {
  return fmt::format("{}:{}", fs::relative(path, root).string(), line + 1);
}

// The included name, or empty.
std::string included(const std::string& line) {
  if (line.rfind("#include", 0) != 0) return {};
  const auto open = line.find_first_of("<\"");
  const auto close = line.find_first_of(">\"", open + 1);
  return open == std::string::npos || close == std::string::npos ? std::string{}
                                                                 : line.substr(open + 1, close - open - 1);
}

// Text without comments and without what stands in quotes.
std::string code_of(const std::string& line) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quoted && line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      if (line[i] == '/' && i + 1 < line.size() && line[i + 1] == '/') break;
      out += line[i];
    }
  }
  return out;
}

// Folder of lib/ → folders it may include besides itself and the public headers.
const std::map<std::string, std::set<std::string>> layers = {
    {"base", {}},
    {"model", {"base"}},
    {"pg", {"base", "model"}},
    {"clickhouse", {"base", "model"}},
    {"codec", {"base", "model", "clickhouse"}},
    {"registry", {"base", "codec"}},
    {"avro", {"base", "model", "codec", "registry"}},
    {"kafka", {"base"}},
    {"extract", {"base", "model", "pg"}},
    {"transport", {"base", "model", "codec", "kafka", "avro", "registry"}},
    {"load", {"base", "model", "clickhouse", "pg"}},
    {"checkpoint", {"base", "model", "pg"}},
    {"pipeline", {"base", "model"}},
    {"verify", {"base", "model"}},
    {"serve", {"base", "clickhouse"}},
    {"config", {"base"}},
};

// A foreign header's beginning → the only folders that may include it.
const std::map<std::string, std::set<std::string>> fences = {
    {"libpq-fe.h", {"pg"}},      {"librdkafka/", {"kafka"}}, {"curl/", {"clickhouse", "registry"}},
    {"dlfcn.h", {"clickhouse"}}, {"avro.h", {"avro"}},       {"simdjson.h", {"codec", "avro", "registry"}},
    {"httplib.h", {"serve"}},    {"toml++/", {"config"}},    {"xxhash.h", {"base"}},
};

struct Ban {
  std::string token;
  std::set<std::string> allowed;  // folders, or paths under lib/
  std::string why;
};
const std::vector<Ban> bans = {
    {"std::cout", {}, "the library prints nothing"},
    {"std::cerr", {}, "the library prints nothing"},
    {"printf(", {}, "the library prints nothing"},
    {"abort(", {}, "the library does not end its caller"},
    {" exit(", {}, "the library does not end its caller"},
    {"_clock::now", {"base/clock.cpp"}, "time is lent in a Context"},
    {"sleep_for", {}, "waiting is lent in a Context"},
    {"usleep(", {}, "waiting is lent in a Context"},
    {"getenv(", {"clickhouse/chdb.cpp"}, "the environment is read by the command"},
    {"signal(", {}, "signals belong to the caller"},
};

}  // namespace

TEST_CASE("each folder of lib includes only what its layer allows") {
  std::vector<std::string> breaches;
  std::size_t files = 0;
  for (const auto& path : sources("lib")) {
    ++files;
    const std::string folder = fs::relative(path, root / "lib").begin()->string();
    const auto layer = layers.find(folder);
    if (layer == layers.end()) {
      breaches.push_back(where(path, 0) + ": the folder is not in the layer table");
      continue;
    }
    const auto lines = lines_of(path);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string name = included(lines[i]);
      if (name.empty()) continue;
      for (const auto& [begin, allowed] : fences) {
        if (name.rfind(begin, 0) == 0 && allowed.count(folder) == 0)
          breaches.push_back(where(path, i) + ": " + name + " is fenced");
      }
      const std::string target = name.substr(0, name.find('/'));
      if (layers.count(target) == 0 || target == folder || name.find('/') == std::string::npos) continue;
      if (layer->second.count(target) == 0)
        breaches.push_back(where(path, i) + ": " + folder + " may not include " + name);
    }
  }
  INFO(fmt::format("{}", fmt::join(breaches, "\n")));
  CHECK(breaches.empty());
  CHECK(files > 20);
}

TEST_CASE("the command and the examples use public headers only") {
  std::vector<std::string> breaches;
  for (const char* under : {"cli", "examples"}) {
    for (const auto& path : sources(under)) {
      const auto lines = lines_of(path);
      for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string name = included(lines[i]);
        if (layers.count(name.substr(0, name.find('/'))) != 0 && name.find('/') != std::string::npos)
          breaches.push_back(where(path, i) + ": " + name);
        for (const auto& [begin, allowed] : fences) {
          if (name.rfind(begin, 0) == 0) breaches.push_back(where(path, i) + ": " + name + " is fenced");
        }
      }
    }
  }
  INFO(fmt::format("{}", fmt::join(breaches, "\n")));
  CHECK(breaches.empty());
}

TEST_CASE("public headers include the standard library and each other, nothing else") {
  std::vector<std::string> breaches;
  std::size_t headers = 0;
  for (const auto& path : sources("include")) {
    ++headers;
    const auto lines = lines_of(path);
    if (lines.size() > 130) breaches.push_back(fmt::format("{}: {} lines", where(path, 0), lines.size()));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string name = included(lines[i]);
      const bool standard = name.find('/') == std::string::npos && name.find('.') == std::string::npos;
      if (!name.empty() && !standard && name.rfind("pgch/", 0) != 0) breaches.push_back(where(path, i) + ": " + name);
    }
  }
  INFO(fmt::format("{}", fmt::join(breaches, "\n")));
  CHECK(breaches.empty());
  CHECK(headers <= 30);
}

TEST_CASE("nothing in lib prints, sleeps, reads a clock or the environment, or ends the process") {
  std::vector<std::string> breaches;
  for (const auto& path : sources("lib")) {
    const fs::path inside = fs::relative(path, root / "lib");
    const auto lines = lines_of(path);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string code = code_of(lines[i]);
      for (const Ban& ban : bans) {
        if (ban.allowed.count(inside.string()) != 0 || ban.allowed.count(inside.begin()->string()) != 0) continue;
        const auto at = code.find(ban.token);
        if (at == std::string::npos) continue;
        // "snprintf(" and "my_exit(" are other names.
        const bool tail_of_a_name =
            at > 0 && (std::isalnum(static_cast<unsigned char>(code[at - 1])) != 0 || code[at - 1] == '_') &&
            (std::isalpha(static_cast<unsigned char>(ban.token.front())) != 0);
        if (!tail_of_a_name) breaches.push_back(fmt::format("{}: {} ({})", where(path, i), ban.token, ban.why));
      }
    }
  }
  INFO(fmt::format("{}", fmt::join(breaches, "\n")));
  CHECK(breaches.empty());
}

TEST_CASE("a setting that a message names exists") {
  std::set<std::string> known;
  for (const auto& setting : pgch::config_settings()) known.insert(setting.name);
  const std::regex literal(R"re("((?:[^"\\]|\\.)*)")re");
  const std::regex setting(R"((?:^|[^.\w])((?:postgres|kafka|clickhouse|batch|limits|log|table|columns)\.[a-z_]+))");
  std::vector<std::string> breaches;
  for (const char* under : {"lib", "cli"}) {
    for (const auto& path : sources(under)) {
      if (path.filename() == "conf.cpp" && path.parent_path().filename() == "kafka") continue;  // librdkafka's own
      const auto lines = lines_of(path);
      for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].rfind("#include", 0) == 0) continue;
        for (std::sregex_iterator text(lines[i].begin(), lines[i].end(), literal), end; text != end; ++text) {
          const std::string inside = (*text)[1];
          for (std::sregex_iterator name(inside.begin(), inside.end(), setting); name != end; ++name) {
            if (!known.contains((*name)[1])) breaches.push_back(where(path, i) + ": " + (*name)[1].str());
          }
        }
      }
    }
  }
  INFO(fmt::format("{}", fmt::join(breaches, "\n")));
  CHECK(breaches.empty());
}

TEST_CASE("no file has outgrown one idea, no line the page, and nothing is left to do") {
  std::vector<std::string> breaches;
  for (const char* under : {"lib", "cli", "include", "examples", "test"}) {
    for (const auto& path : sources(under)) {
      const auto lines = lines_of(path);
      if (lines.size() > 600) breaches.push_back(fmt::format("{}: {} lines", where(path, 0), lines.size()));
      for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].size() > 250) breaches.push_back(fmt::format("{}: {} columns", where(path, i), lines[i].size()));
        for (const std::string word : {"FIX"
                                       "ME",
                                       "TO"
                                       "DO",
                                       "XX"
                                       "X"}) {
          if (std::string(under) != "test" && lines[i].find(word) != std::string::npos)
            breaches.push_back(where(path, i) + ": " + word);
        }
      }
    }
  }
  INFO(fmt::format("{}", fmt::join(breaches, "\n")));
  CHECK(breaches.empty());
}
