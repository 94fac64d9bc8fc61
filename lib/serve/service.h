// Everything requests share, and the way of one request through it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "clickhouse/chdb.h"
#include "pgch/context.h"
#include "pgch/serve.h"
#include "serve/connection.h"
#include "serve/kept_sessions.h"
#include "serve/message.h"
#include "serve/reply.h"
#include "serve/running.h"

namespace pgch::serve {

class Service {
 public:
  static Result<std::unique_ptr<Service>> open(ServeOptions options, const Context& context);
  // One request, from its body to the last byte of its answer. Any number of threads.
  void answer(Request& request, Body& body, Connection& connection, Reply& reply);

  const ServeOptions& options() const noexcept { return options_; }
  const std::string& version() const noexcept { return version_; }

 private:
  friend class Query;
  Service(ServeOptions options, const Context& context, std::shared_ptr<ch::Engine> engine);
  Result<void> learn();
  // The user's name, or nullopt: no such user, wrong password.
  std::optional<std::string> authenticate(const Request& request, std::string& name) const;
  bool foreign_page(const Request& request) const;
  std::string_view content_type(std::string_view format) const;
  std::string new_query_id();

  ServeOptions options_;
  Context context_;
  std::shared_ptr<ch::Engine> engine_;
  std::unordered_map<std::string, std::string> content_types_;  // by format, in lower case
  std::string version_, timezone_, host_name_;
  Running running_;
  Slots slots_;
  KeptSessions kept_;
};

}  // namespace pgch::serve
