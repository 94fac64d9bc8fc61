#include "transport/record_reader.h"

#include <array>

#include "base/hash.h"
#include "transport/record.h"

namespace pgch::transport {
namespace {

codec::JsonRowOptions row_options(const KafkaOptions& options) {
  codec::JsonRowOptions out;
  out.ignore_fields = options.ignore_fields;
  out.ignore_unknown_fields = options.ignore_unknown_fields;
  out.json_as_object = options.json_as_object;
  out.bytes_max = options.json_bytes_max;
  return out;
}

// Batches mostly have inserts only, and then no list of operations at all.
void append_op(RowBatch& batch, RowOp op) {
  if (op == RowOp::insert && batch.ops.empty()) return;
  if (batch.ops.empty()) batch.ops.assign(batch.rows - 1, RowOp::insert);
  batch.ops.push_back(op);
}

}  // namespace

RecordReader::RecordReader(const KafkaOptions& options, std::shared_ptr<const TableSchema> schema)
    : topic_(options.topic), decoder_(std::move(schema), row_options(options)) {}

RecordReader::Outcome RecordReader::take(const kafka::Record& record, RowBatch& batch, HighWaters& waters) {
  constexpr std::array<std::string_view, 4> names = {header_stream, header_sequence, header_version, header_op};
  std::array<std::optional<std::string_view>, 4> values;
  const kafka::RecordHeaders headers(record);
  headers.find(names, values);
  const auto& [stream, sequence_text, version_text, op_header] = values;
  if (stream && sequence_text) {
    const auto sequence = parse_sequence(*sequence_text);
    if (!sequence) return reject(record, "the header pgch-seq is not three numbers with dots between them", batch);
    // A stream's sequences are comparable within its epoch, which is one journal's: two producers that happen to have
    // the same stream name (two databases, say) have two, and neither's records are repeats of the other's.
    if (!waters.advance(hash_of(*stream) ^ (sequence->epoch * 0x9E3779B97F4A7C15U), *sequence)) return Outcome::repeat;
  }
  auto version = static_cast<std::uint64_t>(record.offset()) + 1;
  if (version_text) {
    const auto number = parse_number(*version_text);
    if (!number) return reject(record, "the header pgch-version is not a number of 64 bits", batch);
    version = *number;
  }
  RowOp op = record.has_value() ? RowOp::insert : RowOp::remove;
  if (op_header) {
    const auto named = parse_op(*op_header);
    if (!named) return reject(record, "the header pgch-op is neither insert, update nor remove", batch);
    op = *named;
  }
  const bool read =
      record.has_value() ? decoder_.append_row(record.value(), batch) : decoder_.append_key(record.key(), batch);
  if (!read) return reject(record, decoder_.reason(), batch);
  batch.versions.push_back(version);
  batch.places.push_back(static_cast<std::uint64_t>(record.offset()));
  append_op(batch, record.has_value() ? op : RowOp::remove);
  return Outcome::row;
}

RecordReader::Outcome RecordReader::reject(const kafka::Record& record, std::string reason, RowBatch& batch) const {
  Rejected r;
  r.reason = std::move(reason);
  r.origin = topic_ + "/" + std::to_string(record.partition()) + "@" + std::to_string(record.offset());
  r.key = record.key();
  r.payload = record.value();
  r.payload_is_null = !record.has_value();
  batch.rejected.push_back(std::move(r));
  return Outcome::rejected;
}

std::uint64_t RecordReader::hash_of(std::string_view stream) {
  if (stream != last_stream_) {
    last_stream_ = stream;
    last_hash_ = hash64(stream);
  }
  return last_hash_;
}

}  // namespace pgch::transport
