// Nested columns of a Native block. Cells come packed, one value after the other; the block wants them by column:
//   Array(T)    = end:uint64 × rows, then all elements as a column of T
//   Map(K, V)   = the same, then the column of keys, then that of values
//   Tuple(A, B) = the column of A, then that of B
#include <fmt/format.h>

#include <cstring>

#include "clickhouse/types.h"
#include "model/packed.h"

namespace pgch::ch {
namespace {

class Nested {
 public:
  // `server` null: any time is taken.
  Nested(const ColumnSpec& type, const Version* server) : type_(type), width_(width_of(layout_of(type))) {
    if (server != nullptr) range_ = time_range(type, *server);
    for (const ColumnSpec& element : type.elements) children_.emplace_back(element, server);
  }

  enum class Taken : std::uint8_t { yes, damaged, out_of_range };
  Taken take_cell(ByteReader& in) {
    if (!packs_null(type_)) return take_value(in);
    const auto null = in.little<std::uint8_t>();
    if (!in.ok() || null > 1) return Taken::damaged;
    nulls_.push_back(static_cast<char>(null));
    if (null == 0) return take_value(in);
    add_default();
    return Taken::yes;
  }

  Taken take_value(ByteReader& in) {
    switch (type_.kind) {
      case Kind::array:
      case Kind::map:
        return take_elements(in);
      case Kind::tuple:
        return take_fields(in);
      default:
        break;
    }
    if (width_ == 0) {
      const std::string_view text = in.text();
      put_text(data_, text);
    } else {
      const auto value = in.take(width_);
      if (in.ok() && !in_range(value)) return Taken::out_of_range;
      put_raw(data_, value.data(), value.size());
    }
    return in.ok() ? Taken::yes : Taken::damaged;
  }

  // A row that is NULL: its value is not looked at, but has to be there.
  void add_default() {
    if (type_.kind == Kind::array || type_.kind == Kind::map) {
      put_little(data_, elements_);
    } else if (type_.kind == Kind::tuple) {
      for (Nested& child : children_) child.add_null();
    } else {
      data_.append(width_ == 0 ? 1 : width_, '\0');
    }
  }

  void put(std::string& out) const {
    out += nulls_;
    out += data_;
    for (const Nested& child : children_) child.put(out);
  }

 private:
  void add_null() {
    if (packs_null(type_)) nulls_.push_back('\1');
    add_default();
  }

  Taken take_elements(ByteReader& in) {
    const std::uint64_t count = in.varint();
    if (!in.ok()) return Taken::damaged;
    // A long vector of plain numbers is one copy.
    Nested& first = children_.front();
    if (type_.kind == Kind::array && first.width_ != 0 && !packs_null(first.type_) &&
        first.range_.low > first.range_.high) {
      if (count > in.left() / first.width_) return Taken::damaged;
      const auto values = in.take(static_cast<std::size_t>(count) * first.width_);
      put_raw(first.data_, values.data(), values.size());
    } else {
      for (std::uint64_t i = 0; i < count; ++i) {
        if (const Taken taken = take_fields(in); taken != Taken::yes) return taken;
      }
    }
    elements_ += count;
    put_little(data_, elements_);
    return Taken::yes;
  }
  Taken take_fields(ByteReader& in) {
    for (Nested& child : children_) {
      if (const Taken taken = child.take_cell(in); taken != Taken::yes) return taken;
    }
    return Taken::yes;
  }

  bool in_range(std::span<const std::byte> value) const noexcept {
    if (range_.low > range_.high) return true;
    std::int64_t number = 0;
    if (width_ == 4) {
      std::int32_t narrow = 0;
      std::memcpy(&narrow, value.data(), sizeof narrow);
      number = narrow;
    } else {
      std::memcpy(&number, value.data(), sizeof number);
    }
    return number >= range_.low && number <= range_.high;
  }

  const ColumnSpec& type_;
  TimeRange range_;
  std::size_t width_;
  std::uint64_t elements_ = 0;
  std::string nulls_, data_;  // array and map: data_ has the ends
  std::vector<Nested> children_;
};

}  // namespace

Result<void> put_nested(std::string& out, const ColumnPlan& plan, const Column& column, std::size_t rows) {
  Nested nested(plan.wire, &plan.server);
  for (std::size_t r = 0; r < rows; ++r) {
    if (column.is_null(r)) {
      nested.add_default();
      continue;
    }
    ByteReader in(column.at(r, 0));
    const auto taken = nested.take_value(in);
    if (taken == Nested::Taken::out_of_range) {
      return Error{Errc::data,
                   Recovery::dead_letter,
                   false,
                   fmt::format("Column {}: a value within row {} of the batch is outside of what {} can hold",
                               plan.source.name, r, plan.target_type),
                   {}};
    }
    if (taken != Nested::Taken::yes || !in.at_end()) {
      return halt(Errc::internal,
                  fmt::format("Column {}: a value within row {} of the batch is damaged", plan.source.name, r));
    }
  }
  put_text(out, plan.wire.name);
  put_text(out, plan.wire_name);
  nested.put(out);
  return {};
}

Result<void> put_nested_values(std::string& out, const ColumnSpec& type, const Column& column, std::size_t rows) {
  Nested nested(type, nullptr);
  for (std::size_t r = 0; r < rows; ++r) {
    if (column.is_null(r)) {
      nested.add_default();
      continue;
    }
    ByteReader in(column.at(r, 0));
    if (nested.take_value(in) != Nested::Taken::yes || !in.at_end())
      return halt(Errc::internal,
                  fmt::format("Column {}: a value within row {} of the batch is damaged", type.name, r));
  }
  nested.put(out);
  return {};
}

}  // namespace pgch::ch
