#include "transport/record_reader.h"

#include <array>

#include "base/hash.h"
#include "base/try.h"
#include "transport/record.h"

namespace pgch::transport {
namespace {

// Batches mostly have inserts only, and then no list of operations at all.
void fill_ops(RowBatch& batch, std::uint32_t rows_before, RowOp op) {
  if (op == RowOp::insert && batch.ops.empty()) return;
  if (batch.ops.empty()) batch.ops.assign(rows_before, RowOp::insert);
  batch.ops.resize(batch.rows, op);
}

}  // namespace

Result<RecordReader::Outcome> RecordReader::take(const kafka::Record& record, RowBatch& batch, HighWaters& waters) {
  constexpr std::array<std::string_view, 6> names = {header_stream, header_sequence, header_version,
                                                     header_op,     header_rows,     header_format};
  std::array<std::optional<std::string_view>, 6> values;
  const kafka::RecordHeaders headers(record);
  headers.find(names, values);
  const auto& [stream, sequence_text, version_text, op_header, rows_header, format_header] = values;
  const bool own = stream && sequence_text;
  const std::string_view named = format_header.value_or(rows_header ? "native" : "json");
  if (own && named != format_) return other_format(record, named);
  if (!own) return read(record, false, version_text, op_header, batch);
  const auto sequence = parse_sequence(*sequence_text);
  if (!sequence) return reject(record, "the header pgch-seq is not three numbers with dots between them", batch);
  // A stream's sequences are comparable within its epoch, which is one journal's: two producers that happen to have
  // the same stream name (two databases, say) have two, and neither's records are repeats of the other's.
  const std::uint64_t name = hash_of(*stream) ^ (sequence->epoch * 0x9E3779B97F4A7C15U);
  if (waters.has(name, *sequence)) return Outcome::repeat;
  PGCH_ASSIGN(const Outcome outcome, read(record, true, version_text, op_header, batch));
  // Not before it is known what became of the record: one that is tried again must not count as seen.
  waters.advance(name, *sequence);
  return outcome;
}

// Of pgch's own messages it is known that they are no junk: they wait for a consumer with the right setting.
Error RecordReader::other_format(const kafka::Record& record, std::string_view named) const {
  return halt(Errc::config, "The message at offset " + std::to_string(record.offset()) + " of " + topic_ + "/" +
                                std::to_string(record.partition()) + " is in the format " +
                                std::string(named.substr(0, 64)) + ", as its producer says, and not in " + format_ +
                                ": set kafka.format to what the producer has, and after a change of the format let the "
                                "consumers drain the topic first, or use another topic.");
}

Result<RecordReader::Outcome> RecordReader::read(const kafka::Record& record, bool own,
                                                 std::optional<std::string_view> version,
                                                 std::optional<std::string_view> op, RowBatch& batch) {
  auto number = std::optional<std::uint64_t>(static_cast<std::uint64_t>(record.offset()) + 1);
  if (version) number = parse_number(*version);
  if (!number) return reject(record, "the header pgch-version is not a number of 64 bits", batch);
  auto named = std::optional<RowOp>(RowOp::insert);
  if (op) named = parse_op(*op);
  if (!named) return reject(record, "the header pgch-op is neither insert, update nor remove", batch);
  const std::uint32_t before = batch.rows;
  PGCH_ASSIGN(const codec::Decoded decoded,
              decoder_->append({record.key(), record.value(), record.has_value(), own, version ? number : std::nullopt},
                               batch));
  if (decoded == codec::Decoded::rejected) return reject(record, decoder_->reason(), batch);
  batch.versions.resize(batch.rows, *number);
  batch.places.resize(batch.rows, static_cast<std::uint64_t>(record.offset()));
  fill_ops(batch, before, record.has_value() ? *named : RowOp::remove);
  return Outcome::rows;
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
