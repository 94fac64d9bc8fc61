// Output formats: which of them can be sent in pieces, and what is repeated at the head of each piece.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pgch::serve {

// The engine gives a streamed result as documents that follow each other.
enum class Pieces : std::uint8_t {
  whole,   // documents can't be joined: ask for the whole result
  plain,   // joined, they are one document
  headed,  // each begins with the same header, to be cut off all but the first
};
Pieces pieces_of(std::string_view format);
// Length of the header of a document in a `headed` format; nullopt if it is not all there.
std::optional<std::size_t> header_bytes(std::string_view format, std::string_view document);

}  // namespace pgch::serve
