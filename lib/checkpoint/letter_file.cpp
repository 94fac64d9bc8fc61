// Dealing with dead letters in a file. The file only grows: a letter that was dealt with has a later line,
// {"done":"replayed","line":3,"time":…}, and lines keep their numbers, which name the letters.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/try.h"
#include "checkpoint/letter_lines.h"
#include "checkpoint/names.h"
#include "pgch/dead_letter.h"

namespace pgch {
namespace {

using Fields = std::map<std::string, std::string>;

std::string text_of(const Fields& fields, const char* name) {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : found->second;
}

std::int64_t number_of(const Fields& fields, const char* name) {
  const std::string text = text_of(fields, name);
  std::int64_t out = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() ? out : -1;
}

std::vector<std::string> key_values(const std::string& key) {
  std::vector<std::string> out;
  ByteReader reader(key);
  while (reader.ok() && !reader.at_end()) out.emplace_back(reader.text());
  if (!reader.ok()) out.clear();
  return out;
}

struct Letter {
  DeadLetter told;
  std::int64_t line = 0;
};

class FileLetters final : public DeadLetterBox {
 public:
  FileLetters(const FileJournalOptions& options, SendRowAgain again, const Context& context)
      : path_(dead_letters_path(options)), again_(std::move(again)), context_(context) {}

  std::string name() const override { return path_; }

  Result<std::vector<DeadLetter>> list(bool with_values) override {
    PGCH_ASSIGN(std::vector<Letter> all, read());
    std::vector<DeadLetter> out;
    for (Letter& one : all) {
      if (!with_values) one.told.key = one.told.payload = {};
      out.push_back(std::move(one.told));
    }
    return out;
  }

  Result<DeadLettersDone> replay(const std::vector<std::string>& places) override {
    return settle(places, [&](const DeadLetter& letter) -> Result<void> {
      if (letter.key_values.empty()) {
        return halt(Errc::unsupported,
                    "it does not say in which row it was; pgch repair finds and copies what is lost");
      }
      return again_(letter);
    });
  }

  Result<DeadLettersDone> drop(const std::vector<std::string>& places) override { return settle(places, nullptr); }

 private:
  Result<std::vector<Letter>> read() const {
    std::vector<Letter> all;
    if (::access(path_.c_str(), F_OK) != 0) return all;
    PGCH_ASSIGN(const File file, open_private(path_, O_RDWR));
    PGCH_ASSIGN(const std::string text, read_all(file, path_));
    std::set<std::int64_t> done;
    std::int64_t line = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const auto fields = parse_letter_line(std::string_view(text).substr(at, end - at));
      at = end + 1;
      ++line;
      if (!fields) continue;  // torn by a crash; its row came again, and has a line of its own
      if (fields->contains("done")) {
        done.insert(number_of(*fields, "line"));
      } else {
        all.push_back(letter_of(*fields, line));
      }
    }
    std::erase_if(all, [&](const Letter& one) { return done.contains(one.line); });
    return all;
  }

  static Letter letter_of(const Fields& fields, std::int64_t line) {
    Letter out;
    out.line = line;
    out.told.stream = text_of(fields, "stream");
    out.told.reason = text_of(fields, "reason");
    out.told.place = fmt::format("{}@{}", out.told.stream, line);
    out.told.time_us = number_of(fields, "time");
    out.told.key = from_base64(text_of(fields, "key")).value_or("");
    out.told.payload = from_base64(text_of(fields, "payload")).value_or("");
    out.told.bytes = out.told.payload.size();
    out.told.key_values = key_values(out.told.key);
    return out;
  }

  Result<DeadLettersDone> settle(const std::vector<std::string>& places, const SendRowAgain& first) {
    PGCH_ASSIGN(const std::vector<Letter> all, read());
    std::vector<const Letter*> chosen;
    for (const std::string& place : places) {
      const auto found =
          std::find_if(all.begin(), all.end(), [&](const Letter& one) { return one.told.place == place; });
      if (found == all.end()) return halt(Errc::not_found, "there is no dead letter " + place + " in " + path_);
      if (std::find(chosen.begin(), chosen.end(), &*found) == chosen.end()) chosen.push_back(&*found);
    }
    DeadLettersDone out;
    if (chosen.empty()) return out;
    PGCH_ASSIGN(const File file, open_private(path_, O_RDWR));
    for (const Letter* one : chosen) {
      if (first) {
        auto sent = first(one->told);
        if (!sent && (sent.error().code == Errc::unsupported || sent.error().code == Errc::not_found)) {
          out.left.push_back({one->told.place, sent.error().message});
          continue;
        }
        PGCH_TRY(std::move(sent));
      }
      PGCH_TRY(append_letter_lines(file,
                                   fmt::format("{{\"done\":\"{}\",\"line\":{},\"time\":{}}}\n",
                                               first ? "replayed" : "dropped", one->line, context_.clock.wall_us()),
                                   path_));
      out.done.push_back(one->told.place);
    }
    return out;
  }

  std::string path_;
  SendRowAgain again_;
  Context context_;
};

}  // namespace

Result<std::unique_ptr<DeadLetterBox>> open_file_letters(const FileJournalOptions& options, SendRowAgain again,
                                                         const Context& context) {
  PGCH_TRY(check_state_names(options));
  return std::unique_ptr<DeadLetterBox>(std::make_unique<FileLetters>(options, std::move(again), context));
}

}  // namespace pgch
