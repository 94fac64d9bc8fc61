// The table of all settings: name, names in the environment, meaning, and what each one does to the configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/connection.h"
#include "pgch/config.h"

namespace pgch::config {

using List = std::vector<std::string>;
using Map = std::map<std::string, std::string>;

/// A value as it was written, and where. Flags and the environment give text; TOML gives the other types too.
struct Given {
  std::variant<std::string, std::int64_t, bool, double, List, Map> value;
  std::string origin;  ///< "pgch.toml:12", "environment variable CH_PORT", "--from"
};

/// Configuration under way: addresses in parts, so that each layer can replace just a part.
struct Draft {
  Config config;
  PostgresAddress postgres;
  ClickHouseAddress clickhouse;
  std::string postgres_password_file, clickhouse_password_file, registry_password_file;
  std::vector<std::pair<std::string, Given>> named_tables;  ///< by the last layer above the file that named any
  std::vector<std::pair<std::string, Given>> table_values;  ///< of the layers above the file, lowest first
};

/// What is set: the whole draft, or one table of it.
struct Setting {
  const char* name;
  const char* type;
  const char* fallback;
  const char* environment;  ///< beside PGCH_<SECTION>_<NAME>
  const char* meaning;
  std::function<Result<void>(Draft&, const Given&)> apply;              ///< either this …
  std::function<Result<void>(TableConfig&, const Given&)> apply_table;  ///< … or this
};

/// In the order of the documentation; addresses come before their parts.
const std::vector<Setting>& settings();
const Setting* find_setting(std::string_view name);
/// "PGCH_POSTGRES_HOST" and the setting's further names.
List environment_names(const Setting& setting);

/// Readers of a value; their errors are sentences that name setting and origin.
Result<std::string> as_text(const Given& given, std::string_view name);
Result<bool> as_bool(const Given& given, std::string_view name);
Result<std::uint64_t> as_integer(const Given& given, std::string_view name, std::uint64_t low, std::uint64_t high);
Result<std::uint64_t> as_duration_ms(const Given& given, std::string_view name, std::uint64_t low, std::uint64_t high);
Result<std::uint64_t> as_size(const Given& given, std::string_view name, std::uint64_t low, std::uint64_t high);
Result<List> as_list(const Given& given, std::string_view name);
Result<Map> as_map(const Given& given, std::string_view name);
Result<std::string> as_word(const Given& given, std::string_view name, const List& allowed);

/// "ORIGIN: sentence" as Errc::config.
Error wrong(const Given& given, std::string sentence);

/// Reads `text` (the file's content); every leaf as ("postgres.host", Given), each [[table]] apart, in the file's
/// order.
struct FileSettings {
  std::vector<std::pair<std::string, Given>> values;
  std::vector<std::pair<Given, std::vector<std::pair<std::string, Given>>>> tables;
};
Result<FileSettings> read_toml(const std::string& text, const std::string& path);
/// Lines NAME=value of a .env file, with their origin "path:line".
Result<std::vector<std::pair<std::string, Given>>> read_dotenv(const std::string& text, const std::string& path);
/// The whole file; a sentence if it can't be read, unless it is missing and may be.
struct FileText {
  bool found = false;
  std::string text;
};
Result<FileText> read_file(const std::string& path, bool missing_ok);
/// A password file's first line: must be a regular file that nobody else may read.
Result<Secret> read_secret(const std::string& path, std::string_view setting);

}  // namespace pgch::config
