// "Did you mean …?"
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pgch/export.h"

namespace pgch {

// Declared for users in pgch/config.h: the nearest of `known` to `word`, or empty if none is near.
PGCH_EXPORT std::string nearest_name(std::string_view word, const std::vector<std::string>& known);

}  // namespace pgch
