// A row as text for the dead letters, where nothing else can render it: name=value, fixed-width values as hexadecimal.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "pgch/batch.h"

namespace pgch {

std::string row_as_text(const RowBatch& batch, std::size_t row);
/// The values of `columns`, each as text with its length before it (put_text), as PostgreSQL takes them. Empty if one
/// is of a kind that is not rendered here: integers, texts and uuids are.
std::string key_as_text(const RowBatch& batch, std::size_t row, std::span<const std::size_t> columns);

}  // namespace pgch
