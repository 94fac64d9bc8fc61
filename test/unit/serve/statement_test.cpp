#include "serve/statement.h"

#include <string>

#include "serve/formats.h"
#include "serve/lexer.h"
#include "test/support/catch.h"

using namespace pgch::serve;
using Kind = Statement::Kind;

namespace {
std::string data_of(const std::string& text) {
  const Statement statement = analyse(text, true);
  REQUIRE(statement.kind == Kind::insert_data);
  return text.substr(statement.data);
}
}  // namespace

TEST_CASE("the rows of an INSERT begin where ClickHouse lets them begin") {
  CHECK(data_of("INSERT INTO t FORMAT TSV\n1\t2\n") == "1\t2\n");
  CHECK(data_of("INSERT INTO t FORMAT TSV \r\n\n1") == "\n1");
  CHECK(data_of("INSERT INTO t FORMAT CSV 1,2") == "1,2");
  CHECK(data_of("insert into t (a, b) values (1, 2)") == " (1, 2)");
  CHECK(data_of("INSERT INTO t (`format`, \"values\") FORMAT JSONEachRow {\"a\": 1}") == "{\"a\": 1}");
  CHECK(data_of("INSERT INTO t /* FORMAT x */ FORMAT TSV -- not a comment") == "-- not a comment");
  CHECK(data_of("INSERT INTO t FORMAT Values SETTINGS a = 1, b = 'FORMAT' (1)") == "(1)");
  CHECK(data_of("INSERT INTO t").empty());
}

TEST_CASE("the engine gets an INSERT without its format and its rows, but with its settings") {
  const Statement before = analyse("INSERT INTO t (a) SETTINGS x = 1 FORMAT RowBinary\n\x01", true);
  CHECK(before.sql == "INSERT INTO t (a) SETTINGS x = 1");
  CHECK(before.format == "RowBinary");
  CHECK(analyse("INSERT INTO t FORMAT CSV SETTINGS x = 1\n1", true).sql == "INSERT INTO t SETTINGS x = 1");
  CHECK(analyse("INSERT INTO t -- why\n", true).sql == "INSERT INTO t");
  CHECK(analyse("INSERT INTO FUNCTION f('VALUES') VALUES (1)", true).sql == "INSERT INTO FUNCTION f('VALUES')");
}

TEST_CASE("an INSERT that is cut anywhere is not decided before its rows are certain to begin") {
  const std::string text =
      "INSERT INTO `a\\`b` (x) SETTINGS s = 'FORMAT CSV' FORMAT CSVWithNames SETTINGS y = 2\nname\n";
  const Statement whole = analyse(text, true);
  for (std::size_t n = 0; n < text.size(); ++n) {
    const Statement part = analyse(text.substr(0, n), false);
    if (part.kind == Kind::unfinished) continue;
    CHECK(part.kind == Kind::insert_data);
    CHECK(part.sql == whole.sql);
    CHECK(part.format == whole.format);
    CHECK(part.data == whole.data);
  }
}

TEST_CASE("statements without rows are told apart") {
  CHECK(analyse("SELECT 1", true).kind == Kind::select);
  CHECK(analyse("WITH x AS (SELECT 1) SELECT * FROM x", true).kind == Kind::select);
  CHECK(analyse("WITH 1 AS x INSERT INTO t SELECT x", true).writes);
  CHECK(analyse("INSERT INTO t SELECT 1 FORMAT TSV", true).kind == Kind::other);
  CHECK(analyse(" -- nothing\n/* at all */ ;", true).kind == Kind::empty);
  CHECK(analyse("SELECT format FROM t", true).format.empty());
  CHECK(analyse("SELECT 1 FORMAT JSON", true).format == "JSON");
  CHECK(analyse("SELECT 1 FORMAT JSON SETTINGS max_threads = 1;", true).format == "JSON");
  CHECK(analyse("SELECT (SELECT 1 FORMAT JSON)", true).format.empty());
  CHECK(analyse("SELECT ';'; -- end\n", true).sql == "SELECT ';'");
  CHECK_FALSE(analyse("SELECT ';';", true).several);
  CHECK(analyse("SELECT 1; SELECT 2", true).several);
  CHECK(analyse("SELECT 1 INTO OUTFILE 'x'", true).file_clause);
  CHECK(analyse("INSERT INTO t FROM INFILE 'x' FORMAT CSV", true).file_clause);
  CHECK_FALSE(analyse("SHOW TABLES", true).writes);
  CHECK(analyse("DROP TABLE t", true).writes);
  CHECK(analyse("SELECT a, sum(b) FROM t GROUP BY a WITH TOTALS", true).whole_only);
}

TEST_CASE("KILL QUERY is understood only when it names query ids and nothing else") {
  const auto kill = kill_of("KILL QUERY WHERE query_id IN ('a:1', 'it\\'s') SYNC FORMAT JSON");
  REQUIRE(kill);
  CHECK(kill->query_ids == std::vector<std::string>{"a:1", "it's"});
  CHECK(kill->sync);
  REQUIRE(kill_of("kill query where query_id = 'x'"));
  CHECK_FALSE(kill_of("kill query where query_id = 'x'")->sync);
  CHECK_FALSE(kill_of("KILL QUERY WHERE user = 'x'"));
  CHECK_FALSE(kill_of("KILL QUERY WHERE query_id = 'x' OR 1"));
  CHECK_FALSE(kill_of("KILL MUTATION WHERE query_id = 'x'"));
}

TEST_CASE("literals survive quoting and back") {
  const std::string odd("a'b\\c\n\t\"`$ \0 end", 16);
  CHECK(unquote(quote_string(odd)) == odd);
}

TEST_CASE("headers of documents are measured") {
  CHECK(pieces_of("JSONEachRow") == Pieces::plain);
  CHECK(pieces_of("JSON") == Pieces::whole);
  CHECK(pieces_of("CSVWithNames") == Pieces::headed);
  CHECK(pieces_of("PrettyCompact") == Pieces::whole);
  CHECK(header_bytes("TSVWithNames", "a\tb\n1\t2\n") == 4U);
  CHECK(header_bytes("TSVWithNamesAndTypes", "a\tb\nInt8\tInt8\n1\t2\n") == 14U);
  CHECK(header_bytes("CSVWithNames", "\"a\nb\",\"c\"\"\"\n1,2\n") == 12U);
  CHECK(header_bytes("RowBinaryWithNamesAndTypes", std::string("\x01\x01"
                                                               "a\x05"
                                                               "UInt8\x07",
                                                               10)) == 9U);
  CHECK_FALSE(header_bytes("TSVWithNamesAndTypes", "a\tb\nInt8"));
}
