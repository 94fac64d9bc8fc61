// What verify and repair share: how to reach a table's two sides, and how differences are told.
#pragma once

#include <memory>
#include <string>

#include "pgch/verify.h"
#include "program.h"

namespace CLI {
class App;
}

namespace pgch::cli {

struct VerifyFlags {
  bool counts = false, show_values = false, stream = false, dry_run = false;
  std::size_t max_rows = 20;
};
/// Adds --max-rows, --show-values and --stream.
void add_verify_flags(CLI::App& command, const std::shared_ptr<VerifyFlags>& flags);
VerifySides sides_of(Session& session, const TableConfig& table);
VerifyOptions verify_options(Session& session, const TableConfig& table, const VerifyFlags& flags);
std::string as_json(const VerifyReport& report);
void print_report(const VerifyReport& report, const Session& session);

}  // namespace pgch::cli
