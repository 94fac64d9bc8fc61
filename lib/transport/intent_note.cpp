#include "transport/intent_note.h"

#include <algorithm>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/hash.h"

namespace pgch::transport {
namespace {

constexpr std::string_view prefix = "pgch1:";
constexpr std::string_view any_prefix = "pgch";
constexpr std::size_t note_bytes_max = 4'096;  // Kafka's default for offset.metadata.max.bytes

}  // namespace

bool HighWaters::has(std::uint64_t stream, const Sequence& sequence) const noexcept {
  const auto found =
      std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& e) { return e.stream == stream; });
  return found != entries_.rend() && sequence <= found->sequence;
}

bool HighWaters::advance(std::uint64_t stream, const Sequence& sequence) {
  // The most recent stream is the usual one, and it is at the back.
  const auto found =
      std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& e) { return e.stream == stream; });
  if (found == entries_.rend()) {
    if (entries_.size() == streams_max) entries_.erase(entries_.begin());
    entries_.push_back({stream, sequence});
    return true;
  }
  if (sequence <= found->sequence) return false;
  found->sequence = sequence;
  std::rotate(std::prev(found.base()), found.base(), entries_.end());
  return true;
}

bool HighWaters::add(const Entry& entry) {
  if (entries_.size() == streams_max) return false;
  entries_.push_back(entry);
  return true;
}

Intent intent_of(const Note& note, const std::string& stream, const Position& position) {
  Intent intent{stream, note.sequence, {}, position, note.rows, note.content, note.mark};
  for (std::uint64_t a = note.first_attempt; a <= note.attempt; ++a) intent.attempts.push_back(a);
  return intent;
}

Result<std::string> encode_note(const Note& note) {
  std::string bytes;
  put_varint(bytes, note.sequence);
  put_varint(bytes, note.attempt);
  bytes.push_back(note.open ? 1 : 0);
  if (note.open) {
    put_varint(bytes, static_cast<std::uint64_t>(note.first));
    put_varint(bytes, static_cast<std::uint64_t>(note.last - note.first));
    put_varint(bytes, note.rows);
    put_little(bytes, note.content);
    put_varint(bytes, note.attempt - note.first_attempt);
    put_text(bytes, note.mark);
  }
  put_varint(bytes, note.waters.entries().size());
  for (const HighWaters::Entry& e : note.waters.entries()) {
    put_little(bytes, e.stream);
    put_varint(bytes, e.sequence.epoch);
    put_varint(bytes, e.sequence.major);
    put_varint(bytes, e.sequence.minor);
  }
  put_little(bytes, crc32c(as_bytes(bytes)));
  std::string out(prefix);
  append_base64(out, as_bytes(bytes));
  if (out.size() > note_bytes_max) {
    return halt(Errc::limit, "the intent of a batch takes " + std::to_string(out.size()) +
                                 " bytes, more than Kafka keeps with an offset (4096)");
  }
  return out;
}

Result<std::optional<Note>> decode_note(std::string_view metadata) {
  if (metadata.substr(0, any_prefix.size()) != any_prefix) return std::optional<Note>();
  const auto corrupt = [] {
    return halt(Errc::corrupt,
                "the metadata of the group's committed offset was written by another version of pgch or is damaged; "
                "finish with that version, or set the group's offset by hand once it is known what has arrived");
  };
  if (metadata.substr(0, prefix.size()) != prefix) return corrupt();
  std::vector<std::byte> bytes;
  if (!parse_base64(metadata.substr(prefix.size()), bytes) || bytes.size() < sizeof(std::uint32_t)) return corrupt();
  const auto body = std::span<const std::byte>(bytes).first(bytes.size() - sizeof(std::uint32_t));
  ByteReader tail(std::span<const std::byte>(bytes).last(sizeof(std::uint32_t)));
  if (tail.little<std::uint32_t>() != crc32c(body)) return corrupt();
  ByteReader reader(body);
  Note note;
  note.sequence = reader.varint();
  note.attempt = reader.varint();
  const auto open = reader.little<std::uint8_t>();
  note.open = open == 1;
  if (note.open) {
    note.first = static_cast<std::int64_t>(reader.varint());
    note.last = note.first + static_cast<std::int64_t>(reader.varint());
    note.rows = static_cast<std::uint32_t>(reader.varint());
    note.content = reader.little<std::uint64_t>();
    note.first_attempt = note.attempt - std::min(reader.varint(), note.attempt);
    note.mark = reader.text();
  }
  const std::uint64_t streams = reader.varint();
  for (std::uint64_t i = 0; i < streams && reader.ok(); ++i) {
    HighWaters::Entry e;
    e.stream = reader.little<std::uint64_t>();
    e.sequence.epoch = reader.varint();
    e.sequence.major = reader.varint();
    e.sequence.minor = static_cast<std::uint32_t>(reader.varint());
    if (!note.waters.add(e)) return corrupt();
  }
  if (!reader.ok() || !reader.at_end() || open > 1 || note.last < note.first) return corrupt();
  return std::optional<Note>(std::move(note));
}

}  // namespace pgch::transport
