// What a request's text asks for, seen from outside: is it an INSERT whose data follow, in which format is the answer
// wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgch::serve {

struct Statement {
  enum class Kind : std::uint8_t {
    unfinished,   // more text is needed to know
    empty,        // blanks and comments
    select,       // SELECT or WITH … SELECT: can be streamed
    insert_data,  // INSERT whose rows follow the text at `data`
    other,        // anything else, an INSERT … SELECT among them
  };
  Kind kind = Kind::empty;
  std::string keyword;       // the first word, in upper case
  std::string sql;           // what the engine gets; of insert_data without FORMAT, VALUES and data
  std::string format;        // as written after FORMAT ("Values" for VALUES); empty: the default
  std::size_t data = 0;      // of insert_data: offset of the first byte of data
  bool several = false;      // something follows a semicolon
  bool file_clause = false;  // INTO OUTFILE, FROM INFILE: reaches for the server's own files
  bool whole_only = false;   // its answer is a document even in a format whose pieces could be joined (WITH TOTALS …)
  bool writes = false;       // not allowed by GET
};

// `at_end`: no more text will come. Without it an INSERT is `unfinished` until its data's first byte is certain.
Statement analyse(std::string_view text, bool at_end);

// KILL QUERY WHERE query_id = '…' | query_id IN ('…', …)  [SYNC | ASYNC | TEST] [FORMAT …]
struct Kill {
  std::vector<std::string> query_ids;
  bool sync = false;
  bool test = false;
};
std::optional<Kill> kill_of(std::string_view sql);

}  // namespace pgch::serve
