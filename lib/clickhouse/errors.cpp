#include "clickhouse/errors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace pgch::ch {
namespace {

// What a code means for the one who sent the request. `row` (data) means: some value cannot go; the loader narrows it
// down.
enum class Class : std::uint8_t { wait, wait_in_doubt, stop, row };
struct Rule {
  int code;
  Class what;
  Errc errc;
};

constexpr std::array rules{
    Rule{3, Class::wait_in_doubt, Errc::connection},    // UNEXPECTED_END_OF_FILE
    Rule{6, Class::row, Errc::data},                    // CANNOT_PARSE_TEXT
    Rule{16, Class::stop, Errc::schema},                // NO_SUCH_COLUMN_IN_TABLE
    Rule{25, Class::row, Errc::data},                   // CANNOT_PARSE_ESCAPE_SEQUENCE
    Rule{26, Class::row, Errc::data},                   // CANNOT_PARSE_QUOTED_STRING
    Rule{27, Class::row, Errc::data},                   // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    Rule{33, Class::row, Errc::data},                   // CANNOT_READ_ALL_DATA
    Rule{36, Class::stop, Errc::config},                // BAD_ARGUMENTS
    Rule{38, Class::row, Errc::data},                   // CANNOT_PARSE_DATE
    Rule{41, Class::row, Errc::data},                   // CANNOT_PARSE_DATETIME
    Rule{43, Class::stop, Errc::schema},                // ILLEGAL_TYPE_OF_ARGUMENT
    Rule{46, Class::stop, Errc::unsupported},           // UNKNOWN_FUNCTION
    Rule{47, Class::stop, Errc::schema},                // UNKNOWN_IDENTIFIER
    Rule{48, Class::stop, Errc::unsupported},           // NOT_IMPLEMENTED
    Rule{50, Class::stop, Errc::unsupported},           // UNKNOWN_TYPE
    Rule{53, Class::stop, Errc::schema},                // TYPE_MISMATCH
    Rule{57, Class::stop, Errc::conflict},              // TABLE_ALREADY_EXISTS
    Rule{60, Class::stop, Errc::not_found},             // UNKNOWN_TABLE
    Rule{62, Class::stop, Errc::config},                // SYNTAX_ERROR
    Rule{69, Class::row, Errc::data},                   // ARGUMENT_OUT_OF_BOUND
    Rule{70, Class::row, Errc::data},                   // CANNOT_CONVERT_TYPE
    Rule{72, Class::row, Errc::data},                   // CANNOT_PARSE_NUMBER
    Rule{74, Class::wait_in_doubt, Errc::io},           // CANNOT_READ_FROM_FILE_DESCRIPTOR
    Rule{75, Class::wait_in_doubt, Errc::io},           // CANNOT_WRITE_TO_FILE_DESCRIPTOR: a full disk
    Rule{76, Class::wait_in_doubt, Errc::io},           // CANNOT_OPEN_FILE
    Rule{81, Class::stop, Errc::not_found},             // UNKNOWN_DATABASE
    Rule{82, Class::stop, Errc::conflict},              // DATABASE_ALREADY_EXISTS
    Rule{95, Class::wait_in_doubt, Errc::connection},   // CANNOT_READ_FROM_SOCKET
    Rule{96, Class::wait_in_doubt, Errc::connection},   // CANNOT_WRITE_TO_SOCKET
    Rule{115, Class::stop, Errc::unsupported},          // UNKNOWN_SETTING
    Rule{117, Class::row, Errc::data},                  // INCORRECT_DATA
    Rule{131, Class::row, Errc::data},                  // TOO_LARGE_STRING_SIZE
    Rule{159, Class::wait_in_doubt, Errc::timeout},     // TIMEOUT_EXCEEDED: some blocks may be in
    Rule{160, Class::wait_in_doubt, Errc::timeout},     // TOO_SLOW
    Rule{164, Class::wait, Errc::permission},           // READONLY
    Rule{192, Class::stop, Errc::authentication},       // UNKNOWN_USER
    Rule{193, Class::stop, Errc::authentication},       // WRONG_PASSWORD
    Rule{194, Class::stop, Errc::authentication},       // REQUIRED_PASSWORD
    Rule{198, Class::wait, Errc::connection},           // DNS_ERROR
    Rule{202, Class::wait, Errc::limit},                // TOO_MANY_SIMULTANEOUS_QUERIES
    Rule{203, Class::wait, Errc::limit},                // NO_FREE_CONNECTION
    Rule{209, Class::wait_in_doubt, Errc::timeout},     // SOCKET_TIMEOUT
    Rule{210, Class::wait_in_doubt, Errc::connection},  // NETWORK_ERROR
    Rule{216, Class::wait_in_doubt, Errc::conflict},    // QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING
    Rule{225, Class::wait_in_doubt, Errc::connection},  // NO_ZOOKEEPER
    Rule{236, Class::wait_in_doubt, Errc::connection},  // ABORTED
    Rule{241, Class::wait_in_doubt, Errc::limit},       // MEMORY_LIMIT_EXCEEDED
    Rule{242, Class::wait_in_doubt, Errc::permission},  // TABLE_IS_READ_ONLY
    Rule{285, Class::wait_in_doubt, Errc::connection},  // TOO_FEW_LIVE_REPLICAS
    Rule{286, Class::wait_in_doubt, Errc::connection},  // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    Rule{291, Class::stop, Errc::permission},           // DATABASE_ACCESS_DENIED
    Rule{319, Class::wait_in_doubt, Errc::connection},  // UNKNOWN_STATUS_OF_INSERT
    Rule{321, Class::row, Errc::data},                  // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    Rule{349, Class::stop, Errc::schema},               // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    Rule{376, Class::row, Errc::data},                  // CANNOT_PARSE_UUID
    Rule{394, Class::wait_in_doubt, Errc::conflict},    // QUERY_WAS_CANCELLED
    Rule{407, Class::row, Errc::data},                  // DECIMAL_OVERFLOW
    Rule{425, Class::wait_in_doubt, Errc::io},          // SYSTEM_ERROR
    Rule{439, Class::wait_in_doubt, Errc::limit},       // CANNOT_SCHEDULE_TASK
    Rule{452, Class::stop, Errc::config},               // SETTING_CONSTRAINT_VIOLATION
    Rule{467, Class::row, Errc::data},                  // CANNOT_PARSE_BOOL
    Rule{469, Class::row, Errc::data},                  // VIOLATED_CONSTRAINT
    Rule{497, Class::stop, Errc::permission},           // ACCESS_DENIED
    Rule{516, Class::stop, Errc::authentication},       // AUTHENTICATION_FAILED
    Rule{691, Class::row, Errc::data},                  // UNKNOWN_ELEMENT_OF_ENUM
    Rule{999, Class::wait_in_doubt, Errc::connection},  // KEEPER_EXCEPTION
};
static_assert(std::is_sorted(rules.begin(), rules.end(), [](const Rule& a, const Rule& b) { return a.code < b.code; }));

constexpr std::size_t shown_bytes_max = 400;

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The part of the server's text that is safe to show: values stand in quotes or after "while parsing"/"Row 1:", so the
// text ends there, and what is in single quotes is left out unless it is a name in backquotes or dots.
std::string readable(std::string_view message) {
  if (const auto at = message.find("DB::Exception: "); at != std::string_view::npos) message.remove_prefix(at + 15);
  for (const std::string_view end :
       {": while ", ": (while ", "\nRow ", "Stack trace", ": (at row", ": In scope", " in scope ", " (version "}) {
    if (const auto at = message.find(end); at != std::string_view::npos) message = message.substr(0, at);
  }
  std::string out;
  bool quoted = false;
  char before = ' ';
  for (const char c : message) {
    const bool apostrophe =
        !quoted && ((before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z'));  // doesn't
    before = c;
    if (out.size() >= shown_bytes_max) {
      out += "…";
      break;
    }
    if (c == '\'' && !apostrophe) {
      if (!quoted) out += "'…'";
      quoted = !quoted;
      continue;
    }
    if (quoted) continue;
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '.')) out.pop_back();
  return out;
}

Error make(Errc errc, Recovery recovery, bool doubt, std::string message, int code) {
  return Error{errc, recovery, doubt, std::move(message), code == 0 ? std::string() : std::to_string(code)};
}

}  // namespace

int code_in(std::string_view message) noexcept {
  const auto at = message.find("Code: ");
  if (at == std::string_view::npos) return 0;
  const std::string_view digits = message.substr(at + 6);
  int code = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), code);
  return code;
}

Error classify(int code, std::string_view message) {
  const std::string said = "ClickHouse said (code " + std::to_string(code) + "): " + readable(message);
  if (code == 252) {
    // One number, two errors: too many partitions in one block never gets better by waiting.
    if (contains(message, "partitions for single INSERT") || contains(message, "Too many partitions")) {
      return make(Errc::limit, Recovery::halt, false,
                  said +
                      ". One batch touches more partitions than the server allows: use smaller batches, a coarser "
                      "PARTITION BY, "
                      "or a larger max_partitions_per_insert_block",
                  code);
    }
    return make(Errc::limit, Recovery::retry, false,
                said + ". The table has too many parts; larger batches make fewer of them", code);
  }
  if (code == 243) {
    return make(Errc::limit, Recovery::retry, true, "The disk of ClickHouse is full: free some space there. " + said,
                code);
  }
  const auto* rule =
      std::lower_bound(rules.begin(), rules.end(), code, [](const Rule& r, int c) { return r.code < c; });
  if (rule != rules.end() && rule->code == code) {
    switch (rule->what) {
      case Class::wait:
        return make(rule->errc, Recovery::retry, false, said, code);
      case Class::wait_in_doubt: {
        Error e = make(rule->errc, Recovery::retry, true,
                       said + (rule->errc == Errc::io ? ". Look at the disk of ClickHouse: is it full?" : ""), code);
        e.too_big = code == 241;  // MEMORY_LIMIT_EXCEEDED
        return e;
      }
      case Class::stop:
        return make(rule->errc, Recovery::halt, false, said, code);
      case Class::row:
        return make(rule->errc, Recovery::dead_letter, false, said, code);
    }
  }
  // Unknown to us: something went wrong at some point of the request, so nobody may guess what is there.
  return make(Errc::internal, Recovery::halt, true, said, code);
}

}  // namespace pgch::ch
