// A loader of one's own: rows of a PostgreSQL table, by the flag method, into a file of tab-separated lines.
//
//   example_custom_loader "host=localhost dbname=test_db" user_logins out.tsv
//
// What a loader owes the pipeline: load() returns only when all rows are durable, or says that nothing was written, or
// that it is in doubt; look() finds out afterwards which rows are there. With that, "exactly once" holds for this file
// as it does for ClickHouse: kill the program at any moment, start it again, and the file has every row once.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iostream>
#include <set>
#include <string>

#include "pgch/checkpoint/file.h"
#include "pgch/extract/flag.h"
#include "pgch/pipeline.h"

namespace {

class FileLoader final : public pgch::Loader {
 public:
  explicit FileLoader(std::string path) : path_(std::move(path)) {}

  pgch::Result<void> open(const pgch::Context&) override {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) return pgch::halt(pgch::Errc::io, "Cannot open " + path_ + ": " + std::strerror(errno));
    // A crash may have left half a line: a line counts when its end is there.
    const std::string text = whole();
    const auto end = text.rfind('\n');
    if (::ftruncate(fd_, end == std::string::npos ? 0 : static_cast<off_t>(end + 1)) != 0) {
      return pgch::halt(pgch::Errc::io, "Cannot cut " + path_ + ": " + std::strerror(errno));
    }
    return {};
  }

  pgch::Result<pgch::LoaderTraits> prepare(const pgch::TableSchema& schema) override {
    key_ = pgch::key_indexes(schema);
    return pgch::LoaderTraits{!key_.empty(), "The table has no key, so a row in the file can't be recognised."};
  }

  pgch::Result<std::string> mark() override { return std::string{}; }

  pgch::Result<void> load(const pgch::RowBatch& batch, const pgch::Attempt&) override {
    std::string lines;
    for (std::uint32_t row = 0; row < batch.rows; ++row) lines += line_of(batch, row) + "\n";
    const off_t at = ::lseek(fd_, 0, SEEK_END);
    std::size_t done = 0;
    while (done < lines.size()) {
      const ssize_t n = ::write(fd_, lines.data() + done, lines.size() - done);
      if (n <= 0) {
        // Take back what was written: then the error is definite, nothing is there, and the pipeline simply tries
        // again.
        const std::string why = std::strerror(errno);
        if (::ftruncate(fd_, at) != 0)
          return pgch::in_doubt(pgch::Errc::io, "Half a batch is in " + path_ + ": " + why);
        return pgch::retry(pgch::Errc::io, "Cannot write " + path_ + ": " + why);
      }
      done += static_cast<std::size_t>(n);
    }
    if (::fdatasync(fd_) != 0)
      return pgch::halt(pgch::Errc::io, "The disk could not keep " + path_ + ": " + std::strerror(errno));
    return {};
  }

  // Every attempt of ours ended with its process, so nothing can still be running: read the file and compare.
  pgch::Result<pgch::Landed> look(const pgch::Intent&, const pgch::RowBatch& batch, const pgch::Attempt&) override {
    std::set<std::string> lines;
    const std::string text = whole();
    for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      lines.insert(text.substr(begin, end - begin));
    pgch::Landed landed;
    for (std::uint32_t row = 0; row < batch.rows; ++row) {
      if (lines.count(line_of(batch, row)) == 0) landed.missing.push_back(row);
    }
    return landed;
  }

  void close() noexcept override {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  std::string whole() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Text as it is, with tab, newline and backslash escaped; integers in decimal; everything else as hexadecimal bytes.
  static std::string line_of(const pgch::RowBatch& batch, std::uint32_t row) {
    std::string out;
    for (std::size_t i = 0; i < batch.columns.size(); ++i) {
      if (i > 0) out += '\t';
      const pgch::Layout layout = pgch::layout_of(batch.schema->columns[i]);
      const auto value = batch.columns[i].at(row, pgch::width_of(layout));
      if (batch.columns[i].is_null(row)) {
        out += "\\N";
      } else if (layout == pgch::Layout::varlen) {
        for (const std::byte b : value) {
          const char c = static_cast<char>(b);
          if (c == '\t')
            out += "\\t";
          else if (c == '\n')
            out += "\\n";
          else if (c == '\\')
            out += "\\\\";
          else
            out += c;
        }
      } else if (layout == pgch::Layout::fixed8) {
        std::int64_t number = 0;
        std::memcpy(&number, value.data(), sizeof number);
        out += std::to_string(number);
      } else {
        constexpr char digits[] = "0123456789abcdef";
        for (const std::byte b : value) {
          out += digits[std::to_integer<unsigned>(b) >> 4];
          out += digits[std::to_integer<unsigned>(b) & 15];
        }
      }
    }
    return out;
  }

  std::string path_;
  int fd_ = -1;
  std::vector<std::size_t> key_;
};

class ToStderr final : public pgch::Logger {
 public:
  void write(pgch::LogLevel level, std::string_view message) override {
    if (level != pgch::LogLevel::debug) std::cerr << message << '\n';
  }
};

int fail(const pgch::Error& error) {
  std::cerr << error.message << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: example_custom_loader CONNINFO TABLE FILE\n";
    return 2;
  }
  pgch::FlagOptions flag;
  flag.postgres.conninfo = argv[1];
  flag.table = argv[2];
  auto extractor = pgch::make_flag(flag);
  if (!extractor) return fail(extractor.error());
  pgch::FileJournalOptions state;
  state.directory = std::string(argv[3]) + ".state";
  state.pipeline = "custom-loader";
  auto journal = pgch::make_file_journal(state);
  auto dead_letters = pgch::make_file_dead_letters(state);
  if (!journal) return fail(journal.error());
  if (!dead_letters) return fail(dead_letters.error());

  pgch::Stages stages;
  stages.extractor = std::move(*extractor);
  stages.loader = std::make_unique<FileLoader>(argv[3]);
  stages.journal = *journal;
  stages.dead_letters = *dead_letters;
  pgch::PipelineOptions options;
  options.id = "custom-loader";
  options.once = true;
  ToStderr log;
  auto pipeline = pgch::Pipeline::create(std::move(stages), options, log, pgch::system_clock());
  if (!pipeline) return fail(pipeline.error());
  if (auto done = pipeline->run(std::stop_source().get_token()); !done) return fail(done.error());
  std::cout << pipeline->stats().produce.rows_delivered << " rows written to " << argv[3] << '\n';
  return 0;
}
