// Layers: file, .env, environment, flags. Each is applied in the order of settings(), so addresses come before their
// parts.
#include <algorithm>
#include <set>

#include "base/try.h"
#include "config/settings.h"

namespace pgch {
namespace config {
namespace {

using Values = std::vector<std::pair<std::string, Given>>;

std::vector<std::string> known_names(bool tables) {
  std::vector<std::string> out;
  for (const Setting& one : settings()) {
    if (one.apply_table ? tables : true) out.emplace_back(one.name);
  }
  return out;
}

// A whole name is misspelt, or the right name stands in the wrong section ("bootstrap" at the top).
std::string suggestion(const std::string& name, const std::vector<std::string>& known) {
  std::string near = nearest_name(name, known);
  if (near.empty()) {
    const std::string last = name.substr(name.rfind('.') + 1);
    for (const std::string& one : known) {
      if (one.substr(one.rfind('.') + 1) == last) {
        near = one;
        break;
      }
    }
  }
  return near.empty() ? std::string("; docs/CONFIGURATION.md and `pgch help settings` list all settings")
                      : "; did you mean \"" + near + "\"?";
}

Error unknown(const Given& given, const std::string& name, bool table) {
  return wrong(given, "there is no setting \"" + name + "\"" + suggestion(name, known_names(table)));
}

const Given* find(const Values& values, std::string_view name) {
  const Given* found = nullptr;
  for (const auto& [key, given] : values) {
    if (key == name) found = &given;
  }
  return found;
}

Result<void> apply_general(Draft& draft, const Values& values) {
  for (const Setting& setting : settings()) {
    if (!setting.apply) continue;
    if (const Given* given = find(values, setting.name)) PGCH_TRY(setting.apply(draft, *given));
  }
  return {};
}

Result<void> apply_table(TableConfig& table, const Values& values) {
  for (const Setting& setting : settings()) {
    if (!setting.apply_table) continue;
    if (const Given* given = find(values, setting.name)) PGCH_TRY(setting.apply_table(table, *given));
  }
  return {};
}

// An upper layer names tables: those of them that the file knows stay, the others are new; the rest is not moved.
void select_tables(Draft& draft, const std::vector<std::pair<std::string, Given>>& named) {
  std::vector<TableConfig> chosen;
  for (const auto& one : named) {
    const std::string& name = one.first;
    const auto known = std::find_if(draft.config.tables.begin(), draft.config.tables.end(),
                                    [&](const TableConfig& t) { return t.name == name; });
    if (known != draft.config.tables.end()) {
      chosen.push_back(*known);
    } else {
      chosen.emplace_back().name = name;
    }
  }
  draft.config.tables = std::move(chosen);
}

// A layer above the file: what it says of tables is kept until all layers are known, since an upper one may name the
// tables.
Result<void> apply_upper(Draft& draft, const Values& values) {
  PGCH_TRY(apply_general(draft, values));
  std::vector<std::pair<std::string, Given>> named;
  for (const auto& [name, given] : values) {
    if (name == "table.name") {
      PGCH_ASSIGN(const std::string table, as_text(given, "table.name"));
      named.emplace_back(table, given);
    } else if (name.starts_with("table.")) {
      draft.table_values.emplace_back(name, given);
    }
  }
  if (!named.empty()) draft.named_tables = std::move(named);
  return {};
}

// The settings of a table that upper layers gave hold for all tables; the last layer's word counts.
Result<void> apply_to_tables(Draft& draft) {
  if (!draft.named_tables.empty()) select_tables(draft, draft.named_tables);
  const Values& values = draft.table_values;
  if (const Given* target = find(values, "table.target"); target != nullptr && draft.config.tables.empty()) {
    PGCH_ASSIGN(draft.config.tables.emplace_back().name, as_text(*target, "table.target"));
  }
  for (const char* single : {"table.target", "table.topic"}) {
    if (const Given* given = find(values, single); given != nullptr && draft.config.tables.size() > 1) {
      return wrong(*given, "this names one table's \"" + std::string(single).substr(6) + "\", but there are " +
                               std::to_string(draft.config.tables.size()) +
                               " tables; write it into their [[table]] sections");
    }
  }
  for (TableConfig& table : draft.config.tables) {
    PGCH_TRY(apply_table(table, values));
    table.columns.types = draft.config.types;
  }
  return {};
}

Result<void> check_names(const Values& values, bool tables_allowed) {
  for (const auto& [name, given] : values) {
    const Setting* setting = find_setting(name);
    if (setting == nullptr || (setting->apply_table && !tables_allowed)) return unknown(given, name, tables_allowed);
  }
  return {};
}

Result<void> apply_file(Draft& draft, const std::string& path) {
  PGCH_ASSIGN(const FileText source, read_file(path, false));
  PGCH_ASSIGN(const FileSettings file, read_toml(source.text, path));
  PGCH_TRY(check_names(file.values, false));
  PGCH_TRY(apply_general(draft, file.values));
  for (const auto& [where, values] : file.tables) {
    PGCH_TRY(check_names(values, true));
    TableConfig table;
    PGCH_TRY(apply_table(table, values));
    if (table.name.empty()) return wrong(where, "this [[table]] needs a name, like name = \"user_logins\"");
    for (const TableConfig& other : draft.config.tables) {
      if (other.name == table.name) return wrong(where, "the table \"" + table.name + "\" is there twice");
    }
    draft.config.tables.push_back(std::move(table));
  }
  return {};
}

// Names of the environment → settings. PGCH_… that nobody knows is a mistake; a .env may hold other programs' settings,
// so there a foreign name is one only if it nearly is one of ours.
Result<void> apply_environment(Draft& draft, const Values& variables, bool dotenv) {
  static const std::set<std::string> not_settings{"PGCH_CONFIG", "PGCH_ENV_FILE", "PGCH_CACHE", "PGCH_POSTGRES_BIN"};
  std::vector<std::string> known;
  Values values;
  for (const Setting& setting : settings()) {
    bool taken = false;
    for (const std::string& name : environment_names(setting)) {
      known.push_back(name);
      const Given* given = find(variables, name);
      if (given == nullptr || taken || std::get<std::string>(given->value).empty()) continue;
      if (std::string_view(setting.name) == "table.name") {
        PGCH_ASSIGN(const List tables, as_list(*given, "table.name"));
        for (const std::string& one : tables) values.emplace_back("table.name", Given{one, given->origin});
      } else {
        values.emplace_back(setting.name, *given);
      }
      taken = true;
    }
  }
  for (const auto& [name, given] : variables) {
    if (not_settings.contains(name) || name.starts_with("PGCH_TEST_") || name.starts_with("PGCH_BENCH_") ||
        name.starts_with("PGCH_SERVE_PASSWORD_") || std::find(known.begin(), known.end(), name) != known.end()) {
      continue;
    }
    const bool ours = name.starts_with("PGCH_");
    const bool cousin = dotenv && (name.starts_with("PG_") || name.starts_with("CH_") || name.starts_with("KAFKA_"));
    if (!ours && !cousin) continue;
    const std::string near = nearest_name(name, known);
    if (ours || !near.empty()) {
      return wrong(given, "there is no setting " + name +
                              (near.empty() ? std::string("; `pgch help settings` lists all of them")
                                            : "; did you mean " + near + "?"));
    }
  }
  return apply_upper(draft, values);
}

Result<void> check_pipeline_name(const Config& config) {
  const std::string& name = config.pipeline;
  const bool good = !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
  if (good) return {};
  return halt(Errc::config, "The setting \"pipeline\" must be 1 to 32 letters, digits, dots, dashes or underscores.");
}

Result<Config> finish(Draft draft) {
  Config& config = draft.config;
  if (!draft.postgres.password && !draft.postgres_password_file.empty()) {
    PGCH_ASSIGN(draft.postgres.password, read_secret(draft.postgres_password_file, "postgres.password_file"));
  }
  if (!draft.clickhouse.password && !draft.clickhouse_password_file.empty()) {
    PGCH_ASSIGN(draft.clickhouse.password, read_secret(draft.clickhouse_password_file, "clickhouse.password_file"));
  }
  SchemaRegistryOptions& registry = config.kafka.schema_registry;
  if (registry.password.empty() && !draft.registry_password_file.empty()) {
    PGCH_ASSIGN(registry.password, read_secret(draft.registry_password_file, "kafka.schema_registry_password_file"));
  }
  if (!registry.user.empty() && !registry.token.empty())
    return halt(Errc::config, "\"kafka.schema_registry_user\" and \"kafka.schema_registry_token\" exclude each other.");
  config.postgres.conninfo = conninfo_of(draft.postgres);
  if (draft.postgres.password) config.postgres.password = *draft.postgres.password;
  config.clickhouse.url = url_of(draft.clickhouse);
  if (draft.clickhouse.user) config.clickhouse.user = *draft.clickhouse.user;
  if (draft.clickhouse.database) config.clickhouse.database = *draft.clickhouse.database;
  if (draft.clickhouse.password) config.clickhouse.password = *draft.clickhouse.password;
  PGCH_TRY(check_pipeline_name(config));
  if (config.state.empty()) return halt(Errc::config, "The setting \"state\" must name a directory.");
  if (config.run.batch.bytes_max > config.run.in_flight_bytes_max) {
    return halt(Errc::config,
                "\"batch.bytes\" is larger than \"limits.memory\"; a batch must fit into the memory allowed.");
  }
  if (config.run.backoff_min > config.run.backoff_max)
    return halt(Errc::config, "\"limits.backoff_min\" is larger than \"limits.backoff_max\".");
  std::set<std::string> ids, topics;
  for (const TableConfig& table : config.tables) {
    if (table.name.empty()) return halt(Errc::config, "A table's name is empty.");
    if (!ids.insert(pipeline_id(config, table)).second)
      return halt(Errc::config, "The table \"" + table.name + "\" is there twice.");
    if (config.use_kafka && !topics.insert(kafka_of(config, table).topic).second) {
      return halt(Errc::config,
                  "Two tables would share the topic \"" + kafka_of(config, table).topic +
                      "\"; give each [[table]] its own \"topic\", or write topic = \"name.{table}\" in [kafka].");
    }
  }
  return std::move(draft.config);
}

}  // namespace
}  // namespace config

Result<Config> load_config(const ConfigSources& sources) {
  using namespace config;
  Draft draft;
  draft.config.kafka.group.clear();
  if (!sources.file.empty()) PGCH_TRY(apply_file(draft, sources.file));
  if (!sources.env_file.empty()) {
    PGCH_ASSIGN(const FileText file, read_file(sources.env_file, !sources.env_file_required));
    if (file.found) {
      PGCH_ASSIGN(const Values values, read_dotenv(file.text, sources.env_file));
      PGCH_TRY(apply_environment(draft, values, true));
    }
  }
  Values environment;
  for (const auto& [name, value] : sources.environment)
    environment.emplace_back(name, Given{value, "environment variable " + name});
  PGCH_TRY(apply_environment(draft, environment, false));
  Values overrides;
  for (const ConfigOverride& one : sources.overrides) {
    Given given{one.value, one.origin};
    const std::string name = one.name == "table" ? "table.name" : one.name;
    if (find_setting(name) == nullptr) return unknown(given, name, true);
    overrides.emplace_back(name, std::move(given));
  }
  PGCH_TRY(apply_upper(draft, overrides));
  PGCH_TRY(apply_to_tables(draft));
  return finish(std::move(draft));
}

std::vector<SettingInfo> config_settings() {
  std::vector<SettingInfo> out;
  for (const config::Setting& one : config::settings()) {
    std::string environment;
    for (const std::string& name : config::environment_names(one))
      environment += (environment.empty() ? "" : " ") + name;
    out.push_back({one.name, one.type, one.fallback, environment, one.meaning});
  }
  return out;
}

}  // namespace pgch
