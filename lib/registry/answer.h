// What a registry's answers say, apart from how they came.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pgch/error.h"

namespace pgch::registry {

struct Answer {
  long status = 0;
  std::string body;
};

/// Whom was asked for what, for sentences.
struct Question {
  std::string_view address;  ///< without credentials
  std::string_view subject;  ///< of a registration; empty when a number is asked for
  std::uint32_t number = 0;
};

/// The number that a registration was answered with.
Result<std::uint32_t> read_number(const Question& question, const Answer& answer);
/// The schema that a number was answered with; empty: the registry has none of that number.
Result<std::optional<std::string>> read_schema(const Question& question, const Answer& answer);

/// Any answer to the question for the compatibility that is a registry's.
Result<void> read_greeting(const Question& question, const Answer& answer);

}  // namespace pgch::registry
