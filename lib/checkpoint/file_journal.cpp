// The journal as a file.
//
//   file   := header record*
//   header := "PGCHJNL1" generation:u64 crc32c:u32                    crc over the 16 bytes before it
//   record := length:u32 crc32c:u32 payload                           crc over the payload
//   payload:= 1 stream:text sequence:varint number:varint rows:varint content:u64 position:text mark:text    INTENT,
//   first attempt
//           | 2 stream:text sequence:varint number:varint             INTENT, a further attempt
//           | 3 stream:text sequence:varint                           DONE
//           | 4 stream:text next_sequence:varint next_number:varint   NEXT: where a stream's numbers go on (written on
//           rewriting)
//   text   := length:varint bytes
//
// An INTENT is on disk (fdatasync) before intend() returns; a DONE is written and not synced: if a crash undoes it, the
// batch is looked for and found. A record cut short at the very end is an append that a crash interrupted: nobody was
// told of it, so it is cut off. Anything else that can't be read is corruption, and stops the pipeline. When the file
// has grown beyond its limit it is written anew beside the old one with what is still open, synced, and renamed over
// it; the old one stays as *.old.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/try.h"
#include "checkpoint/names.h"
#include "pgch/checkpoint/file.h"

namespace pgch {
namespace {

constexpr std::string_view magic = "PGCHJNL1";
constexpr std::size_t header_bytes = 20;
enum Tag : std::uint8_t { tag_intent = 1, tag_again = 2, tag_done = 3, tag_next = 4 };

class FileJournal final : public Journal {
 public:
  explicit FileJournal(FileJournalOptions options)
      : options_(std::move(options)), path_(options_.directory + "/" + options_.pipeline + ".journal") {}

  Result<void> open(const Context& context) override {
    const std::lock_guard lock(mutex_);
    if (file_) return {};
    PGCH_TRY(make_private_directory(options_.directory));
    const std::string lock_path = options_.directory + "/" + options_.pipeline + ".lock";
    PGCH_ASSIGN(lock_, open_private(lock_path, O_RDWR));
    PGCH_TRY(lock_file(lock_, lock_path));
    PGCH_ASSIGN(file_, open_private(path_, O_RDWR));
    auto begun = begin(context);
    // Tried again, it has to begin anew: what was written so far may be less than a header.
    if (!begun) {
      file_.close();
      return begun;
    }
    return {};
  }

  std::uint64_t generation() const noexcept override { return generation_; }

  Result<std::vector<Intent>> pending() override {
    const std::lock_guard lock(mutex_);
    std::vector<Intent> out;
    for (const auto& [stream, page] : pages_) {
      for (const auto& [sequence, intent] : page.open) out.push_back(intent);
    }
    return out;
  }

  std::uint64_t next_sequence(const std::string& stream) override {
    const std::lock_guard lock(mutex_);
    return ++pages_[stream].sequence;
  }

  Result<std::uint64_t> intend(const Intent& intent, bool durable) override {
    const std::lock_guard lock(mutex_);
    Page& page = pages_[intent.stream];
    const std::uint64_t number = std::max(page.number + 1, floor_);
    if (!durable) {
      page.number = number - 1;
      PGCH_TRY(reserve(intent.stream, page));
      page.number = number;
      return number;
    }
    const bool first = page.open.find(intent.sequence) == page.open.end();
    std::string payload;
    payload.push_back(static_cast<char>(first ? tag_intent : tag_again));
    put_text(payload, intent.stream);
    put_varint(payload, intent.sequence);
    put_varint(payload, number);
    if (first) put_intent_body(payload, intent);
    PGCH_TRY(append(payload));
    if (auto synced = sync_data(file_, path_); !synced) {
      broken_ = synced.error();
      return std::move(synced).error();
    }
    page.number = number;
    Intent& kept = page.open[intent.sequence];
    if (first) kept = intent;
    kept.attempts = intent.attempts;
    kept.attempts.push_back(number);
    return number;
  }

  Result<void> done(const std::string& stream, std::uint64_t sequence) override {
    const std::lock_guard lock(mutex_);
    Page& page = pages_[stream];
    if (page.open.erase(sequence) == 0) return {};  // at-least-once: nothing was written
    std::string payload;
    payload.push_back(static_cast<char>(tag_done));
    put_text(payload, stream);
    put_varint(payload, sequence);
    PGCH_TRY(append(payload));
    if (end_ > options_.bytes_max) return rewrite();
    return {};
  }

  void close() noexcept override {
    const std::lock_guard lock(mutex_);
    file_.close();
    lock_.close();
    pages_.clear();
  }

 private:
  struct Page {
    std::uint64_t sequence = 0;  // last given out
    std::uint64_t number = 0;
    std::uint64_t reserved = 0;  // numbers and sequences up to here are this process's own
    std::map<std::uint64_t, Intent> open;
  };

  // At-least-once writes no intents, but its numbers must not come again after a restart either: a token that was seen
  // is dropped by the target. So they are set aside in blocks.
  Result<void> reserve(const std::string& stream, Page& page) {
    if (page.number < page.reserved && page.sequence <= page.reserved) return {};
    const std::uint64_t upto = std::max(page.number, page.sequence) + 1'000'000;
    std::string payload(1, static_cast<char>(tag_next));
    put_text(payload, stream);
    put_varint(payload, upto);
    put_varint(payload, upto);
    PGCH_TRY(append(payload));
    PGCH_TRY(sync_data(file_, path_));
    page.reserved = upto;
    return {};
  }

  static void put_intent_body(std::string& out, const Intent& intent) {
    put_varint(out, intent.rows);
    put_little(out, intent.content);
    put_text(out, intent.position.bytes);
    put_text(out, intent.mark);
  }

  Result<void> begin(const Context& context) {
    PGCH_ASSIGN(const std::string bytes, read_all(file_, path_));
    pages_.clear();
    floor_ = 0;
    if (bytes.size() < header_bytes) {  // new, or a crash interrupted its making: nothing can have been intended yet
      std::error_code ec;
      if (std::filesystem::exists(path_ + ".old", ec))
        return corrupt("it is empty, and an older one stands beside it (.old)");
      return create(context);
    }
    PGCH_TRY(replay(bytes));
    // Numbers rise with time, by one a microsecond at most: a journal that was put back from an older copy, or lost its
    // tail, does not give numbers again that a target or a topic has seen, and would drop as repeats.
    const auto now = static_cast<std::uint64_t>(context.clock.wall_us());
    floor_ = now > generation_ ? now - generation_ : 0;
    if (end_ == bytes.size()) return {};
    context.log.write(LogLevel::info, fmt::format("{}: cut off {} bytes of a write that a crash interrupted", path_,
                                                  bytes.size() - end_));
    if (::ftruncate(file_.fd(), static_cast<off_t>(end_)) != 0)
      return halt(Errc::io, fmt::format("Cannot cut back {}: {}.", path_, errno_text(errno)));
    return {};
  }

  Error corrupt(const std::string& why) const {
    return halt(Errc::corrupt, fmt::format("The journal {} can't be trusted: {}. It says what is under way, so pgch "
                                           "will not start without it. Restore it; or, once "
                                           "`pgch verify` finds both sides equal, move it away to begin a new one.",
                                           path_, why));
  }

  static std::string header(std::uint64_t generation) {
    std::string h(magic);
    put_little(h, generation);
    put_little(h, crc32c(as_bytes(h)));
    return h;
  }

  Result<void> create(const Context& context) {
    // Numbers of a new journal must lie above those of any older one of this pipeline, which may be gone: time is the
    // only witness.
    generation_ = static_cast<std::uint64_t>(context.clock.wall_us());
    const std::string h = header(generation_);
    PGCH_TRY(write_at(file_, 0, as_bytes(h), path_));
    PGCH_TRY(sync_data(file_, path_));
    File directory(::open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.fd()) != 0)
      return halt(Errc::io, fmt::format("Cannot fsync {}: {}.", options_.directory, errno_text(errno)));
    end_ = h.size();
    return {};
  }

  Result<void> append(const std::string& payload) {
    if (broken_) return *broken_;
    std::string record;
    put_little(record, static_cast<std::uint32_t>(payload.size()));
    put_little(record, crc32c(as_bytes(payload)));
    record += payload;
    PGCH_TRY(write_at(file_, end_, as_bytes(record), path_));
    end_ += record.size();
    return {};
  }

  Result<void> replay(const std::string& bytes) {
    ByteReader head(std::string_view(bytes).substr(magic.size()));
    generation_ = head.little<std::uint64_t>();
    if (bytes.substr(0, magic.size()) != magic ||
        head.little<std::uint32_t>() != crc32c(as_bytes(std::string_view(bytes).substr(0, header_bytes - 4)))) {
      return corrupt("its header is not one of pgch");
    }
    std::size_t at = header_bytes;
    while (at < bytes.size()) {
      const std::size_t length = record_at(bytes, at);
      if (length == 0) {
        // Interrupted appends only ever leave a tail: a whole record after the hole means that something else happened.
        for (std::size_t probe = at + 1; probe + 9 <= bytes.size(); ++probe) {
          if (record_at(bytes, probe) != 0)
            return corrupt(fmt::format("the record at byte {} is damaged and whole ones follow it", at));
        }
        break;
      }
      PGCH_TRY(apply(std::string_view(bytes).substr(at + 8, length - 8), at));
      at += length;
    }
    end_ = at;
    return {};
  }

  // Whole length of the record that begins at `at`, or 0 if there is no whole, intact one.
  static std::size_t record_at(const std::string& bytes, std::size_t at) {
    if (bytes.size() - at < 9) return 0;
    ByteReader r(std::string_view(bytes).substr(at, 8));
    const auto length = r.little<std::uint32_t>();
    const auto crc = r.little<std::uint32_t>();
    if (length == 0 || length > bytes.size() - at - 8) return 0;
    const auto tag = static_cast<std::uint8_t>(bytes[at + 8]);
    if (tag < tag_intent || tag > tag_next) return 0;
    return crc32c(as_bytes(std::string_view(bytes).substr(at + 8, length))) == crc ? 8 + length : 0;
  }

  Result<void> apply(std::string_view payload, std::size_t at) {
    ByteReader r(payload);
    const auto tag = r.little<std::uint8_t>();
    const std::string stream(r.text());
    Page& page = pages_[stream];
    const std::uint64_t sequence = r.varint();
    if (tag == tag_done) {
      page.open.erase(sequence);
    } else if (tag == tag_next) {
      page.sequence = std::max(page.sequence, sequence);
      page.number = std::max(page.number, r.varint());
    } else {
      const std::uint64_t number = r.varint();
      Intent& intent = page.open[sequence];
      if (tag == tag_intent) {
        intent.stream = stream;
        intent.sequence = sequence;
        intent.rows = static_cast<std::uint32_t>(r.varint());
        intent.content = r.little<std::uint64_t>();
        intent.position.bytes = std::string(r.text());
        intent.mark = std::string(r.text());
      } else if (intent.attempts.empty()) {
        return corrupt(fmt::format("the record at byte {} repeats an intent that is not there", at));
      }
      intent.attempts.push_back(number);
      page.sequence = std::max(page.sequence, sequence);
      page.number = std::max(page.number, number);
    }
    if (!r.ok()) return corrupt(fmt::format("the record at byte {} ends too early", at));
    return {};
  }

  Result<void> rewrite() {
    const std::string fresh_path = path_ + ".new";
    PGCH_ASSIGN(File fresh, open_private(fresh_path, O_RDWR | O_TRUNC));
    std::string bytes = header(generation_);
    const auto add = [&bytes](const std::string& payload) {
      put_little(bytes, static_cast<std::uint32_t>(payload.size()));
      put_little(bytes, crc32c(as_bytes(payload)));
      bytes += payload;
    };
    for (const auto& [stream, page] : pages_) {
      std::string next(1, static_cast<char>(tag_next));
      put_text(next, stream);
      put_varint(next, std::max(page.sequence, page.reserved));
      put_varint(next, std::max(page.number, page.reserved));
      add(next);
      for (const auto& [sequence, intent] : page.open) {
        for (std::size_t i = 0; i < intent.attempts.size(); ++i) {
          std::string payload(1, static_cast<char>(i == 0 ? tag_intent : tag_again));
          put_text(payload, stream);
          put_varint(payload, sequence);
          put_varint(payload, intent.attempts[i]);
          if (i == 0) put_intent_body(payload, intent);
          add(payload);
        }
      }
    }
    PGCH_TRY(write_at(fresh, 0, as_bytes(bytes), fresh_path));
    PGCH_TRY(sync_data(fresh, fresh_path));
    ::unlink((path_ + ".old").c_str());
    if (::link(path_.c_str(), (path_ + ".old").c_str()) != 0)
      return halt(Errc::io, fmt::format("Cannot keep the older journal beside {}: {}.", path_, errno_text(errno)));
    if (::rename(fresh_path.c_str(), path_.c_str()) != 0)
      return halt(Errc::io, fmt::format("Cannot rename {}: {}.", fresh_path, errno_text(errno)));
    // From here on the new file is the journal, whatever follows.
    file_ = std::move(fresh);
    end_ = bytes.size();
    auto synced = sync_directory(options_.directory);
    if (!synced) broken_ = synced.error();
    return synced;
  }

  FileJournalOptions options_;
  std::string path_;
  std::mutex mutex_;
  File lock_, file_;
  std::uint64_t end_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t floor_ = 0;  // no number given out by this process is below
  std::map<std::string, Page> pages_;
  std::optional<Error> broken_;  // after a failed fsync nothing is promised any more
};

// Same numbers, no memory beyond the process.
class MemoryJournal final : public Journal {
 public:
  bool durable() const noexcept override { return false; }
  Result<void> open(const Context& context) override {
    generation_ = static_cast<std::uint64_t>(context.clock.wall_us());
    return {};
  }
  std::uint64_t generation() const noexcept override { return generation_; }
  Result<std::vector<Intent>> pending() override { return std::vector<Intent>{}; }
  std::uint64_t next_sequence(const std::string& stream) override {
    const std::lock_guard lock(mutex_);
    return ++sequences_[stream];
  }
  Result<std::uint64_t> intend(const Intent& intent, bool) override {
    const std::lock_guard lock(mutex_);
    return ++numbers_[intent.stream];
  }
  Result<void> done(const std::string&, std::uint64_t) override { return {}; }
  void close() noexcept override {}

 private:
  std::mutex mutex_;
  std::uint64_t generation_ = 0;
  std::map<std::string, std::uint64_t> sequences_, numbers_;
};

}  // namespace

Result<std::shared_ptr<Journal>> make_file_journal(FileJournalOptions options) {
  PGCH_TRY(check_state_names(options));
  return std::shared_ptr<Journal>(std::make_shared<FileJournal>(std::move(options)));
}

std::shared_ptr<Journal> make_memory_journal() { return std::make_shared<MemoryJournal>(); }

}  // namespace pgch
