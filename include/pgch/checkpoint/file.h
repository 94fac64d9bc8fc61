/// The journal as a file, and dead letters as a file, both in one directory that belongs to the pipeline.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "pgch/export.h"
#include "pgch/journal.h"

namespace pgch {

struct FileJournalOptions {
  std::string directory = "./pgch-state";  ///< made (0700) if missing; holds <pipeline>.journal, .lock, .dead.jsonl
  std::string pipeline = "pgch";           ///< [A-Za-z0-9._-]{1,64}
  std::size_t bytes_max = 64u << 20;       ///< a larger journal is written anew with what is still open
};
/// Append-only, crc32c, fsync, locked against a second process.
PGCH_EXPORT Result<std::shared_ptr<Journal>> make_file_journal(FileJournalOptions options);
/// Forgets everything when the process ends: for at-least-once, and for tests.
PGCH_EXPORT std::shared_ptr<Journal> make_memory_journal();
/// Where they lie: "<directory>/<pipeline>.dead.jsonl"; the file is made with the first one.
PGCH_EXPORT std::string dead_letters_path(const FileJournalOptions& options);
/// One JSON line a dead letter: stream, reason, origin, key and payload (base64); 0600, fsynced.
PGCH_EXPORT Result<std::shared_ptr<DeadLetters>> make_file_dead_letters(FileJournalOptions options);

}  // namespace pgch
