// What the embedded engine needs to be watched for. chDB 26.7 takes no notice of a write that failed on a full disk: it
// answers that all is well, and at its next start the part is thrown aside, or, if it was a table's definition, nothing
// opens at all. So nothing is begun without some room, and with little room what was written is read again.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>

#include "pgch/error.h"

namespace pgch::ch {

constexpr std::uint64_t room_wanted = 32ULL << 20;    // with less than this nothing is begun
constexpr std::uint64_t room_watched = 256ULL << 20;  // with less than this left, new parts are read again

// Bytes free on the disk of `path`; if that can't be known, as if there were no end of them.
std::uint64_t room_at(const std::string& path) noexcept;

// What a statement may write, by its first word.
enum class Writes : std::uint8_t { nothing, rows, definition };
Writes writes_of(std::string_view sql) noexcept;

// As ClickHouse would say it, code and all.
std::string no_room_text(const std::string& path);

// Reads the parts again that were inserted since then, of all tables, and drops those whose files are not what the
// engine holds of them. Returns how many; an error: not known. `ask` runs a statement and gives its rows as RowBinary.
using Ask = std::function<Result<std::string>(const std::string& sql)>;
Result<std::size_t> drop_spoilt_parts(const Ask& ask, std::time_t since);

// A table's definition of which nothing is on disk, as a full disk leaves it; empty if there is none.
std::string empty_definition(const std::string& path);

// Whether another process has the engine's directory open.
bool held_by_another(const std::string& path) noexcept;

}  // namespace pgch::ch
