// What most settings do with a value: one small function each, made by name and place.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/try.h"
#include "config/settings.h"

namespace pgch::config {

using Apply = std::function<Result<void>(Draft&, const Given&)>;

// Makers of Setting::apply: a reader of the value, and where it goes.
template <class Place>
Apply text(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(draft), as_text(given, name));
    return {};
  };
}
template <class Place>
Apply flag(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(draft), as_bool(given, name));
    return {};
  };
}
template <class Place>
Apply word(const char* name, const List& allowed, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(const std::string chosen, as_word(given, name, allowed));
    place(draft, chosen);
    return {};
  };
}
using Reader = Result<std::uint64_t> (*)(const Given&, std::string_view, std::uint64_t, std::uint64_t);
template <class Place>
Apply number(Reader read, const char* name, std::uint64_t low, std::uint64_t high, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(const std::uint64_t value, read(given, name, low, high));
    place(draft, value);
    return {};
  };
}
template <class Place>
Apply names(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(draft), as_list(given, name));
    return {};
  };
}
template <class Place>
Apply map(const char* name, Place place) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    PGCH_ASSIGN(Map value, as_map(given, name));
    for (auto& [key, one] : value) place(draft)[key] = std::move(one);
    return {};
  };
}
inline Apply postgres_part(const char* name, const char* keyword) {
  return [=](Draft& draft, const Given& given) -> Result<void> {
    // TOML's port = 5432 is a number; as_integer also reads a text, but a list of ports must stay one.
    if (std::holds_alternative<std::int64_t>(given.value)) {
      PGCH_ASSIGN(const std::uint64_t port, as_integer(given, name, 1, 65535));
      draft.postgres.parts[keyword] = std::to_string(port);
      return {};
    }
    PGCH_ASSIGN(draft.postgres.parts[keyword], as_text(given, name));
    return {};
  };
}

using D = Draft&;
using N = std::uint64_t;
inline constexpr N days = 86'400'000;

/// The sections, in the order of the documentation.
std::vector<Setting> kafka_settings();
std::vector<Setting> registry_settings();  ///< among those of [kafka]
std::vector<Setting> clickhouse_settings();
std::vector<Setting> type_settings();
std::vector<Setting> table_settings();
std::vector<Setting> poll_settings();  ///< among those of [[table]]

}  // namespace pgch::config
