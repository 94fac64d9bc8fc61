// A row as text for the dead letters, where nothing else can render it: name=value, fixed-width values as hexadecimal.
#pragma once

#include <cstddef>
#include <string>

#include "pgch/batch.h"

namespace pgch {

std::string row_as_text(const RowBatch& batch, std::size_t row);

}  // namespace pgch
