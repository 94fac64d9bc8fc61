// Dead letters as a file of JSON lines: {"stream":…,"reason":…,"origin":…,"time":…,"key":base64,
// "payload":base64}; time in microseconds since 1970.
#include <fcntl.h>
#include <fmt/format.h>

#include <mutex>
#include <optional>

#include "base/base64.h"
#include "base/file.h"
#include "base/name.h"
#include "base/try.h"
#include "checkpoint/letter_lines.h"
#include "checkpoint/names.h"
#include "pgch/checkpoint/file.h"

namespace pgch {
namespace {

class FileDeadLetters final : public DeadLetters {
 public:
  explicit FileDeadLetters(FileJournalOptions options)
      : options_(std::move(options)), path_(dead_letters_path(options_)) {}

  Result<void> open(const Context& context) override {
    const std::lock_guard lock(mutex_);
    context_.emplace(context);
    return make_private_directory(options_.directory);
  }

  Result<void> put(const std::string& stream, const std::vector<Rejected>& rejected) override {
    const std::lock_guard lock(mutex_);
    if (!context_) return halt(Errc::internal, "dead letters were written before they were opened");
    if (!file_) {  // made with the first dead letter, so that its absence says that there is none
      PGCH_ASSIGN(File made, open_private(path_, O_RDWR));
      PGCH_TRY(sync_directory(options_.directory));
      file_ = std::move(made);
    }
    std::string lines;
    const std::int64_t now = context_->clock.wall_us();
    for (const Rejected& r : rejected) {
      lines += "{\"stream\":";
      put_json_text(lines, stream);
      lines += ",\"reason\":";
      put_json_text(lines, r.reason);
      lines += ",\"origin\":";
      put_json_text(lines, r.origin);
      lines += fmt::format(",\"time\":{}", now);
      lines += ",\"key\":\"" + base64(r.key) + "\",\"payload\":\"" + base64(r.payload) + "\"}\n";
    }
    return append_letter_lines(file_, std::move(lines), path_);
  }

  void close() noexcept override {
    const std::lock_guard lock(mutex_);
    file_.close();
  }

 private:
  FileJournalOptions options_;
  std::string path_;
  std::mutex mutex_;
  std::optional<Context> context_;
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
