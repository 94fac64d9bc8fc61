// The types that pgch_types moves: how to make random values of each, which values are its edges, and the rule by which
// PostgreSQL's text equals ClickHouse's (docs/TYPES.md).
#pragma once

#include <map>
#include <string>
#include <vector>

namespace pgch::types_test {

struct Case {
  std::string name;
  std::string type;                                   ///< in CREATE TABLE
  std::string random;                                 ///< SQL for one random value; `g` is the row's number
  std::vector<std::string> edges;                     ///< SQL for one value each, cast to the type
  std::string postgres = "pg_catalog.textin(%o(v))";  ///< SQL: the value `v` as text
  std::string clickhouse = "toString(v)";             ///< SQL: the same text at ClickHouse
  std::string target{};                               ///< the column's type at ClickHouse, as the server names it
  std::map<std::string, std::string> as{};            ///< TypeOptions::as
  std::string misfit = "fail";
  std::string setup{};      ///< SQL, run once in the test's schema
  std::string extension{};  ///< that the case needs
  bool json = true;         ///< its values survive a JSON message bit by bit
  int since = 0;            ///< the first major version of PostgreSQL that has the type
};

/// SQL functions in the test's schema that the random values are made with.
extern const char* const helpers;
std::vector<Case> all_cases();

// The parts of all_cases().
void add_scalars(std::vector<Case>& cases);
void add_texts(std::vector<Case>& cases);
void add_nested(std::vector<Case>& cases);
void add_options(std::vector<Case>& cases);

}  // namespace pgch::types_test
