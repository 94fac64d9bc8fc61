// Base64 with padding (RFC 4648, section 4), strict: no line breaks, no missing padding, no stray bits.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgch::codec {

void append_base64(std::string& out, std::span<const std::byte> bytes);
/// Appends to `out`; on false `out` may hold part of the value.
bool parse_base64(std::string_view text, std::vector<std::byte>& out);

}  // namespace pgch::codec
