#include "pgch/schema.h"

#include "base/bytes.h"
#include "base/hash.h"

namespace pgch {

Layout layout_of(const ColumnSpec& column) noexcept {
  switch (column.kind) {
    case Kind::boolean:
    case Kind::int8:
    case Kind::uint8:
      return Layout::fixed1;
    case Kind::int16:
    case Kind::uint16:
    case Kind::date16:
      return Layout::fixed2;
    case Kind::int32:
    case Kind::uint32:
    case Kind::float32:
    case Kind::date:
    case Kind::datetime:
      return Layout::fixed4;
    case Kind::int64:
    case Kind::uint64:
    case Kind::float64:
    case Kind::timestamp:
    case Kind::timestamptz:
    case Kind::time:
      return Layout::fixed8;
    case Kind::uuid:
    case Kind::ipv6:
      return Layout::fixed16;
    case Kind::int256:
      return Layout::fixed32;
    case Kind::decimal:
      if (column.precision <= 9) return Layout::fixed4;
      if (column.precision <= 18) return Layout::fixed8;
      if (column.precision <= 38) return Layout::fixed16;
      return Layout::fixed32;
    case Kind::text:
    case Kind::bytes:
    case Kind::json:
    case Kind::enumeration:
    case Kind::array:
    case Kind::tuple:
    case Kind::map:
      return Layout::varlen;
  }
  return Layout::varlen;
}

std::size_t width_of(Layout layout) noexcept {
  switch (layout) {
    case Layout::fixed1:
      return 1;
    case Layout::fixed2:
      return 2;
    case Layout::fixed4:
      return 4;
    case Layout::fixed8:
      return 8;
    case Layout::fixed16:
      return 16;
    case Layout::fixed32:
      return 32;
    case Layout::varlen:
      return 0;
  }
  return 0;
}

std::string display_name(const TableSchema& schema) {
  return schema.schema.empty() ? schema.table : schema.schema + "." + schema.table;
}

namespace {
// What the values look like, not what becomes of those that don't fit nor what the target's column is called.
void put_column(std::string& bytes, const ColumnSpec& c) {
  put_text(bytes, c.name);
  put_little(bytes, static_cast<std::uint8_t>(c.kind));
  put_little(bytes, static_cast<std::uint8_t>((c.nullable ? 1 : 0) | (c.key ? 2 : 0)));
  put_little(bytes, c.precision);
  put_little(bytes, c.scale);
  if (!is_nested(c.kind)) return;
  put_varint(bytes, c.elements.size());
  for (const ColumnSpec& element : c.elements) put_column(bytes, element);
}
}  // namespace

std::uint64_t fingerprint_of(const TableSchema& schema) {
  std::string bytes;
  put_text(bytes, schema.schema);
  put_text(bytes, schema.table);
  for (const ColumnSpec& c : schema.columns) put_column(bytes, c);
  for (const std::string& k : schema.key_order) put_text(bytes, k);
  return hash64(bytes);
}

std::size_t column_index(const TableSchema& schema, std::string_view name) noexcept {
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    if (schema.columns[i].name == name) return i;
  }
  return npos;
}

std::vector<std::size_t> key_indexes(const TableSchema& schema) {
  std::vector<std::size_t> out;
  for (const std::string& name : schema.key_order) {
    if (const std::size_t i = column_index(schema, name); i != npos) out.push_back(i);
  }
  return out;
}

}  // namespace pgch
