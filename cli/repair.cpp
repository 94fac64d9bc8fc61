// repair: what verify finds, mended.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "verifying.h"

namespace pgch::cli {
namespace {

std::string repair_json(const RepairReport& report, bool dry_run) {
  const bool mended = !dry_run && report.before.differences.total() != 0;
  return fmt::format(
      "{{\"table\":{},\"dry_run\":{},\"written\":{},\"deleted\":{},\"left\":{},\"before\":{},\"after\":{}}}",
      json_text(report.before.source_table), dry_run, report.written, report.deleted, report.left,
      as_json(report.before), mended ? as_json(report.after) : "null");
}

void print_repair(const RepairReport& report, bool dry_run, const Session& session) {
  print_report(report.before, session);
  if (report.before.differences.total() == 0) return;
  const std::string what = fmt::format(
      "{} copied again, {} deleted{}", counted(report.written, "row"), counted(report.deleted, "row"),
      report.left == 0 ? "" : fmt::format(", {} left: {}", counted(report.left, "extra row"), report.left_for));
  if (dry_run) {
    print(fmt::format("Nothing was changed (--dry-run). To be done for table {}: {}.\n", report.before.source_table,
                      what));
    return;
  }
  print(fmt::format("Table {} in ClickHouse was repaired: {}.\n", report.before.target_table, what));
  print_report(report.after, session);
}

Result<int> repair_all(Session& session, const VerifyFlags& flags) {
  if (auto ready = require_source(session); !ready) return std::move(ready).error();
  auto tables = tables_of(session);
  if (!tables) return std::move(tables).error();
  bool equal = true;
  std::string json;
  for (const TableConfig& table : *tables) {
    auto report =
        repair(sides_of(session, table), verify_options(session, table, flags), flags.dry_run, session.context());
    session.log.draw({});
    if (!report) return std::move(report).error();
    const bool mended = !flags.dry_run && report->before.differences.total() != 0;
    equal = equal && (mended ? report->after : report->before).equal();
    if (session.json) {
      json += (json.empty() ? "" : ",") + repair_json(*report, flags.dry_run);
    } else {
      print_repair(*report, flags.dry_run, session);
    }
  }
  if (session.json) print("[" + json + "]\n");
  return equal ? exit_done : exit_differences;
}

}  // namespace

void add_repair(CLI::App& app, Program& program) {
  Wants wants;
  wants.source = wants.target = wants.tables = true;
  CLI::App* command = add_verb(app, program, "repair",
                               "Verify, copy rows that differ again, delete what is not in the source, verify again",
                               "  pgch repair --from postgresql://me@localhost/test_db --to chdb://./warehouse --table "
                               "user_logins --dry-run\n  pgch repair --config pgch.toml\n",
                               wants);
  auto flags = std::make_shared<VerifyFlags>();
  command->add_flag("--dry-run", flags->dry_run, "Change nothing; tell what would be done");
  add_verify_flags(*command, flags);
  on_parsed(command, program, [flags](Session& session) { return repair_all(session, *flags); });
}

}  // namespace pgch::cli
