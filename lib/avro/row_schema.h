// A table's columns as an Avro record. docs/WIRE.md has the rule for each type.
#pragma once

#include <string>
#include <string_view>

#include "pgch/error.h"
#include "pgch/schema.h"

namespace pgch::avro {

/// The attribute of a field that has the column's name, where Avro's alphabet has no form for it.
inline constexpr std::string_view column_attribute = "pgch.column";

/// `name` in Avro's alphabet: what is not in it, a digit at the beginning, and an underscore before an x become _xHH
/// byte by byte. Different names stay different; a name that is one already stays as it is.
std::string avro_name(std::string_view name);

/// What the digits behind the second of a time become.
enum class Tick : std::uint8_t { millis, micros, nanos };
inline Tick tick_of(unsigned scale) noexcept {
  return scale <= 3 ? Tick::millis : scale <= 6 ? Tick::micros : Tick::nanos;
}
/// Does a map become Avro's map (whose keys are texts), and not an array of pairs?
inline bool has_text_keys(const ColumnSpec& map) noexcept {
  const ColumnSpec& key = map.elements[0];
  return !key.nullable && (key.kind == Kind::text || key.kind == Kind::enumeration);
}

/// The schema as JSON on one line; equal tables give equal bytes. Error: a column has no form.
Result<std::string> row_schema(const TableSchema& table);

}  // namespace pgch::avro
