#include "transport/record.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "base/bytes.h"

namespace pgch::transport {
namespace {

constexpr std::uint8_t mark_version = 1;

template <class T>
bool take_number(std::string_view& text, T& value) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return true;
}

bool take_dot(std::string_view& text) {
  if (text.empty() || text.front() != '.') return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

void write_sequence(const Sequence& sequence, std::string& out) {
  out.clear();
  fmt::format_to(std::back_inserter(out), "{}.{}.{}", sequence.epoch, sequence.major, sequence.minor);
}

std::optional<Sequence> parse_sequence(std::string_view text) {
  Sequence s;
  if (!take_number(text, s.epoch) || !take_dot(text) || !take_number(text, s.major) || !take_dot(text) ||
      !take_number(text, s.minor) || !text.empty()) {
    return std::nullopt;
  }
  return s;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  if (!take_number(text, value) || !text.empty()) return std::nullopt;
  return value;
}

std::string_view op_text(RowOp op) {
  switch (op) {
    case RowOp::insert:
      return {};
    case RowOp::update:
      return "update";
    case RowOp::remove:
      return "remove";
  }
  return {};
}

std::optional<RowOp> parse_op(std::string_view text) {
  for (const RowOp op : {RowOp::update, RowOp::remove}) {
    if (text == op_text(op)) return op;
  }
  if (text == "insert") return RowOp::insert;
  return std::nullopt;
}

std::string encode_mark(const std::vector<std::int64_t>& ends) {
  std::string out;
  out.push_back(static_cast<char>(mark_version));
  put_varint(out, ends.size());
  for (const std::int64_t end : ends) put_varint(out, static_cast<std::uint64_t>(end));
  return out;
}

Result<std::vector<std::int64_t>> decode_mark(std::string_view mark) {
  ByteReader reader(mark);
  const auto version = reader.little<std::uint8_t>();
  const std::uint64_t n = reader.varint();
  std::vector<std::int64_t> ends;
  for (std::uint64_t i = 0; i < n && reader.ok(); ++i) ends.push_back(static_cast<std::int64_t>(reader.varint()));
  if (version != mark_version || !reader.ok() || !reader.at_end()) {
    return halt(Errc::corrupt, "the journal's note of the topic's end offsets is not one of this version of pgch");
  }
  return ends;
}

}  // namespace pgch::transport
