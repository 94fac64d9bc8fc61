// What a ClickHouse server of a version can do. Settings are asked of the server itself (system.settings); this is for
// what has to be known before a table exists.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "pgch/error.h"

namespace pgch::ch {

struct Version {
  std::uint32_t major = 0, minor = 0;
  auto operator<=>(const Version&) const = default;

  bool has_low_cardinality() const noexcept { return *this >= Version{19, 4}; }
  bool has_datetime64() const noexcept { return *this >= Version{20, 4}; }
  bool has_bool() const noexcept { return *this >= Version{21, 12}; }
  bool has_date32() const noexcept { return *this >= Version{21, 9}; }
  bool has_decimal256() const noexcept { return *this >= Version{21, 1}; }
  bool has_fsync() const noexcept { return *this >= Version{20, 10}; }
  bool has_deduplication_window() const noexcept { return *this >= Version{21, 6}; }
  bool has_deleted_in_replacing() const noexcept { return *this >= Version{23, 2}; }
  bool has_map() const noexcept { return *this >= Version{21, 8}; }
  bool has_time64() const noexcept { return *this >= Version{25, 6}; }
  bool has_json() const noexcept { return *this >= Version{25, 3}; }
  bool has_format_row() const noexcept { return *this >= Version{20, 7}; }
  bool has_wide_datetime64() const noexcept {
    return *this >= Version{26, 7};
  }  // years 0000 … 9999 instead of 1900 … 2299
};

// "26.7.2.1" → {26, 7}.
Result<Version> parse_version(std::string_view text);

}  // namespace pgch::ch
