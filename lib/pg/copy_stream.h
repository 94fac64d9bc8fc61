// Rows of a COPY … TO STDOUT as they arrive, without blocking.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "pg/connection.h"

namespace pgch::pg {

void free_copy_data(char* data) noexcept;

class CopyStream {
 public:
  /// The connection has just been answered with COPY OUT; borrowed until the end.
  explicit CopyStream(Connection& connection) : connection_(&connection) {}
  enum class Step : std::uint8_t { message, wait, end };
  /// message: data() holds one message until the next call. wait: nothing there yet, poll. end: the server has sent
  /// everything and confirmed it. An Error: the connection, or the statement, failed.
  Result<Step> next();
  std::span<const std::byte> data() const noexcept { return data_; }

 private:
  Connection* connection_;
  Handle<char, &free_copy_data> owned_;
  std::span<const std::byte> data_;
  bool all_data_ = false;
};

/// Sends one piece of a COPY … FROM STDIN, waiting for room; then the end of it.
Result<void> put_copy_data(Connection& connection, std::span<const std::byte> data, const Wait& wait);
Result<Answer> end_copy(Connection& connection, const Wait& wait);

}  // namespace pgch::pg
