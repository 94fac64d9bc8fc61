// What all verbs share: flags that become settings, the session a verb runs in, and how it ends.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "pgch/config.h"
#include "terminal.h"

namespace CLI {
class App;
}

namespace pgch::cli {

/// One rule: 2 if the command or the configuration has to be changed, also when what it names isn't there or doesn't
/// fit; 1 if something failed that was rightly asked for.
enum Exit : int {
  exit_done = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_differences = 3,
  exit_dead_letters = 4,
  exit_interrupted = 130
};

struct Flags {
  std::string config_file, env_file;
  std::vector<ConfigOverride> overrides;
  bool json = false, quiet = false;
};

/// What a verb gets: the configuration, a logger, a stop.
struct Session {
  Config config;
  Log& log;
  std::stop_source stop;
  bool json = false, quiet = false;
  std::map<std::string, std::string> environment;
  std::vector<ConfigOverride> overrides;
  std::string config_file, env_file;  ///< as typed; empty: not typed
  Context context() { return {log, system_clock(), stop.get_token()}; }
};

struct Program {
  Flags flags;
  /// Set by the verb that was typed.
  std::function<Result<int>(Session&)> action;
  bool needs_config = true;
};

/// Which of the shared flags a verb has.
struct Wants {
  bool source = false, target = false, kafka = false, tables = false, batches = false, json = true;
};
/// Makes the verb's subcommand with its shared flags; `examples` close its --help.
CLI::App* add_verb(CLI::App& app, Program& program, const std::string& name, const std::string& what,
                   const std::string& examples, Wants wants);
void on_parsed(CLI::App* verb, Program& program, std::function<Result<int>(Session&)> action);

void add_check(CLI::App&, Program&);
void add_setup(CLI::App&, Program&);
void add_teardown(CLI::App&, Program&);
void add_ddl(CLI::App&, Program&);
void add_run(CLI::App&, Program&);
void add_produce(CLI::App&, Program&);
void add_consume(CLI::App&, Program&);
void add_verify(CLI::App&, Program&);
void add_repair(CLI::App&, Program&);
void add_generate(CLI::App&, Program&);
void add_query(CLI::App&, Program&);
void add_serve(CLI::App&, Program&);
void add_snapshot(CLI::App&, Program&);
void add_dlq(CLI::App&, Program&);
void add_replay(CLI::App&, Program&);
void add_status(CLI::App&, Program&);
void add_completion(CLI::App&, Program&);
void add_help(CLI::App&, Program&);

/// The long flags of a verb, with their dashes.
std::vector<std::string> flags_of(const CLI::App& verb);
/// What --help of the whole program prints, also when a verb has been parsed.
std::string overview(const CLI::App& app);
/// The tables to work on; an error that says how to name one if there is none.
Result<std::vector<TableConfig>> tables_of(const Session& session);
/// No address of PostgreSQL and none of libpq's own: says how to give one.
Result<void> require_source(const Session& session);
/// The exit status that goes with an error: exit_usage, exit_failed or exit_interrupted.
int exit_of(const Error& error) noexcept;
/// "pgch setup -c pgch.toml --table t": `verb` for this table with the flags that were typed, to be pasted into a
/// shell. Passwords are left out.
std::string command_again(const Session& session, const std::string& verb, const TableConfig& table);
/// Prints the sentence and gives the exit status that goes with it.
int fail(Session* session, bool json, const Error& error);

}  // namespace pgch::cli
