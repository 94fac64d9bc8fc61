// One value of Avro's that holds no others → one cell.
#pragma once

#include <cstdint>
#include <optional>

#include "avro/value_reader.h"

namespace pgch::avro {

/// Can a value of the type be one of the column's, which holds no others?
bool leaf_resolves(const WriterType& type, const ColumnSpec& column) noexcept;
/// Appends it; leaf_resolves() has been asked. As ValueReader::read().
Fault read_leaf(const WriterType& type, const codec::TargetColumn& target, ByteReader& in, Column& column);
/// A long as Avro writes it; empty: it is none.
std::optional<std::int64_t> take_long(ByteReader& in) noexcept;
/// Length and bytes.
std::optional<std::span<const std::byte>> take_bytes(ByteReader& in) noexcept;

}  // namespace pgch::avro
