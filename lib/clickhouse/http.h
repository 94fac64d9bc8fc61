// HTTP(S) to a ClickHouse server: one libcurl handle, kept alive. Credentials travel in headers; no redirects, no
// proxies on loopback. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/load/clickhouse.h"

namespace pgch::ch {

struct HttpRequest {
  std::vector<std::pair<std::string, std::string>> parameters;  // of the URL; never a secret
  // The body, sent in chunks: a cut body is then refused by the server instead of taken for a short one.
  std::span<const std::byte> body;
  // What a lost answer means: true for inserts.
  bool changes_data = false;
  // The server was asked to answer only when it is done (wait_end_of_query), so an answer's body is never half data,
  // half exception, and data that looks like an exception is data.
  bool answer_whole = false;
};

class Http {
 public:
  using Sink = std::function<Result<void>(std::string_view)>;
  virtual ~Http() = default;
  // POST; the answer's body goes to `sink`. Success only if the server said 200, named no exception in header or body,
  // and ended the answer properly. Errors before anything was sent are definite; later ones are in doubt if it changes
  // data.
  virtual Result<void> post(const HttpRequest& request, const Sink& sink) = 0;
};
// The context outlives the object.
Result<std::unique_ptr<Http>> make_http(const ClickHouseOptions& options, const Context& context);

}  // namespace pgch::ch
