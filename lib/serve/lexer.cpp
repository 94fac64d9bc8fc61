#include "serve/lexer.h"

namespace pgch::serve {
namespace {

bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool in_word(char c) noexcept { return is_letter(c) || is_digit(c) || c == '$'; }
char upper_of(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char lower_of(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

// False when a comment has no end.
bool Lexer::skip_blank() noexcept {
  while (at_ < text_.size()) {
    const std::string_view rest = text_.substr(at_);
    if (is_blank(rest[0])) {
      ++at_;
    } else if (rest.starts_with("--") || rest.starts_with("#!") || rest.starts_with("# ")) {
      const std::size_t line = text_.find('\n', at_);
      at_ = line == std::string_view::npos ? text_.size() : line + 1;
    } else if (rest.starts_with("/*")) {
      const std::size_t close = text_.find("*/", at_ + 2);
      if (close == std::string_view::npos) return false;
      at_ = close + 2;
    } else {
      break;
    }
  }
  return true;
}

Token Lexer::quoted(char quote, Token::Kind kind) noexcept {
  const std::size_t begin = at_++;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\\') {
      at_ += 2;
    } else if (c == quote) {
      ++at_;
      if (at_ >= text_.size() || text_[at_] != quote) return {kind, begin, at_};
      ++at_;  // doubled: stands for itself
    } else {
      ++at_;
    }
  }
  at_ = text_.size();
  return {Token::Kind::cut, begin, at_};
}

bool Lexer::heredoc(Token& token) noexcept {
  std::size_t tag_end = at_ + 1;
  while (tag_end < text_.size() && (is_letter(text_[tag_end]) || is_digit(text_[tag_end]))) ++tag_end;
  if (tag_end >= text_.size() || text_[tag_end] != '$') return false;
  const std::string_view tag = text_.substr(at_, tag_end + 1 - at_);
  const std::size_t close = text_.find(tag, tag_end + 1);
  if (close == std::string_view::npos) return false;
  token = {Token::Kind::string, at_, close + tag.size()};
  at_ = token.end;
  return true;
}

Token Lexer::next() noexcept {
  const std::size_t before = at_;
  if (!skip_blank()) {
    at_ = text_.size();
    return {Token::Kind::cut, before, at_};
  }
  if (at_ >= text_.size()) return {Token::Kind::end, text_.size(), text_.size()};
  const char c = text_[at_];
  if (c == '\'') return quoted(c, Token::Kind::string);
  if (c == '"' || c == '`') return quoted(c, Token::Kind::quoted);
  Token token{Token::Kind::symbol, at_, at_ + 1};
  if (c == '$' && heredoc(token)) return token;
  if (is_letter(c) || is_digit(c)) {
    token.kind = is_letter(c) ? Token::Kind::word : Token::Kind::number;
    while (token.end < text_.size() && in_word(text_[token.end])) ++token.end;
  }
  at_ = token.end;
  return token;
}

bool is_word(std::string_view word, std::string_view upper) noexcept {
  if (word.size() != upper.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (upper_of(word[i]) != upper[i]) return false;
  }
  return true;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower_of(c);
  return out;
}

std::string unquote(std::string_view token) {
  std::string out;
  if (token.size() < 2 || token.front() != '\'') return out;
  token = token.substr(1, token.size() - 2);
  for (std::size_t i = 0; i < token.size(); ++i) {
    char c = token[i];
    if (c == '\'' && i + 1 < token.size()) ++i;
    if (c == '\\' && i + 1 < token.size()) {
      c = token[++i];
      switch (c) {
        case 'n':
          c = '\n';
          break;
        case 't':
          c = '\t';
          break;
        case 'r':
          c = '\r';
          break;
        case '0':
          c = '\0';
          break;
        case 'b':
          c = '\b';
          break;
        case 'f':
          c = '\f';
          break;
        default:
          break;
      }
    }
    out += c;
  }
  return out;
}

std::string quote_string(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    if (c == '\0') {
      out += "\\0";
    } else {
      out += c;
    }
  }
  return out += '\'';
}

}  // namespace pgch::serve
