/// Dead letters after they were written: what they are, and what becomes of them. DeadLetters (journal.h) writes them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pgch/checkpoint/file.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"

namespace pgch {

struct KafkaOptions;

/// One that nobody has dealt with yet.
struct DeadLetter {
  std::string place;          ///< names it: "topic/partition@offset" of the message; in a file "stream@line"
  std::string stream;         ///< whose batch it was in
  std::string reason;         ///< a sentence; never a value
  std::int64_t time_us = -1;  ///< when it was written, since 1970 UTC; -1: not known
  std::uint64_t bytes = 0;    ///< of its payload as it is kept
  std::string key, payload;   ///< raw bytes (a file's key: key_values); empty unless asked for
  bool payload_is_null = false;
  /// In a file: the row's key as texts that PostgreSQL takes, in the key's order; empty if it can't be told.
  std::vector<std::string> key_values;
};

/// What came of each place that replay() or drop() was asked for.
struct DeadLettersDone {
  std::vector<std::string> done;
  struct Left {
    std::string place, why;
  };
  std::vector<Left> left;  ///< still dead letters, and why they can't be replayed
};

/// The dead letters of one topic or file. One thread. A letter that was dealt with stays where it is, with a note
/// behind it, and is not told of any more.
class PGCH_EXPORT DeadLetterBox {
 public:
  virtual ~DeadLetterBox() = default;
  /// "topic user_events.dlq" or a file's path.
  virtual std::string name() const = 0;
  /// Oldest first. None if there is no such topic or file. A topic's letter that was written twice (after a crash) is
  /// told once; a file's, twice.
  virtual Result<std::vector<DeadLetter>> list(bool with_values) = 0;
  /// Hands the letters of these places on again. Errc::not_found, and nothing is done, if a place has none.
  virtual Result<DeadLettersDone> replay(const std::vector<std::string>& places) = 0;
  virtual Result<DeadLettersDone> drop(const std::vector<std::string>& places) = 0;
};

/// Those of what is consumed from options.topic. replay() sends the message into that topic again as it was, but with
/// no place in its producer's stream, in the same transaction that notes it as done: whatever fails, it is sent once
/// for all who read what is committed, as pgch's consumers do; each group gets it. A second replay() or drop() at the
/// same time ends the first. `context` outlives the box. Only in builds with Kafka.
PGCH_EXPORT Result<std::unique_ptr<DeadLetterBox>> open_topic_letters(const KafkaOptions& options,
                                                                      const Context& context);
/// Hands a row on again: its source is made to read it anew. Errors with Errc::unsupported or not_found leave the
/// letter.
using SendRowAgain = std::function<Result<void>(const DeadLetter& letter)>;
/// Those of a producing half or a direct pipeline, which may run meanwhile. replay() calls `again` for each and notes
/// it as done afterwards: a crash in between leaves the letter, and a second replay() sends the row once more.
PGCH_EXPORT Result<std::unique_ptr<DeadLetterBox>> open_file_letters(const FileJournalOptions& options,
                                                                     SendRowAgain again, const Context& context);

}  // namespace pgch
