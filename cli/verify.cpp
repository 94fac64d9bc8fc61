#include "pgch/verify.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <thread>

#include "pgch/extract/scan.h"
#include "stages.h"
#include "verifying.h"

namespace pgch::cli {
namespace {

std::string hex(const std::optional<std::uint64_t>& sum) {
  return sum ? fmt::format("\"{:016x}\"", *sum) : std::string("null");
}

std::string json_value(const std::optional<std::string>& value) { return value ? json_text(*value) : "null"; }

template <class List, class Each>
std::string joined(const List& list, const Each& each) {
  std::string out;
  for (const auto& one : list) out += (out.empty() ? "" : ",") + each(one);
  return out;
}

std::string row_json(const RowDifference& row) {
  std::string out =
      fmt::format("{{\"kind\":\"{}\",\"key\":{{{}}},\"columns\":[{}]", name_of(row.kind),
                  joined(row.key, [](const auto& k) { return json_text(k.first) + ":" + json_text(k.second); }),
                  joined(row.columns, [](const std::string& c) { return json_text(c); }));
  if (!row.source_values.empty()) {
    out += fmt::format(",\"source\":[{}],\"target\":[{}]", joined(row.source_values, json_value),
                       joined(row.target_values, json_value));
  }
  return out + "}";
}

std::string shown(const std::optional<std::string>& value) { return value ? "'" + *value + "'" : "NULL"; }

std::string line_of(const RowDifference& row) {
  std::string out = fmt::format("  {:<8}", name_of(row.kind));
  for (const auto& [name, value] : row.key) out += fmt::format(" {}={}", name, value);
  if (row.columns.empty()) return out + "\n";
  out += ":";
  for (std::size_t i = 0; i < row.columns.size(); ++i) {
    out += (i == 0 ? " " : ", ") + row.columns[i];
    if (!row.source_values.empty())
      out +=
          fmt::format(" {} in PostgreSQL, {} in ClickHouse", shown(row.source_values[i]), shown(row.target_values[i]));
  }
  return out + "\n";
}

// On standard error: the findings themselves are the result.
void say_what_next(const Session& session, const TableConfig& table, const VerifyReport& report) {
  if (report.equal() || session.quiet) return;
  if (report.unsent.value_or(0) != 0 || !report.target_exists) {
    std::cerr << "pgch: move what waits with: " << command_again(session, "run", table)
              << " --once, then verify again\n";
    return;
  }
  if (report.differences.total() != 0 && report.has_key) {
    std::cerr << "pgch: nothing waits at the source, so a further run changes nothing. Mend the rows that differ with: "
              << command_again(session, "repair", table) << "\n";
    return;
  }
  std::cerr << "pgch: nothing waits at the source, so a further run changes nothing. Rows that were changed or deleted "
               "after they were sent, set aside as dead letters (pgch status), or written to the target by others "
               "differ like this; to move rows again, reset their flag: UPDATE "
            << table.name << " SET " << table.flag_column << " = FALSE WHERE …\n";
}

// Called from two threads; a line every now and then.
std::function<void(std::uint64_t, std::uint64_t)> progress_of(Session& session, const std::string& name) {
  if (session.quiet) return {};
  auto next = std::make_shared<std::atomic<std::int64_t>>(0);
  return [next, name, &session](std::uint64_t here, std::uint64_t there) {
    const std::int64_t now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
    std::int64_t due = *next;
    if (now < due || !next->compare_exchange_strong(due, now + (session.log.terminal() ? 200 : 5000))) return;
    const std::string line = fmt::format("{}: compared {} rows of PostgreSQL, {} of ClickHouse", name,
                                         human_count(here), human_count(there));
    if (session.log.terminal()) {
      session.log.draw(line);
    } else if (due != 0) {
      session.log.plain(line);
    }
  };
}

Result<int> verify_all(Session& session, const VerifyFlags& flags) {
  if (auto ready = require_source(session); !ready) return std::move(ready).error();
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  bool equal = true;
  std::string json;
  for (const TableConfig& table : *tables) {
    auto report = verify(sides_of(session, table), verify_options(session, table, flags), session.context());
    session.log.draw({});
    if (!report) return std::move(report).error();
    equal = equal && report->equal();
    say_what_next(session, table, *report);
    if (session.json) {
      json += (json.empty() ? "" : ",") + as_json(*report);
    } else {
      print_report(*report, session);
    }
  }
  if (session.json) print("[" + json + "]\n");
  return equal ? exit_done : exit_differences;
}

}  // namespace

VerifySides sides_of(Session& session, const TableConfig& table) {
  const Context context = session.context();
  VerifySides sides;
  sides.source = [&session, context] { return open_postgres(session.config.postgres, context); };
  sides.scan = [&session, table](const ColumnSelection& columns, const std::string& where) {
    ScanOptions options = scan_of(session.config, table);
    options.columns = columns;
    options.where = where;
    return make_scan(std::move(options));
  };
  sides.target = [&session, table, context] { return open_clickhouse(clickhouse_of(session.config, table), context); };
  sides.loader = [&session, table] { return loader_of(session.config, table); };
  return sides;
}

VerifyOptions verify_options(Session& session, const TableConfig& table, const VerifyFlags& flags) {
  VerifyOptions options;
  options.table = table.name;
  options.columns = table.columns;
  options.flag_column = table.method == "flag" ? table.flag_column : std::string();
  options.own_column = table.method == "flag" ? std::string() : own_column(table);
  options.where = table.where;
  options.target = target_of(session.config, table);
  options.target_name = target_name(table);
  options.checksum = !flags.counts;
  options.by_database = !flags.stream;
  options.show_values = flags.show_values;
  options.max_rows = flags.max_rows;
  options.workers = std::max(1U, std::thread::hardware_concurrency()) - 1;
  options.progress = progress_of(session, table.name);
  return options;
}

std::string as_json(const VerifyReport& report) {
  const DifferenceCounts& d = report.differences;
  return fmt::format(
      "{{\"table\":{},\"target\":{},\"equal\":{},\"source_rows\":{},\"target_rows\":{},\"target_raw_rows\":{},"
      "\"unsent\":{},\"rejected\":{},\"source_checksum\":{},\"target_checksum\":{},"
      "\"differences\":{{\"lost\":{},\"doubled\":{},\"altered\":{},\"stale\":{},\"extra\":{}}},\"rows\":[{}],"
      "\"ranges\":{},\"ranges_read\":{},\"streamed_for\":{},\"messages\":[{}]}}",
      json_text(report.source_table), json_text(report.target_table), report.equal(), report.source_rows,
      report.target_rows, report.target_raw_rows, report.unsent ? std::to_string(*report.unsent) : "null",
      report.source_rejected, hex(report.source_checksum), hex(report.target_checksum), d.lost, d.doubled, d.altered,
      d.stale, d.extra, joined(report.rows, [](const RowDifference& row) { return row_json(row); }), report.ranges,
      report.ranges_read, report.streamed_for.empty() ? "null" : json_text(report.streamed_for),
      joined(report.messages(), [](const std::string& one) { return json_text(one); }));
}

void print_report(const VerifyReport& report, const Session& session) {
  for (const std::string& one : report.messages()) print(one + "\n");
  for (const RowDifference& row : report.rows) print(line_of(row));
  if (const auto all = report.differences.total(); report.has_key && all > report.rows.size() && !report.rows.empty())
    print(fmt::format("  … and {} more (--max-rows)\n", all - report.rows.size()));
  if (session.quiet) return;
  if (report.equal()) {
    print(fmt::format("Table {} in PostgreSQL and table {} in ClickHouse are equal: {}{}.\n", report.source_table,
                      report.target_table, counted(report.source_rows, "row"),
                      report.source_checksum ? fmt::format(", checksum {:016x}", *report.source_checksum) : ""));
  }
  if (report.target_raw_rows > report.target_rows) {
    print(fmt::format("({} of older versions or repetitions stored beside them; ClickHouse merges them away.)\n",
                      counted(report.target_raw_rows - report.target_rows, "row")));
  }
}

void add_verify_flags(CLI::App& command, const std::shared_ptr<VerifyFlags>& flags) {
  command.add_option("--max-rows", flags->max_rows, "Name that many of the rows that differ (default 20)")
      ->type_name("N");
  command.add_flag("--show-values", flags->show_values, "Show the values that differ, too");
  command.add_flag("--stream", flags->stream, "Read every row, also where PostgreSQL could add them up");
}

void add_verify(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.tables = true;
  CLI::App* command =
      add_verb(app, program, "verify",
               "Compare both sides row by row: counts, unsent rows, rows that differ; exit status 3 if there are any",
               "  pgch verify --from postgresql://me@localhost/test_db --to chdb://./warehouse --table user_logins\n  "
               "pgch verify --config pgch.toml --json --max-rows 1000 --show-values\n",
               wants);
  auto flags = std::make_shared<VerifyFlags>();
  command->add_flag("--counts", flags->counts, "Counts only, no checksum");
  add_verify_flags(*command, flags);
  on_parsed(command, program, [flags](Session& session) { return verify_all(session, *flags); });
}

}  // namespace pgch::cli
