#include "pg/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/try.h"
#include "pg/sqlstate.h"

namespace pgch::pg {

void finish(pg_conn* connection) noexcept { PQfinish(connection); }
void clear(pg_result* result) noexcept { PQclear(result); }

const short Connection::in_ = POLLIN;
const short Connection::out_ = POLLOUT;

std::size_t Answer::rows() const noexcept { return static_cast<std::size_t>(PQntuples(result_.get())); }
std::size_t Answer::columns() const noexcept { return static_cast<std::size_t>(PQnfields(result_.get())); }
bool Answer::is_null(std::size_t row, std::size_t column) const noexcept {
  return PQgetisnull(result_.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
}
std::string_view Answer::cell(std::size_t row, std::size_t column) const noexcept {
  const int r = static_cast<int>(row), c = static_cast<int>(column);
  return {PQgetvalue(result_.get(), r, c), static_cast<std::size_t>(PQgetlength(result_.get(), r, c))};
}
std::uint64_t number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::uint64_t Answer::affected() const noexcept { return number(PQcmdTuples(result_.get())); }
bool Answer::is_copy_out() const noexcept { return PQresultStatus(result_.get()) == PGRES_COPY_OUT; }
bool Answer::is_copy_in() const noexcept { return PQresultStatus(result_.get()) == PGRES_COPY_IN; }

Connection::~Connection() = default;

int Connection::socket() const noexcept { return PQsocket(handle_.get()); }
int Connection::server_version() const noexcept { return PQserverVersion(handle_.get()); }
int Connection::backend_pid() const noexcept { return PQbackendPID(handle_.get()); }

Error Connection::lost(std::string_view doing) {
  if (PQstatus(handle_.get()) != CONNECTION_OK) broken_ = true;
  return error_of({}, PQerrorMessage(handle_.get()), doing);
}

Result<void> wait_for(std::span<Connection* const> connections, Clock& clock, const Wait& wait) {
  // Slices, so that a stop is seen without a descriptor for it: nothing here is asked for more often than every 20 ms.
  constexpr std::chrono::milliseconds slice{20};
  std::vector<pollfd> polls;
  for (const Connection* c : connections) polls.push_back({c->socket(), c->events(), 0});
  for (;;) {
    const auto now = clock.now();
    if (wait.stop.stop_requested()) return Error{Errc::stopped, Recovery::halt, false, "pgch was asked to stop.", {}};
    if (now >= wait.until) return retry(Errc::timeout, "PostgreSQL did not answer in time; pgch tries again.");
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(std::min(wait.until - now, Clock::TimePoint::duration(slice)));
    const int n = ::poll(polls.data(), polls.size(), static_cast<int>(left.count()));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR)
      return halt(Errc::io, "Waiting for PostgreSQL failed: poll gave errno " + std::to_string(errno) + ".");
  }
}

Result<void> Connection::flush() {
  const int r = PQflush(handle_.get());
  if (r < 0) return lost(doing_);
  flushing_ = r > 0;
  return {};
}

Result<void> Connection::drain_output(const Wait& wait) {
  PGCH_TRY(flush());
  while (flushing_) {
    Connection* self = this;
    PGCH_TRY(wait_for({&self, 1}, *clock_, wait));
    if (PQconsumeInput(handle_.get()) == 0) return lost(doing_);  // the server may be waiting for us to read
    PGCH_TRY(flush());
  }
  return {};
}

Result<void> Connection::send(const std::string& sql, std::span<const Parameter> parameters, std::string_view doing,
                              bool binary) {
  doing_ = doing;
  last_.reset();
  int ok = 0;
  if (parameters.empty() && !binary) {
    ok = PQsendQuery(handle_.get(), sql.c_str());
  } else {
    std::vector<Oid> types;
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
    for (const Parameter& p : parameters) {
      types.push_back(p.type);
      values.push_back(p.null ? nullptr : p.value.data());
      lengths.push_back(static_cast<int>(p.value.size()));
      formats.push_back(p.binary ? 1 : 0);
    }
    ok = PQsendQueryParams(handle_.get(), sql.c_str(), static_cast<int>(parameters.size()), types.data(), values.data(),
                           lengths.data(), formats.data(), binary ? 1 : 0);
  }
  if (ok == 0) return lost(doing);
  return flush();
}

Result<std::optional<Answer>> Connection::try_answer() {
  if (flushing_) PGCH_TRY(flush());
  if (PQconsumeInput(handle_.get()) == 0) return lost(doing_);
  while (PQisBusy(handle_.get()) == 0) {
    ResultHandle next(PQgetResult(handle_.get()));
    if (!next) {
      ResultHandle whole = std::move(last_);
      if (!whole) return lost(doing_);
      if (PQstatus(handle_.get()) != CONNECTION_OK) broken_ = true;
      switch (PQresultStatus(whole.get())) {
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_EMPTY_QUERY:
          return std::optional<Answer>(Answer(std::move(whole)));
        default:
          break;
      }
      const char* code = PQresultErrorField(whole.get(), PG_DIAG_SQLSTATE);
      const char* message = PQresultErrorField(whole.get(), PG_DIAG_MESSAGE_PRIMARY);
      if (code == nullptr || message == nullptr) return error_of({}, PQresultErrorMessage(whole.get()), doing_);
      return error_of(code, message, doing_);
    }
    const ExecStatusType status = PQresultStatus(next.get());
    // A COPY has begun: its data come before there is anything more to get here.
    if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN) return std::optional<Answer>(Answer(std::move(next)));
    // Of several statements the first error counts, else the last answer.
    const bool had_error = last_ && PQresultStatus(last_.get()) == PGRES_FATAL_ERROR;
    if (!had_error) last_ = std::move(next);
  }
  return std::optional<Answer>();
}

Result<Answer> Connection::answer(const Wait& wait) {
  for (;;) {
    PGCH_ASSIGN(std::optional<Answer> got, try_answer());
    if (got) return std::move(*got);
    Connection* self = this;
    PGCH_TRY(wait_for({&self, 1}, *clock_, wait));
  }
}

Result<Answer> Connection::exec(const std::string& sql, std::span<const Parameter> parameters, std::string_view doing,
                                const Wait& wait, bool binary) {
  PGCH_TRY(send(sql, parameters, doing, binary));
  auto got = answer(wait);
  if (got || broken_) return got;
  if (got.error().code == Errc::stopped || (got.error().code == Errc::timeout && got.error().native.empty()))
    end_statement();
  return got;
}

void Connection::end_statement() {
  const auto ended = [this](std::chrono::milliseconds wait) {
    const auto end = answer({clock_->now() + wait, {}});
    return end || end.error().code != Errc::timeout || !end.error().native.empty();
  };
  // A backend that has not yet begun the statement ignores a request, so one is not enough. Each is complete before the
  // answer is read (PQcancel waits for the server's end of it), so none is left over for the next statement.
  for (std::chrono::milliseconds wait{10}; wait <= std::chrono::seconds(2); wait *= 2) {
    if (!cancel()) break;
    if (ended(wait)) return;
  }
  broken_ = true;
}

bool Connection::cancel() noexcept {
  std::array<char, 256> reason{};  // not told: the statement's own answer shows what came of it
  PGcancel* handle = PQgetCancel(handle_.get());
  if (handle == nullptr) return false;
  const bool asked = PQcancel(handle, reason.data(), static_cast<int>(reason.size())) == 1;
  PQfreeCancel(handle);
  return asked;
}

}  // namespace pgch::pg
