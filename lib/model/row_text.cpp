#include "model/row_text.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>

#include "base/bytes.h"

namespace pgch {
namespace {

template <class Integer>
std::string decimal(std::span<const std::byte> value) {
  Integer number{};
  std::memcpy(&number, value.data(), sizeof number);
  return fmt::format("{}", +number);
}

std::string uuid_text(std::span<const std::byte> value) {
  std::uint64_t high = 0, low = 0;
  std::memcpy(&high, value.data(), 8);
  std::memcpy(&low, value.data() + 8, 8);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF, low >> 48,
                     low & 0xFFFFFFFFFFFF);
}

std::optional<std::string> plain_text(const ColumnSpec& spec, std::span<const std::byte> value) {
  switch (spec.kind) {
    case Kind::int8:
      return decimal<std::int8_t>(value);
    case Kind::int16:
      return decimal<std::int16_t>(value);
    case Kind::int32:
      return decimal<std::int32_t>(value);
    case Kind::int64:
      return decimal<std::int64_t>(value);
    case Kind::uint8:
      return decimal<std::uint8_t>(value);
    case Kind::uint16:
      return decimal<std::uint16_t>(value);
    case Kind::uint32:
      return decimal<std::uint32_t>(value);
    case Kind::uint64:
      return decimal<std::uint64_t>(value);
    case Kind::uuid:
      return uuid_text(value);
    case Kind::text:
    case Kind::enumeration:
      return std::string(as_text(value));
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string key_as_text(const RowBatch& batch, std::size_t row, std::span<const std::size_t> columns) {
  std::string out;
  for (const std::size_t i : columns) {
    const ColumnSpec& spec = batch.schema->columns[i];
    if (batch.columns[i].is_null(row)) return {};
    const auto text = plain_text(spec, batch.columns[i].at(row, width_of(layout_of(spec))));
    if (!text) return {};
    put_text(out, *text);
  }
  return out;
}

std::string row_as_text(const RowBatch& batch, std::size_t row) {
  std::string out;
  for (std::size_t i = 0; i < batch.columns.size(); ++i) {
    const ColumnSpec& spec = batch.schema->columns[i];
    if (!out.empty()) out += '\t';
    out += spec.name;
    out += '=';
    if (batch.columns[i].is_null(row)) {
      out += "\\N";
      continue;
    }
    const std::size_t width = width_of(layout_of(spec));
    const auto value = batch.columns[i].at(row, width);
    if (width == 0 && !is_nested(spec.kind)) {
      out.append(reinterpret_cast<const char*>(value.data()), value.size());
      continue;
    }
    out += "0x";
    for (std::size_t b = value.size(); b-- > 0;) {
      // A number's most significant byte first; a packed value (lib/model/packed.h) as it lies.
      const std::size_t at = width == 0 ? value.size() - 1 - b : b;
      out += fmt::format("{:02x}", std::to_integer<unsigned>(value[at]));
    }
  }
  return out;
}

}  // namespace pgch
