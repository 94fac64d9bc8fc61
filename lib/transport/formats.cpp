#include "transport/formats.h"

#include "codec/debezium.h"
#include "codec/json_row.h"
#include "codec/native_message.h"
#include "transport/block_packer.h"
#include "transport/row_packer.h"

namespace pgch::transport {
namespace {

codec::JsonRowOptions json_options(const KafkaOptions& options) {
  codec::JsonRowOptions out;
  out.ignore_fields = options.ignore_fields;
  out.ignore_unknown_fields = options.ignore_unknown_fields;
  out.json_as_object = options.json_as_object;
  out.bytes_max = options.json_bytes_max;
  return out;
}

codec::DebeziumDecoderOptions debezium_options(const KafkaOptions& options) {
  using Modes = codec::DebeziumModes;
  const DebeziumOptions& given = options.debezium;
  codec::DebeziumDecoderOptions out;
  out.row = json_options(options);
  out.modes.time = given.time == "adaptive_time_microseconds" ? Modes::Time::adaptive_time_microseconds
                   : given.time == "connect"                  ? Modes::Time::connect
                   : given.time == "microseconds"             ? Modes::Time::microseconds
                   : given.time == "nanoseconds"              ? Modes::Time::nanoseconds
                                                              : Modes::Time::adaptive;
  out.modes.decimal_as_string = given.decimal == "string";
  out.modes.binary = given.binary == "hex"               ? Modes::Binary::hex
                     : given.binary == "base64-url-safe" ? Modes::Binary::base64_url
                                                         : Modes::Binary::base64;
  out.version_by_lsn = given.version != "offset";
  out.wide_years = given.wide_years;
  return out;
}

}  // namespace

bool is_format(std::string_view name) noexcept { return name == "json" || name == "native" || name == "debezium"; }

std::unique_ptr<codec::RowDecoder> make_decoder(const KafkaOptions& options,
                                                std::shared_ptr<const TableSchema> schema) {
  if (options.format == "native") {
    codec::NativeOptions native{options.ignore_fields, options.ignore_unknown_fields, options.json_bytes_max};
    return std::make_unique<codec::NativeDecoder>(std::move(schema), std::move(native));
  }
  if (options.format == "debezium")
    return std::make_unique<codec::DebeziumDecoder>(std::move(schema), debezium_options(options));
  return std::make_unique<codec::JsonRowDecoder>(std::move(schema), json_options(options));
}

std::unique_ptr<Packer> make_packer(const KafkaOptions& options) {
  if (options.format == "native") return make_block_packer(options);
  if (options.format == "debezium")
    return make_row_packer(options, std::make_unique<codec::DebeziumEncoder>(debezium_options(options).modes));
  return make_row_packer(options, std::make_unique<codec::JsonRowEncoder>(options.json_as_object));
}

std::size_t record_overhead(const KafkaOptions& options, const RowBatch& batch) {
  constexpr std::size_t all_but_the_stream = 128;
  return all_but_the_stream + (options.stream.empty() ? batch.stream.size() : options.stream.size());
}

Error too_large(const KafkaOptions& options, std::size_t bytes, std::size_t bytes_max) {
  return Error{Errc::data,
               Recovery::dead_letter,
               false,
               "the message has " + std::to_string(bytes) + " bytes, more than topic " + options.topic +
                   " takes (max.message.bytes = " + std::to_string(bytes_max) +
                   "): raise that, or leave columns out with table.exclude",
               {}};
}

}  // namespace pgch::transport
