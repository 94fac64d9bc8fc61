#include "serve/exception.h"

#include <algorithm>
#include <array>

#include "clickhouse/errors.h"

namespace pgch::serve {
namespace {

std::string_view name_of(Code code) noexcept {
  switch (code) {
    case bad_arguments:
      return "BAD_ARGUMENTS";
    case not_implemented:
      return "NOT_IMPLEMENTED";
    case logical_error:
      return "LOGICAL_ERROR";
    case syntax_error:
      return "SYNTAX_ERROR";
    case unknown_format:
      return "UNKNOWN_FORMAT";
    case timeout_exceeded:
      return "TIMEOUT_EXCEEDED";
    case readonly:
      return "READONLY";
    case too_many_simultaneous_queries:
      return "TOO_MANY_SIMULTANEOUS_QUERIES";
    case socket_timeout:
      return "SOCKET_TIMEOUT";
    case network_error:
      return "NETWORK_ERROR";
    case query_with_same_id_is_already_running:
      return "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING";
    case cannot_decompress:
      return "CANNOT_DECOMPRESS";
    case session_not_found:
      return "SESSION_NOT_FOUND";
    case session_is_locked:
      return "SESSION_IS_LOCKED";
    case invalid_session_timeout:
      return "INVALID_SESSION_TIMEOUT";
    case query_was_cancelled:
      return "QUERY_WAS_CANCELLED";
    case query_is_too_large:
      return "QUERY_IS_TOO_LARGE";
    case authentication_failed:
      return "AUTHENTICATION_FAILED";
  }
  return "UNKNOWN_EXCEPTION";
}

// ClickHouse's own table of codes whose status is not 500. All others are.
constexpr std::array bad_request = {6,  25, 26, 27,  36,  38,  41,  43,  53,  62,
                                    69, 70, 72, 117, 167, 168, 223, 321, 376, 427};
constexpr std::array not_found = {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511};
constexpr std::array forbidden = {192, 193, 512, 516};

template <std::size_t N>
bool among(const std::array<int, N>& codes, int code) noexcept {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

}  // namespace

Exception exception(Code code, std::string_view message) {
  Exception out{code, "Code: " + std::to_string(static_cast<int>(code)) + ". DB::Exception: "};
  out.text += message;
  out.text += " (";
  out.text += name_of(code);
  out.text += ')';
  return out;
}

Exception exception_of_engine(const std::string& text, const Error& fallback) {
  const int code = ch::code_in(text);
  if (code == 0) return exception(logical_error, fallback.message);
  return {code, text};
}

int status_of(int exception_code) noexcept {
  if (among(bad_request, exception_code)) return 400;
  if (among(not_found, exception_code)) return 404;
  if (exception_code == 194) return 401;
  if (among(forbidden, exception_code)) return 403;
  switch (exception_code) {
    case not_implemented:
      return 501;
    case timeout_exceeded:
      return 408;
    case query_is_too_large:
      return 413;
    case socket_timeout:
      return 503;
    case 76:
      return 503;  // CANNOT_OPEN_FILE
    case 381:
      return 411;  // HTTP_LENGTH_REQUIRED
    case 439:
      return 503;  // CANNOT_SCHEDULE_TASK
    default:
      return 500;
  }
}

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Request Entity Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

}  // namespace pgch::serve
