// A schema that somebody registered, compiled: what a message's bytes are, one after the other. The Avro C library
// reads it; what that does not keep (logical types, attributes) is read beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/error.h"

namespace pgch::avro {

enum class Form : std::uint8_t {
  null,
  boolean,
  whole,       ///< int
  long_whole,  ///< long
  float32,     ///< float
  float64,     ///< double
  bytes,
  text,  ///< string
  fixed,
  enumeration,
  array,
  map,
  record,
  choice,  ///< union
};

enum class Logical : std::uint8_t {
  none,
  decimal,
  date,
  time_millis,
  time_micros,
  timestamp_millis,  ///< also the local ones: which of them it is, the column knows
  timestamp_micros,
  timestamp_nanos,
  uuid,
};

struct WriterType {
  struct Field {
    std::string column;  ///< the attribute pgch.column, else the field's name
    std::size_t type = 0;
  };
  Form form = Form::null;
  Logical logical = Logical::none;
  unsigned precision = 0, scale = 0;  ///< decimal
  std::size_t size = 0;               ///< fixed
  std::string name;                   ///< record, enumeration, fixed
  std::vector<std::string> symbols;
  std::vector<Field> fields;
  std::vector<std::size_t> parts;  ///< array: its items; map: its values; choice: its branches
};

/// Types by index; the row's own is the first. A type may hold itself.
using WriterSchema = std::vector<WriterType>;

/// Error: why the text is no Avro schema that rows can be read by; its message is a clause without values.
Result<WriterSchema> compile_schema(std::string_view json);

/// "long (timestamp-micros)", for messages.
std::string name_of(const WriterSchema& schema, std::size_t type);

}  // namespace pgch::avro
