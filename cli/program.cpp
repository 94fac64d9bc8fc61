#include "program.h"

#include <CLI/CLI.hpp>

namespace pgch::cli {
namespace {

// A flag that is a setting under another name.
void setting(CLI::App* verb, Program& program, const std::string& flag, const std::string& value_name,
             const std::string& name, const std::string& what) {
  verb->add_option_function<std::string>(
          flag,
          [&program, flag, name](const std::string& value) {
            program.flags.overrides.push_back({name, value, flag});
          },
          what)
      ->type_name(value_name);
}

void add_set(CLI::App* verb, Program& program) {
  verb->add_option_function<std::vector<std::string>>(
          "--set",
          [&program](const std::vector<std::string>& all) {
            for (const std::string& one : all) {
              const auto equals = one.find('=');
              if (equals == std::string::npos)
                throw CLI::ValidationError("--set", "\"" + one + "\" must be name=value, like batch.rows=5000");
              program.flags.overrides.push_back({one.substr(0, equals), one.substr(equals + 1), "--set"});
            }
          },
          "Any setting, as name=value; may be repeated (pgch help settings)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

}  // namespace

CLI::App* add_verb(CLI::App& app, Program& program, const std::string& name, const std::string& what,
                   const std::string& examples, Wants wants) {
  CLI::App* verb = app.add_subcommand(name, what);
  verb->add_option("-c,--config", program.flags.config_file,
                   "Configuration file; without it ./pgch.toml, if there is one")
      ->type_name("FILE");
  verb->add_option("--env-file", program.flags.env_file, "File of NAME=value; without it ./.env, if there is one")
      ->type_name("FILE");
  if (wants.source)
    setting(verb, program, "--from", "URL", "postgres.url", "PostgreSQL: postgresql://user@host:port/database");
  if (wants.target)
    setting(verb, program, "--to", "URL", "clickhouse.url",
            "ClickHouse: http://host:8123, https://…, or chdb://directory for the embedded engine");
  if (wants.tables) {
    verb->add_option_function<std::vector<std::string>>(
            "-t,--table",
            [&program](const std::vector<std::string>& all) {
              for (const std::string& one : all) program.flags.overrides.push_back({"table", one, "--table"});
            },
            "Table at PostgreSQL; may be repeated")
        ->type_name("TABLE")
        ->allow_extra_args(false);
    setting(verb, program, "--target", "TABLE", "table.target", "Table at ClickHouse, if it has another name");
    setting(verb, program, "--method", "METHOD", "table.method",
            "How new rows are found: flag, poll, notify or outbox");
    setting(verb, program, "--flag-column", "COLUMN", "table.flag_column", "Column that says whether a row was sent");
  }
  if (wants.kafka) {
    setting(verb, program, "--kafka", "HOST:PORT", "kafka.bootstrap",
            "Kafka's brokers, several with commas between them");
    setting(verb, program, "--topic", "TOPIC", "kafka.topic", "Topic");
    setting(verb, program, "--group", "GROUP", "kafka.group", "Consumer group");
    setting(verb, program, "--format", "FORMAT", "kafka.format",
            "Of the messages: json, key, native, avro or debezium");
    setting(verb, program, "--schema-registry", "URL", "kafka.schema_registry", "Schema registry, for format avro");
  }
  if (wants.batches) {
    setting(verb, program, "--batch-rows", "N", "batch.rows", "Rows of one batch at most");
    setting(verb, program, "--pipeline", "NAME", "pipeline", "Name of the pipeline");
  }
  if (wants.tables) setting(verb, program, "--state", "DIRECTORY", "state", "Directory of journal and dead letters");
  add_set(verb, program);
  setting(verb, program, "--log-level", "LEVEL", "log.level", "debug, info, warning or error");
  setting(verb, program, "--log-format", "FORMAT", "log.format", "text or json");
  if (wants.json) verb->add_flag("--json", program.flags.json, "Result as JSON on standard output");
  verb->add_flag("-q,--quiet", program.flags.quiet, "No progress, only warnings and errors");
  verb->footer("\nExamples:\n" + examples);
  return verb;
}

void on_parsed(CLI::App* verb, Program& program, std::function<Result<int>(Session&)> action) {
  verb->callback([&program, action = std::move(action)] { program.action = action; });
}

Result<std::vector<TableConfig>> tables_of(const Session& session) {
  if (!session.config.tables.empty()) return session.config.tables;
  return halt(
      Errc::config,
      "No table is named: add --table user_logins, set PG_TABLE, or write a [[table]] with its name into pgch.toml.");
}

Result<void> require_source(const Session& session) {
  if (!session.config.postgres.conninfo.empty()) return {};
  for (const char* own : {"PGHOST", "PGSERVICE", "PGHOSTADDR", "PGDATABASE", "PGUSER"}) {
    if (session.environment.contains(own)) return {};
  }
  return halt(Errc::config,
              "PostgreSQL's address is missing: add --from postgresql://user@host:5432/database, set PG_HOST (in .env "
              "or the environment), "
              "or write [postgres] into pgch.toml.");
}

}  // namespace pgch::cli
