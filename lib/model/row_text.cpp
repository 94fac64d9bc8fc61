#include "model/row_text.h"

#include <fmt/format.h>

namespace pgch {

std::string row_as_text(const RowBatch& batch, std::size_t row) {
  std::string out;
  for (std::size_t i = 0; i < batch.columns.size(); ++i) {
    const ColumnSpec& spec = batch.schema->columns[i];
    if (!out.empty()) out += '\t';
    out += spec.name;
    out += '=';
    if (batch.columns[i].is_null(row)) {
      out += "\\N";
      continue;
    }
    const std::size_t width = width_of(layout_of(spec));
    const auto value = batch.columns[i].at(row, width);
    if (width == 0 && !is_nested(spec.kind)) {
      out.append(reinterpret_cast<const char*>(value.data()), value.size());
      continue;
    }
    out += "0x";
    for (std::size_t b = value.size(); b-- > 0;) {
      // A number's most significant byte first; a packed value (lib/model/packed.h) as it lies.
      const std::size_t at = width == 0 ? value.size() - 1 - b : b;
      out += fmt::format("{:02x}", std::to_integer<unsigned>(value[at]));
    }
  }
  return out;
}

}  // namespace pgch
