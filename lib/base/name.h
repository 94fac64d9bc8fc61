// Names that go into tokens and file names as they are.
#pragma once

#include <algorithm>
#include <string_view>

namespace pgch {

/// 1 to 64 letters, digits, dots, underscores and hyphens.
inline bool is_plain_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

}  // namespace pgch
