#include "transport/formats.h"

#include <algorithm>
#include <array>

#ifdef PGCH_HAVE_AVRO
#include "avro/row_decoder.h"
#include "avro/row_encoder.h"
#endif
#include "base/try.h"
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
  out.keys_only = options.format == "key";
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

template <std::size_t n>
bool one_of(const std::array<std::string_view, n>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Result<void> check_modes(const DebeziumOptions& modes) {
  constexpr std::array<std::string_view, 6> time = {
      "adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"};
  constexpr std::array<std::string_view, 3> decimal = {"precise", "string", "double"};
  constexpr std::array<std::string_view, 4> binary = {"bytes", "base64", "base64-url-safe", "hex"};
  constexpr std::array<std::string_view, 2> version = {"lsn", "offset"};
  if (one_of(time, modes.time) && one_of(decimal, modes.decimal) && one_of(binary, modes.binary) &&
      one_of(version, modes.version))
    return {};
  return halt(Errc::config, "Kafka: Debezium has no such mode: time " + modes.time + ", decimal " + modes.decimal +
                                ", binary " + modes.binary + ", version " + modes.version);
}

// Both lose what PostgreSQL has, or don't say what they mean: they are read only.
Result<void> check_written(const DebeziumOptions& modes) {
  if (modes.time != "isostring" && modes.decimal != "double") return {};
  return halt(Errc::unsupported,
              "pgch reads Debezium's events with times as ISO strings or decimals as doubles, but doesn't write them: "
              "let kafka.debezium_time be adaptive, and kafka.debezium_decimal precise or string.");
}

}  // namespace

Result<void> check_format(const KafkaOptions& options) {
  constexpr std::array<std::string_view, 3> plain = {"json", "key", "native"};
  if (one_of(plain, options.format)) return {};
  if (options.format == "debezium") return check_modes(options.debezium);
  if (options.format != "avro") return halt(Errc::config, "Kafka: there is no format \"" + options.format + "\"");
#ifdef PGCH_HAVE_AVRO
  if (!options.schema_registry.url.empty()) return {};
  return halt(Errc::config,
              "The format avro needs a schema registry: set kafka.schema_registry to its address, such as "
              "http://host:8081.");
#else
  return halt(Errc::unsupported,
              "This build of pgch has no Avro: install libavro-dev and build it with -DPGCH_AVRO=ON, or use "
              "kafka.format = \"json\" or \"native\".");
#endif
}

Result<void> greet_servers(const KafkaOptions& options, [[maybe_unused]] const Context& context) {
  PGCH_TRY(check_format(options));
#ifdef PGCH_HAVE_AVRO
  if (options.format == "avro") {
    PGCH_ASSIGN(const auto registry, registry::make_schema_registry(options.schema_registry, context));
    return registry->greet();
  }
#endif
  return {};
}

Result<std::unique_ptr<codec::RowDecoder>> make_decoder(const KafkaOptions& options,
                                                        [[maybe_unused]] const Context& context,
                                                        std::shared_ptr<const TableSchema> schema) {
  PGCH_TRY(check_format(options));
  std::unique_ptr<codec::RowDecoder> out;
  if (options.format == "native") {
    codec::NativeOptions native{options.ignore_fields, options.ignore_unknown_fields, options.json_bytes_max};
    out = std::make_unique<codec::NativeDecoder>(std::move(schema), std::move(native));
#ifdef PGCH_HAVE_AVRO
  } else if (options.format == "avro") {
    PGCH_ASSIGN(auto registry, registry::make_schema_registry(options.schema_registry, context));
    avro::AvroRowOptions rows{options.ignore_fields, options.ignore_unknown_fields, options.json_bytes_max};
    out = std::make_unique<avro::AvroRowDecoder>(std::move(schema), std::move(rows), std::move(registry));
#endif
  } else if (options.format == "debezium") {
    out = std::make_unique<codec::DebeziumDecoder>(std::move(schema), debezium_options(options));
  } else {  // json, key: check_format() lets no other through
    out = std::make_unique<codec::JsonRowDecoder>(std::move(schema), json_options(options));
  }
  return out;
}

Result<std::unique_ptr<Packer>> make_packer(const KafkaOptions& options, [[maybe_unused]] const Context& context) {
  PGCH_TRY(check_format(options));
  if (options.format == "native") return make_block_packer(options);
  if (options.format == "debezium") {
    PGCH_TRY(check_written(options.debezium));
    return make_row_packer(options, std::make_unique<codec::DebeziumEncoder>(debezium_options(options).modes));
  }
#ifdef PGCH_HAVE_AVRO
  if (options.format == "avro") {
    PGCH_ASSIGN(auto registry, registry::make_schema_registry(options.schema_registry, context));
    return make_row_packer(options,
                           std::make_unique<avro::AvroRowEncoder>(std::move(registry), options.topic + "-value"));
  }
#endif
  return make_row_packer(options,
                         std::make_unique<codec::JsonRowEncoder>(options.json_as_object, options.format == "key"));
}

std::size_t record_overhead(const KafkaOptions& options, const RowBatch& batch) {
  constexpr std::size_t all_but_the_stream = 160;
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
