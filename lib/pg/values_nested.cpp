// Arrays, composites, ranges, hstore, vectors → packed values.
#include <limits>

#include "model/packed.h"
#include "pg/values.h"

namespace pgch::pg {
namespace {

using Bytes = std::vector<std::byte>;
using Cell = std::span<const std::byte>;

// A length, then that many bytes; -1 is NULL. False: the bytes end before that.
bool take_cell(ByteReader& in, std::optional<Cell>& cell) noexcept {
  const auto length = in.big<std::int32_t>();
  cell.reset();
  if (!in.ok() || length < -1) return false;
  if (length == -1) return true;
  cell = in.take(static_cast<std::size_t>(length));
  return in.ok();
}

struct ArrayHead {
  std::vector<std::uint64_t> dimensions;
  std::uint64_t elements = 0;
  bool plain_bounds = true;  // all from 1
};

constexpr std::uint64_t elements_max = (1ULL << 30) / 4;  // what fits PostgreSQL's 1 GB

// int32 dimensions, int32 has NULLs, oid of the elements, then for each dimension: int32 size, int32 first index.
Decoded take_head(ByteReader& in, std::uint32_t element, ArrayHead& head) {
  constexpr std::int32_t dimensions_max = 6;
  const auto count = in.big<std::int32_t>();
  in.big<std::int32_t>();
  const auto type = in.big<std::uint32_t>();
  if (!in.ok() || count < 0 || count > dimensions_max) return malformed("is not an array of a form that pgch knows");
  if (element != 0 && type != element) return malformed("is an array of another type");
  head.elements = count == 0 ? 0 : 1;
  for (std::int32_t i = 0; i < count; ++i) {
    const auto size = in.big<std::int32_t>();
    const auto bound = in.big<std::int32_t>();
    if (!in.ok() || size < 0) return malformed("is not an array of a form that pgch knows");
    head.dimensions.push_back(static_cast<std::uint64_t>(size));
    head.elements *= static_cast<std::uint64_t>(size);
    if (head.elements > elements_max) return malformed("is an array of more elements than PostgreSQL allows");
    head.plain_bounds = head.plain_bounds && bound == 1;
  }
  // Each element takes four bytes at least: a lie about their number ends here.
  if (head.elements > in.left() / 4) return malformed("is not an array of a form that pgch knows");
  return {};
}

// One dimension, and below it the others.
Decoded pack_dimension(const FieldPlan& element, const ArrayHead& head, std::size_t level, bool clamp, ByteReader& in,
                       Bytes& out) {
  const std::uint64_t size = head.dimensions[level];
  put_varint(out, size);
  for (std::uint64_t i = 0; i < size; ++i) {
    Decoded decoded;
    if (level + 1 < head.dimensions.size()) {
      decoded = pack_dimension(element, head, level + 1, clamp, in, out);
    } else {
      std::optional<Cell> cell;
      if (!take_cell(in, cell)) return malformed("is an array that ends too soon");
      decoded = pack_cell(element, cell, clamp, out);
    }
    if (decoded.fit != Fit::ok) return decoded;
  }
  return {};
}

Decoded decode_array(const NestedPlan& plan, Cell cell, bool clamp, Bytes& out) {
  ByteReader in(cell);
  ArrayHead head;
  if (const Decoded decoded = take_head(in, plan.part_oids.front(), head); decoded.fit != Fit::ok) return decoded;
  if (head.elements == 0) {
    out.push_back(std::byte{0});
    return in.at_end() ? Decoded{} : malformed("is an array with bytes behind it");
  }
  if (head.dimensions.size() != plan.dimensions) return misfit("is an array of other dimensions than the column has");
  if (!head.plain_bounds && !clamp) return misfit("is an array whose indexes don't begin at 1");
  const Decoded decoded = pack_dimension(plan.parts.front(), head, 0, clamp, in, out);
  if (decoded.fit != Fit::ok) return decoded;
  return in.at_end() ? Decoded{} : malformed("is an array with bytes behind it");
}

// int32 fields, then for each: oid of its type, length, bytes.
Decoded decode_composite(const NestedPlan& plan, Cell cell, bool clamp, Bytes& out) {
  ByteReader in(cell);
  const auto count = in.big<std::int32_t>();
  if (!in.ok() || count < 0 || static_cast<std::size_t>(count) != plan.parts.size())
    return malformed("is a row of other fields than its type has");
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    const auto type = in.big<std::uint32_t>();
    std::optional<Cell> field;
    if (!take_cell(in, field) || (plan.part_oids[i] != 0 && type != plan.part_oids[i]))
      return malformed("is a row of other fields than its type has");
    const Decoded decoded = pack_cell(plan.parts[i], field, clamp, out);
    if (decoded.fit != Fit::ok) return decoded;
  }
  return in.at_end() ? Decoded{} : malformed("is a row with bytes behind it");
}

// A byte of flags, then the bounds that there are → Tuple(lower, upper, flags).
Decoded decode_range(const NestedPlan& plan, Cell cell, bool clamp, Bytes& out) {
  constexpr unsigned empty = 1, no_lower = 8, no_upper = 16;
  ByteReader in(cell);
  const auto flags = in.little<std::uint8_t>();
  if (!in.ok() || flags > 31) return malformed("is not a range of a form that pgch knows");
  const bool has[] = {(flags & (empty | no_lower)) == 0, (flags & (empty | no_upper)) == 0};
  for (std::size_t i = 0; i < 2; ++i) {
    std::optional<Cell> bound;
    if (has[i] && (!take_cell(in, bound) || !bound)) return malformed("is a range that ends too soon");
    const Decoded decoded = pack_cell(plan.parts[i], bound, clamp, out);
    if (decoded.fit != Fit::ok) return decoded;
  }
  put_little(out, flags);
  return in.at_end() ? Decoded{} : malformed("is a range with bytes behind it");
}

Decoded decode_multirange(const NestedPlan& plan, Cell cell, bool clamp, Bytes& out) {
  ByteReader in(cell);
  const auto count = in.big<std::int32_t>();
  if (!in.ok() || count < 0 || static_cast<std::size_t>(count) > in.left() / 5)
    return malformed("is not a multirange of a form that pgch knows");
  put_varint(out, static_cast<std::uint64_t>(count));
  for (std::int32_t i = 0; i < count; ++i) {
    std::optional<Cell> range;
    if (!take_cell(in, range) || !range) return malformed("is a multirange that ends too soon");
    const Decoded decoded = decode_range(plan, *range, clamp, out);
    if (decoded.fit != Fit::ok) return decoded;
  }
  return in.at_end() ? Decoded{} : malformed("is a multirange with bytes behind it");
}

// int32 pairs, then for each: length and bytes of the key, length (-1: NULL) and bytes of the value.
Decoded decode_hstore(Cell cell, Bytes& out) {
  ByteReader in(cell);
  const auto count = in.big<std::int32_t>();
  if (!in.ok() || count < 0 || static_cast<std::size_t>(count) > in.left() / 8)
    return malformed("is not an hstore of a form that pgch knows");
  put_varint(out, static_cast<std::uint64_t>(count));
  for (std::int32_t i = 0; i < count; ++i) {
    std::optional<Cell> key, value;
    if (!take_cell(in, key) || !key || !take_cell(in, value)) return malformed("is an hstore that ends too soon");
    put_text(out, as_text(*key));
    out.push_back(static_cast<std::byte>(value ? 0 : 1));
    if (value) put_text(out, as_text(*value));
  }
  return in.at_end() ? Decoded{} : malformed("is an hstore with bytes behind it");
}

// The halves' exponents all fit a float's, also those of denormals.
std::uint32_t float_of_half(std::uint16_t half) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16, fraction = half & 0x3FFU;
  const std::uint32_t exponent = (half >> 10U) & 31U;
  if (exponent == 31) return sign | 0x7F800000U | (fraction << 13);
  if (exponent != 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction == 0) return sign;
  std::uint32_t shifted = fraction, power = 113;
  while ((shifted & 0x400U) == 0) {
    shifted <<= 1;
    --power;
  }
  return sign | (power << 23) | ((shifted & 0x3FFU) << 13);
}

// int16 dimensions, int16 nothing, then the numbers.
Decoded decode_vector(Cell cell, bool half, Bytes& out) {
  ByteReader in(cell);
  const auto count = in.big<std::uint16_t>();
  in.big<std::uint16_t>();
  if (!in.ok() || in.left() != count * (half ? 2U : 4U)) return malformed("is not a vector of a form that pgch knows");
  put_varint(out, count);
  for (std::uint16_t i = 0; i < count; ++i)
    put_little(out, half ? float_of_half(in.big<std::uint16_t>()) : in.big<std::uint32_t>());
  return {};
}

}  // namespace

Decoded decode_nested(const FieldPlan& field, Cell cell, bool clamp, Bytes& out) {
  const NestedPlan& plan = *field.nested;
  switch (field.decoder) {
    case Decoder::array:
      return decode_array(plan, cell, clamp, out);
    case Decoder::composite:
      return decode_composite(plan, cell, clamp, out);
    case Decoder::range:
      return decode_range(plan, cell, clamp, out);
    case Decoder::multirange:
      return decode_multirange(plan, cell, clamp, out);
    case Decoder::hstore:
      return decode_hstore(cell, out);
    case Decoder::vector:
    case Decoder::halfvec:
      return decode_vector(cell, field.decoder == Decoder::halfvec, out);
    case Decoder::point: {
      if (cell.size() != 16) return malformed("has not the 16 bytes of a point");
      put_little(out, read_big<std::uint64_t>(cell.data()));
      put_little(out, read_big<std::uint64_t>(cell.data() + 8));
      return {};
    }
    case Decoder::interval_parts: {  // months, days, microseconds
      if (cell.size() != 16) return malformed("has not the 16 bytes of an interval");
      put_little(out, read_big<std::uint32_t>(cell.data() + 12));
      put_little(out, read_big<std::uint32_t>(cell.data() + 8));
      put_little(out, read_big<std::uint64_t>(cell.data()));
      return {};
    }
    default:
      return malformed("has no decoder");
  }
}

}  // namespace pgch::pg
