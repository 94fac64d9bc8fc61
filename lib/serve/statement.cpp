#include "serve/statement.h"

#include <array>

#include "serve/lexer.h"

namespace pgch::serve {
namespace {

using Kind = Token::Kind;

constexpr std::string_view settings_word = "SETTINGS";

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) noexcept {
  for (const std::string_view w : words) {
    if (is_word(word, w)) return true;
  }
  return false;
}

std::string upper(std::string_view text) {
  std::string out = lower(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

// Tokens at depth 0, with the depth of brackets kept.
class Walk {
 public:
  Walk(std::string_view text, std::size_t at) : lexer_(text, at) {}
  Token next() noexcept {
    const Token token = lexer_.next();
    depth_before_ = depth_;
    if (token.kind == Kind::symbol) {
      const char c = lexer_.text_of(token)[0];
      if (c == '(' || c == '[' || c == '{') ++depth_;
      if ((c == ')' || c == ']' || c == '}') && depth_ > 0) depth_before_ = --depth_;
    }
    return token;
  }
  bool top() const noexcept { return depth_before_ == 0; }
  std::string_view text_of(const Token& token) const noexcept { return lexer_.text_of(token); }

 private:
  Lexer lexer_;
  int depth_ = 0;
  int depth_before_ = 0;
};

// name = literal {, name = literal} after SETTINGS; the offset behind it, or nullopt if that is not what is there.
std::optional<std::size_t> settings_end(std::string_view text, std::size_t at, bool& cut) {
  Lexer lexer(text, at);
  std::size_t end = at;
  for (;;) {
    const Token name = lexer.next();
    const Token equals = lexer.next();
    Token value = lexer.next();
    if (lexer.text_of(value) == "-") value = lexer.next();
    cut = value.kind == Kind::end || value.kind == Kind::cut || value.end == text.size();
    if (name.kind != Kind::word || lexer.text_of(equals) != "=" || cut) return std::nullopt;
    end = value.end;
    Lexer ahead = lexer;
    const Token comma = ahead.next();
    cut = comma.kind == Kind::end;
    if (cut) return end;
    if (ahead.text_of(comma) != ",") return end;
    lexer = ahead;
  }
}

// Data begin after the blanks of the line and its end, or where the text goes on in the same line: as ClickHouse does
// it.
std::size_t data_start(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\f')) ++at;
  if (at < text.size() && text[at] == '\r') ++at;
  if (at < text.size() && text[at] == '\n') ++at;
  return at;
}

// Everything after INSERT: fills `out`, whose kind says what came of it.
void analyse_insert(std::string_view text, bool at_end, std::size_t at, Statement& out) {
  Walk walk(text, at);
  std::size_t sql_end = at;
  const auto undecided = [&] { out.kind = at_end ? Statement::Kind::other : Statement::Kind::unfinished; };
  for (;;) {
    const Token token = walk.next();
    if (token.kind == Kind::cut) return undecided();
    if (token.kind == Kind::end || (walk.top() && walk.text_of(token) == ";")) {
      if (!at_end) return undecided();
      out.kind = Statement::Kind::insert_data;  // no data, or all of it is still to come in the default format
      out.sql = text.substr(0, sql_end);
      out.data = token.end;
      return;
    }
    const std::string_view word = token.kind == Kind::word && walk.top() ? walk.text_of(token) : std::string_view();
    if (is_word(word, "INFILE")) out.file_clause = true;
    if (is_one_of(word, {"SELECT", "WITH", "WATCH", "EXPLAIN"}) || out.file_clause) {
      out.kind = Statement::Kind::other;
      return;
    }
    if (is_word(word, "VALUES")) {
      if (token.end == text.size() && !at_end) return undecided();
      out.kind = Statement::Kind::insert_data;
      out.sql = text.substr(0, sql_end);
      out.format = "Values";
      out.data = token.end;
      return;
    }
    if (is_word(word, "FORMAT")) {
      const Token name = walk.next();
      if (name.end == text.size() && !at_end) return undecided();
      if (name.kind != Kind::word) return undecided();
      out.format = walk.text_of(name);
      out.sql = text.substr(0, sql_end);
      out.data = name.end;
      Lexer ahead(text, name.end);
      const Token settings = ahead.next();
      const std::string_view word_after = ahead.text_of(settings);
      if (!at_end && settings.end == text.size() && is_word(word_after, settings_word.substr(0, word_after.size()))) {
        return undecided();
      }
      if (is_word(word_after, settings_word)) {
        bool cut = false;
        const auto end = settings_end(text, settings.end, cut);
        if (cut && !at_end) return undecided();
        if (end) {
          out.sql += ' ';
          out.sql += text.substr(settings.begin, *end - settings.begin);
          out.data = *end;
        }
      }
      out.data = data_start(text, out.data);
      out.kind = out.data == text.size() && !at_end ? Statement::Kind::unfinished : Statement::Kind::insert_data;
      return;
    }
    sql_end = token.end;
  }
}

// The rest of a statement that carries no data: its FORMAT, its end, what it must not hold.
void analyse_rest(std::string_view text, std::size_t at, Statement& out) {
  Walk walk(text, at);
  std::string_view before;
  bool ended = false, after_format = false;
  for (;;) {
    const Token token = walk.next();
    if (token.kind == Kind::end || token.kind == Kind::cut) return;
    const std::string_view word = walk.text_of(token);
    if (walk.top() && word == ";") {
      if (!ended) out.sql = text.substr(0, token.begin);
      ended = true;
      continue;
    }
    if (ended) {
      out.several = true;
      return;
    }
    if (token.kind == Kind::word) {
      if (is_word(word, "TOTALS") || is_one_of(word, {"EXTREMES", "OUTPUT_FORMAT_JSON_ARRAY_OF_ROWS"})) {
        out.whole_only = true;
      }
      if (walk.top() && is_word(word, "INSERT")) {
        out.kind = Statement::Kind::other;
        out.writes = true;
      }
      if (walk.top() && is_word(word, "OUTFILE") && is_word(before, "INTO")) out.file_clause = true;
    }
    if (!walk.top()) {
      before = {};
      continue;
    }
    // FORMAT name is the last but for SETTINGS; in "SELECT format FROM t" something else follows.
    if (after_format && !is_word(word, "SETTINGS")) out.format.clear();
    after_format = false;
    if (token.kind == Kind::word && is_word(before, "FORMAT")) {
      out.format = word;
      after_format = true;
    }
    before = word;
  }
}

}  // namespace

Statement analyse(std::string_view text, bool at_end) {
  Statement out;
  out.sql = text;
  Lexer lexer(text);
  Token first = lexer.next();
  while (lexer.text_of(first) == ";") first = lexer.next();
  if (first.kind == Kind::cut || first.kind == Kind::end || (first.end == text.size() && !at_end)) {
    out.kind = at_end && first.kind == Kind::end ? Statement::Kind::empty
               : at_end                          ? Statement::Kind::other
                                                 : Statement::Kind::unfinished;
    return out;
  }
  if (first.kind == Kind::word) out.keyword = upper(lexer.text_of(first));
  out.writes = !is_one_of(out.keyword, {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "FROM",
                                        "SET", "USE", "CHECK", ""});
  if (out.keyword == "INSERT") {
    analyse_insert(text, at_end, first.end, out);
    if (out.kind != Statement::Kind::other) return out;
  }
  if (!at_end) {
    out.kind = Statement::Kind::unfinished;
    return out;
  }
  out.kind = is_one_of(out.keyword, {"SELECT", "WITH"}) ? Statement::Kind::select : Statement::Kind::other;
  analyse_rest(text, first.end, out);
  return out;
}

std::optional<Kill> kill_of(std::string_view sql) {
  Lexer lexer(sql);
  const auto word = [&] {
    const Token token = lexer.next();
    return lexer.text_of(token);
  };
  for (const std::string_view expected : {"KILL", "QUERY", "WHERE", "QUERY_ID"}) {
    if (!is_word(word(), expected)) return std::nullopt;
  }
  Kill kill;
  const std::string_view relation = word();
  const bool list = is_word(relation, "IN");
  if (!list && relation != "=") return std::nullopt;
  if (list && word() != "(") return std::nullopt;
  for (;;) {
    const Token id = lexer.next();
    if (id.kind != Kind::string || lexer.text_of(id)[0] != '\'') return std::nullopt;
    kill.query_ids.push_back(unquote(lexer.text_of(id)));
    if (!list) break;
    const std::string_view separator = word();
    if (separator == ")") break;
    if (separator != ",") return std::nullopt;
  }
  for (;;) {
    const Token token = lexer.next();
    const std::string_view text = lexer.text_of(token);
    if (token.kind == Kind::end || text == ";") return kill;
    if (is_word(text, "SYNC")) {
      kill.sync = true;
    } else if (is_word(text, "TEST")) {
      kill.test = true;
    } else if (is_word(text, "FORMAT")) {
      word();
    } else if (!is_word(text, "ASYNC")) {
      return std::nullopt;
    }
  }
}

}  // namespace pgch::serve
