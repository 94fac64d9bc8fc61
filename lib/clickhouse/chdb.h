// The embedded engine's C API (libchdb.so, loaded with dlopen), behind RAII. Nothing else touches it.
//
// One engine, one directory a process: opening the same directory again gives the same engine, another one is an error.
// A Session runs one statement at a time and belongs to one thread at a time; sessions are cheap (0.3 ms).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "pgch/error.h"

namespace pgch::ch {

struct EngineOptions {
  std::string path;     // directory; made if missing
  std::string library;  // empty: PGCH_LIBCHDB, then the usual places
};

struct QueryOutput {
  std::string data;
  std::uint64_t rows_read = 0, bytes_read = 0;
  double elapsed_s = 0;
  std::uint64_t rows_written = 0, bytes_written = 0;  // by INSERT … SELECT, and rows given in the statement's text
};

// An insert under way. Dropped without finish(): cancelled, nothing that is still buffered is committed.
class InsertStream {
 public:
  virtual ~InsertStream() = default;
  virtual Result<void> append(std::span<const std::byte> bytes) = 0;  // chunks may be cut anywhere
  virtual Result<std::uint64_t> finish() = 0;                         // rows written (deduplicated ones count too)
  // The engine's own text of the last failure ("Code: 27. DB::Exception: …"), values and all: for the client that sent
  // them.
  virtual const std::string& exception() const noexcept = 0;
};

class Session {
 public:
  virtual ~Session() = default;
  // Errors carry ClickHouse's code in Error::native and are classified by errors.h.
  virtual Result<QueryOutput> query(std::string_view sql, std::string_view format) = 0;
  virtual Result<void> stream(std::string_view sql, std::string_view format,
                              const std::function<Result<void>(std::string_view)>& sink) = 0;  // SELECT only
  // `sql` is "INSERT INTO t (…) SETTINGS …" without FORMAT.
  virtual Result<std::unique_ptr<InsertStream>> insert(std::string_view sql, std::string_view format) = 0;
  virtual const std::string& exception() const noexcept = 0;  // as InsertStream's
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual Result<std::unique_ptr<Session>> connect() = 0;
  virtual const std::string& path() const noexcept = 0;
};
Result<std::shared_ptr<Engine>> open_engine(const EngineOptions& options);

}  // namespace pgch::ch
