// The file: "PGCHCUR1" crc32c:u32 cursor; the sum is over the cursor. It is replaced whole: written beside, synced,
// renamed. The table's column has the same bytes.
#include "extract/poll_store.h"

#include <fcntl.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/try.h"
#include "pg/types.h"

namespace pgch {
namespace {

constexpr std::string_view magic = "PGCHCUR1";

std::string sealed(const PollCursor& cursor) {
  const std::string payload = encode(cursor);
  std::string out(magic);
  put_little(out, crc32c(as_bytes(payload)));
  return out + payload;
}

Result<PollCursor> opened(std::string_view bytes, const std::string& where) {
  const Error damaged = halt(
      Errc::corrupt, "The cursor in " + where +
                         " is damaged, so it is not known what was sent; pgch does not begin anew by itself. Put it "
                         "back from a copy; or remove it, and everything is sent again.");
  if (bytes.substr(0, magic.size()) != magic) return damaged;
  ByteReader in(bytes.substr(magic.size()));
  const auto sum = in.little<std::uint32_t>();
  const std::string_view payload = as_text(in.take(in.left()));
  if (!in.ok() || crc32c(as_bytes(payload)) != sum) return damaged;
  return decode_poll_cursor(payload);
}

class CursorFile final : public PollCursorStore {
 public:
  CursorFile(std::string directory, const std::string& pipeline)
      : directory_(std::move(directory)), path_(directory_ + "/" + pipeline + ".cursor") {}

  Result<std::optional<PollCursor>> load(pg::Connection&, const Context&) override {
    PGCH_TRY(make_private_directory(directory_));
    std::error_code problem;
    if (!std::filesystem::exists(std::filesystem::symlink_status(path_, problem))) {
      if (problem && problem != std::errc::no_such_file_or_directory)
        return halt(Errc::io, "Cannot look for " + path_ + ": " + problem.message() + ".");
      return std::optional<PollCursor>();
    }
    PGCH_ASSIGN(const File file, open_private(path_, O_RDONLY));
    PGCH_ASSIGN(const std::string bytes, read_all(file, path_));
    PGCH_ASSIGN(PollCursor cursor, opened(bytes, path_));
    return std::optional(std::move(cursor));
  }

  Result<void> save(const PollCursor& cursor, pg::Connection*, const Context&) override {
    const std::string fresh_path = path_ + ".new";
    PGCH_ASSIGN(const File fresh, open_private(fresh_path, O_RDWR | O_TRUNC));
    PGCH_TRY(write_at(fresh, 0, as_bytes(sealed(cursor)), fresh_path));
    PGCH_TRY(sync_data(fresh, fresh_path));
    return rename_durably(fresh_path, path_, directory_);
  }

  std::string where() const override { return path_; }

 private:
  std::string directory_, path_;
};

class CursorRow final : public PollCursorStore {
 public:
  CursorRow(const std::string& schema, std::string pipeline, std::string stream)
      : table_(schema + ".pgch_cursor"), pipeline_(std::move(pipeline)), stream_(std::move(stream)) {}

  Result<std::optional<PollCursor>> load(pg::Connection& connection, const Context& context) override {
    const pg::Parameter p[] = {{pipeline_}, {stream_}};
    auto got = connection.exec("SELECT state FROM " + table_ + " WHERE pipeline = $1 AND stream = $2", p,
                               "reading the cursor", patience(context), true);
    if (!got) {
      Error e = std::move(got).error();
      if (e.code == Errc::not_found) {
        e.message = "There is no table " + table_ +
                    " to keep the cursor in: run `pgch setup --apply` with the same -c, --from, --to and --table.";
      }
      return e;
    }
    if (got->rows() == 0) return std::optional<PollCursor>();
    PGCH_ASSIGN(PollCursor cursor, opened(got->cell(0, 0), where()));
    return std::optional(std::move(cursor));
  }

  Result<void> save(const PollCursor& cursor, pg::Connection* connection, const Context& context) override {
    if (connection == nullptr) return retry(Errc::connection, "The connection that saves the cursor was lost.");
    const std::string bytes = sealed(cursor);
    const pg::Parameter p[] = {{pipeline_}, {stream_}, {bytes, pg::oid::bytea, true}};
    PGCH_TRY(connection->exec("INSERT INTO " + table_ +
                                  " AS c (pipeline, stream, state) VALUES ($1, $2, $3) ON CONFLICT (pipeline, stream) "
                                  "DO UPDATE SET state = excluded.state, saved_at = pg_catalog.now()",
                              p, "saving the cursor", patience(context)));
    return {};
  }

  std::string where() const override { return "table " + table_ + " (stream " + stream_ + ")"; }

 private:
  static pg::Wait patience(const Context& context) {
    return {context.clock.now() + std::chrono::seconds(30), context.stop};
  }
  std::string table_, pipeline_, stream_;
};

}  // namespace

std::unique_ptr<PollCursorStore> make_cursor_file(std::string directory, const std::string& pipeline) {
  return std::make_unique<CursorFile>(std::move(directory), pipeline);
}

std::unique_ptr<PollCursorStore> make_cursor_row(const std::string& schema, std::string pipeline, std::string stream) {
  return std::make_unique<CursorRow>(schema, std::move(pipeline), std::move(stream));
}

}  // namespace pgch
