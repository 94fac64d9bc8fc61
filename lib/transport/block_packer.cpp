#include "transport/block_packer.h"

#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "base/try.h"
#include "codec/native_message.h"

namespace pgch::transport {
namespace {

// Larger messages gain nothing, and cost the brokers and every consumer their memory.
constexpr std::size_t block_bytes_wanted = 1U << 20;

class BlockPacker final : public Packer {
 public:
  explicit BlockPacker(const KafkaOptions& options) : options_(options) {}

  Result<void> open(std::shared_ptr<const TableSchema> schema, const PackLimits& limits) override {
    schema_ = std::move(schema);
    limits_ = limits;
    keys_ = key_indexes(*schema_);
    return encoder_.open(schema_);
  }

  Result<void> pack(const RowBatch& batch, Packed& out) override {
    out.clear();
    if (keys_.empty() && std::find(batch.ops.begin(), batch.ops.end(), RowOp::remove) != batch.ops.end()) {
      return halt(Errc::schema, "a row of " + display_name(*schema_) +
                                    " was deleted, but the table has no key that a record could carry");
    }
    const std::size_t overhead = record_overhead(options_, batch) + encoder_.head_bytes();
    room_ = limits_.message_bytes_max - std::min(limits_.message_bytes_max, overhead);
    out.values.reserve(batch.bytes() + batch.rows * std::size_t{16});
    if (keys_.empty()) return pack_rows(batch, {}, -1, out);
    if (limits_.partitions == 1) return pack_rows(batch, {}, 0, out);
    std::vector<std::vector<std::uint32_t>> rows(static_cast<std::size_t>(limits_.partitions));
    for (std::uint32_t row = 0; row < batch.rows; ++row)
      rows[hash64(key_bytes(batch, row, keys_)) % rows.size()].push_back(row);
    for (std::size_t p = 0; p < rows.size(); ++p) {
      if (rows[p].empty()) continue;
      PGCH_TRY(pack_rows(select_rows(batch, rows[p]), rows[p], static_cast<std::int32_t>(p), out));
    }
    return {};
  }

 private:
  // `places`: where the rows stand in the batch that is packed; empty: this is that batch. Partition -1: in turn.
  Result<void> pack_rows(const RowBatch& batch, std::span<const std::uint32_t> places, std::int32_t partition,
                         Packed& out) {
    const std::size_t wanted = std::min(room_, block_bytes_wanted);
    for (std::uint32_t first = 0; first < batch.rows;) {
      std::size_t bytes = 0;
      std::uint32_t end = first;
      while (end < batch.rows) {
        bytes += encoder_.bytes_of(batch, end);
        if (bytes > wanted && end != first) break;
        ++end;
      }
      while (true) {
        const std::size_t before = out.values.size();
        PGCH_TRY(encoder_.append_block(batch, first, end - first, out.values));
        const std::size_t real = out.values.size() - before;
        if (real <= room_ + encoder_.head_bytes()) break;
        // Only nested values are larger than they were thought to be.
        if (end - first == 1) return too_large(options_, real, limits_.message_bytes_max);
        out.values.resize(before);
        end = first + (end - first) / 2;
      }
      Parcel parcel;
      parcel.value_end = out.values.size();
      parcel.row = places.empty() ? first : places[first];
      parcel.rows = end - first;
      parcel.partition = partition >= 0 ? partition : turn();
      out.parcels.push_back(parcel);
      first = end;
    }
    return {};
  }

  std::int32_t turn() noexcept {
    next_ = (next_ + 1) % limits_.partitions;
    return next_;
  }

  const KafkaOptions& options_;
  codec::NativeEncoder encoder_;
  std::shared_ptr<const TableSchema> schema_;
  PackLimits limits_;
  std::vector<std::size_t> keys_;
  std::size_t room_ = 0;
  std::int32_t next_ = -1;
};

}  // namespace

std::unique_ptr<Packer> make_block_packer(const KafkaOptions& options) {
  return std::make_unique<BlockPacker>(options);
}

}  // namespace pgch::transport
