// One cell's binary form → its value's bytes. COPY's hot types are decoded in copy_binary.cpp, in place; everything
// else, and everything inside of arrays and composites, here. Nothing is trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "pg/copy_binary.h"
#include "pg/numeric.h"

namespace pgch::pg {

// PostgreSQL counts from 2000-01-01, ClickHouse from 1970-01-01. Date32 reaches from 1900-01-01 to 2299-12-31,
// DateTime64 too, and from ClickHouse 26.7 on from year 0000 to 9999.
inline constexpr std::int64_t days_between = 10'957;
inline constexpr std::int64_t us_a_day = 86'400'000'000;
inline constexpr std::int64_t first_day = -25'567, last_day = 120'529;
inline constexpr std::int64_t first_wide_day = -719'528, last_wide_day = 2'932'896;
/// In PostgreSQL's microseconds since 2000.
constexpr std::int64_t first_tick(bool wide) noexcept {
  return ((wide ? first_wide_day : first_day) - days_between) * us_a_day;
}
constexpr std::int64_t last_tick(bool wide) noexcept {
  return ((wide ? last_wide_day : last_day) + 1 - days_between) * us_a_day - 1;
}
inline constexpr const char* date_misfit = "is outside 1900-01-01 … 2299-12-31, or infinite, which a Date32 can't hold";
constexpr const char* timestamp_misfit(bool wide) noexcept {
  return wide ? "is outside 0000-01-01 … 9999-12-31, or infinite, which a DateTime64 can't hold"
              : "is outside 1900-01-01 … 2299-12-31, or infinite, which a DateTime64 can't hold";
}
const char* reason_of(NumericOutcome outcome) noexcept;

enum class Fit : std::uint8_t {
  ok,
  misfit,     ///< a good value that the column's type can't hold
  malformed,  ///< not what the type's send function makes
};
struct Decoded {
  Fit fit = Fit::ok;
  const char* why = "";  ///< "is outside …": what the sentence about the column ends with
};

/// Appends the value: fixed-width bytes, a text without its length, or a packed nested value. With `clamp` what does
/// not fit becomes the nearest value that does, where there is one. If not ok, `out` may hold part of a value.
Decoded decode_value(const FieldPlan& field, std::span<const std::byte> cell, bool clamp, std::vector<std::byte>& out);
/// The same as a packed cell (lib/model/packed.h) inside of another value; nullopt for `cell` is NULL. The field's own
/// policy decides what becomes of a misfit.
Decoded pack_cell(const FieldPlan& field, std::optional<std::span<const std::byte>> cell, bool clamp,
                  std::vector<std::byte>& out);

// decode_value's parts, by family.
Decoded decode_text(const FieldPlan& field, std::span<const std::byte> cell, bool clamp, std::vector<std::byte>& out);
Decoded decode_nested(const FieldPlan& field, std::span<const std::byte> cell, bool clamp, std::vector<std::byte>& out);

inline Decoded misfit(const char* why) noexcept { return {Fit::misfit, why}; }
inline Decoded malformed(const char* why) noexcept { return {Fit::malformed, why}; }

template <class T>
T read_big(const std::byte* p) noexcept {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return byteswap(value);
}

}  // namespace pgch::pg
