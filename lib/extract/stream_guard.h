// The session that makes one stream have one writer, and that tells how far the source's log is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pg/connection.h"

namespace pgch {

class StreamGuard {
 public:
  static Result<std::unique_ptr<StreamGuard>> open(const PostgresOptions& options, const Context& context);
  /// Takes the stream's advisory lock, held as long as this session lives. Errc::conflict if somebody else has it;
  /// waits a few seconds first, since the session of a process that was killed takes a moment to end.
  /// `of_table`: also takes that stream's lock, shared with the other shares of the table; empty: no.
  Result<void> claim(const std::string& stream, const std::string& of_table, const Context& context);
  /// The session still lives, so the lock is still ours.
  Result<void> check(const Context& context);
  struct Mark {
    std::uint64_t version =
        0;  ///< (timeline - 1) in the upper 12 bits, the flushed LSN below: rises, whatever happens to the server
    bool aborted = false;  ///< one of the transactions asked about was aborted
  };
  /// How far the source's log is, and whether one of these transactions (xid8 as text) was aborted.
  Result<Mark> mark(const std::vector<std::string>& transactions, const Context& context);
  /// Everything that is visible by now is on the server's disk on return: no crash of it takes that back, nor gives the
  /// number of one of its transactions to another.
  Result<void> flush(const Context& context);
  /// Something that was handed out may come again, perhaps changed: the next version must be above every earlier one.
  void forget() noexcept { advance_ = true; }
  pg::Connection& connection() noexcept { return *connection_; }

 private:
  explicit StreamGuard(std::unique_ptr<pg::Connection> connection) : connection_(std::move(connection)) {}
  std::unique_ptr<pg::Connection> connection_;
  bool advance_ = true;
};

}  // namespace pgch
