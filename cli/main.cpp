// pgch: parses, builds stages, prints. Everything it does can be done from the library.
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "program.h"
#include "signals.h"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace pgch::cli {
namespace {

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> out;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    if (const char* equals = std::strchr(*one, '='))
      out.emplace(std::string(*one, static_cast<std::size_t>(equals - *one)), std::string(equals + 1));
  }
  return out;
}

// A password in an argument can be seen by everybody in the list of processes: at least not for long.
bool hide_passwords(int argc, char** argv) {
  bool found = false;
  for (int i = 1; i < argc; ++i) {
    char* begin = std::strstr(argv[i], "://");
    for (const char* secret : {"password=", "registry_token="}) {
      char* const keyword = std::strstr(argv[i], secret);
      if (keyword == nullptr) continue;
      for (char* c = keyword + std::strlen(secret); *c != '\0' && *c != '&' && *c != ' '; ++c) *c = 'x';
      found = true;
    }
    if (begin == nullptr) continue;
    begin += 3;
    char* const at = std::strrchr(begin, '@');
    char* const colon = std::strchr(begin, ':');
    if (at == nullptr || colon == nullptr || colon > at) continue;
    for (char* c = colon + 1; c < at; ++c) *c = 'x';
    found = true;
  }
  return found;
}

Result<Config> configure(const Program& program, const std::map<std::string, std::string>& variables) {
  ConfigSources sources;
  sources.environment = variables;
  sources.overrides = program.flags.overrides;
  const auto named = [&](const std::string& flag, const char* variable) {
    if (!flag.empty()) return flag;
    const auto found = variables.find(variable);
    return found == variables.end() ? std::string{} : found->second;
  };
  sources.file = named(program.flags.config_file, "PGCH_CONFIG");
  if (sources.file.empty() && ::access("pgch.toml", F_OK) == 0) sources.file = "pgch.toml";
  sources.env_file = named(program.flags.env_file, "PGCH_ENV_FILE");
  sources.env_file_required = !sources.env_file.empty();
  if (sources.env_file.empty()) sources.env_file = ".env";
  return load_config(sources);
}

int run_action(Program& program, Log& log, bool password_in_arguments) {
  const auto variables = environment();
  Config config;
  if (program.needs_config) {
    auto loaded = configure(program, variables);
    if (!loaded) return fail(nullptr, program.flags.json, loaded.error());
    config = *std::move(loaded);
  }
  log.configure(program.flags.quiet ? std::max(config.log_level, LogLevel::warning) : config.log_level,
                config.log_json);
  if (password_in_arguments) {
    log.write(LogLevel::warning,
              "A password on the command line can be seen by other users; better PG_PASSWORD, CH_PASSWORD, a "
              "password_file or ~/.pgpass");
  }
  Signals signals(log);
  Session session{std::move(config),     log,       signals.stop(),          program.flags.json,
                  program.flags.quiet,   variables, program.flags.overrides, program.flags.config_file,
                  program.flags.env_file};
  auto status = program.action(session);
  log.draw({});
  if (!status) return fail(&session, program.flags.json, status.error());
  return *status;
}

std::vector<std::string> verbs_of(const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(verb->get_name());
  return known;
}

int unknown_verb(const std::vector<std::string>& known, const std::string& word) {
  const std::string near = nearest_name(word, known);
  std::cerr << "pgch: there is no command \"" << word << "\""
            << (near.empty() ? "" : "; did you mean \"" + near + "\"?") << "\nSee: pgch help\n";
  return exit_usage;
}

// The first word that looks like a flag and is none; empty if there is none.
std::string unknown_flag(const CLI::App& verb, const std::vector<std::string>& arguments) {
  const auto known = flags_of(verb);
  for (const std::string& one : arguments) {
    if (one == "--") break;
    if (one.size() < 3 || one.rfind("--", 0) != 0) continue;
    const std::string name = one.substr(0, one.find('='));
    if (std::find(known.begin(), known.end(), name) == known.end()) return name;
  }
  return {};
}

std::string why_not_parsed(const CLI::App& app, const std::vector<std::string>& arguments,
                           const CLI::ParseError& error) {
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError)) return error.what();
  const bool verb_first = arguments[0].rfind('-', 0) != 0;
  const CLI::App& verb = verb_first ? *app.get_subcommand(arguments[0]) : app;
  const std::string flag = unknown_flag(verb, arguments);
  if (flag.empty()) return error.what();
  if (!verb_first) return "there is no flag " + flag + " here; flags come after the command, as in: pgch run " + flag;
  const std::string near = nearest_name(flag, flags_of(verb));
  return "there is no flag " + flag + (near.empty() ? "" : "; did you mean " + near + "?");
}

int main_of(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool hidden = hide_passwords(argc, argv);

  Program program;
  CLI::App app("pgch moves rows from PostgreSQL to ClickHouse exactly once, with or without Kafka, and proves it.",
               "pgch");
  app.set_version_flag("--version", std::string("pgch ") + PGCH_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.footer(
      "\nExamples:\n"
      "  pgch run --from postgresql://me@localhost/test_db --to chdb://./warehouse --table user_logins --once\n"
      "  pgch query --to chdb://./warehouse \"SELECT count() FROM user_logins_current\"\n"
      "Exit status: 0 done, 1 failed while running, 2 the command or the configuration has to be changed (also: what "
      "it\n"
      "names isn't there or doesn't fit), 3 differences found, 4 done with dead letters, 130 interrupted.\n"
      "Help on a command: pgch help run; on all settings: pgch help settings\n");
  for (auto* add :
       {add_run, add_snapshot, add_produce, add_consume, add_verify, add_repair, add_check, add_setup, add_teardown,
        add_ddl, add_status, add_dlq, add_replay, add_query, add_serve, add_generate, add_completion, add_help}) {
    add(app, program);
  }
  for (CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) verb->group("Commands");
  if (arguments.empty()) {
    std::cout << overview(app);
    return exit_usage;
  }
  const auto known = verbs_of(app);
  if (arguments[0].rfind('-', 0) != 0 && std::find(known.begin(), known.end(), arguments[0]) == known.end())
    return unknown_verb(known, arguments[0]);
  const std::string verb = arguments[0].rfind('-', 0) == 0 ? "" : arguments[0] + " ";
  try {
    auto reversed = arguments;
    std::reverse(reversed.begin(), reversed.end());
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "pgch: " << why_not_parsed(app, arguments, error) << "\nSee: pgch " << verb << "--help\n";
    return exit_usage;
  }
  if (!program.action) return exit_usage;
  Log log;
  return run_action(program, log, hidden);
}

}  // namespace

int exit_of(const Error& error) noexcept {
  switch (error.code) {
    case Errc::config:
    case Errc::not_found:
    case Errc::schema:
    case Errc::unsupported:
      return exit_usage;
    case Errc::stopped:
      return exit_interrupted;
    default:
      return exit_failed;
  }
}

int fail(Session* session, bool json, const Error& error) {
  if (session != nullptr) session->log.draw({});
  if (json) {
    print("{\"status\":\"failed\",\"error\":{\"code\":" + json_text(name_of(error.code)) +
          ",\"message\":" + json_text(error.message) + ",\"native\":" + json_text(error.native) + "}}\n");
  }
  std::cerr << "pgch: " << error.message
            << (error.native.empty() || error.message.find(error.native) != std::string::npos
                    ? ""
                    : " (" + error.native + ")")
            << '\n';
  return exit_of(error);
}

}  // namespace pgch::cli

int main(int argc, char** argv) {
  try {
    return pgch::cli::main_of(argc, argv);
  } catch (const std::bad_alloc&) {
    std::cerr << "pgch: out of memory\n";
  } catch (const std::exception& error) {
    std::cerr << "pgch: unexpected: " << error.what() << '\n';
  }
  return pgch::cli::exit_failed;
}
