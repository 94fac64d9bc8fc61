// One connection to a ClickHouse, over HTTP or in this process: what the loader and the sessions are written against.
// One thread at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/load/clickhouse.h"

namespace pgch::ch {

using Settings = std::map<std::string, std::string>;

struct InsertRequest {
  std::string table;    // quoted
  std::string columns;  // quoted, comma-separated
  Settings settings;
  std::string query_id;
};

class Client {
 public:
  using Sink = std::function<Result<void>(std::string_view)>;
  virtual ~Client() = default;
  // The whole answer. Errors are classified by errors.h.
  virtual Result<std::string> query(std::string_view sql, std::string_view format, const Settings& settings = {}) = 0;
  // A SELECT, piece by piece.
  virtual Result<void> stream(std::string_view sql, std::string_view format, const Sink& sink,
                              const Settings& settings = {}) = 0;
  // One Native block. Returns when the server has confirmed it; an Error with in_doubt means nobody knows.
  virtual Result<void> insert(const InsertRequest& request, std::span<const std::byte> block) = 0;
  // No insert with one of these ids runs when this returns.
  virtual Result<void> end_queries(const std::vector<std::string>& ids) = 0;
  // Whether a request can still be on its way when its sender has given up.
  virtual bool remote() const noexcept = 0;
  // From now on names without a database mean this one; it has to exist.
  virtual Result<void> use(const std::string& database) = 0;
};

// Reads the url, checks the options, connects (embedded) or makes ready to (HTTP). The context outlives the client.
Result<std::unique_ptr<Client>> make_client(const ClickHouseOptions& options, const Context& context);
Result<std::unique_ptr<Client>> make_http_client(const ClickHouseOptions& options, const Context& context);
Result<std::unique_ptr<Client>> make_embedded_client(const ClickHouseOptions& options, const std::string& path);

// "query SETTINGS a = 1, b = 'x'" as a suffix, or nothing.
std::string settings_clause(const Settings& settings);

}  // namespace pgch::ch
