// A way to find new rows, as the command needs it: a new one is a file of its own and a row in method.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "findings.h"
#include "pgch/extractor.h"
#include "pgch/postgres.h"
#include "program.h"

namespace pgch::cli {

struct Method {
  const char* name;
  Result<std::unique_ptr<Extractor>> (*make)(const Config& config, const TableConfig& table);
  /// Says what is there, what is missing and what mends it. False: the table can't be looked at, so nothing more is to
  /// be said of it.
  bool (*check)(const Session& session, PostgresSession& source, const TableConfig& table, Findings& found);
  /// The table without the method's own columns, whether they are there or not.
  Result<SourceTable> (*describe)(PostgresSession& source, const TableConfig& table);
  /// Statements that make, or take away, what the method needs at PostgreSQL. `described` has a key.
  Result<std::vector<std::string>> (*setup_sql)(PostgresSession& source, const TableConfig& table,
                                                const SourceTable& described);
  Result<std::vector<std::string>> (*teardown_sql)(PostgresSession& source, const TableConfig& table);
  /// A statement that has the row whose key is $1, $2 … moved once more, and returns a row if it is there.
  Result<std::string> (*again_sql)(PostgresSession& source, const TableConfig& table, const SourceTable& described);
  /// How many rows wait; nullopt if the method can't tell.
  Result<std::optional<std::uint64_t>> (*unsent)(Session& session, PostgresSession& source, const TableConfig& table);
};

/// The configuration allows only names that are here.
const Method& method_of(const TableConfig& table);
extern const Method flag_method, poll_method, notify_method, outbox_method;

/// The one row that `sql` finds of the table named by $1; $2 is `parameter`. Errc::not_found, with the nearest name, if
/// there is no such table.
Result<PostgresSession::Row> facts_of(PostgresSession& source, const TableConfig& table, const std::string& sql,
                                      const std::string& parameter);
/// Says that the user may not read the table, and what mends it.
void tell_unreadable(const TableConfig& table, Findings& found);
/// What is wrong with a table without a key, and what mends it; without a full stop.
std::string key_missing(const TableConfig& table);
/// The index "<table>_<column>_<suffix>" of the method's column; its name is cut, with a sum, where it would be longer
/// than a name may be.
struct MethodIndex {
  const std::string& column;
  const char* suffix;
};
/// Appends the statements that make it, if it isn't there, without holding up writers; `definition` is what follows the
/// table's name. A partitioned table's is made on each partition and attached, since it can't be made concurrently.
Result<void> add_index(PostgresSession& source, const TableConfig& table, const MethodIndex& index,
                       const std::string& definition, std::vector<std::string>& out);
/// The statement that drops it, if it is there.
Result<std::string> drop_index(PostgresSession& source, const TableConfig& table, const MethodIndex& index);
/// The source's own names of the key's columns, quoted, with commas between them.
Result<std::string> key_list(const SourceTable& described);
/// "key" = $1 AND …: the condition for one row.
Result<std::string> key_condition(const SourceTable& described);
/// What a method says that can't have a row moved once more.
Error no_second_time(const TableConfig& table, const std::string& why);
/// "t" or "true".
bool is_yes(const std::optional<std::string>& cell) noexcept;

}  // namespace pgch::cli
