// Makers of Setting::apply_table, by name and place.
#pragma once

#include <functional>

#include "config/appliers.h"

namespace pgch::config {

template <class Place>
std::function<Result<void>(TableConfig&, const Given&)> table_text(const char* name, Place place) {
  return [=](TableConfig& table, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(table), as_text(given, name));
    return {};
  };
}
template <class Place>
std::function<Result<void>(TableConfig&, const Given&)> table_flag(const char* name, Place place) {
  return [=](TableConfig& table, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(table), as_bool(given, name));
    return {};
  };
}
template <class Place>
std::function<Result<void>(TableConfig&, const Given&)> table_list(const char* name, Place place) {
  return [=](TableConfig& table, const Given& given) -> Result<void> {
    PGCH_ASSIGN(place(table), as_list(given, name));
    return {};
  };
}

}  // namespace pgch::config
