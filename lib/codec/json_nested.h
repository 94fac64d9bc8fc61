// Arrays, tuples and maps out of a JSON message, packed (lib/model/packed.h).
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "codec/json_value.h"
#include "pgch/schema.h"

namespace pgch::codec {

/// Appends the value `json`, which is well-formed, UTF-8, of bounded depth and has 8 readable bytes behind it: an array
/// for an array or a tuple without names, an object for a map or a tuple with names. On a fault `out` may hold part of
/// it.
ValueFault append_nested(const ColumnSpec& type, std::string_view json, std::vector<std::byte>& out);

}  // namespace pgch::codec
