// One JSON scalar into one column's cell: type, range and form are checked, nothing is rounded or clamped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "pgch/batch.h"
#include "pgch/schema.h"

namespace pgch::codec {

struct TargetColumn {
  const ColumnSpec* spec = nullptr;
  Layout layout = Layout::varlen;
  std::size_t width = 0;
};

enum class ValueFault : std::uint8_t {
  none,
  type,      ///< another JSON type than the column wants
  form,      ///< a string or token not of the column's form
  range,     ///< does not fit the column
  fraction,  ///< more digits after the point than the column has
  zone,      ///< an offset where the column has no time zone
  null,      ///< null for a column that is not nullable
  full,      ///< the batch's column would outgrow 4 GiB
};

/// `text` is the string's content, unescaped, for a column that is not text (those take strings by append_unescaped).
/// On a fault the column may hold part of a value: truncate_column() it.
ValueFault append_from_string(const TargetColumn& target, std::string_view text, Column& column);
/// `token` is a number, true, false or null as it stands in the message.
ValueFault append_from_token(const TargetColumn& target, std::string_view token, Column& column);
bool append_text(const TargetColumn& target, std::string_view text, Column& column);
void append_zero(const TargetColumn& target, Column& column);
/// "the field \"x\" …": names field and expected type, never the value.
std::string sentence_of(const ColumnSpec& spec, ValueFault fault);

}  // namespace pgch::codec
