// Which codec a format's name stands for.
#pragma once

#include <memory>
#include <string_view>

#include "codec/row_codec.h"
#include "pgch/transport/kafka.h"
#include "transport/packer.h"

namespace pgch::transport {

/// Errc::config or unsupported: there is no format of that name, this build lacks it, or a setting that it needs is
/// missing.
Result<void> check_format(const KafkaOptions& options);
/// Asks the servers that the format needs beside Kafka, if any.
Result<void> greet_servers(const KafkaOptions& options, const Context& context);
/// `schema` is what the messages are turned into. The context outlives the decoder.
Result<std::unique_ptr<codec::RowDecoder>> make_decoder(const KafkaOptions& options, const Context& context,
                                                        std::shared_ptr<const TableSchema> schema);

}  // namespace pgch::transport
