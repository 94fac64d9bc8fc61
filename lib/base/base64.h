// RFC 4648 base64, with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgch {

void put_base64(std::string& out, std::string_view bytes);
inline std::string base64(std::string_view bytes) {
  std::string out;
  put_base64(out, bytes);
  return out;
}
// Strict: whole quartets, padding where it belongs, nothing else.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace pgch
