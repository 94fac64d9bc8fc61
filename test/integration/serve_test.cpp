// `serve` on the real engine, over loopback, byte by byte where it matters.
#include "pgch/serve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "test/support/catch.h"
#include "test/support/scratch.h"

using namespace pgch;

namespace {

struct Answer {
  int status = 0;
  std::string head, body;
  bool whole = false;  // the body ended as its framing says
};

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(fd_); }

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  Answer receive() {
    while (have_.find("\r\n\r\n") == std::string::npos) {
      if (!more()) return {};
    }
    Answer answer;
    const std::size_t end = have_.find("\r\n\r\n") + 4;
    answer.head = have_.substr(0, end);
    have_.erase(0, end);
    answer.status = std::atoi(answer.head.c_str() + 9);
    if (const std::size_t at = answer.head.find("Content-Length: "); at != std::string::npos) {
      const std::size_t length = std::strtoull(answer.head.c_str() + at + 16, nullptr, 10);
      while (have_.size() < length && more()) {
      }
      answer.whole = have_.size() >= length;
      answer.body = have_.substr(0, length);
      have_.erase(0, length);
      return answer;
    }
    for (;;) {
      while (have_.find("\r\n") == std::string::npos) {
        if (!more()) return answer;
      }
      const std::size_t size = std::strtoull(have_.c_str(), nullptr, 16);
      const std::size_t start = have_.find("\r\n") + 2;
      while (have_.size() < start + size + 2) {
        if (!more()) return answer;
      }
      answer.body += have_.substr(start, size);
      have_.erase(0, start + size + 2);
      if (size == 0) {
        answer.whole = true;
        return answer;
      }
    }
  }
  Answer post(const std::string& sql, const std::string& parameters = "", const std::string& headers = "") {
    send("POST /?" + parameters + " HTTP/1.1\r\nHost: x\r\n" + headers +
         "Content-Length: " + std::to_string(sql.size()) + "\r\n\r\n" + sql);
    return receive();
  }
  std::string value(const std::string& sql, const std::string& parameters = "") {
    const Answer answer = post(sql, parameters);
    INFO(sql << "\n" << answer.body);
    REQUIRE(answer.status == 200);
    REQUIRE(answer.whole);
    return answer.body.substr(0, answer.body.size() - (answer.body.ends_with('\n') ? 1 : 0));
  }

 private:
  bool more() {
    char buffer[65536];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    have_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  int fd_;
  std::string have_;
};

class Served {
 public:
  explicit Served(std::map<std::string, Secret> users = {}) {
    ServeOptions options;
    options.path = scratch_.path();
    options.port = 0;
    options.users = std::move(users);
    auto made = make_server(options, Context{null_logger(), system_clock(), stop_.get_token()});
    if (!made) FAIL(made.error().message);
    server_ = std::move(*made);
    thread_ = std::thread([this] { ended_ = server_->run(); });
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served() {
    stop_.request_stop();
    thread_.join();
    CHECK(ended_);
  }
  std::uint16_t port() const { return server_->port(); }

 private:
  test::Scratch scratch_;
  std::stop_source stop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  Result<void> ended_;
};

const std::string create = "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a";

std::string insert_head(const std::string& parameters, const std::string& framing) {
  return "POST /?query=INSERT%20INTO%20t%20FORMAT%20TSV&" + parameters + " HTTP/1.1\r\nHost: x\r\n" + framing +
         "\r\n\r\n";
}

}  // namespace

TEST_CASE("statements are answered with ClickHouse's statuses, codes and headers") {
  Served served;
  Client client(served.port());
  CHECK(client.value("SELECT 1 + 1") == "2");
  CHECK(client.value("SELECT 1 AS a FORMAT JSONEachRow") == "{\"a\":1}");
  CHECK(client.value("SELECT {n:UInt8} + {m:UInt8}", "param_n=2&param_m=3") == "5");
  CHECK(client.value("SELECT getSetting('max_threads'), getSetting('log_comment')",
                     "max_threads=3&log_comment=it%27s%5C") == "3\tit\\'s\\\\");
  CHECK(client.value("SELECT currentDatabase()", "database=system") == "system");
  CHECK(client.value("SELECT getSetting('log_comment')", "query_id=my:id") == "my:id");
  const Answer fine = client.post("SELECT 1", "query_id=q1&default_format=JSON");
  CHECK(fine.head.find("X-ClickHouse-Query-Id: q1\r\n") != std::string::npos);
  CHECK(fine.head.find("X-ClickHouse-Format: JSON\r\n") != std::string::npos);
  CHECK(fine.head.find("Content-Type: application/json; charset=UTF-8\r\n") != std::string::npos);
  const std::vector<std::tuple<std::string, std::string, int, int>> errors = {
      {"SELECT * FROM missing", "", 404, 60},
      {"SELEC 1", "", 400, 62},
      {"SELECT missing", "", 404, 47},
      {"SELECT 1", "missing=1", 404, 115},
      {"SELECT 1", "database=missing", 404, 81},
      {"SELECT 1 FORMAT Missing", "", 404, 73},
      {"SELECT 1; SELECT 2", "", 400, 62},
      {"SELECT 1 INTO OUTFILE 'x'", "", 501, 48},
      {"", "", 400, 62},
      {"SELECT throwIf(1)", "", 500, 395}};
  for (const auto& [sql, parameters, status, code] : errors) {
    const Answer answer = client.post(sql, parameters);
    INFO(sql << " " << parameters << "\n" << answer.body);
    CHECK(answer.status == status);
    CHECK(answer.head.find("X-ClickHouse-Exception-Code: " + std::to_string(code) + "\r\n") != std::string::npos);
    CHECK(answer.body.rfind("Code: " + std::to_string(code) + ". DB::Exception: ", 0) == 0);
  }
  client.send("GET /?query=DROP%20TABLE%20t HTTP/1.1\r\n\r\n");
  CHECK(client.receive().head.find("X-ClickHouse-Exception-Code: 164") != std::string::npos);
  client.send("GET /ping HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\n");
  CHECK(client.receive().body == "Ok.\n");
  CHECK(client.receive().status == 404);
}

TEST_CASE("rows of any bytes go in by any way of writing an INSERT") {
  Served served;
  Client client(served.port());
  client.value(create);
  client.value("INSERT INTO t VALUES (1, 'a;b'), (1 + 1, upper('\n\nc'));");
  client.value("INSERT INTO t FORMAT CSV\n3,\"d\n\ne\"\n");
  client.value("INSERT INTO t (a) SETTINGS max_insert_threads = 1 FORMAT JSONEachRow {\"a\": 4}");
  const std::string rows("\x05\0\0\0\0\0\0\0\x02\n\n\x0a\n\n\0\0\0\0\0\x03;\n\n", 23);
  client.value(rows, "query=INSERT%20INTO%20t%20FORMAT%20RowBinary");
  client.value("7\tx\n", "query=INSERT%20INTO%20t&default_format=TSV");
  client.value("(8, 'y')", "query=INSERT%20INTO%20t%20VALUES");
  const Answer selected = client.post("INSERT INTO t SELECT number + 100, 'z' FROM numbers(3)");
  CHECK(selected.head.find("\"written_rows\":\"3\"") != std::string::npos);
  CHECK(client.value("SELECT count(), sum(a), sum(length(s)) FROM t") ==
        "11\t" + std::to_string(30 + 303 + 0x0a0a0a) + "\t20");
}

TEST_CASE("an INSERT whose body is cut at any byte is never committed") {
  Served served;
  Client look(served.port());
  look.value(create);
  const std::string chunked = "Transfer-Encoding: chunked";
  const std::string body = "4\r\n1\ta\n\r\n4\r\n2\tb\n\r\n0\r\n\r\n";
  for (std::size_t n = 0; n < body.size(); ++n) {
    Client cut(served.port());
    cut.send(insert_head("query_id=cut" + std::to_string(n), chunked) + body.substr(0, n));
  }
  for (std::size_t n = 0; n < 8; ++n) {
    Client cut(served.port());
    cut.send(insert_head("query_id=short" + std::to_string(n), "Content-Length: 8") +
             std::string("1\ta\n2\tb\n").substr(0, n));
  }
  std::string ids = "'x'";
  for (std::size_t n = 0; n < body.size(); ++n)
    ids += ",'cut" + std::to_string(n) + "','short" + std::to_string(n) + "'";
  look.value("KILL QUERY WHERE query_id IN (" + ids + ") SYNC");
  CHECK(look.value("SELECT count() FROM t") == "0");
  Client whole(served.port());
  whole.send(insert_head("query_id=whole", chunked) + body);
  CHECK(whole.receive().status == 200);
  CHECK(look.value("SELECT count() FROM t") == "2");
}

TEST_CASE("KILL QUERY … SYNC ends an INSERT under way, and nothing of it or of its id appears afterwards") {
  Served served;
  Client look(served.port());
  look.value(create);
  Client client(served.port());
  client.send(insert_head("query_id=p:s:1:2:3", "Transfer-Encoding: chunked") + "4\r\n1\ta\n\r\n");
  while (look.value("KILL QUERY WHERE query_id = 'p:s:1:2:3' TEST").empty()) std::this_thread::yield();
  const Answer same = Client(served.port()).post("SELECT 1", "query_id=p:s:1:2:3");
  CHECK(same.body.rfind("Code: 216.", 0) == 0);
  CHECK(look.value("KILL QUERY WHERE query_id IN ('p:s:1:2:3') SYNC")
            .rfind("finished\tp:s:1:2:3\tdefault\tINSERT INTO t", 0) == 0);
  const Answer ended = client.receive();
  CHECK(ended.body.rfind("Code: 394.", 0) == 0);
  CHECK(look.value("SELECT count() FROM system.processes WHERE query_id = 'p:s:1:2:3'") == "0");
  const Answer late =
      Client(served.port()).post("5\tlate\n", "query=INSERT%20INTO%20t%20FORMAT%20TSV&query_id=p:s:1:2:3");
  CHECK(late.body.rfind("Code: 394.", 0) == 0);
  CHECK(look.value("SELECT count() FROM t") == "0");
}

TEST_CASE("KILL QUERY ends a long statement") {
  Served served;
  Client look(served.port());
  Client client(served.port());
  const std::string sql = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000) FORMAT JSON";
  client.send("POST /?query_id=long HTTP/1.1\r\nContent-Length: " + std::to_string(sql.size()) + "\r\n\r\n" + sql);
  while (look.value("SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'long'") == "0") {
    std::this_thread::yield();
  }
  CHECK(look.value("KILL QUERY WHERE query_id = 'long' SYNC").rfind("finished\tlong\t", 0) == 0);
  CHECK(client.receive().body.rfind("Code: 394.", 0) == 0);
}

TEST_CASE("a long answer comes in pieces that join to what the engine gives at once") {
  Served served;
  Client client(served.port());
  const std::string format =
      GENERATE(as<std::string>(), "TSV", "CSVWithNames", "TSVWithNamesAndTypes", "RowBinaryWithNamesAndTypes",
               "JSONEachRow", "JSONCompactEachRowWithNamesAndTypes", "RowBinaryWithNames", "CSV", "TSKV");
  const std::string sql =
      "SELECT number AS `a\"b\\n`, toString(number) AS s FROM numbers(300000) ORDER BY number FORMAT " + format;
  const Answer pieces = client.post(sql);
  // A URL parameter that keeps the server from streaming.
  const Answer whole = client.post(sql, "extremes=0&limit=0");
  INFO(format);
  REQUIRE(pieces.status == 200);
  CHECK(pieces.whole);
  CHECK(pieces.head.find("Transfer-Encoding: chunked") != std::string::npos);
  CHECK((pieces.body == whole.body));
  const Answer none = client.post("SELECT number AS a FROM numbers(3) WHERE number > 5 FORMAT " + format);
  CHECK(none.status == 200);
  CHECK(none.body.empty() == (format.find("With") == std::string::npos));
}

TEST_CASE("an error in the middle of an answer is told, and the answer has no proper end") {
  Served served;
  Client client(served.port());
  const std::string sql = "SELECT throwIf(number = 3000000) FROM numbers(10000000)";
  const Answer broken = client.post(sql);
  CHECK(broken.status == 200);
  CHECK_FALSE(broken.whole);
  CHECK(broken.body.find("__exception__") != std::string::npos);
  CHECK(broken.body.find("Code: 395. DB::Exception: ") != std::string::npos);
  Client waiting(served.port());
  CHECK(waiting.post(sql, "wait_end_of_query=1").status == 500);
}

TEST_CASE("a session keeps its tables and its settings, and nothing of one request's settings") {
  Served served;
  Client client(served.port());
  client.value("CREATE TEMPORARY TABLE kept (a Int8)", "session_id=s");
  client.value("INSERT INTO kept VALUES (1), (2)", "session_id=s");
  CHECK(client.value("SELECT count() FROM kept", "session_id=s") == "2");
  CHECK(client.post("SELECT count() FROM kept", "session_id=other").status == 404);
  client.value("SET max_threads = 2", "session_id=s");
  const std::string both = "SELECT getSetting('max_threads'), getSetting('max_block_size'), currentDatabase()";
  CHECK(client.value(both, "session_id=s&max_threads=5&max_block_size=77&database=system") == "5\t77\tsystem");
  CHECK(client.value(both, "session_id=s") == "2\t65409\tdefault");
  CHECK(client.post("SELECT 1", "session_id=new&session_check=1").body.rfind("Code: 372.", 0) == 0);
}

TEST_CASE("users and passwords are asked for, in every way ClickHouse knows") {
  Served served({{"me", Secret("pass word")}});
  Client client(served.port());
  CHECK(client.post("SELECT 1").status == 403);
  CHECK(client.post("SELECT 1", "user=me&password=wrong").status == 403);
  CHECK(client.post("SELECT 1", "user=me").status == 403);
  CHECK(client.post("SELECT 1", "user=me&password=pass+word").status == 200);
  CHECK(client.post("SELECT 1", "", "X-ClickHouse-User: me\r\nX-ClickHouse-Key: pass word\r\n").status == 200);
  CHECK(client.post("SELECT 1", "", "Authorization: Basic bWU6cGFzcyB3b3Jk\r\n").status == 200);
  CHECK(client.post("SELECT 1", "", "Authorization: Basic bWU6cGFzcyB3b3JkIQ==\r\n").status == 403);
  CHECK(client.post("SELECT 1").body.rfind("Code: 516.", 0) == 0);
}

TEST_CASE("without passwords, pages of other sites are refused") {
  Served served;
  Client client(served.port());
  CHECK(client.post("SELECT 1", "", "Origin: http://elsewhere.example\r\n").status == 403);
  CHECK(client.post("SELECT 1", "", "Sec-Fetch-Site: cross-site\r\n").status == 403);
  CHECK(client.post("SELECT 1", "", "Origin: http://x\r\n").status == 200);
}

TEST_CASE("beyond loopback a password is needed, and a port in use is a sentence") {
  ServeOptions options;
  options.host = "0.0.0.0";
  const Context context{null_logger(), system_clock(), {}};
  auto open = make_server(options, context);
  REQUIRE_FALSE(open);
  CHECK(open.error().code == Errc::config);
  Served served;
  options.host = "127.0.0.1";
  options.port = served.port();
  auto second = make_server(options, context);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::conflict);
}

TEST_CASE("many clients insert and read at the same time, and every row is there once") {
  Served served;
  Client(served.port()).value(create);
  std::vector<std::thread> clients;
  for (int c = 0; c < 12; ++c) {
    clients.emplace_back([&served, c] {
      Client client(served.port());
      for (int i = 0; i < 20; ++i) {
        std::string rows;
        for (int r = 0; r < 50; ++r) rows += std::to_string((c * 20 + i) * 50 + r) + "\tx\n";
        client.post(rows, "query=INSERT%20INTO%20t%20FORMAT%20TSV");
        client.post("SELECT count() FROM t");
      }
    });
  }
  for (auto& client : clients) client.join();
  CHECK(Client(served.port()).value("SELECT count(), uniqExact(a) FROM t") == "12000\t12000");
}
