#include "codec/native_nested.h"

#include "model/packed.h"

namespace pgch::codec {
namespace {

// Every byte is 0 or 1.
bool are_flags(std::span<const std::byte> bytes) noexcept {
  for (const std::byte b : bytes) {
    if (std::to_integer<unsigned>(b) > 1) return false;
  }
  return true;
}

}  // namespace

NestedReader::NestedReader(const ColumnSpec& type) : type_(&type), width_(width_of(layout_of(type))) {
  if (!is_nested(type.kind)) return;
  children_.reserve(type.elements.size());
  for (const ColumnSpec& element : type.elements) children_.emplace_back(element);
}

bool NestedReader::open(ByteReader& in, std::size_t rows) {
  end_ = 0;
  if (type_->kind == Kind::array || type_->kind == Kind::map) return open_elements(in, rows);
  if (type_->kind == Kind::tuple) {
    for (NestedReader& child : children_) {
      if (!child.open_cells(in, rows)) return false;
    }
    return !children_.empty();
  }
  if (width_ != 0) {
    if (rows > in.left() / width_) return false;
    const auto bytes = in.take(rows * width_);
    values_ = ByteReader(bytes);
    return type_->kind != Kind::boolean || are_flags(bytes);
  }
  if (rows > in.left()) return false;
  ByteReader from = in;
  for (std::size_t r = 0; r < rows && in.ok(); ++r) in.text();
  if (!in.ok()) return false;
  values_ = ByteReader(from.take(from.left() - in.left()));
  return true;
}

bool NestedReader::open_cells(ByteReader& in, std::size_t cells) {
  if (packs_null(*type_)) {
    if (cells > in.left()) return false;
    const auto flags = in.take(cells);
    if (!are_flags(flags)) return false;
    nulls_ = ByteReader(flags);
  }
  return open(in, cells);
}

bool NestedReader::open_elements(ByteReader& in, std::size_t rows) {
  if (rows > in.left() / sizeof(std::uint64_t)) return false;
  values_ = ByteReader(in.take(rows * sizeof(std::uint64_t)));
  ByteReader ends = values_;
  std::uint64_t before = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const auto end = ends.little<std::uint64_t>();
    if (end < before) return false;
    before = end;
  }
  // Each element takes a byte at least, so a count that lies is found before anything is made of it.
  if (before > in.left()) return false;
  for (NestedReader& child : children_) {
    if (!child.open_cells(in, static_cast<std::size_t>(before))) return false;
  }
  return !children_.empty();
}

void NestedReader::append_value(std::vector<std::byte>& out) {
  if (type_->kind == Kind::array || type_->kind == Kind::map) {
    const auto end = values_.little<std::uint64_t>();
    put_varint(out, end - end_);
    for (; end_ < end; ++end_) {
      for (NestedReader& child : children_) child.append_cell(out);
    }
  } else if (type_->kind == Kind::tuple) {
    for (NestedReader& child : children_) child.append_cell(out);
  } else if (width_ != 0) {
    const auto value = values_.take(width_);
    out.insert(out.end(), value.begin(), value.end());
  } else {
    put_text(out, values_.text());
  }
}

void NestedReader::append_cell(std::vector<std::byte>& out) {
  if (packs_null(*type_)) {
    const auto null = nulls_.little<std::byte>();
    out.push_back(null);
    if (null != std::byte{0}) {
      const std::size_t before = out.size();
      append_value(out);  // its slot is there, and is skipped
      out.resize(before);
      return;
    }
  }
  append_value(out);
}

}  // namespace pgch::codec
