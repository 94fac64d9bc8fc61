#include "pg/copy_stream.h"

#include <libpq-fe.h>

#include "base/try.h"

namespace pgch::pg {

void free_copy_data(char* data) noexcept { PQfreemem(data); }

Result<CopyStream::Step> CopyStream::next() {
  bool read = false;
  while (!all_data_) {
    char* buffer = nullptr;
    constexpr int would_block = 0, copy_done = -1, failed = -2;
    const int n = PQgetCopyData(connection_->raw(), &buffer, 1);
    owned_.reset(buffer);
    if (n > 0) {
      data_ = {reinterpret_cast<const std::byte*>(buffer), static_cast<std::size_t>(n)};
      return Step::message;
    }
    if (n == failed) return connection_->lost(connection_->doing());
    if (n == copy_done) {
      all_data_ = true;
      break;
    }
    if (n == would_block) {
      if (read) return Step::wait;
      if (PQconsumeInput(connection_->raw()) == 0) return connection_->lost(connection_->doing());
      read = true;
    }
  }
  // The data are over; only the command's own result says that all of it came.
  PGCH_ASSIGN(std::optional<Answer> answer, connection_->try_answer());
  return answer ? Step::end : Step::wait;
}

Result<void> put_copy_data(Connection& connection, std::span<const std::byte> data, const Wait& wait) {
  for (;;) {
    const int sent =
        PQputCopyData(connection.raw(), reinterpret_cast<const char*>(data.data()), static_cast<int>(data.size()));
    if (sent < 0) return connection.lost(connection.doing());
    if (sent > 0) return {};
    PGCH_TRY(connection.drain_output(wait));
  }
}

Result<Answer> end_copy(Connection& connection, const Wait& wait) {
  for (;;) {
    const int sent = PQputCopyEnd(connection.raw(), nullptr);
    if (sent < 0) return connection.lost(connection.doing());
    if (sent > 0) break;
    PGCH_TRY(connection.drain_output(wait));
  }
  PGCH_TRY(connection.drain_output(wait));
  return connection.answer(wait);
}

}  // namespace pgch::pg
