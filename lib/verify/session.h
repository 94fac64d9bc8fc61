// One comparison from its beginning to its report; repair goes on from where verify ends.
#pragma once

#include <memory>

#include "verify/comparison.h"

namespace pgch::comparing {

struct Session {
  VerifyOptions options;
  VerifyReport report;
  std::unique_ptr<Sides> sides;            // null until the target is known to be there
  std::unique_ptr<Comparison> comparison;  // null: no target, or counts only
};

// Verifies; the session stays open.
Result<std::unique_ptr<Session>> run(const VerifySides& sides, const VerifyOptions& options, const Context& context);

}  // namespace pgch::comparing
