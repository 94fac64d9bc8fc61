// Cells as text: for people, and as literals of ClickHouse's SQL.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "pgch/schema.h"

namespace pgch::comparing {

// As PostgreSQL prints it, or nearly so: nested values in hexadecimal digits.
std::string cell_text(const ColumnSpec& column, std::span<const std::byte> cell);
// `expression` IN a list of literals; nullopt if such values can't be written.
struct KeyLiteral {
  std::string expression, literal;
};
std::optional<KeyLiteral> key_literal(const ColumnSpec& column, std::span<const std::byte> cell);

}  // namespace pgch::comparing
