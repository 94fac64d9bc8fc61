// A nested value as bytes: ClickHouse's RowBinary of its type. It lies in a Column as any text does, so everything that
// copies, hashes, selects or compares cells does not know that it is nested.
//   value   = fixed-width bytes | length:varint bytes | array | tuple | map
//   cell    = [1 if NULL, else 0 and] value           the byte is there if the type is Nullable
//   array   = count:varint cell*      tuple = cell*      map = count:varint (cell cell)*
// Nested values inside of others are never Nullable: ClickHouse has no such types.
#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "pgch/schema.h"

namespace pgch {

/// Is there a byte that says whether it is NULL?
inline bool packs_null(const ColumnSpec& type) noexcept { return type.nullable && !is_nested(type.kind); }

/// Takes one cell off the reader; false if the bytes are not one.
bool skip_packed(const ColumnSpec& type, ByteReader& in) noexcept;
/// Takes one value (a cell without the byte for NULL) off the reader and returns its bytes; for a text, without length.
bool take_packed(const ColumnSpec& type, ByteReader& in, std::span<const std::byte>& value) noexcept;
/// Appends the value that stands for NULL where there is none: zeros, an empty text, array or map.
void put_packed_default(const ColumnSpec& type, std::vector<std::byte>& out);
/// The same as a cell: NULL where the type has it.
void put_packed_null(const ColumnSpec& type, std::vector<std::byte>& out);
/// Is `value` one whole value of the type, and nothing else?
bool is_packed(const ColumnSpec& type, std::span<const std::byte> value) noexcept;

}  // namespace pgch
