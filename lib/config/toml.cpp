// The TOML file, flattened to "section.name" with the line of each setting. toml++ is used without exceptions.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#endif
#include <toml++/toml.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <algorithm>

#include "base/try.h"
#include "config/settings.h"

namespace pgch::config {
namespace {

std::string origin_of(const std::string& path, const toml::source_region& region) {
  return path + ":" + std::to_string(region.begin.line);
}

bool is_map(const std::string& name) {
  const Setting* setting = find_setting(name);
  return setting != nullptr && std::string_view(setting->type) == "map";
}

// A leaf of a list or map; numbers and truth values are taken as their text.
std::optional<std::string> scalar(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

Result<Given> leaf(const toml::node& node, const std::string& name, const std::string& path) {
  Given given{std::string{}, origin_of(path, node.source())};
  if (const auto* text = node.as_string()) {
    given.value = text->get();
  } else if (const auto* number = node.as_integer()) {
    given.value = number->get();
  } else if (const auto* flag = node.as_boolean()) {
    given.value = flag->get();
  } else if (const auto* real = node.as_floating_point()) {
    given.value = real->get();
  } else if (const auto* array = node.as_array()) {
    List list;
    for (const toml::node& one : *array) {
      auto text = scalar(one);
      if (!text) return wrong(given, '"' + name + "\" must be a list of texts");
      list.push_back(*std::move(text));
    }
    given.value = std::move(list);
  } else if (const auto* table = node.as_table()) {
    Map map;
    for (const auto& [key, value] : *table) {
      auto text = scalar(value);
      if (!text) return wrong(given, '"' + name + "\" must hold names and simple values only");
      map[std::string(key.str())] = *std::move(text);
    }
    given.value = std::move(map);
  } else {
    return wrong(given, '"' + name + "\" has a date or time where a setting is expected");
  }
  return given;
}

Result<void> flatten(const toml::table& table, const std::string& prefix, const std::string& path,
                     std::vector<std::pair<std::string, Given>>& out) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const auto* inner = node.as_table(); inner != nullptr && !is_map(name)) {
      PGCH_TRY(flatten(*inner, name + ".", path, out));
      continue;
    }
    PGCH_ASSIGN(Given given, leaf(node, name, path));
    out.emplace_back(name, std::move(given));
  }
  return {};
}

}  // namespace

Result<FileSettings> read_toml(const std::string& text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    return halt(Errc::config, origin_of(path, parsed.error().source()) +
                                  ": this is not valid TOML: " + std::string(parsed.error().description()));
  }
  FileSettings settings;
  for (const auto& [key, node] : parsed.table()) {
    const std::string name(key.str());
    if (name == "table" || name == "tables") {
      const Given where{std::string{}, origin_of(path, node.source())};
      const auto* array = node.as_array();
      if (array == nullptr || name == "tables")
        return wrong(where, "tables are written as [[table]], each with its name");
      for (const toml::node& one : *array) {
        const Given at{std::string{}, origin_of(path, one.source())};
        if (!one.is_table()) return wrong(at, "tables are written as [[table]], each with its name");
        std::vector<std::pair<std::string, Given>> values;
        PGCH_TRY(flatten(*one.as_table(), "table.", path, values));
        settings.tables.emplace_back(at, std::move(values));
      }
    } else if (const auto* section = node.as_table()) {
      PGCH_TRY(flatten(*section, name + ".", path, settings.values));
    } else {
      PGCH_ASSIGN(Given given, leaf(node, name, path));
      settings.values.emplace_back(name, std::move(given));
    }
  }
  return settings;
}

Result<std::vector<std::pair<std::string, Given>>> read_dotenv(const std::string& text, const std::string& path) {
  std::vector<std::pair<std::string, Given>> out;
  std::size_t line_number = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    ++line_number;
    const auto newline = rest.find('\n');
    std::string_view line = rest.substr(0, newline);
    rest = newline == std::string_view::npos ? std::string_view{} : rest.substr(newline + 1);
    const auto strip = [](std::string_view& view) {
      while (!view.empty() && (view.front() == ' ' || view.front() == '\t')) view.remove_prefix(1);
      while (!view.empty() && (view.back() == ' ' || view.back() == '\t' || view.back() == '\r')) view.remove_suffix(1);
    };
    strip(line);
    if (line.starts_with("export ")) line.remove_prefix(7), strip(line);
    if (line.empty() || line.front() == '#') continue;
    Given given{std::string{}, path + ":" + std::to_string(line_number)};
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) return wrong(given, "a line must be NAME=value");
    std::string_view name = line.substr(0, equals), value = line.substr(equals + 1);
    strip(name);
    strip(value);
    std::string plain;
    if (!value.empty() && (value.front() == '"' || value.front() == '\'')) {
      const char quote = value.front();
      std::size_t at = 1;
      for (; at < value.size() && value[at] != quote; ++at) {
        if (quote == '"' && value[at] == '\\' && at + 1 < value.size() &&
            (value[at + 1] == '"' || value[at + 1] == '\\'))
          ++at;
        plain += value[at];
      }
      if (at >= value.size())
        return wrong(given, "the value of " + std::string(name) + " begins with a quote that never ends");
      std::string_view after = value.substr(at + 1);
      strip(after);
      if (!after.empty() && after.front() != '#')
        return wrong(given, "something follows the quoted value of " + std::string(name));
    } else {
      // A comment needs a blank before it, so that a password may hold a #.
      if (const auto comment = value.find(" #"); comment != std::string_view::npos) value = value.substr(0, comment);
      strip(value);
      plain = value;
    }
    given.value = std::move(plain);
    out.emplace_back(std::string(name), std::move(given));
  }
  return out;
}

}  // namespace pgch::config
