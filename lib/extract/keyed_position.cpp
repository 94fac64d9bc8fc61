#include "extract/keyed_position.h"

#include "base/bytes.h"

namespace pgch {
namespace {

constexpr std::uint8_t format = 1;

std::uint64_t zigzag(std::uint64_t v) noexcept { return (v << 1) ^ (0 - (v >> 63)); }
std::uint64_t unzigzag(std::uint64_t v) noexcept { return (v >> 1) ^ (0 - (v & 1)); }

}  // namespace

void KeyCells::add_text(std::string_view value) {
  const auto bytes = as_bytes(value);
  texts.data.insert(texts.data.end(), bytes.begin(), bytes.end());
  texts.ends.push_back(static_cast<std::uint32_t>(texts.data.size()));
}

std::string KeyCells::text(std::size_t row) const {
  return integer ? std::to_string(integers[row]) : std::string(as_text(texts.at(row, 0)));
}

Position encode(const KeyedPosition& position) {
  Position out;
  std::string& b = out.bytes;
  b.push_back(static_cast<char>(format));
  put_varint(b, position.version);
  put_varint(b, position.moved);
  put_varint(b, position.stamps.size());
  put_varint(b, position.keys.size());
  for (const KeyCells& key : position.keys) {
    put_text(b, key.name);
    b.push_back(key.integer ? 1 : 0);
    if (key.integer) {
      // Unsigned arithmetic: the difference of two int64 may not fit one, but wraps back.
      std::uint64_t before = 0;
      for (const std::int64_t v : key.integers) {
        put_varint(b, zigzag(static_cast<std::uint64_t>(v) - before));
        before = static_cast<std::uint64_t>(v);
      }
    } else {
      for (std::size_t r = 0; r < key.size(); ++r) put_text(b, as_text(key.texts.at(r, 0)));
    }
  }
  for (std::size_t r = 0; r < position.stamps.size();) {
    std::size_t end = r + 1;
    while (end < position.stamps.size() && position.stamps[end] == position.stamps[r]) ++end;
    put_varint(b, position.stamps[r]);
    put_varint(b, end - r);
    r = end;
  }
  return out;
}

Result<KeyedPosition> decode_keyed_position(const Position& position) {
  const Error corrupt = halt(Errc::corrupt,
                             "A position in the journal is not one that the flag method wrote; was the journal made by "
                             "another pgch or another method? "
                             "Use the pgch and the settings that wrote it.");
  ByteReader in(position.bytes);
  KeyedPosition out;
  if (in.little<std::uint8_t>() != format) return corrupt;
  out.version = in.varint();
  const std::uint64_t moved = in.varint(), rows = in.varint(), keys = in.varint();
  // Each row has at least one byte for its key: bounds what is reserved below.
  if (!in.ok() || moved > rows || rows > in.left() || keys == 0 || keys > 64) return corrupt;
  out.moved = static_cast<std::uint32_t>(moved);
  for (std::uint64_t k = 0; k < keys; ++k) {
    KeyCells cells;
    cells.name = in.text();
    const auto kind = in.little<std::uint8_t>();
    if (!in.ok() || kind > 1 || rows > in.left()) return corrupt;
    cells.integer = kind == 1;
    std::uint64_t before = 0;
    for (std::uint64_t r = 0; r < rows; ++r) {
      if (cells.integer) {
        before += unzigzag(in.varint());
        cells.integers.push_back(static_cast<std::int64_t>(before));
      } else {
        cells.add_text(in.text());
      }
    }
    out.keys.push_back(std::move(cells));
  }
  while (out.stamps.size() < rows) {
    const std::uint64_t stamp = in.varint(), run = in.varint();
    if (!in.ok() || run == 0 || run > rows - out.stamps.size()) return corrupt;
    out.stamps.insert(out.stamps.end(), static_cast<std::size_t>(run), stamp);
  }
  if (!in.ok() || !in.at_end()) return corrupt;
  return out;
}

}  // namespace pgch
