// ClickHouse's exception codes → what to do next. The one table; nobody else knows a number.
#pragma once

#include <string_view>

#include "pgch/error.h"

namespace pgch::ch {

// `message` is the server's own text ("Code: 60. DB::Exception: …"); it is shortened and cleared of values before it is
// shown.
Error classify(int code, std::string_view message);
// The code in "Code: 60. DB::Exception: …", or 0.
int code_in(std::string_view message) noexcept;

}  // namespace pgch::ch
