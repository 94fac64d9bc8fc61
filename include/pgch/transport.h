/// Transport: what lies between. Its near end is a Loader (it makes batches durable in the transport), its far end an
/// Extractor (it reads them back), so both halves of a pipeline run the same delivery protocol.
#pragma once

#include <memory>

#include "pgch/error.h"
#include "pgch/export.h"
#include "pgch/extractor.h"
#include "pgch/journal.h"
#include "pgch/loader.h"

namespace pgch {

/// The far end: the extractor, and the journal and dead letters that live in the transport itself.
struct Receiver {
  std::unique_ptr<Extractor> extractor;
  std::shared_ptr<Journal> journal;
  std::shared_ptr<DeadLetters> dead_letters;
};

/// Any thread may ask for an end; each end is then used as its own contract says. Nothing connects before the end's
/// open(). The ends stay valid after the transport is gone.
class PGCH_EXPORT Transport {
 public:
  virtual ~Transport() = default;
  /// The near end: what its load() took is durable in the transport.
  virtual Result<std::unique_ptr<Loader>> make_sender() = 0;
  /// The far end; each call gives one of its own (a further member of the group, for Kafka).
  virtual Result<Receiver> make_receiver() = 0;
};

}  // namespace pgch
