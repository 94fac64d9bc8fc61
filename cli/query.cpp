// query and serve: looking at the data.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include "pgch/load/clickhouse.h"
#include "pgch/serve.h"
#include "program.h"

namespace pgch::cli {
namespace {

bool reads(const std::string& sql) {
  std::string word;
  for (const char c : sql) {
    if (word.empty() && (c == ' ' || c == '\n' || c == '\t' || c == '(')) continue;
    if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) break;
    word += static_cast<char>(c | 0x20);
  }
  return word == "select" || word == "with";
}

Result<int> query(Session& session, std::string sql, std::string format) {
  if (sql == "-") sql.assign(std::istreambuf_iterator<char>(std::cin), {});
  while (!sql.empty() && (sql.back() == ';' || sql.back() == '\n' || sql.back() == ' ')) sql.pop_back();
  if (sql.empty())
    return halt(Errc::config, "There is no SQL to run: pgch query \"SELECT 1\", or - to read it from standard input.");
  if (format.empty()) format = session.json ? "JSON" : stdout_is_terminal() ? "PrettyCompact" : "TSV";
  auto target = open_clickhouse(session.config.clickhouse, session.context());
  if (!target) return std::move(target).error();
  // Only formats whose pieces can be laid one behind the other are streamed.
  const bool streamable = format == "TSV" || format == "TabSeparated" || format == "CSV" || format == "JSONEachRow" ||
                          format == "RowBinary" || format == "Native";
  if (streamable && reads(sql)) {
    auto done = (*target)->stream(sql, format, [](std::string_view part) -> Result<void> {
      if (!print(part)) return halt(Errc::io, "Standard output was closed.");
      return {};
    });
    if (!done) return std::move(done).error();
    return exit_done;
  }
  auto answer = (*target)->query(sql, format);
  if (!answer) return std::move(answer).error();
  print(*answer);
  if (!answer->empty() && answer->back() != '\n' && stdout_is_terminal()) print("\n");
  return exit_done;
}

Result<int> serve(Session& session, ServeOptions options, const std::vector<std::string>& users) {
  const std::string& url = session.config.clickhouse.url;
  if (url.rfind("chdb://", 0) != 0)
    return halt(Errc::config,
                "serve opens the embedded engine: --to chdb://directory. A ClickHouse server serves itself.");
  options.path = url.substr(7);
  options.library = session.config.clickhouse.library;
  for (const std::string& one : users) {
    const auto found = session.environment.find("PGCH_SERVE_PASSWORD_" + one);
    if (found == session.environment.end())
      return halt(Errc::config, "The password of user " + one + " is missing: set PGCH_SERVE_PASSWORD_" + one +
                                    " in the environment.");
    options.users[one] = Secret(found->second);
  }
  auto server = make_server(options, session.context());
  if (!server) return std::move(server).error();
  if (session.json) {
    print("{\"host\":" + json_text(options.host) + ",\"port\":" + std::to_string((*server)->port()) + "}\n");
  } else {
    print("Serving " + options.path + " at http://" + options.host + ":" + std::to_string((*server)->port()) +
          "/ (Ctrl-C ends it)\n");
  }
  if (auto done = (*server)->run(); !done) return std::move(done).error();
  return exit_done;
}

}  // namespace

void add_query(CLI::App& app, Program& program) {
  Wants wants;
  wants.target = wants.tables = true;  // a configuration's flags may stay as they are, from verb to verb
  CLI::App* command = add_verb(app, program, "query", "Run SQL on the target, embedded or over HTTP",
                               "  pgch query --to chdb://./warehouse \"SELECT count() FROM user_logins_current\"\n  "
                               "pgch query \"SELECT 1\" --format JSONEachRow\n  pgch query - < report.sql\n",
                               wants);
  struct Asked {
    std::string sql, format;
  };
  auto asked = std::make_shared<Asked>();
  command->add_option("sql", asked->sql, "The statement; - reads it from standard input")->type_name("")->required();
  command->add_option("-f,--format", asked->format, "ClickHouse's output format; PrettyCompact on a terminal, else TSV")
      ->type_name("FORMAT");
  on_parsed(command, program, [asked](Session& session) { return query(session, asked->sql, asked->format); });
}

void add_serve(CLI::App& app, Program& program) {
  Wants wants;
  wants.target = true;
  CLI::App* command = add_verb(
      app, program, "serve", "The embedded engine over ClickHouse's HTTP interface, for curl and any client",
      "  pgch serve --to chdb://./warehouse\n  pgch serve --port 8124 &  curl localhost:8124 -d 'SELECT 1'\n", wants);
  struct Asked {
    ServeOptions options;
    std::vector<std::string> users;
  };
  auto asked = std::make_shared<Asked>();
  command
      ->add_option_function<std::string>(
          "--path",
          [&program](const std::string& path) {
            program.flags.overrides.push_back({"clickhouse.url", "chdb://" + path, "--path"});
          },
          "The engine's directory, like --to chdb://directory")
      ->type_name("DIRECTORY");
  command->add_option("--port", asked->options.port, "Port; 0: any free one")->type_name("PORT")->capture_default_str();
  command->add_option("--host", asked->options.host, "Address to listen on")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command->add_option("--threads", asked->options.threads, "Requests at the same time")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--user", asked->users, "A user; the password is in PGCH_SERVE_PASSWORD_<user>")
      ->type_name("NAME")
      ->allow_extra_args(false);
  on_parsed(command, program, [asked](Session& session) { return serve(session, asked->options, asked->users); });
}

}  // namespace pgch::cli
