// Which names may become part of a path.
#pragma once

#include "pgch/checkpoint/file.h"

namespace pgch {

// The pipeline's name becomes a file name: letters, digits, dots, underscores, hyphens, not beginning with a dot.
Result<void> check_state_names(const FileJournalOptions& options);

}  // namespace pgch
