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

  static TargetColumn target_of(const ColumnSpec& type) { return {&type, layout_of(type), width_of(layout_of(type))}; }
  static bool is_text(const ColumnSpec& type, const TargetColumn& target) {
    return target.layout == Layout::varlen && type.kind != Kind::bytes;
  }

  // leaf_ as a packed value. Whether it is NULL was packed before it: leaf_.nulls says nothing here.
  ValueFault put_leaf(const TargetColumn& target, ValueFault fault, Bytes& out) {
    if (fault != ValueFault::none) return fault;
    if (target.width == 0) put_varint(out, leaf_.data.size());
    put_raw(out, leaf_.data.data(), leaf_.data.size());
    return ValueFault::none;
  }

  ValueFault scalar(const ColumnSpec& type, Bytes& out) {
    const TargetColumn target = target_of(type);
    const bool textual = is_text(type, target);
    leaf_.clear();
    if (rest_.empty()) return ValueFault::form;
    if (rest_.front() == '"') {
      if (textual) return put_leaf(target, string(leaf_.data) ? ValueFault::none : ValueFault::form, out);
      text_.clear();
      if (!string(text_)) return ValueFault::form;
      return put_leaf(target, append_from_string(target, as_text(text_), leaf_), out);
    }
    if (rest_.front() == '[' || rest_.front() == '{' || (textual && type.kind == Kind::json)) {
      if (type.kind != Kind::json && type.kind != Kind::text) return ValueFault::type;
      const std::string_view text = raw();
      put_raw(leaf_.data, text.data(), text.size());
      return put_leaf(target, ValueFault::none, out);
    }
    return put_leaf(target, append_from_token(target, token(), leaf_), out);
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

  // A key is always a string in JSON, also where it is a number.
  ValueFault key(const ColumnSpec& type, Bytes& out) {
    text_.clear();
    if (!string(text_)) return ValueFault::form;
    if (is_nested(type.kind)) return ValueFault::type;
    if (packs_null(type)) out.push_back(std::byte{0});
    const TargetColumn target = target_of(type);
    leaf_.clear();
    if (is_text(type, target)) {
      put_text(out, as_text(text_));
      return ValueFault::none;
    }
    ValueFault fault = append_from_string(target, as_text(text_), leaf_);
    const bool number = !text_.empty() && as_text(text_) != "null";
    if (fault == ValueFault::type && number) fault = append_from_token(target, as_text(text_), leaf_);
    return put_leaf(target, fault, out);
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
  Column leaf_;  // one value at a time; their memory is used again
  Bytes text_;
};

}  // namespace

ValueFault append_nested(const ColumnSpec& type, std::string_view json, std::vector<std::byte>& out) {
  return Walk(json).value(type, out);
}

}  // namespace pgch::codec
