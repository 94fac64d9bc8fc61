#include "codec/json_nested.h"

#include "base/bytes.h"
#include "codec/json_text.h"
#include "model/packed.h"

namespace pgch::codec {
namespace {

using Bytes = std::vector<std::byte>;

// Walks JSON that was checked before; every read is bounded all the same.
class Walk {
 public:
  explicit Walk(std::string_view json) : rest_(json) {}

  ValueFault cell(const ColumnSpec& type, Bytes& out) {
    skip_space();
    if (rest_.empty()) return ValueFault::form;
    if (rest_.front() == 'n') {
      if (!packs_null(type)) return ValueFault::null;
      out.push_back(std::byte{1});
      token();
      return ValueFault::none;
    }
    if (packs_null(type)) out.push_back(std::byte{0});
    return value(type, out);
  }

  ValueFault value(const ColumnSpec& type, Bytes& out) {
    skip_space();
    switch (type.kind) {
      case Kind::array:
        return elements(type, out);
      case Kind::map:
        return pairs(type, out);
      case Kind::tuple:
        return type.elements.empty() || type.elements.front().name.empty() ? fields(type, out) : named(type, out);
      default:
        return scalar(type, out);
    }
  }

 private:
  void skip_space() {
    while (!rest_.empty() &&
           (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\n' || rest_.front() == '\r'))
      rest_.remove_prefix(1);
  }
  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Up to what ends a number or a word.
  std::string_view token() {
    const std::size_t end = std::min(rest_.size(), rest_.find_first_of(",]} \t\n\r"));
    const std::string_view out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return out;
  }
  bool string(Bytes& out) {
    if (!take('"')) return false;
    std::size_t end = 0;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size() || !append_unescaped(out, rest_.data(), end + 1)) return false;
    rest_.remove_prefix(end + 1);
    return true;
  }
  // One JSON value, of whatever type, as it stands there.
  std::string_view raw() {
    const char* const begin = rest_.data();
    std::size_t depth = 0;
    do {
      skip_space();
      if (rest_.empty()) break;
      const char c = rest_.front();
      Bytes ignored;
      if (c == '"') {
        if (!string(ignored)) break;
      } else if (c == '[' || c == '{') {
        ++depth;
        rest_.remove_prefix(1);
      } else if (c == ']' || c == '}') {
        --depth;
        rest_.remove_prefix(1);
      } else if (c == ',' || c == ':') {
        rest_.remove_prefix(1);
      } else {
        token();
      }
    } while (depth > 0);
    return {begin, static_cast<std::size_t>(rest_.data() - begin)};
  }

  ValueFault scalar(const ColumnSpec& type, Bytes& out) {
    ColumnSpec plain = type;
    plain.nullable = false;
    const TargetColumn target{&plain, layout_of(type), width_of(layout_of(type))};
    Column cell;
    ValueFault fault = ValueFault::none;
    const bool textual = target.layout == Layout::varlen && type.kind != Kind::bytes;
    if (rest_.empty()) return ValueFault::form;
    if (rest_.front() == '"') {
      Bytes text;
      if (!string(text)) return ValueFault::form;
      if (textual) {
        cell.data = std::move(text);
      } else {
        fault = append_from_string(target, as_text(text), cell);
      }
    } else if (rest_.front() == '[' || rest_.front() == '{' || (textual && type.kind == Kind::json)) {
      if (type.kind != Kind::json && type.kind != Kind::text) return ValueFault::type;
      const std::string_view text = raw();
      put_raw(cell.data, text.data(), text.size());
    } else {
      fault = append_from_token(target, token(), cell);
    }
    if (fault != ValueFault::none) return fault;
    if (target.width == 0) put_varint(out, cell.data.size());
    put_raw(out, cell.data.data(), cell.data.size());
    return ValueFault::none;
  }

  ValueFault elements(const ColumnSpec& type, Bytes& out) {
    if (!take('[')) return ValueFault::type;
    Bytes body;
    std::uint64_t count = 0;
    if (!take(']')) {
      do {
        if (const ValueFault fault = cell(type.elements[0], body); fault != ValueFault::none) return fault;
        ++count;
      } while (take(','));
      if (!take(']')) return ValueFault::form;
    }
    put_varint(out, count);
    put_raw(out, body.data(), body.size());
    return ValueFault::none;
  }

  ValueFault key(const ColumnSpec& type, Bytes& out) {
    Bytes text;
    if (!string(text)) return ValueFault::form;
    if (packs_null(type)) out.push_back(std::byte{0});
    const TargetColumn target{&type, layout_of(type), width_of(layout_of(type))};
    if (target.layout == Layout::varlen && type.kind != Kind::bytes) {
      put_text(out, as_text(text));
      return is_nested(type.kind) ? ValueFault::type : ValueFault::none;
    }
    // A key is always a string in JSON, also where it is a number.
    ColumnSpec plain = type;
    plain.nullable = false;
    const TargetColumn value{&plain, target.layout, target.width};
    Column cell;
    ValueFault fault = append_from_string(value, as_text(text), cell);
    if (fault == ValueFault::type && !text.empty()) fault = append_from_token(value, as_text(text), cell);
    if (fault == ValueFault::none && target.width == 0) put_varint(out, cell.data.size());
    put_raw(out, cell.data.data(), cell.data.size());
    return fault;
  }

  ValueFault pairs(const ColumnSpec& type, Bytes& out) {
    if (!take('{')) return ValueFault::type;
    Bytes body;
    std::uint64_t count = 0;
    if (!take('}')) {
      do {
        if (const ValueFault fault = key(type.elements[0], body); fault != ValueFault::none) return fault;
        if (!take(':')) return ValueFault::form;
        if (const ValueFault fault = cell(type.elements[1], body); fault != ValueFault::none) return fault;
        ++count;
      } while (take(','));
      if (!take('}')) return ValueFault::form;
    }
    put_varint(out, count);
    put_raw(out, body.data(), body.size());
    return ValueFault::none;
  }

  ValueFault fields(const ColumnSpec& type, Bytes& out) {
    if (!take('[')) return ValueFault::type;
    for (std::size_t i = 0; i < type.elements.size(); ++i) {
      if (i != 0 && !take(',')) return ValueFault::form;
      if (const ValueFault fault = cell(type.elements[i], out); fault != ValueFault::none) return fault;
    }
    return take(']') ? ValueFault::none : ValueFault::form;
  }

  // The fields may come in any order; all have to be there unless they can be NULL.
  ValueFault named(const ColumnSpec& type, Bytes& out) {
    if (!take('{')) return ValueFault::type;
    std::vector<Bytes> values(type.elements.size());
    if (!take('}')) {
      do {
        Bytes name;
        if (!string(name) || !take(':')) return ValueFault::form;
        std::size_t i = 0;
        while (i < values.size() && type.elements[i].name != as_text(name)) ++i;
        if (i == values.size() || !values[i].empty()) return ValueFault::form;
        if (const ValueFault fault = cell(type.elements[i], values[i]); fault != ValueFault::none) return fault;
      } while (take(','));
      if (!take('}')) return ValueFault::form;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i].empty()) {
        if (!packs_null(type.elements[i])) return ValueFault::null;
        values[i].push_back(std::byte{1});
      }
      put_raw(out, values[i].data(), values[i].size());
    }
    return ValueFault::none;
  }

  std::string_view rest_;
};

}  // namespace

ValueFault append_nested(const ColumnSpec& type, std::string_view json, std::vector<std::byte>& out) {
  return Walk(json).value(type, out);
}

}  // namespace pgch::codec
