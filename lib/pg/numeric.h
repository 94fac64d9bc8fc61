// PostgreSQL's binary numeric, exactly. The wire form (numeric_send):
//   int16 ndigits, int16 weight, uint16 sign, uint16 dscale, ndigits × int16 digit (base 10000, most significant first)
// value = ± Σ digit[i] · 10000^(weight - i); sign 0x0000 +, 0x4000 -, 0xC000 NaN, 0xD000 +Infinity, 0xF000 -Infinity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pgch::pg {

enum class NumericOutcome : std::uint8_t {
  ok,
  malformed,   ///< not a numeric: the bytes are wrong
  not_finite,  ///< NaN or an infinity, where only numbers fit
  too_large,   ///< more digits before the point than the precision allows
  inexact,     ///< more digits after the point than the scale allows
};

/// → two's complement, little-endian, `width` bytes (4, 8, 16, 32) at `out`: the value times 10^scale. Never rounds.
NumericOutcome decimal_from_numeric(std::span<const std::byte> wire, unsigned precision, unsigned scale,
                                    std::size_t width, std::byte* out) noexcept;

/// The nearest Decimal: rounded half away from zero, as PostgreSQL rounds; ± the largest for what is too large or
/// infinite; not_finite for NaN.
NumericOutcome nearest_decimal(std::span<const std::byte> wire, unsigned precision, unsigned scale, std::size_t width,
                               std::byte* out) noexcept;

/// Appends the text that PostgreSQL prints for it ("-0.50", "NaN", "Infinity").
NumericOutcome text_from_numeric(std::span<const std::byte> wire, std::vector<std::byte>& out);

/// The other way: a Decimal's bytes (4, 8, 16 or 32) as text with `scale` digits after the point.
std::string text_from_decimal(std::span<const std::byte> value, unsigned scale);

}  // namespace pgch::pg
