// Errors as ClickHouse's clients expect them: a code, a text, and the HTTP status that belongs to the code.
#pragma once

#include <string>
#include <string_view>

#include "pgch/error.h"

namespace pgch::serve {

struct Exception {
  int code = 0;
  std::string text;  // "Code: 60. DB::Exception: … (UNKNOWN_TABLE)", without the version
};

// The codes that this server gives by itself.
enum Code : int {
  bad_arguments = 36,
  not_implemented = 48,
  syntax_error = 62,
  unknown_format = 73,
  timeout_exceeded = 159,
  readonly = 164,
  too_many_simultaneous_queries = 202,
  socket_timeout = 209,
  network_error = 210,
  query_with_same_id_is_already_running = 216,
  cannot_decompress = 271,
  session_not_found = 372,
  session_is_locked = 373,
  query_was_cancelled = 394,
  invalid_session_timeout = 374,
  authentication_failed = 516,
  query_is_too_large = 443,
  logical_error = 49,
};
Exception exception(Code code, std::string_view message);
// What an engine said; `fallback` if it said nothing.
Exception exception_of_engine(const std::string& text, const Error& fallback);

int status_of(int exception_code) noexcept;
std::string_view reason_of(int status) noexcept;

}  // namespace pgch::serve
