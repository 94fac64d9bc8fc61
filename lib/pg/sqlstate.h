// SQLSTATE → Error: what the caller should do, and a sentence for the person who has to do it.
#pragma once

#include <string_view>

#include "pgch/error.h"

namespace pgch::pg {

/// The server refused a statement. `doing` completes "While …" ("reading public.t"). The server's own primary message
/// is kept, except in the classes whose messages quote cells (22 data exception, 23 integrity constraint violation).
Error error_of(std::string_view sqlstate, std::string_view message, std::string_view doing);

/// The connection could not be made: `message` is libpq's, in verbose form, so that it holds the server's SQLSTATE.
Error connect_error(std::string_view message);

/// SQLSTATE inside a verbose libpq message ("FATAL:  28P01: …"), or empty.
std::string_view sqlstate_in(std::string_view message) noexcept;

}  // namespace pgch::pg
