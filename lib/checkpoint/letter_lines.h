// The lines of a file of dead letters: one flat JSON object each, of texts and whole numbers.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "pgch/error.h"

namespace pgch {

void put_json_text(std::string& out, std::string_view text);
/// Name → value, a text as it was, a number as its digits. nullopt: it is no such line, as one that a crash tore.
std::optional<std::map<std::string, std::string>> parse_letter_line(std::string_view line);
/// Appends whole lines and syncs them; other processes may do the same.
Result<void> append_letter_lines(const File& file, std::string lines, const std::string& path);

}  // namespace pgch
