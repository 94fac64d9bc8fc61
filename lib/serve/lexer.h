// ClickHouse's SQL as a row of tokens: just enough to see where a statement ends and where the data of an INSERT begin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgch::serve {

struct Token {
  enum class Kind : std::uint8_t {
    end,
    word,    // identifier or keyword
    quoted,  // "identifier" or `identifier`
    string,  // 'text' or $tag$text$tag$
    number,
    symbol,  // any other character, one at a time
    cut,     // a string, a quoted identifier or a comment without its end
  };
  Kind kind = Kind::end;
  std::size_t begin = 0, end = 0;  // byte range in the text
};

class Lexer {
 public:
  explicit Lexer(std::string_view text, std::size_t at = 0) noexcept : text_(text), at_(at) {}
  // Skips blanks and comments; at the end Kind::end again and again.
  Token next() noexcept;
  std::string_view text_of(const Token& token) const noexcept {
    return text_.substr(token.begin, token.end - token.begin);
  }

 private:
  bool skip_blank() noexcept;
  Token quoted(char quote, Token::Kind kind) noexcept;
  bool heredoc(Token& token) noexcept;

  std::string_view text_;
  std::size_t at_;
};

// "SELECT", whatever the case of the letters.
bool is_word(std::string_view word, std::string_view upper) noexcept;
std::string lower(std::string_view text);
// The value of a 'string' token; backslash and doubled quotes undone.
std::string unquote(std::string_view token);
// 'text' as a literal of ClickHouse.
std::string quote_string(std::string_view text);

}  // namespace pgch::serve
