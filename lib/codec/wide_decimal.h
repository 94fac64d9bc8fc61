// Decimal text of integers up to 256 bits, exactly; and back, from any JSON number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pgch::codec {

enum class NumberFault : std::uint8_t { none, syntax, fraction, range };

/// Appends the little-endian two's complement integer `value` (4, 8, 16 or 32 bytes), read as value / 10^scale, with
/// exactly `scale` digits after the point.
void append_decimal(std::string& out, std::span<const std::byte> value, unsigned scale);

/// Text in JSON's number grammar → value × 10^scale as a little-endian two's complement integer that fills `out`.
/// Digits that do not fit: `fraction` (non-zero digits beyond the scale) or `range` (more than `precision` digits).
NumberFault parse_decimal(std::string_view text, unsigned precision, unsigned scale, std::span<std::byte> out);

/// Is all of `text` a number by JSON's grammar?
bool is_json_number(std::string_view text) noexcept;

}  // namespace pgch::codec
