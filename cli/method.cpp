#include "method.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pgch::cli {

const Method& method_of(const TableConfig& table) {
  static const std::array all{&flag_method, &poll_method, &notify_method, &outbox_method};
  const auto at = std::find_if(all.begin(), all.end(), [&](const Method* m) { return table.method == m->name; });
  return at == all.end() ? *all.front() : **at;
}

Result<PostgresSession::Row> facts_of(PostgresSession& source, const TableConfig& table, const std::string& sql,
                                      const std::string& parameter) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto rows = source.query(sql, {*name, parameter});
  if (!rows) return std::move(rows).error();
  if (!rows->empty()) return std::move(rows->front());
  if (auto described = source.describe(table.name, {}); !described) return std::move(described).error();
  return halt(Errc::not_found, "There is no table " + table.name + " in this PostgreSQL database.");
}

void tell_unreadable(const TableConfig& table, Findings& found) {
  found.problem(
      fmt::format("no right to read table {}; mend it with: GRANT SELECT ON {} TO <user>", table.name, table.name),
      Errc::permission);
}

std::string key_missing(const TableConfig& table) {
  return fmt::format(
      "table {} has no key, and the {} method must know which rows it sent: add a primary key, or name "
      "unique columns with the setting table.key",
      table.name, table.method);
}

Result<std::string> key_list(const SourceTable& described) {
  std::string key;
  for (const std::size_t i : key_indexes(described.schema)) {
    auto column = quote_postgres(described.source_columns[i]);
    if (!column) return std::move(column).error();
    key += (key.empty() ? "" : ", ") + *column;
  }
  return key;
}

Result<std::string> key_condition(const SourceTable& described) {
  std::string out;
  std::size_t n = 0;
  for (const std::size_t i : key_indexes(described.schema)) {
    auto column = quote_postgres(described.source_columns[i]);
    if (!column) return std::move(column).error();
    out += fmt::format("{}{} = ${}", out.empty() ? "" : " AND ", *column, ++n);
  }
  return out;
}

Error no_second_time(const TableConfig& table, const std::string& why) {
  return halt(Errc::unsupported,
              fmt::format("{}, so a row of table {} can't be sent once more; pgch repair copies it", why, table.name));
}

bool is_yes(const std::optional<std::string>& cell) noexcept { return cell && (*cell == "t" || *cell == "true"); }

}  // namespace pgch::cli
