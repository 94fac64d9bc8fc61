#include "pgch/verify.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <iostream>

#include "pgch/extract/scan.h"
#include "program.h"

namespace pgch::cli {
namespace {

std::string hex(const std::optional<Checksum>& sum) {
  return sum ? fmt::format("\"{:016x}{:016x}\"", sum->high, sum->low) : std::string("null");
}

std::string as_json(const VerifyReport& report) {
  std::string messages;
  for (const std::string& one : report.messages()) messages += (messages.empty() ? "" : ",") + json_text(one);
  return fmt::format(
      "{{\"table\":{},\"target\":{},\"equal\":{},\"source_rows\":{},\"target_rows\":{},\"target_raw_rows\":{},"
      "\"unsent\":{},\"source_checksum\":{},"
      "\"target_checksum\":{},\"messages\":[{}]}}",
      json_text(report.source_table), json_text(report.target_table), report.equal(), report.source_rows,
      report.target_rows, report.target_raw_rows, report.unsent ? std::to_string(*report.unsent) : "null",
      hex(report.source_checksum), hex(report.target_checksum), messages);
}

void print_report(const VerifyReport& report, bool quiet) {
  for (const std::string& one : report.messages()) print(one + "\n");
  if (quiet) return;
  if (report.equal()) {
    print(fmt::format("Table {} in PostgreSQL and table {} in ClickHouse are equal: {}{}.\n", report.source_table,
                      report.target_table, counted(report.source_rows, "row"),
                      report.source_checksum ? fmt::format(", checksum {:016x}{:016x}", report.source_checksum->high,
                                                           report.source_checksum->low)
                                             : ""));
  }
  if (report.target_raw_rows > report.target_rows) {
    print(fmt::format("({} of older versions or repetitions stored beside them; ClickHouse merges them away.)\n",
                      counted(report.target_raw_rows - report.target_rows, "row")));
  }
}

// On standard error: the findings themselves are the result.
void say_what_next(const Session& session, const TableConfig& table, const VerifyReport& report) {
  if (report.equal() || session.quiet) return;
  if (report.unsent.value_or(0) != 0 || !report.target_exists) {
    std::cerr << "pgch: move what waits with: " << command_again(session, "run", table)
              << " --once, then verify again\n";
    return;
  }
  std::cerr << "pgch: nothing waits at the source, so a further run changes nothing. Rows that were changed or deleted "
               "after they were sent, set aside as dead letters (pgch status), or written to the target by others "
               "differ like this; to move rows again, reset their flag: UPDATE "
            << table.name << " SET " << table.flag_column << " = FALSE WHERE …\n";
}

Result<VerifyReport> verify_table(Session& session, const TableConfig& table, bool counts_only) {
  const Context context = session.context();
  auto source = open_postgres(session.config.postgres, context);
  if (!source) return std::move(source).error();
  auto scan = make_scan(scan_of(session.config, table));
  if (!scan) return std::move(scan).error();
  auto target = open_clickhouse(clickhouse_of(session.config, table), context);
  if (!target) return std::move(target).error();
  VerifyOptions options;
  options.table = table.name;
  options.columns = table.columns;
  options.flag_column = table.flag_column;
  options.target = target_of(session.config, table);
  options.target_name = target_name(table);
  options.checksum = !counts_only;
  std::atomic<std::int64_t> next{0};
  if (!session.quiet) {
    options.progress = [&](std::uint64_t here, std::uint64_t there) {
      const std::int64_t now =
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
              .count();
      std::int64_t due = next;
      if (now < due || !next.compare_exchange_strong(due, now + (session.log.terminal() ? 200 : 5000))) return;
      const std::string line = fmt::format("{}: compared {} rows of PostgreSQL, {} of ClickHouse", table.name,
                                           human_count(here), human_count(there));
      if (session.log.terminal()) {
        session.log.draw(line);
      } else if (due != 0) {
        session.log.plain(line);
      }
    };
  }
  auto report = verify(**source, **scan, **target, options, context);
  session.log.draw({});
  return report;
}

Result<int> verify_all(Session& session, bool counts_only) {
  if (auto ready = require_source(session); !ready) return std::move(ready).error();
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  bool equal = true;
  std::string json;
  for (const TableConfig& table : *tables) {
    auto report = verify_table(session, table, counts_only);
    if (!report) return std::move(report).error();
    equal = equal && report->equal();
    say_what_next(session, table, *report);
    if (session.json) {
      json += (json.empty() ? "" : ",") + as_json(*report);
    } else {
      print_report(*report, session.quiet);
    }
  }
  if (session.json) print("[" + json + "]\n");
  return equal ? exit_done : exit_differences;
}

}  // namespace

void add_verify(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.tables = true;
  CLI::App* command =
      add_verb(app, program, "verify",
               "Compare both sides: counts, unsent rows, a checksum of every row; exit status 3 if they differ",
               "  pgch verify --from postgresql://me@localhost/test_db --to chdb://./warehouse --table user_logins\n  "
               "pgch verify --config pgch.toml --json\n",
               wants);
  auto counts = std::make_shared<bool>(false);
  command->add_flag("--counts", *counts, "Counts only, no checksum");
  on_parsed(command, program, [counts](Session& session) { return verify_all(session, *counts); });
}

}  // namespace pgch::cli
