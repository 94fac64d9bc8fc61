// One connection to PostgreSQL. Never blocks past a deadline or a stop: libpq's non-blocking calls with poll between
// them. One thread at a time. Values go in as parameters only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "pg/handle.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/postgres.h"

namespace pgch::pg {

/// A statement's parameter; borrowed until the statement is sent.
struct Parameter {
  std::string_view value;
  std::uint32_t type = 0;  ///< OID; 0: the server decides
  bool binary = false;
  bool null = false;
};

/// How long to wait, and what ends the wait early.
struct Wait {
  Clock::TimePoint until = Clock::TimePoint::max();
  std::stop_token stop{};
};

/// A whole number as PostgreSQL prints it; 0 if it is none.
std::uint64_t number(std::string_view text) noexcept;

/// A statement's result.
class Answer {
 public:
  explicit Answer(ResultHandle result) : result_(std::move(result)) {}
  std::size_t rows() const noexcept;
  std::size_t columns() const noexcept;
  bool is_null(std::size_t row, std::size_t column) const noexcept;
  /// The cell's bytes (text or binary, as asked for); empty if NULL. Lives as long as the Answer.
  std::string_view cell(std::size_t row, std::size_t column) const noexcept;
  /// Rows that INSERT, UPDATE or DELETE touched.
  std::uint64_t affected() const noexcept;
  bool is_copy_out() const noexcept;
  bool is_copy_in() const noexcept;

 private:
  ResultHandle result_;
};

class Connection {
 public:
  /// Connects, within options.connect_timeout_s for all of its hosts together, and makes the session's settings those
  /// pgch needs (UTC, ISO dates, UTF-8, no idle timeouts, no lossy float output).
  static Result<std::unique_ptr<Connection>> open(const PostgresOptions& options, const Context& context);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs one statement to its end. Without parameters several statements are allowed; the last one's answer is given.
  /// If the wait ends first the statement is cancelled: Errc::timeout (retry) or Errc::stopped.
  Result<Answer> exec(const std::string& sql, std::span<const Parameter> parameters, std::string_view doing,
                      const Wait& wait, bool binary = false);
  /// Starts a statement; then try_answer() until it has a value. Nothing else may be started in between.
  Result<void> send(const std::string& sql, std::span<const Parameter> parameters, std::string_view doing,
                    bool binary = false);
  /// Never waits. nullopt: not there yet.
  Result<std::optional<Answer>> try_answer();
  /// As try_answer, but waits.
  Result<Answer> answer(const Wait& wait);
  /// Asks the server to give up what it is doing. The answer (an error, as a rule) still has to be taken. A backend
  /// that has not yet begun the statement ignores this. False: the server could not be asked.
  bool cancel() noexcept;

  /// Waits until everything that was sent has left this process.
  Result<void> drain_output(const Wait& wait);

  /// For poll: descriptor and events (POLLIN, POLLOUT) this connection waits for.
  int socket() const noexcept;
  short events() const noexcept { return flushing_ ? static_cast<short>(in_ | out_) : in_; }
  /// False once an error has shown that the connection is gone.
  bool alive() const noexcept { return !broken_; }
  int server_version() const noexcept;
  int backend_pid() const noexcept;
  /// For copy_stream, which lives in lib/pg.
  pg_conn* raw() const noexcept { return handle_.get(); }
  Clock& clock() const noexcept { return *clock_; }
  /// The connection's own error, made into an Error; marks the connection as gone if it is.
  Error lost(std::string_view doing);
  const std::string& doing() const noexcept { return doing_; }

 private:
  Connection(ConnectionHandle handle, Clock& clock) : handle_(std::move(handle)), clock_(&clock) {}
  static Result<ConnectionHandle> connect(const PostgresOptions& options, const Context& context, bool verify);
  Result<void> prepare_session(const PostgresOptions& options, const Wait& wait);
  Result<void> flush();
  /// Cancels a statement that is still running and takes its answer; gives the connection up if that takes long.
  void end_statement();

  static const short in_, out_;
  ConnectionHandle handle_;
  Clock* clock_;
  ResultHandle last_;
  std::string doing_;
  bool flushing_ = false;
  bool broken_ = false;
};

/// Waits until one of the connections has something to read (or can be written to, if it must), at most until the wait
/// ends. Errc::stopped or Errc::timeout when that comes first.
Result<void> wait_for(std::span<Connection* const> connections, Clock& clock, const Wait& wait);

/// Replaces the secret wherever it stands in the text.
std::string redact(std::string text, const Secret& secret);

}  // namespace pgch::pg
