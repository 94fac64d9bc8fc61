#include "pg/copy_binary.h"

#include <cstring>
#include <limits>

#include "base/bytes.h"
#include "model/packed.h"
#include "pg/numeric.h"
#include "pg/values.h"

namespace pgch::pg {
namespace {

constexpr const char* too_large = "is too large for one batch";

template <class T>
void append_fixed(Column& column, T value) {
  const auto* p = reinterpret_cast<const std::byte*>(&value);
  column.data.insert(column.data.end(), p, p + sizeof(T));
}

// Ends are 32 bits wide. False: the value lies beyond what they can say.
bool push_end(Column& column) {
  if (column.data.size() > std::numeric_limits<std::uint32_t>::max()) return false;
  column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  return true;
}

bool append_varlen(Column& column, std::span<const std::byte> cell) {
  if (column.data.size() + cell.size() > std::numeric_limits<std::uint32_t>::max()) return false;
  column.data.insert(column.data.end(), cell.begin(), cell.end());
  column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  return true;
}

}  // namespace

bool TupleDecoder::take_header(std::span<const std::byte>& message) noexcept {
  static constexpr char signature[] = "PGCOPY\n\377\r\n";  // with its closing NUL: 11 bytes
  ByteReader in(message);
  const auto head = in.take(11);
  in.big<std::uint32_t>();
  const auto extension = in.big<std::uint32_t>();
  in.take(extension);
  if (!in.ok() || std::memcmp(head.data(), signature, 11) != 0) return false;
  message = message.last(in.left());
  return true;
}

bool TupleDecoder::take_cell(const FieldPlan& field, std::span<const std::byte> cell, Column& column) {
  const std::byte* p = cell.data();
  const std::size_t n = cell.size();
  switch (field.decoder) {
    case Decoder::boolean:
      if (n != 1 || std::to_integer<unsigned>(*p) > 1) return refuse("is not a boolean");
      column.data.push_back(*p);
      return true;
    case Decoder::swap2:
      if (n != 2) return refuse("has not the 2 bytes of its type");
      append_fixed(column, read_big<std::uint16_t>(p));
      return true;
    case Decoder::swap4:
      if (n != 4) return refuse("has not the 4 bytes of its type");
      append_fixed(column, read_big<std::uint32_t>(p));
      return true;
    case Decoder::swap8:
      if (n != 8) return refuse("has not the 8 bytes of its type");
      append_fixed(column, read_big<std::uint64_t>(p));
      return true;
    case Decoder::raw:
      return append_varlen(column, cell) || refuse(too_large);
    case Decoder::jsonb:
      if (n == 0 || *p != std::byte{1}) return refuse("is a jsonb of a version that pgch does not know");
      return append_varlen(column, cell.subspan(1)) || refuse(too_large);
    case Decoder::uuid:
      if (n != 16) return refuse("has not the 16 bytes of a uuid");
      append_fixed(column, read_big<std::uint64_t>(p));
      append_fixed(column, read_big<std::uint64_t>(p + 8));
      return true;
    case Decoder::date: {
      if (n != 4) return refuse("has not the 4 bytes of a date");
      const auto days = static_cast<std::int64_t>(read_big<std::int32_t>(p)) + days_between;
      if (days < first_day || days > last_day) return refuse(date_misfit, true);
      append_fixed(column, static_cast<std::int32_t>(days));
      return true;
    }
    case Decoder::timestamp: {
      if (n != 8) return refuse("has not the 8 bytes of a timestamp");
      const auto since_2000 = read_big<std::int64_t>(p);
      // Compared before the shift: the infinities are the type's own limits and would overflow.
      if (since_2000 < first_tick(field.wide_years) || since_2000 > last_tick(field.wide_years))
        return refuse(timestamp_misfit(field.wide_years), true);
      append_fixed(column, since_2000 + days_between * us_a_day);
      return true;
    }
    case Decoder::decimal: {
      std::byte value[32];
      const std::size_t width = width_of(field.layout);
      const NumericOutcome o = decimal_from_numeric(cell, field.precision, field.scale, width, value);
      if (o != NumericOutcome::ok) return refuse(reason_of(o), o != NumericOutcome::malformed);
      column.data.insert(column.data.end(), value, value + width);
      return true;
    }
    case Decoder::numeric_text:
      if (text_from_numeric(cell, column.data) != NumericOutcome::ok) return refuse("is not a numeric");
      return push_end(column) || refuse(too_large);
    default:
      break;
  }
  const Decoded decoded = decode_value(field, cell, false, column.data);
  if (decoded.fit != Fit::ok) return refuse(decoded.why, decoded.fit == Fit::misfit);
  if (field.layout != Layout::varlen) return true;
  return push_end(column) || refuse(too_large);
}

bool TupleDecoder::take_null(const FieldPlan& field, Column& column) {
  if (field.nullable) {
    append_null(column, field.layout);
    return true;
  }
  if (!field.null_as_default) return refuse("is NULL, but the column is NOT NULL or part of the key");
  if (field.nested) {
    put_packed_default(field.nested->shape, column.data);
  } else {
    column.data.resize(column.data.size() + width_of(field.layout));
  }
  return field.layout != Layout::varlen || push_end(column) || refuse(too_large);
}

// A value that does not fit, and what the field's policy makes of it. False: the row is refused.
bool TupleDecoder::mend(const FieldPlan& field, std::span<const std::byte> cell, Column& column, std::size_t rows) {
  if (!misfit_ || field.misfit == Misfit::fail) return false;
  truncate_column(column, field.layout, rows);
  if (field.misfit == Misfit::null) return (field.nullable || field.null_as_default) && take_null(field, column);
  const Decoded decoded = decode_value(field, cell, true, column.data);
  if (decoded.fit != Fit::ok) return refuse(decoded.why);
  if (field.layout == Layout::varlen && !push_end(column)) return refuse(too_large);
  if (field.nullable) column.nulls.push_back(0);
  return true;
}

TupleOutcome TupleDecoder::reject(std::span<const std::byte>& message, std::size_t field, Column* main, Column* extra,
                                  std::size_t rows) {
  failed_ = field;
  for (std::size_t i = 0; i <= field; ++i) truncate_column(column_of(i, main, extra), fields_[i].layout, rows);
  message = {};
  return TupleOutcome::rejected;
}

TupleOutcome TupleDecoder::decode(std::span<const std::byte>& message, Column* main, Column* extra, std::size_t rows) {
  const std::byte* p = message.data();
  const std::byte* const end = p + message.size();
  const auto malformed = [&](std::size_t taken) {
    for (std::size_t i = 0; i < taken; ++i) truncate_column(column_of(i, main, extra), fields_[i].layout, rows);
    return TupleOutcome::malformed;
  };
  if (end - p < 2) return malformed(0);
  const auto count = read_big<std::int16_t>(p);
  p += 2;
  if (count == -1) {
    message = {};
    return TupleOutcome::trailer;
  }
  if (count < 0 || static_cast<std::size_t>(count) != fields_.size()) return malformed(0);
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (end - p < 4) return malformed(i);
    const auto length = read_big<std::int32_t>(p);
    p += 4;
    const FieldPlan& field = fields_[i];
    Column& column = column_of(i, main, extra);
    if (length == -1) {
      if (!take_null(field, column)) return reject(message, i, main, extra, rows);
      continue;
    }
    if (length < 0 || end - p < length) return malformed(i);
    const std::span<const std::byte> cell(p, static_cast<std::size_t>(length));
    if (!take_cell(field, cell, column)) {
      if (!mend(field, cell, column, rows)) return reject(message, i, main, extra, rows);
    } else if (field.nullable) {
      column.nulls.push_back(0);
    }
    p += length;
  }
  message = message.last(static_cast<std::size_t>(end - p));
  return TupleOutcome::row;
}

std::string TupleDecoder::why() const {
  const FieldPlan& f = fields_[failed_];
  return "The value of column \"" + f.name + "\" (" + f.source_type + ") " + why_ + ".";
}

std::optional<std::span<const std::byte>> tuple_cell(std::span<const std::byte> tuple, std::size_t field) noexcept {
  ByteReader in(tuple);
  const auto count = in.big<std::int16_t>();
  if (!in.ok() || count < 0 || field >= static_cast<std::size_t>(count)) return std::nullopt;
  for (std::size_t i = 0;; ++i) {
    const auto length = in.big<std::int32_t>();
    if (!in.ok() || length < -1) return std::nullopt;
    const auto cell = in.take(length == -1 ? 0 : static_cast<std::size_t>(length));
    if (!in.ok()) return std::nullopt;
    if (i == field) return length == -1 ? std::nullopt : std::optional(cell);
  }
}

void append_tuple_head(std::vector<std::byte>& out, std::size_t fields) {
  put_little(out, byteswap(static_cast<std::uint16_t>(fields)));
}

void append_tuple_cell(std::vector<std::byte>& out, std::span<const std::byte> cell, bool null) {
  put_little(out, byteswap(null ? std::int32_t{-1} : static_cast<std::int32_t>(cell.size())));
  if (!null) put_raw(out, cell.data(), cell.size());
}

}  // namespace pgch::pg
