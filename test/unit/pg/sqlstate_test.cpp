#include "pg/sqlstate.h"

#include "pg/connection.h"
#include "pg/types.h"
#include "pgch/postgres.h"
#include "test/support/catch.h"

using namespace pgch;

TEST_CASE("SQLSTATEs are sorted into what the caller can do") {
  for (const char* code : {"08006", "57P01", "57P02", "57P03", "53300", "40001", "40P01", "55P03", "53100"}) {
    CHECK(pg::error_of(code, "some message", "reading t").recovery == Recovery::retry);
  }
  CHECK(pg::error_of("28P01", "x", "").code == Errc::authentication);
  CHECK(pg::error_of("28000", "x", "").recovery == Recovery::halt);
  CHECK(pg::error_of("42501", "x", "").code == Errc::permission);
  CHECK(pg::error_of("42P01", "x", "").code == Errc::not_found);
  CHECK(pg::error_of("42703", "x", "").code == Errc::not_found);
  CHECK(pg::error_of("", "server closed the connection", "").code == Errc::connection);
  CHECK(pg::error_of("42501", "permission denied", "reading t").native == "42501");
}

TEST_CASE("messages of data exceptions are not repeated, since they quote cells") {
  const Error e = pg::error_of("22P02", "invalid input syntax for type integer: \"secret cell\"", "reading t");
  CHECK(e.message.find("secret") == std::string::npos);
  CHECK(e.code == Errc::data);
}

TEST_CASE("the SQLSTATE is found in a verbose connection error, and left out of the sentence") {
  const Error e = pg::connect_error(
      "connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: password authentication failed for user "
      "\"x\"\n");
  CHECK(e.code == Errc::authentication);
  CHECK(e.recovery == Recovery::halt);
  CHECK(e.native == "28P01");
  CHECK(e.message.find("28P01") == std::string::npos);
  CHECK(pg::sqlstate_in("could not connect: no code here").empty());
}

TEST_CASE("a host that is unknown, or refuses, is worth another try") {
  CHECK(pg::connect_error("could not translate host name \"nowhere\" to address: Name or service not known").recovery ==
        Recovery::retry);
  CHECK(pg::connect_error("connection to server at \"127.0.0.1\", port 1 failed: Connection refused").code ==
        Errc::connection);
}

TEST_CASE("a secret is replaced wherever it stands") {
  CHECK(pg::redact("a hunter2 b hunter2", Secret("hunter2")) == "a *** b ***");
  CHECK(pg::redact("nothing", Secret("")) == "nothing");
}

TEST_CASE("names are quoted, and what PostgreSQL would cut or misread is refused") {
  CHECK(quote_postgres("plain").value() == "\"plain\"");
  CHECK(quote_postgres("a\"b").value() == "\"a\"\"b\"");
  CHECK(quote_postgres("x\"; drop table t; --").value() == "\"x\"\"; drop table t; --\"");
  CHECK(quote_postgres(std::string(63, 'x')));
  CHECK_FALSE(quote_postgres(std::string(64, 'x')));
  CHECK_FALSE(quote_postgres(""));
  CHECK_FALSE(quote_postgres(std::string_view("a\0b", 3)));
  CHECK_FALSE(quote_postgres("\xC0'"));
  CHECK_FALSE(quote_postgres("\xED\xA0\x80"));
  CHECK(quote_postgres("grüße 😀").value() == "\"grüße 😀\"");
  CHECK(quote_postgres_table("t").value() == "\"t\"");
  CHECK(quote_postgres_table("s.t").value() == "\"s\".\"t\"");
  CHECK(quote_postgres_table("\"odd.name\".\"t\"\"x\"").value() == "\"odd.name\".\"t\"\"x\"");
  CHECK_FALSE(quote_postgres_table("a.b.c"));
  CHECK_FALSE(quote_postgres_table("\"open"));
  CHECK_FALSE(quote_postgres_table("\"a\"b"));
  CHECK_FALSE(quote_postgres_table(""));
  CHECK_FALSE(quote_postgres_table("s."));
}

TEST_CASE("numeric is a Decimal where one fits, and text where none does") {
  const auto typmod = [](int precision, int scale) {
    return static_cast<std::int32_t>(((precision << 16) | (scale & 0x7FF)) + 4);
  };
  CHECK(pg::map_type(1700, typmod(10, 2), 'b').kind == Kind::decimal);
  CHECK(pg::map_type(1700, typmod(10, 2), 'b').scale == 2);
  CHECK(pg::map_type(1700, typmod(76, 76), 'b').kind == Kind::decimal);
  CHECK(pg::map_type(1700, typmod(77, 0), 'b').kind == Kind::text);
  CHECK(pg::map_type(1700, typmod(5, -2), 'b').precision == 7);  // 1234500 has seven digits
  CHECK(pg::map_type(1700, typmod(5, -2), 'b').scale == 0);
  CHECK(pg::map_type(1700, typmod(3, 5), 'b').precision == 5);
  CHECK(pg::map_type(1700, typmod(3, 5), 'b').scale == 5);
  CHECK(pg::map_type(1700, typmod(70, -7), 'b').kind == Kind::text);
  CHECK(pg::map_type(1700, -1, 'b').decoder == pg::Decoder::numeric_text);
  CHECK(pg::map_type(99999, -1, 'c').cast_to_text);
  CHECK(pg::map_type(99999, -1, 'e').kind == Kind::enumeration);
}
