#include "serve/connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "base/handle.h"

namespace pgch::serve {
namespace {

constexpr std::size_t buffer_bytes = 512U << 10;
constexpr int slice_ms = 200;   // how soon a stop is seen by who waits for bytes
constexpr int drain_ms = 3000;  // after a stop, and for lingering
constexpr int write_timeout_ms = 60'000;

std::string text_of(int error) { return std::error_code(error, std::generic_category()).message(); }

using Addresses = Handle<addrinfo, &::freeaddrinfo>;

Addresses resolve(const std::string& host, const std::string& port, int& failure) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  failure = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
  return Addresses(failure == 0 ? found : nullptr);
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0;
  }
  return false;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    return ntohs(v6.sin6_port);
  }
  sockaddr_in v4{};
  std::memcpy(&v4, &address, sizeof v4);
  return ntohs(v4.sin_port);
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

bool is_loopback(const std::string& host) {
  int failure = 0;
  const Addresses addresses = resolve(host, "0", failure);
  if (!addresses || host.empty()) return false;
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    if (!is_loopback(a->ai_addr)) return false;
  }
  return true;
}

Result<Listening> listen_on(const std::string& host, std::uint16_t port) {
  int failure = 0;
  const Addresses addresses = resolve(host, std::to_string(port), failure);
  if (!addresses) {
    return halt(Errc::config, "cannot listen on host \"" + host + "\": " + ::gai_strerror(failure) +
                                  "; use an address of this machine, such as 127.0.0.1");
  }
  Descriptor fd(::socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (fd.get() >= 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd.get() < 0 || ::bind(fd.get(), addresses->ai_addr, addresses->ai_addrlen) != 0 ||
      ::listen(fd.get(), 256) != 0) {
    const int error = errno;
    const std::string where = host + ":" + std::to_string(port);
    if (error == EADDRINUSE) {
      return halt(Errc::conflict, "port " + where + " is in use by another program; choose another port, or 0 for any",
                  "EADDRINUSE");
    }
    if (error == EACCES) {
      return halt(Errc::permission, "this user may not listen on " + where + "; choose a port above 1023", "EACCES");
    }
    return halt(Errc::io, "cannot listen on " + where + ": " + text_of(error), std::to_string(error));
  }
  Listening out;
  out.port = port_of(fd.get());
  out.socket = std::move(fd);
  return out;
}

Connection::Connection(Descriptor socket, const std::atomic<bool>& stopping)
    : socket_(std::move(socket)), stopping_(stopping), buffer_(buffer_bytes, '\0') {
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

ssize_t Connection::receive() noexcept {
  ssize_t got = 0;
  do {
    got = ::recv(socket_.get(), buffer_.data() + end_, buffer_.size() - end_, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return got;
}

Connection::Fill Connection::fill(std::uint32_t timeout_ms, bool idle) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) return Fill::more;  // full: the reader has to consume first
  // Counted in slices: what is waited for is the network, so no clock is needed.
  for (std::uint32_t waited = 0;;) {
    const ssize_t got = receive();
    if (got > 0) {
      end_ += static_cast<std::size_t>(got);
      return Fill::more;
    }
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) return Fill::end;
    const bool stopping = stopping_.load();
    if (stopping && (idle || waited >= drain_ms)) return Fill::stopped;
    if (waited >= timeout_ms) return Fill::timeout;
    pollfd p{socket_.get(), POLLIN, 0};
    if (::poll(&p, 1, slice_ms) == 0) waited += slice_ms;
  }
}

bool Connection::write(std::string_view bytes) {
  int waited = 0;
  while (!bytes.empty()) {
    const ssize_t put = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
      waited = 0;
      continue;
    }
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return false;
    if (waited >= write_timeout_ms || (stopping_.load() && waited >= drain_ms)) return false;
    pollfd p{socket_.get(), POLLOUT, 0};
    if (::poll(&p, 1, slice_ms) == 0) waited += slice_ms;
  }
  return true;
}

bool Connection::gone() const noexcept {
  char byte = 0;
  const ssize_t got = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void Connection::cut() noexcept { ::shutdown(socket_.get(), SHUT_RD); }

void Connection::linger() {
  ::shutdown(socket_.get(), SHUT_WR);
  for (std::size_t read = 0; read < (256U << 20);) {
    begin_ = end_ = 0;
    if (fill(drain_ms) != Fill::more) return;
    read += end_;
  }
}

}  // namespace pgch::serve
