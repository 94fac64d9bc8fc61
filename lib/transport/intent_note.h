// What the receiving end writes into the metadata of its offset commits: the batch under way, and how far each
// producer's stream has come. The grammar is in docs/WIRE.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/error.h"
#include "transport/record.h"

namespace pgch::transport {

/// The highest sequence seen of each producer's stream in one partition. Keeps the streams heard of most recently: what
/// it forgets here is forgotten in the note too, so a replay comes out the same.
class HighWaters {
 public:
  static constexpr std::size_t streams_max = 64;
  struct Entry {
    std::uint64_t stream = 0;  ///< hash of its name
    Sequence sequence;
    bool operator==(const Entry&) const = default;
  };
  /// It, or one above it, was seen already: the record is a repeat.
  bool has(std::uint64_t stream, const Sequence& sequence) const noexcept;
  /// Remembers it. False, and nothing changes, if has().
  bool advance(std::uint64_t stream, const Sequence& sequence);
  /// Least recent first.
  const std::vector<Entry>& entries() const noexcept { return entries_; }
  /// For decoding; false if there are too many.
  bool add(const Entry& entry);

 private:
  std::vector<Entry> entries_;
};

struct Note {
  std::uint64_t sequence = 0;  ///< of the last batch begun
  std::uint64_t attempt = 0;   ///< the last number given out
  bool open = false;           ///< that batch is not known to be at the target; the following is about it
  std::int64_t first = 0, last = 0;
  std::uint32_t rows = 0;
  std::uint64_t content = 0;
  std::uint64_t first_attempt = 0;
  std::string mark;
  HighWaters waters;  ///< as they were before `first`
};

Intent intent_of(const Note& note, const std::string& stream, const Position& position);
/// Error: the loader's mark makes it larger than a broker takes.
Result<std::string> encode_note(const Note& note);
/// nullopt: not written by pgch. Error: written by pgch, and not readable.
Result<std::optional<Note>> decode_note(std::string_view metadata);

}  // namespace pgch::transport
