#include "base/base64.h"

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace pgch {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t invalid = 0xFF;
constexpr std::array<std::uint8_t, 256> make_reverse() {
  std::array<std::uint8_t, 256> reverse{};
  for (std::uint8_t& r : reverse) r = invalid;
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    reverse[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  return reverse;
}
constexpr auto reverse_alphabet = make_reverse();

}  // namespace

void append_base64(std::string& out, std::span<const std::byte> bytes) {
  const std::size_t begin = out.size();
  out.resize(begin + (bytes.size() + 2) / 3 * 4);
  char* p = out.data() + begin;
  const auto at = [&](std::size_t i) { return i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0U; };
  for (std::size_t i = 0; i < bytes.size(); i += 3, p += 4) {
    const std::uint32_t bits = (at(i) << 16U) | (at(i + 1) << 8U) | at(i + 2);
    p[0] = alphabet[bits >> 18U];
    p[1] = alphabet[(bits >> 12U) & 63U];
    p[2] = i + 1 < bytes.size() ? alphabet[(bits >> 6U) & 63U] : '=';
    p[3] = i + 2 < bytes.size() ? alphabet[bits & 63U] : '=';
  }
}

std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(out, as_bytes(bytes));
  return out;
}

bool parse_base64(std::string_view text, std::vector<std::byte>& out) {
  if (text.size() % 4 != 0) return false;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::size_t begin = out.size();
  const std::size_t size = text.size() / 4 * 3 - padding;
  out.resize(begin + text.size() / 4 * 3);
  std::byte* p = out.data() + begin;
  for (std::size_t i = 0; i < text.size(); i += 4, p += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = i; k < i + 4; ++k) {
      const std::uint8_t six =
          k < text.size() - padding ? reverse_alphabet[static_cast<unsigned char>(text[k])] : std::uint8_t{0};
      if (six == invalid) return false;
      bits = (bits << 6U) | six;
    }
    p[0] = static_cast<std::byte>(bits >> 16U);
    p[1] = static_cast<std::byte>(bits >> 8U);
    p[2] = static_cast<std::byte>(bits);
  }
  for (std::size_t i = begin + size; i < out.size(); ++i) {
    if (out[i] != std::byte{0}) return false;
  }
  out.resize(begin + size);
  return true;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::vector<std::byte> bytes;
  if (!parse_base64(text, bytes)) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace pgch
