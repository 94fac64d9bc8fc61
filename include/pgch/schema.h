/// What a table looks like while it is on its way: column names, meanings and memory layouts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/export.h"

namespace pgch {

/// What a value means. The layout in memory is ClickHouse's Native layout of the type named on the right.
enum class Kind : std::uint8_t {
  boolean,  ///< Bool: one byte, 0 or 1
  int8,
  int16,
  int32,
  int64,  ///< Int8 … Int64, little-endian
  uint8,
  uint16,
  uint32,
  uint64,  ///< UInt8 … UInt64
  float32,
  float64,      ///< Float32, Float64, bit by bit
  decimal,      ///< Decimal(precision, scale): 4, 8, 16 or 32 bytes by precision
  date16,       ///< Date: UInt16 days since 1970-01-01
  date,         ///< Date32: Int32 days since 1970-01-01
  datetime,     ///< DateTime: UInt32 seconds since 1970-01-01 UTC
  timestamp,    ///< DateTime64(scale,'UTC') holding wall time of a timestamp without time zone
  timestamptz,  ///< DateTime64(scale,'UTC'), an instant
  uuid,         ///< UUID: two little-endian UInt64 halves, high half first
  text,         ///< String, UTF-8
  bytes,        ///< String, raw bytes (base64 in JSON)
  json,         ///< String holding a JSON text exactly as PostgreSQL printed it
  enumeration,  ///< LowCardinality(String)
  time,         ///< Time64(scale): Int64 ticks since midnight, 24:00:00 included; Int64 at servers without it
  int256,       ///< Int256
  ipv6,         ///< IPv6: 16 bytes, most significant first; IPv4 as ::ffff:a.b.c.d
  array,        ///< Array(elements[0])
  tuple,        ///< Tuple(elements…), named if the elements are
  map,          ///< Map(elements[0], elements[1])
};

/// What becomes of a value that its column can't hold. "string" is not here: such a column is text from the start.
enum class Misfit : std::uint8_t {
  fail,   ///< the row goes to the dead letters
  null,   ///< NULL
  clamp,  ///< the nearest value that fits; a value that has none (NaN) fails
};

/// How a value lies in a Column: a closed set. A nested value (array, tuple, map) is varlen: its bytes are ClickHouse's
/// RowBinary of its type (lib/model/packed.h).
enum class Layout : std::uint8_t { fixed1, fixed2, fixed4, fixed8, fixed16, fixed32, varlen };

struct ColumnSpec {
  std::string name;
  Kind kind = Kind::text;
  bool nullable = true;
  bool key = false;
  std::uint8_t precision = 0;  ///< decimal: 1…76
  std::uint8_t scale = 0;      ///< decimal: 0…precision; timestamp(tz): digits after the second, 6 from PostgreSQL
  std::string source_type;     ///< the source's own name of the type, for messages ("numeric(10,2)"); may be empty
  std::vector<ColumnSpec> elements{};  ///< array: one; map: key and value; tuple: its fields, all with names or none
  Misfit misfit = Misfit::fail;
  std::string target_type{};  ///< in a table that pgch makes, where the kind's own is not wanted ("JSON")
  bool operator==(const ColumnSpec&) const = default;
};

/// Immutable once shared. Key columns are those with `key`, in column order unless `key_order` names them otherwise.
struct TableSchema {
  std::string schema;  ///< namespace at the source, or empty
  std::string table;
  std::vector<ColumnSpec> columns;
  std::vector<std::string> key_order;  ///< names of the key's columns in the key's order; empty: no key
  bool operator==(const TableSchema&) const = default;
};

/// array, tuple, map: ClickHouse has no NULL for them, so `<name>__is_null` says it beside a nullable column.
inline bool is_nested(Kind kind) noexcept { return kind >= Kind::array; }
PGCH_EXPORT Layout layout_of(const ColumnSpec& column) noexcept;
/// Bytes of one value; 0 for varlen.
PGCH_EXPORT std::size_t width_of(Layout layout) noexcept;
/// "schema.table", for messages.
PGCH_EXPORT std::string display_name(const TableSchema& schema);
/// Equal schemas have equal fingerprints, on every machine and in every version of pgch with the same wire version.
PGCH_EXPORT std::uint64_t fingerprint_of(const TableSchema& schema);
/// Index of the column, or npos.
inline constexpr std::size_t npos = static_cast<std::size_t>(-1);
PGCH_EXPORT std::size_t column_index(const TableSchema& schema, std::string_view name) noexcept;
/// Indexes of the key's columns in the key's order; empty if the table has no key.
PGCH_EXPORT std::vector<std::size_t> key_indexes(const TableSchema& schema);

}  // namespace pgch
