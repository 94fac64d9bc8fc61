/// Errors as values. libpgch throws nothing but std::bad_alloc; every function that can fail returns Result<T>.
/// An Error says what the caller can *do* (recovery, in_doubt), not which of fifty causes it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "pgch/export.h"

namespace pgch {

/// What went wrong, coarsely: enough to choose an exit status and a metric's label.
enum class Errc : std::uint8_t {
  config,          ///< a setting is missing, misspelt or contradicts another
  connection,      ///< cannot reach, or lost, a server
  authentication,  ///< wrong user or password, wrong certificate
  permission,      ///< the server said no
  not_found,       ///< table, column, topic, file or library is missing
  schema,          ///< source and target do not fit together
  data,            ///< one or more values cannot be moved as they are
  conflict,        ///< somebody else holds what we need (second process, locked directory)
  limit,           ///< a named limit was hit (message size, memory, disk)
  timeout,         ///< no answer in time
  stopped,         ///< the caller asked to stop
  unsupported,     ///< the server or the build cannot do this
  corrupt,         ///< bytes that should be ours are not
  io,              ///< the operating system failed us
  internal,        ///< a defect of pgch
};

/// What the caller should do next.
enum class Recovery : std::uint8_t {
  retry,        ///< wait with backoff, then repeat: position held, nothing dropped
  halt,         ///< stop this pipeline; the message says what a person has to do
  dead_letter,  ///< this record can never go; set it aside with its reason and go on
  abandon,      ///< from Journal::intend() only: the batch is another process's now, let go of it; nothing has failed
};

/// A failure. `message` is a sentence that says what happened and what to do; it never holds a secret or a cell's
/// value.
struct Error {
  Errc code = Errc::internal;
  Recovery recovery = Recovery::halt;
  /// The far side may have applied the request: look before repeating, never guess.
  bool in_doubt = false;
  std::string message;
  /// The other side's own code: SQLSTATE, ClickHouse code, librdkafka name, errno; empty if none.
  std::string native;
  /// The same rows may go in smaller batches (memory, partitions): halve after the second such failure.
  bool too_big = false;
};

PGCH_EXPORT std::string_view name_of(Errc code) noexcept;

/// Convenience makers, for the common shapes.
inline Error halt(Errc code, std::string message, std::string native = {}) {
  return Error{code, Recovery::halt, false, std::move(message), std::move(native)};
}
inline Error retry(Errc code, std::string message, std::string native = {}) {
  return Error{code, Recovery::retry, false, std::move(message), std::move(native)};
}
inline Error in_doubt(Errc code, std::string message, std::string native = {}) {
  return Error{code, Recovery::retry, true, std::move(message), std::move(native)};
}

/// A value or an Error. Reading the value of a failed Result is a defect and ends in std::bad_variant_access.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)
  explicit operator bool() const noexcept { return state_.index() == 0; }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  explicit operator bool() const noexcept { return !error_.has_value(); }
  Error& error() & { return *error_; }
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

}  // namespace pgch
