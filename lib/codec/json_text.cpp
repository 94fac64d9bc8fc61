#include "codec/json_text.h"

#include <simdjson.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "codec/wide_decimal.h"

namespace pgch::codec {
namespace {

constexpr std::uint64_t every_byte(std::uint8_t b) { return 0x0101010101010101U * b; }
constexpr std::uint64_t high_bits = every_byte(0x80);

// The high bit of each byte of `word` that is zero is set (the lowest such byte for certain).
constexpr std::uint64_t zero_bytes(std::uint64_t word) { return (word - every_byte(1)) & ~word & high_bits; }

// Non-zero if any of the eight bytes has to be escaped; the lowest bit set is in the first of them.
std::uint64_t escapable(std::uint64_t word) noexcept {
  return zero_bytes(word ^ every_byte('"')) | zero_bytes(word ^ every_byte('\\')) |
         ((word - every_byte(0x20)) & ~word & high_bits);
}

constexpr bool must_escape(unsigned char c) noexcept { return c < 0x20 || c == '"' || c == '\\'; }

void append_escape(std::string& out, unsigned char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  switch (c) {
    case '"':
      out.append("\\\"", 2);
      return;
    case '\\':
      out.append("\\\\", 2);
      return;
    case '\n':
      out.append("\\n", 2);
      return;
    case '\r':
      out.append("\\r", 2);
      return;
    case '\t':
      out.append("\\t", 2);
      return;
    default:
      out += "\\u00";
      out += hex[c >> 4U];
      out += hex[c & 15U];
  }
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Four hexadecimal digits, or -1.
int code_unit(const char* p) noexcept {
  int unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_value(p[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

char* put_utf8(char* out, std::uint32_t c) noexcept {
  const auto tail = [](std::uint32_t bits) { return static_cast<char>(0x80U | (bits & 0x3FU)); };
  if (c < 0x80) {
    *out++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<char>(0xC0U | (c >> 6U));
    *out++ = tail(c);
  } else if (c < 0x10000) {
    *out++ = static_cast<char>(0xE0U | (c >> 12U));
    *out++ = tail(c >> 6U);
    *out++ = tail(c);
  } else {
    *out++ = static_cast<char>(0xF0U | (c >> 18U));
    *out++ = tail(c >> 12U);
    *out++ = tail(c >> 6U);
    *out++ = tail(c);
  }
  return out;
}

// \uhhhh, and its second half if it is the first of a pair; `p` is at the backslash. Shorter out than in.
bool take_unicode(const char*& p, char*& out) noexcept {
  const int first = code_unit(p + 2);
  if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF)) return false;
  p += 6;
  auto c = static_cast<std::uint32_t>(first);
  if (first >= 0xD800 && first <= 0xDBFF) {
    if (p[0] != '\\' || p[1] != 'u') return false;
    const int second = code_unit(p + 2);
    if (second < 0xDC00 || second > 0xDFFF) return false;
    p += 6;
    c = 0x10000U + ((c - 0xD800U) << 10U) + (static_cast<std::uint32_t>(second) - 0xDC00U);
  }
  out = put_utf8(out, c);
  return true;
}

char simple_escape(char c) noexcept {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    default:
      return 0;
  }
}

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// A pushdown check of the grammar, without recursion.
class Checker {
 public:
  Checker(std::string_view text, std::size_t depth_max) : text_(text), depth_max_(depth_max) {}

  JsonFault run() {
    while (true) {
      if (const JsonFault fault = begin_value(); fault != JsonFault::none) return fault;
      if (opened_) continue;
      while (true) {
        skip();
        if (open_.empty()) return at_ == text_.size() ? JsonFault::none : JsonFault::syntax;
        if (take(',')) {
          if (open_.back() == '{' && !key()) return JsonFault::syntax;
          break;
        }
        if (!take(open_.back() == '{' ? '}' : ']')) return JsonFault::syntax;
        open_.pop_back();
      }
    }
  }

 private:
  void skip() noexcept {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool take(char c) noexcept {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool key() {
    skip();
    if (!string()) return false;
    skip();
    return take(':');
  }
  // After it, `opened_` says whether a container was opened that is not empty: its first value comes next.
  JsonFault begin_value() {
    opened_ = false;
    skip();
    if (at_ >= text_.size()) return JsonFault::syntax;
    const char c = text_[at_];
    if (c == '"') return string() ? JsonFault::none : JsonFault::syntax;
    if (c != '{' && c != '[') return scalar() ? JsonFault::none : JsonFault::syntax;
    if (open_.size() >= depth_max_) return JsonFault::depth;
    ++at_;
    skip();
    if (take(c == '{' ? '}' : ']')) return JsonFault::none;
    open_ += c;
    opened_ = true;
    return c == '[' || key() ? JsonFault::none : JsonFault::syntax;
  }
  bool scalar() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && !is_space(text_[at_]) && text_[at_] != ',' && text_[at_] != '}' && text_[at_] != ']')
      ++at_;
    const std::string_view token = text_.substr(begin, at_ - begin);
    return token == "true" || token == "false" || token == "null" || is_json_number(token);
  }
  bool string() {
    if (!take('"')) return false;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_++]);
      if (c == '"') return true;
      if (c < 0x20) return false;
      if (c != '\\') continue;
      if (at_ >= text_.size()) return false;
      const char escape = text_[at_++];
      if (escape == 'u') {
        for (int i = 0; i < 4; ++i) {
          if (at_ >= text_.size() ||
              std::string_view("0123456789abcdefABCDEF").find(text_[at_++]) == std::string_view::npos)
            return false;
        }
      } else if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
        return false;
      }
    }
    return false;
  }

  std::string_view text_;
  std::size_t depth_max_;
  std::size_t at_ = 0;
  std::string open_;
  bool opened_ = false;
};

}  // namespace

bool append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::uint64_t seen = 0;
  std::size_t begin = 0;
  std::size_t at = 0;
  const auto escape = [&] {
    out.append(text, begin, at - begin);
    append_escape(out, static_cast<unsigned char>(text[at]));
    begin = ++at;
  };
  while (at + 8 <= text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    seen |= word;
    const std::uint64_t special = escapable(word);
    at += static_cast<std::size_t>(special == 0 ? 8 : __builtin_ctzll(special) / 8);
    if (special != 0) escape();
  }
  while (at < text.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    seen |= c;
    if (must_escape(c)) {
      escape();
    } else {
      ++at;
    }
  }
  out.append(text, begin, std::string_view::npos);
  out += '"';
  return (seen & high_bits) == 0 || is_utf8(text);
}

bool append_unescaped(std::vector<std::byte>& out, const char* at, std::size_t size) {
  const std::size_t begin = out.size();
  out.resize(begin + size + 8);  // copied eight at a time, which may go beyond the end
  char* const start = reinterpret_cast<char*>(out.data()) + begin;
  char* to = start;
  while (true) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    std::memcpy(to, at, 8);
    const std::uint64_t special = zero_bytes(word ^ every_byte('"')) | zero_bytes(word ^ every_byte('\\'));
    const auto plain = static_cast<std::size_t>(special == 0 ? 8 : __builtin_ctzll(special) / 8);
    at += plain;
    to += plain;
    if (special == 0) continue;
    if (*at == '"') break;
    if (at[1] == 'u') {
      if (!take_unicode(at, to)) return false;
    } else {
      const char c = simple_escape(at[1]);
      if (c == 0) return false;
      *to++ = c;
      at += 2;
    }
  }
  out.resize(begin + static_cast<std::size_t>(to - start));
  return true;
}

JsonFault check_json(std::string_view text, std::size_t depth_max) { return Checker(text, depth_max).run(); }

bool is_utf8(std::string_view text) noexcept { return simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace pgch::codec
