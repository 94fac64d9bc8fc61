// The ClickHouse loader over HTTP against `serve`: a current ClickHouse behind HTTP.
#include <thread>

#include "pgch/serve.h"
#include "test/integration/clickhouse_rows.h"

using namespace pgch;
using namespace pgch::test;

namespace {

class Served {
 public:
  Served() {
    ServeOptions options;
    options.path = directory_.path();
    options.library = required("PGCH_LIBCHDB");
    options.port = 0;
    const Context with_stop{null_logger(), system_clock(), stop_.get_token()};
    server_ = ok(make_server(options, with_stop));
    thread_ = std::thread([this] { ended_ = server_->run(); });
    url_ = "http://127.0.0.1:" + std::to_string(server_->port());
    session_ = ok(open_clickhouse(options_for(Compression::none), context()));
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served() {
    session_.reset();
    stop_.request_stop();
    thread_.join();
    server_.reset();
    CHECK(ended_);
  }
  ClickHouseOptions options_for(Compression compression) const {
    ClickHouseOptions o;
    o.url = url_;
    o.compression = compression;
    o.database = "over http";
    return o;
  }
  ClickHouse& session() { return *session_; }

 private:
  TemporaryDirectory directory_;
  std::stop_source stop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  Result<void> ended_;
  std::string url_;
  std::unique_ptr<ClickHouse> session_;
};

}  // namespace

TEST_CASE("every kind goes over HTTP into a current engine and comes back bit by bit, with every compression",
          "[clickhouse][serve]") {
  Served served;
  const auto compression = GENERATE(Compression::none, Compression::lz4, Compression::zstd);
  const bool keyed = GENERATE(true, false);
  const auto schema = every_kind(keyed);
  const auto loader = ok(make_clickhouse(served.options_for(compression), {}));
  ok(loader->open(context()));
  CHECK(ok(loader->prepare(*schema)).can_look);
  const RowBatch sent = edge_rows(schema);
  ok(loader->load(sent, attempt(1, 1)));
  TargetOptions target;
  target.table = "every_kind";
  std::uint64_t hash = 0;
  ok(served.session().read(target, *schema, true, [&](const RowBatch& got) -> Result<void> {
    RowBatch same = got;
    same.schema = schema;
    hash = comparable(std::move(same));
    return {};
  }));
  CHECK(hash == comparable(sent));
  CHECK(ok(loader->look(intent(1, {1}), sent, attempt(1, 1))).missing.empty());
  CHECK(ok(loader->look(intent(2, {2}), sent, attempt(2, 2))).missing.size() == (keyed ? 0 : 3));
}

TEST_CASE("a token holds over HTTP, and a large batch is one part", "[clickhouse][serve]") {
  Served served;
  const auto schema = simple({});
  const auto loader = ok(make_clickhouse(served.options_for(Compression::lz4), {}));
  ok(loader->open(context()));
  ok(loader->prepare(*schema));
  const RowBatch batch = simple_rows(schema, 0, 200'000);
  ok(loader->load(batch, attempt(1, 1)));
  ok(loader->load(batch, attempt(1, 1)));
  CHECK(ok(served.session().query("SELECT count() FROM simple")) == "200000\n");
  CHECK(ok(served.session().query("SELECT count() FROM system.parts WHERE table = 'simple' AND active")) == "1\n");
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.empty());
}
