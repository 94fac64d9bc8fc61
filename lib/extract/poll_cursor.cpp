#include "extract/poll_cursor.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/try.h"
#include "pg/connection.h"

namespace pgch {
namespace {

// Not the flag method's 1: a journal that the other one wrote is told from ours.
constexpr std::uint8_t format = 2;
constexpr std::uint64_t columns_max = 64;

void put_texts(std::string& out, const std::vector<std::string>& texts) {
  put_varint(out, texts.size());
  for (const std::string& text : texts) put_text(out, text);
}

std::vector<std::string> take_texts(ByteReader& in) {
  std::vector<std::string> out;
  const std::uint64_t count = in.varint();
  for (std::uint64_t i = 0; i < count && i < columns_max && in.ok(); ++i) out.emplace_back(in.text());
  return out;
}

Error corrupt() {
  return halt(Errc::corrupt,
              "A cursor or position is not one that the poll method wrote; was it made by another pgch or another "
              "method? Use the pgch and the settings that wrote it.");
}

}  // namespace

std::string encode(const PollCursor& cursor) {
  std::string out;
  out.push_back(static_cast<char>(format));
  out.push_back(static_cast<char>(cursor.form));
  put_text(out, cursor.source);
  put_texts(out, cursor.columns);
  put_varint(out, cursor.number);
  put_varint(out, cursor.version);
  put_text(out, cursor.seen);
  put_text(out, cursor.round);
  put_varint(out, cursor.floor);
  out.push_back(cursor.between ? 1 : 0);
  put_varint(out, cursor.stamp);
  put_texts(out, cursor.after);
  return out;
}

Result<PollCursor> decode_poll_cursor(std::string_view bytes) {
  ByteReader in(bytes);
  PollCursor out;
  if (in.little<std::uint8_t>() != format) return corrupt();
  const auto form = in.little<std::uint8_t>();
  out.source = in.text();
  out.columns = take_texts(in);
  out.number = in.varint();
  out.version = in.varint();
  out.seen = in.text();
  out.round = in.text();
  out.floor = in.varint();
  const auto between = in.little<std::uint8_t>();
  out.stamp = in.varint();
  out.after = take_texts(in);
  const bool fits = form <= static_cast<std::uint8_t>(PollForm::plain) && between <= 1 &&
                    out.after.size() == (between == 1 ? out.columns.size() : 0);
  if (!in.ok() || !in.at_end() || !fits) return corrupt();
  out.form = static_cast<PollForm>(form);
  out.between = between == 1;
  return out;
}

Position encode(const PollPosition& position) {
  Position out;
  put_text(out.bytes, encode(position.cursor));
  out.bytes += encode(position.rows).bytes;
  return out;
}

Result<PollPosition> decode_poll_position(const Position& position) {
  ByteReader in(position.bytes);
  const std::string_view cursor = in.text();
  if (!in.ok()) return corrupt();
  PollPosition out;
  PGCH_ASSIGN(out.cursor, decode_poll_cursor(cursor));
  auto rows = decode_keyed_position({std::string(as_text(in.take(in.left())))});
  if (!rows) return corrupt();
  out.rows = *std::move(rows);
  return out;
}

SnapshotBounds bounds_of(std::string_view snapshot) noexcept {
  const auto first = snapshot.find(':');
  if (first == std::string_view::npos) return {};
  const auto second = snapshot.find(':', first + 1);
  return {pg::number(snapshot.substr(0, first)), pg::number(snapshot.substr(first + 1, second - first - 1))};
}

std::uint64_t lowest_news(std::string_view seen, std::string_view round) {
  const auto running = [](std::string_view snapshot) {
    std::vector<std::uint64_t> out;
    std::string_view rest = snapshot.substr(std::min(snapshot.size(), snapshot.rfind(':') + 1));
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.size(), rest.find(','));
      out.push_back(pg::number(rest.substr(0, comma)));
      rest.remove_prefix(std::min(rest.size(), comma + 1));
    }
    return out;  // PostgreSQL prints them in their order
  };
  const std::vector<std::uint64_t> now = running(round);
  for (const std::uint64_t xid : running(seen)) {
    if (!std::binary_search(now.begin(), now.end(), xid)) return xid;
  }
  return bounds_of(seen).xmax;
}

}  // namespace pgch
