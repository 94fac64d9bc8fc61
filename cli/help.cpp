// help, and completion for shells: made from the verbs themselves, so that neither can be out of date.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "program.h"

namespace pgch::cli {
namespace {

std::string settings_text(bool markdown) {
  std::string out, section = "-";
  for (const SettingInfo& one : config_settings()) {
    const auto dot = one.name.find('.');
    const std::string here = dot == std::string::npos ? "" : one.name.substr(0, dot);
    if (here != section) {
      section = here;
      const std::string title = here.empty() ? "At the top" : here == "table" ? "[[table]]" : "[" + here + "]";
      out += markdown ? fmt::format(
                            "\n## {}\n\n| setting | type | default | environment | meaning |\n|---|---|---|---|---|\n",
                            title)
                      : fmt::format("\n{}\n", title);
    }
    if (markdown) {
      std::string environment = one.environment;
      for (std::size_t at = 0; (at = environment.find(' ', at)) != std::string::npos; at += 4)
        environment.replace(at, 1, "`, `");
      out +=
          fmt::format("| `{}` | {} | {} | `{}` | {} |\n", one.name, one.type, one.fallback, environment, one.meaning);
    } else {
      out += fmt::format("  {:28} {} [{}{}]\n{:31}{}\n", one.name, one.meaning, one.type,
                         one.fallback.empty() ? "" : ", default " + one.fallback, "", one.environment);
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& one : words) out += (out.empty() ? "" : " ") + one;
  return out;
}

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// What may follow a verb: its words where they are few, and its flags.
std::vector<std::string> words_of(const CLI::App& app, const CLI::App& verb) {
  std::vector<std::string> out;
  if (verb.get_name() == "completion") out = {"bash", "zsh"};
  if (verb.get_name() == "dlq") out = {"list", "show", "replay", "drop"};
  if (verb.get_name() == "help") {
    out = {"settings"};
    for (const CLI::App* one : verbs_of(app)) out.push_back(one->get_name());
  }
  for (std::string& flag : flags_of(verb)) out.push_back(std::move(flag));
  return out;
}

std::string bash_script(const CLI::App& app) {
  std::vector<std::string> names;
  std::string cases;
  for (const CLI::App* verb : verbs_of(app)) {
    names.push_back(verb->get_name());
    cases += fmt::format("    {}) words='{}' ;;\n", verb->get_name(), joined(words_of(app, *verb)));
  }
  return fmt::format(
      "# bash completion of pgch: source <(pgch completion bash)\n"
      "_pgch() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words\n  "
      "COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" = 1 ]; then\n    mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- "
      "\"$word\")\n    return\n  fi\n"
      "  case $before in\n    -c | --config | --env-file | --state) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); "
      "return ;;\n"
      "    --log-level) mapfile -t COMPREPLY < <(compgen -W 'debug info warning error' -- \"$word\"); return ;;\n"
      "    --log-format) mapfile -t COMPREPLY < <(compgen -W 'text json' -- \"$word\"); return ;;\n  esac\n"
      "  case ${{COMP_WORDS[1]}} in\n{}    *) words= ;;\n  esac\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}}\ncomplete -F _pgch pgch\n",
      joined(names), cases);
}

std::string zsh_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* verb : verbs_of(app)) {
    std::string what = verb->get_description();
    std::replace(what.begin(), what.end(), '\'', ' ');
    std::replace(what.begin(), what.end(), ':', ',');
    names += fmt::format("    '{}:{}'\n", verb->get_name(), what);
    cases += fmt::format("    {}) flags=({}) ;;\n", verb->get_name(), joined(words_of(app, *verb)));
  }
  return fmt::format(
      "#compdef pgch\n# zsh completion of pgch: source <(pgch completion zsh), or put it into a folder of $fpath as "
      "_pgch\n"
      "_pgch() {{\n  local -a verbs flags\n  verbs=(\n{}  )\n  if (( CURRENT == 2 )); then\n    _describe command "
      "verbs\n    return\n  fi\n"
      "  case $words[CURRENT-1] in\n    -c|--config|--env-file|--state) _files; return ;;\n  esac\n"
      "  case $words[2] in\n{}  esac\n  compadd -- $flags\n}}\ncompdef _pgch pgch\n",
      names, cases);
}

}  // namespace

std::vector<std::string> flags_of(const CLI::App& verb) {
  std::vector<std::string> out;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  }
  return out;
}

std::string overview(const CLI::App& app) {
  return app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal);
}

void add_completion(CLI::App& app, Program& program) {
  CLI::App* command = app.add_subcommand("completion", "Print the completion script of a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash or zsh")->type_name("")->required()->check(CLI::IsMember({"bash", "zsh"}));
  command->footer("\nExamples:\n  source <(pgch completion bash)\n");
  command->callback([&app, &program, shell] {
    program.needs_config = false;
    program.action = [&app, shell](Session&) -> Result<int> {
      print(*shell == "bash" ? bash_script(app) : zsh_script(app));
      return exit_done;
    };
  });
}

void add_help(CLI::App& app, Program& program) {
  CLI::App* command = app.add_subcommand("help", "Help on a command, or on all settings");
  struct Asked {
    std::string topic;
    bool markdown = false;
  };
  auto asked = std::make_shared<Asked>();
  command->add_option("topic", asked->topic, "A command, or \"settings\"")->type_name("");
  command->add_flag("--markdown", asked->markdown, "The settings as tables for docs/CONFIGURATION.md");
  command->callback([&app, &program, asked] {
    program.needs_config = false;
    program.action = [&app, asked](Session&) -> Result<int> {
      if (asked->topic.empty()) {
        print(overview(app));
        return exit_done;
      }
      if (asked->topic == "settings") {
        print(settings_text(asked->markdown));
        return exit_done;
      }
      std::vector<std::string> known{"settings"};
      for (const CLI::App* verb : verbs_of(app)) {
        known.push_back(verb->get_name());
        if (verb->get_name() == asked->topic) {
          print(verb->help("pgch"));
          return exit_done;
        }
      }
      const std::string near = nearest_name(asked->topic, known);
      return halt(Errc::config, "There is no help on \"" + asked->topic + "\"" +
                                    (near.empty() ? "." : "; did you mean \"" + near + "\"?"));
    };
  });
}

}  // namespace pgch::cli
