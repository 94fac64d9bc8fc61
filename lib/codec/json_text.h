// JSON's lexical side: strings out, and checking of values that are passed on as they are.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pgch::codec {

/// Appends a quoted, escaped string; false if `text` is not UTF-8.
bool append_json_string(std::string& out, std::string_view text);

/// Appends the content of a string that begins at `at`, behind its opening quote. Whoever calls has made sure that it
/// is closed, is UTF-8, has no control characters, ends within `size` bytes, and that 8 bytes behind those may be read.
/// False: an escape that is none, or half a surrogate pair.
bool append_unescaped(std::vector<std::byte>& out, const char* at, std::size_t size);

enum class JsonFault { none, syntax, depth };
/// Is all of `text` one JSON value (with white space around it), nested no deeper than `depth_max`? Takes UTF-8 for
/// granted.
JsonFault check_json(std::string_view text, std::size_t depth_max);
/// UTF-8 as Unicode defines it: no surrogates, no overlong forms.
bool is_utf8(std::string_view text) noexcept;

}  // namespace pgch::codec
