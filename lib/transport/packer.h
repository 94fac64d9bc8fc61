// A batch → the messages that carry it, in memory, before any of them is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::transport {

/// One message: its bytes end where the next one's begin.
struct Parcel {
  std::size_t key_end = 0, value_end = 0;
  std::uint32_t row = 0;        ///< index of its first row in the batch: gives the message its place
  std::uint32_t rows = 0;       ///< 0: that row only, its version and operation in the headers; else a block of rows
  std::int32_t partition = -1;  ///< -1: by its key
  bool tombstone = false;       ///< no value at all
};
struct Packed {
  std::string keys, values;
  std::vector<Parcel> parcels;
  void clear() noexcept {
    keys.clear();
    values.clear();
    parcels.clear();
  }
};

struct PackLimits {
  std::size_t message_bytes_max = 0;  ///< of key, value and headers
  std::int32_t partitions = 1;
};

/// Turns batches into messages of one format. One thread.
class Packer {
 public:
  virtual ~Packer() = default;
  virtual Result<void> open(std::shared_ptr<const TableSchema> schema, const PackLimits& limits) = 0;
  /// All of the batch, or an Error (Recovery::dead_letter: some row can never go) and `out` is of no use.
  virtual Result<void> pack(const RowBatch& batch, Packed& out) = 0;
};

/// For options.format; options and context outlive it.
Result<std::unique_ptr<Packer>> make_packer(const KafkaOptions& options, const Context& context);

/// What a record of the batch costs beside its key and value: headers, lengths, deltas, the record batch's head.
std::size_t record_overhead(const KafkaOptions& options, const RowBatch& batch);

/// The refusal of a message that the topic does not take.
Error too_large(const KafkaOptions& options, std::size_t bytes, std::size_t bytes_max);

}  // namespace pgch::transport
