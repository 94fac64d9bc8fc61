#include <fmt/format.h>

#include "base/bytes.h"
#include "base/try.h"
#include "clickhouse/client.h"
#include "clickhouse/compressed_frame.h"
#include "clickhouse/http.h"
#include "clickhouse/sql.h"

namespace pgch::ch {
namespace {

constexpr std::size_t answer_bytes_max = 1ULL << 30;
constexpr auto end_queries_poll = std::chrono::milliseconds(50);
constexpr auto end_queries_limit = std::chrono::seconds(30);

class HttpClient final : public Client {
 public:
  HttpClient(const ClickHouseOptions& options, const Context& context, std::unique_ptr<Http> http)
      : compression_(options.compression), context_(context), http_(std::move(http)) {}

  Result<std::string> query(std::string_view sql, std::string_view format, const Settings& settings) override {
    std::string out;
    PGCH_TRY(stream(
        sql, format,
        [&](std::string_view piece) -> Result<void> {
          if (piece.size() > answer_bytes_max - out.size())
            return halt(Errc::limit, "the answer is larger than 1 GiB; stream it instead");
          out += piece;
          return {};
        },
        with_wait(settings)));
    return out;
  }

  Result<void> stream(std::string_view sql, std::string_view format, const Sink& sink,
                      const Settings& settings) override {
    HttpRequest request;
    request.body = as_bytes(sql);
    request.parameters = {{"default_format", std::string(format)}};
    if (!database_.empty()) request.parameters.emplace_back("database", database_);
    for (const auto& [name, value] : settings) request.parameters.emplace_back(name, value);
    request.answer_whole = settings.count("wait_end_of_query") != 0;
    return http_->post(request, sink);
  }

  Result<void> insert(const InsertRequest& insert, std::span<const std::byte> block) override {
    HttpRequest request;
    request.changes_data = true;
    request.answer_whole = true;
    request.parameters = {{"query", "INSERT INTO " + insert.table + " (" + insert.columns + ") FORMAT Native"},
                          {"query_id", insert.query_id}};
    for (const auto& [name, value] : with_wait(insert.settings)) request.parameters.emplace_back(name, value);
    request.body = block;
    if (compression_ != Compression::none) {
      // ClickHouse's own frames rather than Content-Encoding: servers of every age take them, and they carry checksums.
      body_.clear();
      append_frames(body_, block, compression_ == Compression::lz4 ? FrameMethod::lz4 : FrameMethod::zstd);
      request.parameters.emplace_back("decompress", "1");
      request.body = as_bytes(body_);
    }
    return http_->post(request, [](std::string_view) -> Result<void> { return {}; });
  }

  Result<void> end_queries(const std::vector<std::string>& ids) override {
    if (ids.empty()) return {};
    std::string list;
    for (const std::string& id : ids) list += (list.empty() ? "" : ", ") + quote_text(id);
    // Not every user may kill; whether the query is gone is what counts, and that is asked below.
    auto killed = query("KILL QUERY WHERE query_id IN (" + list + ") SYNC", "TSV", {});
    if (!killed && killed.error().recovery == Recovery::retry) return std::move(killed).error();
    const auto until = context_.clock.now() + end_queries_limit;
    for (;;) {
      PGCH_ASSIGN(const std::string running,
                  query("SELECT count() FROM system.processes WHERE query_id IN (" + list + ")", "TSV", {}));
      if (running == "0\n") return {};
      if (context_.stop.stop_requested())
        return Error{Errc::stopped, Recovery::retry, false, "stopped while an earlier insert was ending", {}};
      if (context_.clock.now() >= until) {
        return retry(Errc::timeout,
                     "an earlier insert is still running at ClickHouse; nothing can be said about its rows before it "
                     "ends. Allow KILL QUERY to pgch's "
                     "user, or wait");
      }
      context_.clock.sleep_until(context_.clock.now() + end_queries_poll, context_.stop);
    }
  }

  bool remote() const noexcept override { return true; }

  Result<void> use(const std::string& database) override {
    database_ = database;
    return {};
  }

 private:
  static Settings with_wait(Settings settings) {
    settings.emplace("wait_end_of_query", "1");
    return settings;
  }

  Compression compression_;
  const Context context_;
  std::unique_ptr<Http> http_;
  std::string database_;
  std::string body_;
};

}  // namespace

Result<std::unique_ptr<Client>> make_http_client(const ClickHouseOptions& options, const Context& context) {
  PGCH_ASSIGN(auto http, make_http(options, context));
  return std::unique_ptr<Client>(std::make_unique<HttpClient>(options, context, std::move(http)));
}

}  // namespace pgch::ch
