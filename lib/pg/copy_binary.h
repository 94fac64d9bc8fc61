// COPY … (FORMAT binary) → columns. The stream:
//   header:  "PGCOPY\n\377\r\n\0", uint32 flags, uint32 n, n bytes of extension
//   tuple:   int16 fields, then for each: int32 length (-1: NULL), bytes
//   trailer: int16 -1
// The server sends each tuple whole in one message, the header before the first, the trailer after the last (perhaps
// alone). Nothing is trusted: every length is checked against what is left. A zero length is an empty value, not NULL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pg/types.h"
#include "pgch/batch.h"

namespace pgch::pg {

/// What is to be done with one field of a tuple.
struct FieldPlan {
  std::string name;  ///< for reasons
  std::string source_type;
  Decoder decoder = Decoder::raw;
  Layout layout = Layout::varlen;
  bool nullable = true;
  std::uint8_t precision = 0, scale = 0;
  Misfit misfit = Misfit::fail;
  bool null_as_default = false;  ///< not nullable, but a NULL becomes zero, an empty text, an empty array
  bool wide_years = false;       ///< times reach from year 0000 to 9999, not just from 1900 to 2299
  std::shared_ptr<const NestedPlan> nested{};
};

enum class TupleOutcome : std::uint8_t {
  row,        ///< appended, one value to each column
  rejected,   ///< a value that its column can't hold; nothing was appended. why() says which
  trailer,    ///< the stream's end
  malformed,  ///< not COPY BINARY, or not of this plan: the stream can't be trusted any more
};

/// Decodes tuples of one plan. The first `main` fields go to one array of columns, the rest to another (keys, xmin,
/// ctid).
class TupleDecoder {
 public:
  TupleDecoder() = default;
  TupleDecoder(std::vector<FieldPlan> fields, std::size_t main) : fields_(std::move(fields)), main_(main) {}
  /// Takes the header off the first message of a stream; empty result and false if it is not one.
  static bool take_header(std::span<const std::byte>& message) noexcept;
  /// Decodes one tuple from the front of `message` and moves past it. The columns have `rows` rows before (main and
  /// extra alike).
  TupleOutcome decode(std::span<const std::byte>& message, Column* main, Column* extra, std::size_t rows);
  /// After `rejected`: a sentence that names column and type, never the value.
  std::string why() const;
  const std::vector<FieldPlan>& fields() const noexcept { return fields_; }
  std::size_t main_fields() const noexcept { return main_; }

 private:
  bool take_cell(const FieldPlan& field, std::span<const std::byte> cell, Column& column);
  bool take_null(const FieldPlan& field, Column& column);
  bool mend(const FieldPlan& field, std::span<const std::byte> cell, Column& column, std::size_t rows);
  TupleOutcome reject(std::span<const std::byte>& message, std::size_t field, Column* main, Column* extra,
                      std::size_t rows);
  bool refuse(const char* why, bool misfit = false) noexcept {
    why_ = why;
    misfit_ = misfit;
    return false;
  }
  Column& column_of(std::size_t field, Column* main, Column* extra) const noexcept {
    return field < main_ ? main[field] : extra[field - main_];
  }

  std::vector<FieldPlan> fields_;
  std::size_t main_ = 0;
  std::size_t failed_ = 0;
  const char* why_ = "";
  bool misfit_ = false;  // a good value, but not for this column: the field's policy decides
};

/// After each row: `bytes`, the wire's so far, becomes the columns' where these are larger (numerics and bits as text),
/// so that BatchLimits::bytes_max bounds what is held. Looks every 256 rows only.
inline void count_decoded(const RowBatch& batch, std::size_t& bytes) noexcept {
  if (batch.rows % 256 == 0 && batch.bytes() > bytes) bytes = batch.bytes();
}

/// The bytes of one field of a tuple, for rows that were rejected; nullopt if it is NULL or not there.
std::optional<std::span<const std::byte>> tuple_cell(std::span<const std::byte> tuple, std::size_t field) noexcept;

/// One row of binary cells as a tuple, as COPY would have sent it (for results of SELECT).
void append_tuple_head(std::vector<std::byte>& out, std::size_t fields);
void append_tuple_cell(std::vector<std::byte>& out, std::span<const std::byte> cell, bool null);

}  // namespace pgch::pg
