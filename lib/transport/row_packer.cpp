#include "transport/row_packer.h"

#include "base/try.h"

namespace pgch::transport {
namespace {

class RowPacker final : public Packer {
 public:
  RowPacker(const KafkaOptions& options, std::unique_ptr<codec::RowEncoder> encoder)
      : options_(options), encoder_(std::move(encoder)) {}

  Result<void> open(std::shared_ptr<const TableSchema> schema, const PackLimits& limits) override {
    schema_ = std::move(schema);
    limits_ = limits;
    has_key_ = !key_indexes(*schema_).empty();
    return encoder_->open(schema_);
  }

  Result<void> pack(const RowBatch& batch, Packed& out) override {
    out.clear();
    const std::size_t overhead = record_overhead(options_, batch);
    Parcel before;
    for (std::uint32_t row = 0; row < batch.rows; ++row) {
      Parcel parcel;
      parcel.row = row;
      const bool removed = batch.op_of(row) == RowOp::remove;
      if (removed && !has_key_) {
        return halt(Errc::schema, "a row of " + display_name(*schema_) +
                                      " was deleted, but the table has no key that a record could carry");
      }
      parcel.tombstone = removed && !encoder_->writes_deletions();
      std::size_t bad = parcel.tombstone ? npos : encoder_->append_value(batch, row, out.values);
      if (bad == npos) bad = encoder_->append_key(batch, row, out.keys);
      if (bad != npos) return no_form(schema_->columns[bad].name);
      parcel.value_end = out.values.size();
      parcel.key_end = out.keys.size();
      const std::size_t bytes = parcel.value_end - before.value_end + parcel.key_end - before.key_end + overhead;
      if (bytes > limits_.message_bytes_max) return too_large(options_, bytes, limits_.message_bytes_max);
      out.parcels.push_back(parcel);
      if (removed && !parcel.tombstone) {
        // The same row's place once more: whoever knows places takes it for a repeat.
        parcel.tombstone = true;
        encoder_->append_key(batch, row, out.keys);
        parcel.key_end = out.keys.size();
        out.parcels.push_back(parcel);
      }
      before = parcel;
    }
    return {};
  }

 private:
  Error no_form(const std::string& name) const {
    return Error{Errc::data,
                 Recovery::dead_letter,
                 false,
                 "the column \"" + name + "\" " + std::string(encoder_->no_form()),
                 {}};
  }

  const KafkaOptions& options_;
  std::unique_ptr<codec::RowEncoder> encoder_;
  std::shared_ptr<const TableSchema> schema_;
  PackLimits limits_;
  bool has_key_ = false;
};

}  // namespace

std::unique_ptr<Packer> make_row_packer(const KafkaOptions& options, std::unique_ptr<codec::RowEncoder> encoder) {
  return std::make_unique<RowPacker>(options, std::move(encoder));
}

}  // namespace pgch::transport
