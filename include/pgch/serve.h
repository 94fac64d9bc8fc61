/// The embedded engine over ClickHouse's HTTP interface, on loopback by default: any ClickHouse client can look at the
/// data.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"

namespace pgch {

struct ServeOptions {
  std::string path = "./pgch-data";
  std::string library;  ///< libchdb.so; empty: PGCH_LIBCHDB, then the usual places
  std::string host = "127.0.0.1";
  std::uint16_t port = 8123;            ///< 0: any free port
  std::map<std::string, Secret> users;  ///< empty: "default" without a password, on loopback only
  std::uint32_t threads = 8;
  std::size_t body_bytes_max = 4ull << 30;
};

class PGCH_EXPORT Server {
 public:
  virtual ~Server() = default;
  virtual std::uint16_t port() const noexcept = 0;
  /// Serves until the context's stop; lets running queries end.
  virtual Result<void> run() = 0;
};
/// Opens the engine and binds the port.
PGCH_EXPORT Result<std::unique_ptr<Server>> make_server(ServeOptions options, const Context& context);

}  // namespace pgch
