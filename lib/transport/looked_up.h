// Batches of keys → batches of rows, looked up for a whole batch at a time.
#pragma once

#include <memory>

#include "pgch/extractor.h"
#include "pgch/lookup.h"

namespace pgch::transport {

/// An extractor that hands out what `keys` does, with each row as it is now, or RowOp::remove, or nothing (skip_gone),
/// where it is gone. While the look-up fails the batches go back to `keys`, to be read again.
std::unique_ptr<Extractor> make_looked_up(std::unique_ptr<Extractor> keys, std::unique_ptr<RowLookup> lookup,
                                          bool skip_gone);

}  // namespace pgch::transport
