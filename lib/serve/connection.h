// A client's connection: bytes in through one buffer, bytes out. Waiting ends at a deadline of the kernel's, at the
// server's stop, or when another thread cuts it off.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "pgch/error.h"

namespace pgch::serve {

// A file descriptor, owned.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

struct Listening {
  Descriptor socket;
  std::uint16_t port = 0;
};
Result<Listening> listen_on(const std::string& host, std::uint16_t port);
bool is_loopback(const std::string& host);

class Connection {
 public:
  Connection(Descriptor socket, const std::atomic<bool>& stopping);
  // What has come and is not consumed yet; valid until the next fill().
  std::string_view available() const noexcept { return std::string_view(buffer_).substr(begin_, end_ - begin_); }
  void consume(std::size_t n) noexcept { begin_ += n; }
  enum class Fill : std::uint8_t { more, end, timeout, stopped };
  // Waits for more bytes. `idle`: between two requests, where the server's stop ends the waiting at once.
  Fill fill(std::uint32_t timeout_ms, bool idle = false);
  bool write(std::string_view bytes);
  // True if the other side has closed its end or the connection broke.
  bool gone() const noexcept;
  // From any thread: no more is read, and who waits for bytes sees the end of them.
  void cut() noexcept;
  // Tells the client that nothing more comes, and reads what it still sends, so that it sees the answer and not a
  // reset.
  void linger();

 private:
  ssize_t receive() noexcept;

  Descriptor socket_;
  const std::atomic<bool>& stopping_;
  std::string buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace pgch::serve
