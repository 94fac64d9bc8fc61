#include "model/packed.h"

namespace pgch {
namespace {

bool skip_value(const ColumnSpec& type, ByteReader& in) noexcept {
  if (!is_nested(type.kind)) {
    if (const std::size_t width = width_of(layout_of(type)); width != 0) {
      in.take(width);
    } else {
      in.text();
    }
    return in.ok();
  }
  std::uint64_t count = type.kind == Kind::tuple ? 1 : in.varint();
  // Each round takes a byte at least, or the count is a lie that ends here; nothing is allocated by it.
  for (; in.ok() && count > 0; --count) {
    const std::size_t before = in.left();
    for (const ColumnSpec& element : type.elements) {
      if (!skip_packed(element, in)) return false;
    }
    if (before == in.left() && count > 1) return false;
  }
  return in.ok();
}

}  // namespace

bool skip_packed(const ColumnSpec& type, ByteReader& in) noexcept {
  if (packs_null(type)) {
    const auto null = in.little<std::uint8_t>();
    if (!in.ok() || null > 1) return false;
    if (null == 1) return true;
  }
  return skip_value(type, in);
}

bool take_packed(const ColumnSpec& type, ByteReader& in, std::span<const std::byte>& value) noexcept {
  if (!is_nested(type.kind)) {
    const std::size_t width = width_of(layout_of(type));
    value = width != 0 ? in.take(width) : as_bytes(in.text());
    return in.ok();
  }
  ByteReader whole = in;
  if (!skip_value(type, in)) return false;
  value = whole.take(whole.left() - in.left());
  return true;
}

void put_packed_default(const ColumnSpec& type, std::vector<std::byte>& out) {
  if (type.kind == Kind::tuple) {
    for (const ColumnSpec& element : type.elements) put_packed_null(element, out);
    return;
  }
  // An array, a map and a text begin with a count or length of one byte: zero.
  const std::size_t width = width_of(layout_of(type));
  out.resize(out.size() + (width != 0 ? width : 1));
}

void put_packed_null(const ColumnSpec& type, std::vector<std::byte>& out) {
  if (packs_null(type)) {
    out.push_back(std::byte{1});
  } else {
    put_packed_default(type, out);
  }
}

bool is_packed(const ColumnSpec& type, std::span<const std::byte> value) noexcept {
  ByteReader in(value);
  return skip_value(type, in) && in.at_end();
}

}  // namespace pgch
