#include "serve/formats.h"

#include <string>
#include <unordered_set>

#include "base/bytes.h"
#include "serve/lexer.h"

namespace pgch::serve {
namespace {

const std::unordered_set<std::string_view>& bases() {
  static const std::unordered_set<std::string_view> names = {"tabseparated",
                                                             "tsv",
                                                             "tabseparatedraw",
                                                             "tsvraw",
                                                             "raw",
                                                             "csv",
                                                             "rowbinary",
                                                             "jsoncompacteachrow",
                                                             "jsoncompactstringseachrow"};
  return names;
}
const std::unordered_set<std::string_view>& headless() {
  static const std::unordered_set<std::string_view> names = {
      "native", "jsoneachrow",  "jsonlines", "ndjson", "jsonstringseachrow",
      "tskv",   "lineasstring", "msgpack",   "null",   "rawblob"};
  return names;
}

// Lines of header: 1 for …WithNames, 2 for …WithNamesAndTypes; cuts the suffix off.
std::size_t take_suffix(std::string& name) {
  for (const auto& [suffix, lines] : {std::pair{"withnamesandtypes", 2}, std::pair{"withnames", 1}}) {
    if (!name.ends_with(suffix)) continue;
    name.resize(name.size() - std::string_view(suffix).size());
    return static_cast<std::size_t>(lines);
  }
  return 0;
}

std::optional<std::size_t> rowbinary_header(std::string_view document, std::size_t lines) {
  ByteReader reader(document);
  const std::uint64_t columns = reader.varint();
  for (std::uint64_t i = 0; i < columns * lines && reader.ok(); ++i) reader.text();
  if (!reader.ok()) return std::nullopt;
  return document.size() - reader.left();
}

}  // namespace

Pieces pieces_of(std::string_view format) {
  std::string name = lower(format);
  if (headless().count(name) != 0) return Pieces::plain;
  const std::size_t lines = take_suffix(name);
  if (bases().count(name) == 0) return Pieces::whole;
  return lines == 0 ? Pieces::plain : Pieces::headed;
}

std::optional<std::size_t> header_bytes(std::string_view format, std::string_view document) {
  std::string name = lower(format);
  std::size_t lines = take_suffix(name);
  if (name == "rowbinary") return rowbinary_header(document, lines);
  bool quoted = false;  // only CSV and JSON have quotes, and in them a line break may be quoted
  const bool has_quotes = name == "csv" || name.starts_with("json");
  for (std::size_t i = 0; i < document.size(); ++i) {
    if (quoted && document[i] == '\\' && name != "csv") {
      ++i;
    } else if (has_quotes && document[i] == '"') {
      quoted = !quoted;
    } else if (document[i] == '\n' && !quoted && --lines == 0) {
      return i + 1;
    }
  }
  return std::nullopt;
}

}  // namespace pgch::serve
