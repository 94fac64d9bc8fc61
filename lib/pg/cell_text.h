// Cells as PostgreSQL's input functions read them, and as COPY's text format wants them.
#pragma once

#include <cstddef>
#include <string>

#include "pgch/batch.h"

namespace pgch {

/// The value's text; the cell must not be NULL. Exact for every kind.
std::string postgres_text(const ColumnSpec& spec, const Column& column, std::size_t row);
/// One line of COPY … FROM STDIN (FORMAT text), with its newline.
void append_copy_line(std::string& out, const RowBatch& batch, std::size_t row);
/// The type that a column of this kind has in a table that pgch makes.
std::string postgres_type(const ColumnSpec& spec);

}  // namespace pgch
