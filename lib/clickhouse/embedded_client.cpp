#include <algorithm>

#include "base/try.h"
#include "clickhouse/chdb.h"
#include "clickhouse/client.h"
#include "clickhouse/sql.h"

namespace pgch::ch {
namespace {

class EmbeddedClient final : public Client {
 public:
  EmbeddedClient(std::shared_ptr<Engine> engine, std::unique_ptr<Session> session)
      : engine_(std::move(engine)), session_(std::move(session)) {}

  Result<std::string> query(std::string_view sql, std::string_view format, const Settings& settings) override {
    PGCH_ASSIGN(QueryOutput out, session_->query(std::string(sql) + settings_clause(settings), format));
    return std::move(out.data);
  }

  Result<void> stream(std::string_view sql, std::string_view format, const Sink& sink,
                      const Settings& settings) override {
    // A stream is a row of small documents; only for these formats do they make one document again.
    constexpr std::string_view sound[] = {"TSV", "TabSeparated", "CSV", "RowBinary", "Native", "JSONEachRow"};
    if (std::find(std::begin(sound), std::end(sound), format) == std::end(sound)) {
      PGCH_ASSIGN(const std::string whole, query(sql, format, settings));
      return sink(whole);
    }
    return session_->stream(std::string(sql) + settings_clause(settings), format, sink);
  }

  Result<void> insert(const InsertRequest& request, std::span<const std::byte> block) override {
    const std::string sql =
        "INSERT INTO " + request.table + " (" + request.columns + ")" + settings_clause(request.settings);
    PGCH_ASSIGN(auto stream, session_->insert(sql, "Native"));
    // In pieces, so that the engine reads while we hand over.
    constexpr std::size_t piece = 1U << 20;
    while (!block.empty()) {
      const auto part = block.first(std::min(piece, block.size()));
      PGCH_TRY(stream->append(part));
      block = block.subspan(part.size());
    }
    PGCH_ASSIGN([[maybe_unused]] const std::uint64_t rows, stream->finish());
    return {};
  }

  // Inserts live in this process and on this session: whatever was under way ended with the process or the call.
  Result<void> end_queries(const std::vector<std::string>&) override { return {}; }

  bool remote() const noexcept override { return false; }

  Result<void> use(const std::string& database) override {
    PGCH_ASSIGN([[maybe_unused]] QueryOutput out, session_->query("USE " + quote_name(database), "TSV"));
    return {};
  }

 private:
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
};

}  // namespace

std::string settings_clause(const Settings& settings) {
  std::string out;
  for (const auto& [name, value] : settings) {
    out += out.empty() ? " SETTINGS " : ", ";
    const bool plain =
        !value.empty() && value.size() < 19 && value.find_first_not_of("0123456789") == std::string::npos;
    out += name + " = " + (plain ? value : quote_text(value));
  }
  return out;
}

Result<std::unique_ptr<Client>> make_embedded_client(const ClickHouseOptions& options, const std::string& path) {
  PGCH_ASSIGN(auto engine, open_engine({path, options.library}));
  PGCH_ASSIGN(auto session, engine->connect());
  // The parser's own limit cannot be raised by the statement that it is about to parse.
  PGCH_ASSIGN([[maybe_unused]] const QueryOutput set, session->query("SET max_query_size = 1073741824", "TSV"));
  return std::unique_ptr<Client>(std::make_unique<EmbeddedClient>(std::move(engine), std::move(session)));
}

Result<std::unique_ptr<Client>> make_client(const ClickHouseOptions& options, const Context& context) {
  const std::string_view url = options.url;
  if (url.rfind("http://", 0) == 0 || url.rfind("https://", 0) == 0) return make_http_client(options, context);
  constexpr std::string_view scheme = "chdb://";
  if (url.rfind(scheme, 0) == 0) return make_embedded_client(options, std::string(url.substr(scheme.size())));
  return halt(Errc::config,
              "the ClickHouse address must begin with http://, https:// or chdb:// (such as http://host:8123 or "
              "chdb://./pgch-data)");
}

}  // namespace pgch::ch
