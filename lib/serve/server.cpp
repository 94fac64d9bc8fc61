// Listener and threads: one for each connection, since a connection is mostly a client that waits for its answer.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>

#include "base/try.h"
#include "pgch/serve.h"
#include "serve/service.h"

namespace pgch {
namespace serve {
namespace {

constexpr std::uint32_t idle_ms = 30'000;
constexpr std::uint32_t head_ms = 15'000;
constexpr std::size_t head_bytes_max = 400U << 10;
constexpr std::size_t connections_max = 1024;

class HttpServer final : public Server {
 public:
  HttpServer(std::unique_ptr<Service> service, Listening listening, const Context& context)
      : service_(std::move(service)), listening_(std::move(listening)), context_(context) {}
  ~HttpServer() override { close(); }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const noexcept override { return listening_.port; }

  Result<void> run() override {
    const Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::stop_callback on_stop(context_.stop, [&wake] {
      const std::uint64_t one = 1;
      if (::write(wake.get(), &one, sizeof one) < 0) return;  // full: it is awake already
    });
    while (!context_.stop.stop_requested()) {
      pollfd waits[2] = {{listening_.socket.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
      const int ready = ::poll(waits, 2, 1000);
      if (ready < 0 && errno != EINTR) return halt(Errc::io, "waiting for connections failed", std::to_string(errno));
      if (ready > 0 && (waits[0].revents & POLLIN) != 0) accept();
    }
    close();
    return {};
  }

 private:
  void accept() {
    Descriptor socket(::accept4(listening_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.get() < 0) return;
    {
      const std::scoped_lock lock(mutex_);
      if (connections_ >= connections_max) return;  // closed at once
      ++connections_;
    }
    auto connection = std::make_shared<Connection>(std::move(socket), stopping_);
    try {
      std::thread([this, connection] {
        serve(*connection);
        const std::scoped_lock lock(mutex_);
        --connections_;
        closed_.notify_all();
      }).detach();
    } catch (const std::system_error&) {
      context_.log.write(LogLevel::warning, "serve: no thread for another connection; it is refused");
      const std::scoped_lock lock(mutex_);
      --connections_;
    }
  }

  void serve(Connection& connection) {
    try {
      while (!stopping_.load() && one(connection)) {
      }
    } catch (const std::exception& e) {
      context_.log.write(LogLevel::error, std::string("serve: a request failed: ") + e.what());
    }
  }

  // Reads one request's head and answers it; true if another may follow.
  bool one(Connection& connection) {
    std::size_t end = 0;
    for (bool begun = !connection.available().empty();; begun = true) {
      end = connection.available().find("\r\n\r\n");
      if (end != std::string_view::npos) break;
      if (connection.available().size() > head_bytes_max) {
        Reply(connection, {false, false, true}).whole(431, "The head of the request is too large\n", "text/plain");
        connection.linger();
        return false;
      }
      if (connection.fill(begun ? head_ms : idle_ms, !begun) != Connection::Fill::more) return false;
    }
    auto request = parse_head(connection.available().substr(0, end));
    connection.consume(end + 4);
    if (!request) {
      Reply(connection, {false, false, true}).whole(400, request.error().message + "\n", "text/plain; charset=UTF-8");
      return false;
    }
    Reply reply(connection, {request->method == "HEAD", request->keep_alive(), !request->http_1_0});
    auto body = Body::of(*request, connection, service_->options().body_bytes_max);
    if (!body) {
      const int status = body.error().native == "413" ? 413 : body.error().native == "501" ? 501 : 400;
      reply.close_after();
      reply.whole(status, body.error().message + "\n", "text/plain; charset=UTF-8");
      connection.linger();
      return false;
    }
    service_->answer(*request, *body, connection, reply);
    if (!reply.keeps_alive() || !body->drain()) {
      if (!body->at_end()) connection.linger();
      return false;
    }
    return true;
  }

  void close() {
    stopping_ = true;
    listening_.socket = Descriptor();
    std::unique_lock lock(mutex_);
    closed_.wait(lock, [this] { return connections_ == 0; });
  }

  std::unique_ptr<Service> service_;
  Listening listening_;
  Context context_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable closed_;
  std::size_t connections_ = 0;
};

}  // namespace
}  // namespace serve

Result<std::unique_ptr<Server>> make_server(ServeOptions options, const Context& context) {
  if (options.users.empty() && !serve::is_loopback(options.host)) {
    return halt(Errc::config,
                "serving on " + (options.host.empty() ? "all addresses" : options.host) +
                    " needs at least one user with a password; without users only 127.0.0.1 and ::1 are served");
  }
  for (const auto& [name, password] : options.users) {
    if (name.empty() || (password.empty() && !serve::is_loopback(options.host))) {
      return halt(Errc::config, "each user needs a name and, beyond loopback, a password");
    }
  }
  // The port first: it is quick to find out, and opening the engine is not.
  PGCH_ASSIGN(auto listening, serve::listen_on(options.host, options.port));
  PGCH_ASSIGN(auto service, serve::Service::open(std::move(options), context));
  return std::unique_ptr<Server>(
      std::make_unique<serve::HttpServer>(std::move(service), std::move(listening), context));
}

}  // namespace pgch
