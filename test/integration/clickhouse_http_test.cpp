// The ClickHouse loader over HTTP: on Debian's server of 2018, and against a scripted server that misbehaves.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "test/integration/clickhouse_rows.h"

using namespace pgch;
using namespace pgch::test;

namespace {

struct Old {
  ClickHouseOptions options;
  std::unique_ptr<ClickHouse> session;
  Old() {
    options.url = required("PGCH_TEST_CH_OLD");
    options.database = "pgch_old";
    session = ok(open_clickhouse(options, context()));
    ask("DROP DATABASE IF EXISTS pgch_old");
  }
  ~Old() { (void)session->query("DROP DATABASE IF EXISTS pgch_old"); }
  std::string ask(const std::string& sql) const { return ok(session->query(sql)); }
  std::unique_ptr<Loader> loader(Compression compression = Compression::none) const {
    ClickHouseOptions o = options;
    o.compression = compression;
    auto made = ok(make_clickhouse(o, {}));
    ok(made->open(context()));
    return made;
  }
};

std::shared_ptr<const TableSchema> people(std::vector<std::string> key = {"id"}) {
  return table("people", {column("id", Kind::int32), column("name", Kind::text, true), column("ok", Kind::boolean)},
               std::move(key));
}
RowBatch crowd(const std::shared_ptr<const TableSchema>& schema, int count) {
  Rows rows(schema);
  for (int i = 0; i < count; ++i) {
    rows.value<std::int32_t>(i);
    i % 3 == 0 ? rows.null() : rows.text("name " + std::to_string(i));
    rows.value<std::uint8_t>(i % 2 == 0 ? 1 : 0);
  }
  return rows.take();
}

// A server on loopback that answers each connection by the script, given the request's bytes up to the end of its body.
class ScriptedServer {
 public:
  using Script = std::function<void(int socket, const std::string& request)>;
  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  static void send(int socket, std::string_view bytes) { (void)!::write(socket, bytes.data(), bytes.size()); }
  static void answer(int socket, std::string_view status, std::string_view headers, std::string_view body) {
    send(socket, "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(headers) +
                     "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                     std::string(body));
  }
  // RowBinary answers to what every loader asks first; false: the request is another.
  static bool answer_questions(int socket, const std::string& request) {
    const auto texts = [&](std::initializer_list<std::string> all) {
      std::string body;
      for (const std::string& t : all) put_text(body, t);
      answer(socket, "200 OK", "", body);
      return true;
    };
    const auto asks = [&](const char* what) { return request.find(what) != std::string::npos; };
    if (asks("SELECT version()")) return texts({"25.8.1.1", "UTC"});
    if (asks("FROM system.settings")) return texts({"insert_deduplication_token", "async_insert"});
    if (asks("SELECT engine FROM")) return texts({"ReplacingMergeTree"});
    if (asks("SELECT sorting_key FROM")) return texts({"id"});
    if (asks("FROM system.columns"))
      return texts({"id", "Int32", "", "1", "name", "Nullable(String)", "", "0", "ok", "Bool", "", "0", "_version",
                    "UInt64", "", "0"});
    if (asks("dependencies_table")) return answer(socket, "200 OK", "", "0\n"), true;
    return false;
  }

 private:
  void serve() {
    for (;;) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0) return;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n0\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::read(socket, buffer, sizeof(buffer));
        if (n <= 0) break;
        request.append(buffer, static_cast<std::size_t>(n));
      }
      script_(socket, request);
      ::close(socket);
    }
  }
  Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

// The error of one insert at a server that behaves until then.
Error insert_error(const std::function<void(int)>& misbehave) {
  ScriptedServer server([&](int socket, const std::string& request) {
    if (!ScriptedServer::answer_questions(socket, request)) misbehave(socket);
  });
  ClickHouseOptions options;
  options.url = server.url();
  options.request_timeout_ms = 3000;
  const auto loader = ok(make_clickhouse(options, {}));
  ok(loader->open(context()));
  const auto schema = people();
  ok(loader->prepare(*schema));
  return error_of(loader->load(crowd(schema, 3), attempt(1, 1)));
}

}  // namespace

TEST_CASE("batches reach a server of 2018 with every compression, and are found again", "[clickhouse][old]") {
  const Old server;
  const auto compression = GENERATE(Compression::none, Compression::lz4, Compression::zstd);
  const bool keyed = GENERATE(true, false);
  const auto schema = people(keyed ? std::vector<std::string>{"id"} : std::vector<std::string>{});
  const auto loader = server.loader(compression);
  CHECK(ok(loader->prepare(*schema)).can_look);
  const RowBatch batch = crowd(schema, 50'000);
  ok(loader->load(batch, attempt(1, 1)));
  CHECK(server.ask("SELECT count(), sum(id), countIf(name IS NULL), sum(ok) FROM pgch_old.people") ==
        "50000\t1249975000\t16667\t25000\n");
  CHECK(server.ask("SELECT count() FROM system.parts WHERE table = 'people' AND active") == "1\n");
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.empty());
  CHECK(ok(loader->look(intent(2, {2}), crowd(schema, 50'001), attempt(1, 1))).missing ==
        std::vector<std::uint32_t>{50'000});
}

TEST_CASE("what a server of 2018 cannot hold is refused with a sentence, and text columns take times",
          "[clickhouse][old]") {
  const Old server;
  const auto schema = table(
      "times", {column("id", Kind::int32), column("at", Kind::timestamptz, true, 0, 6), column("day", Kind::date)},
      {"id"});
  const auto loader = server.loader();
  const Error e = error_of(loader->prepare(*schema));
  CHECK(e.code == Errc::unsupported);
  CHECK_THAT(e.message, Catch::Contains("DateTime64") && Catch::Contains("String"));
  server.ask("CREATE DATABASE IF NOT EXISTS pgch_old");
  server.ask("CREATE TABLE pgch_old.times (id Int32, at Nullable(String), day Date) ENGINE = MergeTree ORDER BY id");
  ok(loader->prepare(*schema));
  Rows rows(schema);
  rows.value<std::int32_t>(1).value<std::int64_t>(-1).value<std::int32_t>(0);
  rows.value<std::int32_t>(2).null().value<std::int32_t>(19'000);
  rows.value<std::int32_t>(3).value<std::int64_t>(1'700'000'000'120'000).value<std::int32_t>(1);
  const RowBatch batch = rows.take();
  ok(loader->load(batch, attempt(1, 1)));
  // 0000-00-00 is how that server prints day 0, 1970-01-01.
  CHECK(server.ask("SELECT * FROM pgch_old.times ORDER BY id") ==
        "1\t1969-12-31 23:59:59.999999+00\t0000-00-00\n2\t\\N\t2022-01-08\n3\t2023-11-14 22:13:20.12+00\t1970-01-02\n");
  CHECK(ok(loader->look(intent(1, {1}), batch, attempt(1, 1))).missing.empty());
}

TEST_CASE("a wrong password is said to be one, without showing it", "[clickhouse][old]") {
  ClickHouseOptions options;
  options.url = required("PGCH_TEST_CH_OLD");
  options.password = Secret("hunter2-wrong");
  const Error e = error_of(open_clickhouse(options, context()));
  CHECK(e.code == Errc::authentication);
  CHECK(e.recovery == Recovery::halt);
  CHECK_THAT(e.message, Catch::Contains("password") && !Catch::Contains("hunter2"));
}

TEST_CASE("an unknown host and a refused port are definite and worth another try", "[clickhouse]") {
  ClickHouseOptions options;
  options.url = "http://no-such-host.invalid:8123";
  const Error unknown = error_of(open_clickhouse(options, context()));
  CHECK(unknown.code == Errc::connection);
  CHECK(unknown.recovery == Recovery::retry);
  CHECK_THAT(unknown.message, Catch::Contains("no-such-host.invalid"));
  options.url = "http://127.0.0.1:1";
  const Error refused = error_of(open_clickhouse(options, context()));
  CHECK(refused.code == Errc::connection);
  CHECK(refused.recovery == Recovery::retry);
  CHECK_FALSE(refused.in_doubt);
  options.url = "http://user:secret@127.0.0.1:1";
  CHECK(error_of(open_clickhouse(options, context())).code == Errc::config);
  options.url = "ftp://127.0.0.1";
  CHECK(error_of(open_clickhouse(options, context())).code == Errc::config);
}

TEST_CASE("a reset after the whole insert was sent leaves doubt", "[clickhouse]") {
  const Error e = insert_error([](int) {});
  CHECK(e.code == Errc::connection);
  CHECK(e.in_doubt);
  CHECK(e.recovery == Recovery::retry);
}

TEST_CASE("an answer that breaks off leaves doubt", "[clickhouse]") {
  const Error e =
      insert_error([](int s) { ScriptedServer::send(s, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"); });
  CHECK(e.in_doubt);
  const Error chunk = insert_error(
      [](int s) { ScriptedServer::send(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"); });
  CHECK(chunk.in_doubt);
}

TEST_CASE("silence leaves doubt after the timeout", "[clickhouse]") {
  std::atomic<bool> done = false;
  const Error e = insert_error([&](int s) {
    char c;
    (void)!::read(s, &c, 1);  // until the client gives up
    done = true;
  });
  CHECK(e.code == Errc::timeout);
  CHECK(e.in_doubt);
}

TEST_CASE("status 200 with an exception in header or body is no success", "[clickhouse]") {
  const Error header =
      insert_error([](int s) { ScriptedServer::answer(s, "200 OK", "X-ClickHouse-Exception-Code: 209\r\n", ""); });
  CHECK(header.native == "209");
  CHECK(header.in_doubt);
  const Error body = insert_error([](int s) {
    ScriptedServer::answer(s, "200 OK", "",
                           "Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)\n");
  });
  CHECK(body.native == "241");
  CHECK(body.in_doubt);
}

TEST_CASE("a server's refusal is classified by its code", "[clickhouse]") {
  const Error parts = insert_error([](int s) {
    ScriptedServer::answer(s, "500 Internal Server Error", "X-ClickHouse-Exception-Code: 252\r\n",
                           "Code: 252. DB::Exception: Too many parts (600). Merges are slower than inserts.");
  });
  CHECK(parts.recovery == Recovery::retry);
  CHECK_FALSE(parts.in_doubt);
  const Error partitions = insert_error([](int s) {
    ScriptedServer::answer(s, "500 Internal Server Error", "X-ClickHouse-Exception-Code: 252\r\n",
                           "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100).");
  });
  CHECK(partitions.recovery == Recovery::halt);
  const Error denied = insert_error([](int s) {
    ScriptedServer::answer(s, "403 Forbidden", "X-ClickHouse-Exception-Code: 497\r\n",
                           "Code: 497. DB::Exception: default: Not enough privileges. To execute this query, it's "
                           "necessary to have the grant INSERT(id) ON db.people.");
  });
  CHECK(denied.code == Errc::permission);
  CHECK(denied.recovery == Recovery::halt);
  const Error proxy = insert_error([](int s) { ScriptedServer::answer(s, "502 Bad Gateway", "", "<html>"); });
  CHECK(proxy.in_doubt);
  const Error moved =
      insert_error([](int s) { ScriptedServer::answer(s, "302 Found", "Location: http://127.0.0.1:1/\r\n", ""); });
  CHECK(moved.recovery == Recovery::halt);
}

TEST_CASE("a request to stop ends a request under way", "[clickhouse]") {
  std::stop_source stop;
  ScriptedServer server([&](int socket, const std::string& request) {
    if (ScriptedServer::answer_questions(socket, request)) return;
    stop.request_stop();
    char c;
    (void)!::read(socket, &c, 1);
  });
  ClickHouseOptions options;
  options.url = server.url();
  const auto loader = ok(make_clickhouse(options, {}));
  ok(loader->open({null_logger(), system_clock(), stop.get_token()}));
  const auto schema = people();
  ok(loader->prepare(*schema));
  const Error e = error_of(loader->load(crowd(schema, 3), attempt(1, 1)));
  CHECK(e.code == Errc::stopped);
  CHECK(e.in_doubt);
}

TEST_CASE("an insert that starts late, after it was looked for, is found by the second look", "[clickhouse]") {
  std::atomic<int> looks = 0;
  ScriptedServer server([&](int socket, const std::string& request) {
    if (ScriptedServer::answer_questions(socket, request)) return;
    if (request.find("KILL QUERY") != std::string::npos) return ScriptedServer::answer(socket, "200 OK", "", "");
    if (request.find("system.processes") != std::string::npos)
      return ScriptedServer::answer(socket, "200 OK", "", "0\n");
    std::string block;
    if (++looks == 2) {  // one row: key 0, version 1
      put_varint(block, 2);
      put_varint(block, 1);
      put_text(block, "id");
      put_text(block, "Int32");
      put_little(block, std::int32_t{0});
      put_text(block, "_version");
      put_text(block, "UInt64");
      put_little(block, std::uint64_t{1});
    }
    ScriptedServer::answer(socket, "200 OK", "", block);
  });
  ClickHouseOptions options;
  options.url = server.url();
  const auto loader = ok(make_clickhouse(options, {}));
  ok(loader->open(context()));
  const auto schema = people();
  ok(loader->prepare(*schema));
  CHECK(ok(loader->look(intent(1, {1}), crowd(schema, 1), attempt(1, 1))).missing.empty());
  CHECK(looks == 2);
}
