// Avro's binary → cells of columns, by the writer's schema. Trusts nothing: every read is bounded by what is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "avro/writer_schema.h"
#include "base/bytes.h"
#include "codec/json_value.h"
#include "pgch/batch.h"
#include "pgch/schema.h"

namespace pgch::avro {

enum class Fault : std::uint8_t {
  none,
  damaged,   ///< the bytes are none of that type
  type,      ///< a branch of a union that the column can't hold
  form,      ///< a text that is not of the column's form, or not UTF-8
  range,     ///< does not fit the column
  fraction,  ///< digits that the column does not keep
  null,      ///< NULL for a column that has none
  missing,   ///< a field of a tuple is not there
  full,      ///< the batch's column would outgrow 4 GiB
};

/// May a value of the writer's type be one of the column's? Of a union it is enough if one of its branches may.
bool resolves(const WriterSchema& schema, std::size_t type, const ColumnSpec& column);

/// One thread.
class ValueReader {
 public:
  /// Lent for the reader's life.
  explicit ValueReader(const WriterSchema& schema) : schema_(schema) {}
  /// Before each message.
  void begin() noexcept { idle_ = 0; }
  /// Appends one cell. On a fault the column may hold part of it: truncate_column() it.
  Fault read(std::size_t type, const codec::TargetColumn& target, ByteReader& in, Column& column);
  /// Takes a value off that nobody wants.
  bool skip(std::size_t type, ByteReader& in, unsigned depth = 0);

 private:
  using Bytes = std::vector<std::byte>;

  bool resolve(std::size_t& type, ByteReader& in) const;
  Fault cell(std::size_t type, const ColumnSpec& spec, ByteReader& in, Bytes& out);
  Fault value(std::size_t type, const ColumnSpec& spec, ByteReader& in, Bytes& out);
  Fault elements(const WriterType& type, const ColumnSpec& spec, ByteReader& in, Bytes& out);
  Fault pair(const WriterType& type, const ColumnSpec& spec, ByteReader& in, Bytes& out);
  Fault fields(const WriterType& type, const ColumnSpec& spec, ByteReader& in, Bytes& out);

  template <class Item>
  bool each_item(ByteReader& in, Item item);

  const WriterSchema& schema_;
  std::uint64_t idle_ = 0;  // items and records of this message that took no byte
  Column leaf_;             // one value at a time; its memory is used again
};

}  // namespace pgch::avro
