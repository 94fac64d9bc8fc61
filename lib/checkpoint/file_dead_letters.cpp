// Dead letters as a file of JSON lines: {"stream":…,"reason":…,"origin":…,"key":base64,"payload":base64}.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <mutex>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/name.h"
#include "base/try.h"
#include "checkpoint/names.h"
#include "pgch/checkpoint/file.h"

namespace pgch {
namespace {

void put_json_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  out += '"';
}

class FileDeadLetters final : public DeadLetters {
 public:
  explicit FileDeadLetters(FileJournalOptions options)
      : options_(std::move(options)), path_(dead_letters_path(options_)) {}

  Result<void> open(const Context&) override { return make_private_directory(options_.directory); }

  Result<void> put(const std::string& stream, const std::vector<Rejected>& rejected) override {
    const std::lock_guard lock(mutex_);
    if (!file_) {  // made with the first dead letter, so that its absence says that there is none
      PGCH_ASSIGN(File made, open_private(path_, O_RDWR));
      PGCH_TRY(sync_directory(options_.directory));
      file_ = std::move(made);
    }
    struct stat st {};
    if (::fstat(file_.fd(), &st) != 0)
      return halt(Errc::io, fmt::format("Cannot look at {}: {}.", path_, errno_text(errno)));
    std::string lines;
    char last = '\n';
    if (st.st_size > 0 && ::pread(file_.fd(), &last, 1, st.st_size - 1) == 1 && last != '\n')
      lines += '\n';  // a crash tore the last one
    for (const Rejected& r : rejected) {
      lines += "{\"stream\":";
      put_json_text(lines, stream);
      lines += ",\"reason\":";
      put_json_text(lines, r.reason);
      lines += ",\"origin\":";
      put_json_text(lines, r.origin);
      lines += ",\"key\":\"" + base64(r.key) + "\",\"payload\":\"" + base64(r.payload) + "\"}\n";
    }
    PGCH_TRY(write_at(file_, static_cast<std::uint64_t>(st.st_size), as_bytes(lines), path_));
    return sync_data(file_, path_);
  }

  void close() noexcept override {
    const std::lock_guard lock(mutex_);
    file_.close();
  }

 private:
  FileJournalOptions options_;
  std::string path_;
  std::mutex mutex_;
  File file_;
};

}  // namespace

Result<void> check_state_names(const FileJournalOptions& options) {
  const std::string& id = options.pipeline;
  if (!is_plain_name(id) || id.front() == '.') {
    return halt(Errc::config, fmt::format("The pipeline's name \"{}\" can't name its files: it takes 1 to 64 letters, "
                                          "digits, dots, underscores and hyphens, "
                                          "and does not begin with a dot.",
                                          id));
  }
  if (options.directory.empty()) return halt(Errc::config, "The state directory has no name.");
  return {};
}

std::string dead_letters_path(const FileJournalOptions& options) {
  return options.directory + "/" + options.pipeline + ".dead.jsonl";
}

Result<std::shared_ptr<DeadLetters>> make_file_dead_letters(FileJournalOptions options) {
  PGCH_TRY(check_state_names(options));
  return std::shared_ptr<DeadLetters>(std::make_shared<FileDeadLetters>(std::move(options)));
}

}  // namespace pgch
