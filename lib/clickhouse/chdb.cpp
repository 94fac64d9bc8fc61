// libchdb.so exports plain C functions; their declarations are repeated here as function pointers, since the library is
// found at run time (560 MB, most users of a server never need it).
#include "clickhouse/chdb.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "base/try.h"
#include "clickhouse/disk_room.h"
#include "clickhouse/errors.h"

namespace pgch::ch {
namespace {

namespace fs = std::filesystem;

// A directory entry or two.
constexpr std::uint64_t room_needed_to_open = 64 * 1024;

struct ConnectionBody;
using Connection = ConnectionBody*;  // chdb_connection: an opaque pointer, handed out through a pointer to it
struct ResultBody;
struct InsertBody;

struct Api {
  void (*set_signal_handlers_enabled)(int) = nullptr;
  Connection* (*connect)(int, char**) = nullptr;
  void (*close_conn)(Connection*) = nullptr;
  ResultBody* (*query_n)(Connection, const char*, std::size_t, const char*, std::size_t) = nullptr;
  ResultBody* (*stream_query_n)(Connection, const char*, std::size_t, const char*, std::size_t) = nullptr;
  ResultBody* (*stream_fetch_result)(Connection, ResultBody*) = nullptr;
  void (*stream_cancel_query)(Connection, ResultBody*) = nullptr;
  void (*destroy_query_result)(ResultBody*) = nullptr;
  InsertBody* (*stream_insert_n)(Connection, const char*, std::size_t, const char*, std::size_t) = nullptr;
  int (*stream_append)(InsertBody*, const void*, std::size_t) = nullptr;
  ResultBody* (*stream_done)(InsertBody*) = nullptr;
  void (*stream_cancel_insert)(InsertBody*) = nullptr;
  const char* (*stream_insert_error)(InsertBody*) = nullptr;
  void (*destroy_insert_stream)(InsertBody*) = nullptr;
  char* (*result_buffer)(ResultBody*) = nullptr;
  std::size_t (*result_length)(ResultBody*) = nullptr;
  double (*result_elapsed)(ResultBody*) = nullptr;
  std::uint64_t (*result_rows_read)(ResultBody*) = nullptr;
  std::uint64_t (*result_bytes_read)(ResultBody*) = nullptr;
  std::uint64_t (*result_rows_written)(ResultBody*) = nullptr;
  std::uint64_t (*result_bytes_written)(ResultBody*) = nullptr;
  const char* (*result_error)(ResultBody*) = nullptr;
};

template <class F>
bool bind(void* library, const char* name, F& into) {
  into = reinterpret_cast<F>(::dlsym(library, name));
  return into != nullptr;
}

// The name of the first function that is not there, or nullptr.
const char* bind_all(void* lib, Api& api) {
#define PGCH_BIND(member) \
  if (!bind(lib, "chdb_" #member, api.member)) return "chdb_" #member
  PGCH_BIND(set_signal_handlers_enabled);
  PGCH_BIND(connect);
  PGCH_BIND(close_conn);
  PGCH_BIND(query_n);
  PGCH_BIND(stream_query_n);
  PGCH_BIND(stream_fetch_result);
  PGCH_BIND(stream_cancel_query);
  PGCH_BIND(destroy_query_result);
  PGCH_BIND(stream_insert_n);
  PGCH_BIND(stream_append);
  PGCH_BIND(stream_done);
  PGCH_BIND(stream_cancel_insert);
  PGCH_BIND(stream_insert_error);
  PGCH_BIND(destroy_insert_stream);
  PGCH_BIND(result_buffer);
  PGCH_BIND(result_length);
  PGCH_BIND(result_elapsed);
  PGCH_BIND(result_rows_read);
  PGCH_BIND(result_bytes_read);
  PGCH_BIND(result_rows_written);
  PGCH_BIND(result_bytes_written);
  PGCH_BIND(result_error);
#undef PGCH_BIND
  return nullptr;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read only, at start
  return value == nullptr ? std::string() : std::string(value);
}

std::vector<std::string> library_candidates(const std::string& named) {
  if (!named.empty()) return {named};
  if (std::string set = environment("PGCH_LIBCHDB"); !set.empty()) return {set};
  std::vector<std::string> places;
  if (const std::string cache = environment("XDG_CACHE_HOME"); !cache.empty()) {
    places.push_back(cache + "/pgch/chdb/libchdb.so");
  }
  if (const std::string home = environment("HOME"); !home.empty()) {
    places.push_back(home + "/.cache/pgch/chdb/libchdb.so");
  }
  places.emplace_back("/usr/local/lib/libchdb.so");
  places.emplace_back("/usr/lib/libchdb.so");
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec);
  if (!ec) places.push_back((self.parent_path() / "libchdb.so").string());
  return places;
}

Error library_missing(const std::vector<std::string>& places) {
  std::string message = "the embedded ClickHouse engine (libchdb.so) was not found; looked for ";
  for (std::size_t i = 0; i < places.size(); ++i) message += (i == 0 ? "" : ", ") + places[i];
  message +=
      ". Run test/support/chdb.sh, or `npm pack @chdb/lib-linux-x64-gnu@26.7.3-stable.1`, unpack package/libchdb.so "
      "from "
      "it and set PGCH_LIBCHDB to its path; or give the address of a ClickHouse server (http://host:8123) instead";
  return halt(Errc::not_found, std::move(message));
}

Result<const Api*> load_api(const std::string& named) {
  static std::mutex mutex;
  static std::unique_ptr<Api> loaded;  // for good: the engine's threads do not survive a dlclose
  const std::scoped_lock lock(mutex);
  if (loaded) return static_cast<const Api*>(loaded.get());
  const std::vector<std::string> places = library_candidates(named);
  for (const std::string& place : places) {
    std::error_code ec;
    if (!fs::is_regular_file(place, ec)) continue;
    void* lib = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (lib == nullptr) {
      const char* why = ::dlerror();  // NOLINT(concurrency-mt-unsafe): per thread in glibc
      return halt(Errc::unsupported, "cannot load " + place + ": " + (why == nullptr ? "unknown reason" : why) +
                                         "; get it again with test/support/chdb.sh");
    }
    auto api = std::make_unique<Api>();
    if (const char* missing = bind_all(lib, *api); missing != nullptr) {
      return halt(Errc::unsupported, place + " is too old: it lacks " + missing +
                                         "; pgch needs chDB 26.7 (npm @chdb/lib-linux-x64-gnu@26.7.3-stable.1)");
    }
    loaded = std::move(api);
    return static_cast<const Api*>(loaded.get());
  }
  return library_missing(places);
}

struct FreeResult {
  const Api* api;
  void operator()(ResultBody* result) const noexcept { api->destroy_query_result(result); }
};
using OwnedResult = std::unique_ptr<ResultBody, FreeResult>;

struct CloseConnection {
  const Api* api;
  void operator()(Connection* connection) const noexcept { api->close_conn(connection); }
};
using OwnedConnection = std::unique_ptr<Connection, CloseConnection>;

std::optional<Error> error_of(const Api& api, ResultBody* result, std::string& exception) {
  if (result == nullptr) return halt(Errc::internal, "the embedded engine gave no answer");
  const char* text = api.result_error(result);
  if (text == nullptr || *text == '\0') return std::nullopt;
  exception = text;
  return classify(code_in(exception), exception);
}

std::string_view data_of(const Api& api, ResultBody* result) {
  const char* data = api.result_buffer(result);
  const std::size_t size = api.result_length(result);
  return data == nullptr ? std::string_view() : std::string_view(data, size);
}

class EngineImpl;
// With little room on the disk: whether all that was inserted since then is there; see disk_room.h.
Result<void> check_written(const EngineImpl& engine, std::time_t since, std::string& exception);

class InsertStreamImpl final : public InsertStream {
 public:
  InsertStreamImpl(const Api& api, std::shared_ptr<const EngineImpl> engine,
                   std::shared_ptr<OwnedConnection> connection, InsertBody* body)
      : api_(api), engine_(std::move(engine)), connection_(std::move(connection)), body_(body) {}
  InsertStreamImpl(const InsertStreamImpl&) = delete;
  InsertStreamImpl& operator=(const InsertStreamImpl&) = delete;
  ~InsertStreamImpl() override {
    if (!finished_) api_.stream_cancel_insert(body_);
    api_.destroy_insert_stream(body_);
  }

  Result<void> append(std::span<const std::byte> bytes) override {
    if (finished_) return halt(Errc::internal, "append after finish on an insert into the embedded engine");
    if (bytes.empty()) return {};
    if (api_.stream_append(body_, bytes.data(), bytes.size()) == 0) return {};
    return failure();
  }

  Result<std::uint64_t> finish() override {
    if (finished_) return halt(Errc::internal, "finish was called twice on an insert into the embedded engine");
    finished_ = true;
    const OwnedResult result(api_.stream_done(body_), FreeResult{&api_});
    if (auto error = error_of(api_, result.get(), exception_)) return *std::move(error);
    PGCH_TRY(check_written(*engine_, begun_, exception_));
    return api_.result_rows_written(result.get());
  }
  const std::string& exception() const noexcept override { return exception_; }

 private:
  Error failure() {
    const char* text = api_.stream_insert_error(body_);
    if (text != nullptr && *text != '\0') {
      exception_ = text;
      return classify(code_in(exception_), exception_);
    }
    return in_doubt(Errc::connection, "the embedded engine stopped taking the rows of an insert without saying why");
  }

  const Api& api_;
  const std::time_t begun_ = std::time(nullptr);
  std::shared_ptr<const EngineImpl> engine_;
  std::shared_ptr<OwnedConnection> connection_;  // keeps the session's connection for as long as the stream needs it
  InsertBody* body_;
  bool finished_ = false;
  std::string exception_;
};

class SessionImpl final : public Session {
 public:
  SessionImpl(const Api& api, std::shared_ptr<const EngineImpl> engine, OwnedConnection connection)
      : api_(api), engine_(std::move(engine)), connection_(std::make_shared<OwnedConnection>(std::move(connection))) {}

  Result<QueryOutput> query(std::string_view sql, std::string_view format) override {
    const Writes writes = writes_of(sql);
    if (writes == Writes::definition) PGCH_TRY(want_room());
    const std::time_t begun = std::time(nullptr);
    const OwnedResult result(api_.query_n(raw(), sql.data(), sql.size(), format.data(), format.size()),
                             FreeResult{&api_});
    if (auto error = error_of(api_, result.get(), exception_)) return *std::move(error);
    if (writes != Writes::nothing) PGCH_TRY(check_written(*engine_, begun, exception_));
    QueryOutput out;
    out.data = data_of(api_, result.get());
    out.rows_read = api_.result_rows_read(result.get());
    out.bytes_read = api_.result_bytes_read(result.get());
    out.elapsed_s = api_.result_elapsed(result.get());
    out.rows_written = api_.result_rows_written(result.get());
    out.bytes_written = api_.result_bytes_written(result.get());
    return out;
  }

  Result<void> stream(std::string_view sql, std::string_view format,
                      const std::function<Result<void>(std::string_view)>& sink) override {
    const OwnedResult stream(api_.stream_query_n(raw(), sql.data(), sql.size(), format.data(), format.size()),
                             FreeResult{&api_});
    if (auto error = error_of(api_, stream.get(), exception_)) return *std::move(error);
    for (;;) {
      const OwnedResult chunk(api_.stream_fetch_result(raw(), stream.get()), FreeResult{&api_});
      if (auto error = error_of(api_, chunk.get(), exception_)) return *std::move(error);
      const std::string_view data = data_of(api_, chunk.get());
      if (data.empty()) return {};
      if (auto taken = sink(data); !taken) {
        api_.stream_cancel_query(raw(), stream.get());
        return taken;
      }
    }
  }

  Result<std::unique_ptr<InsertStream>> insert(std::string_view sql, std::string_view format) override {
    InsertBody* body = api_.stream_insert_n(raw(), sql.data(), sql.size(), format.data(), format.size());
    if (body == nullptr) return halt(Errc::internal, "the embedded engine did not start an insert");
    auto stream = std::make_unique<InsertStreamImpl>(api_, engine_, connection_, body);
    const char* text = api_.stream_insert_error(body);
    if (text != nullptr && *text != '\0') {
      exception_ = text;
      Error error = classify(code_in(exception_), exception_);
      error.in_doubt = false;  // no row was handed over yet
      return error;
    }
    return std::unique_ptr<InsertStream>(std::move(stream));
  }
  const std::string& exception() const noexcept override { return exception_; }

 private:
  Connection raw() const noexcept { return *connection_->get(); }
  Result<void> want_room();

  const Api& api_;
  std::shared_ptr<const EngineImpl> engine_;
  std::shared_ptr<OwnedConnection> connection_;
  std::string exception_;
};

class EngineImpl final : public Engine, public std::enable_shared_from_this<EngineImpl> {
 public:
  EngineImpl(const Api& api, std::string path)
      : api_(api), path_(std::move(path)), keeper_(nullptr, CloseConnection{&api}) {}

  // The keeper: the engine goes down with its last connection, and coming up again takes most of a second.
  Result<void> start() {
    // The engine itself would find out, too, but says so on standard error in its own words.
    if (held_by_another(path_)) return used_by_another();
    PGCH_ASSIGN(keeper_, open());
    return {};
  }

  Result<std::unique_ptr<Session>> connect() override {
    PGCH_ASSIGN(OwnedConnection connection, open());
    auto session = std::make_unique<SessionImpl>(api_, shared_from_this(), std::move(connection));
    PGCH_ASSIGN([[maybe_unused]] const QueryOutput set,
                session->query("SET min_free_disk_bytes_to_perform_insert = " + std::to_string(room_wanted), "TSV"));
    return std::unique_ptr<Session>(std::move(session));
  }
  const std::string& path() const noexcept override { return path_; }

  // On a connection of its own: the session's settings are its client's.
  Result<std::string> ask(const std::string& sql) const {
    PGCH_ASSIGN(const OwnedConnection connection, open());
    constexpr std::string_view format = "RowBinary";
    const OwnedResult result(api_.query_n(*connection, sql.data(), sql.size(), format.data(), format.size()),
                             FreeResult{&api_});
    std::string exception;
    if (auto error = error_of(api_, result.get(), exception)) return *std::move(error);
    return std::string(data_of(api_, result.get()));
  }

 private:
  Result<OwnedConnection> open() const {
    std::string program = "pgch";
    std::string path = "--path=" + path_;
    std::array<char*, 3> arguments{program.data(), path.data(), nullptr};
    OwnedConnection connection(api_.connect(2, arguments.data()), CloseConnection{&api_});
    if (connection && *connection != nullptr) return connection;
    if (::access(path_.c_str(), R_OK | W_OK | X_OK) != 0) {
      return halt(Errc::permission,
                  "the embedded engine cannot use " + path_ + ": this user may not write to that directory");
    }
    if (held_by_another(path_)) return used_by_another();
    if (room_at(path_) < room_needed_to_open) {
      return retry(Errc::limit,
                   "the embedded engine cannot open " + path_ + ": its disk is full: free some space there");
    }
    if (const std::string file = empty_definition(path_); !file.empty()) {
      return halt(Errc::corrupt, "the embedded engine cannot open " + path_ + ": " + file +
                                     " is empty, as a full disk leaves the definition of a table; bring it back from a "
                                     "backup, or, if the table is to be made anew, move the file away");
    }
    return halt(Errc::corrupt, "the embedded engine cannot open " + path_ +
                                   ": it said why on standard error; mend that, bring the directory back from a "
                                   "backup, or name another one");
  }

  Error used_by_another() const {
    return halt(Errc::conflict, "the embedded engine cannot open " + path_ +
                                    ": another process has this directory open (only one may); stop that process, or "
                                    "reach the data through it with `pgch serve` and an http:// address");
  }

  const Api& api_;
  std::string path_;
  OwnedConnection keeper_;
};

Result<void> check_written(const EngineImpl& engine, std::time_t since, std::string& exception) {
  if (room_at(engine.path()) >= room_watched) return {};
  auto spoilt = drop_spoilt_parts([&](const std::string& sql) { return engine.ask(sql); }, since);
  if (spoilt && *spoilt == 0) return {};
  exception = no_room_text(engine.path());
  Error error = classify(243, exception);
  error.in_doubt = true;
  return error;
}

Result<void> SessionImpl::want_room() {
  if (room_at(engine_->path()) >= room_wanted) return {};
  exception_ = no_room_text(engine_->path());
  Error error = classify(243, exception_);
  error.in_doubt = false;  // nothing was begun
  return error;
}

// libchdb itself allows one engine a process, so the process has to remember which one it is.
struct Registry {
  std::mutex mutex;
  std::weak_ptr<EngineImpl> engine;
};
Registry& registry() {
  static Registry one;
  return one;
}

}  // namespace

Result<std::shared_ptr<Engine>> open_engine(const EngineOptions& options) {
  if (options.path.empty())
    return halt(Errc::config, "the embedded engine needs a directory, such as chdb://./pgch-data");
  std::error_code ec;
  fs::create_directories(options.path, ec);
  if (ec) {
    return halt(ec == std::errc::permission_denied ? Errc::permission : Errc::io,
                "cannot make the directory " + options.path + " for the embedded engine: " + ec.message(),
                std::to_string(ec.value()));
  }
  const std::string path = fs::weakly_canonical(options.path, ec).string();
  if (ec) return halt(Errc::io, "cannot resolve the directory " + options.path + ": " + ec.message());
  PGCH_ASSIGN(const Api* api, load_api(options.library));
  Registry& known = registry();
  const std::scoped_lock lock(known.mutex);
  if (auto engine = known.engine.lock()) {
    if (engine->path() == path) return std::shared_ptr<Engine>(std::move(engine));
    return halt(Errc::conflict,
                "the embedded engine of this process has " + engine->path() + " open; it can't open " + path +
                    " as well (one directory a process): use one directory for all, or a second process");
  }
  api->set_signal_handlers_enabled(0);  // or the engine takes SIGTERM
  auto engine = std::make_shared<EngineImpl>(*api, path);
  PGCH_TRY(engine->start());
  known.engine = engine;
  return std::shared_ptr<Engine>(std::move(engine));
}

}  // namespace pgch::ch
