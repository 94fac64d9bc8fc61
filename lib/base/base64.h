// Base64 with padding (RFC 4648, section 4), strict: no line breaks, no missing padding, no stray bits.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgch {

void append_base64(std::string& out, std::span<const std::byte> bytes);
std::string base64(std::string_view bytes);
/// Appends to `out`; on false `out` may hold part of the value.
bool parse_base64(std::string_view text, std::vector<std::byte>& out);
std::optional<std::string> from_base64(std::string_view text);

}  // namespace pgch
