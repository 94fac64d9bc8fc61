// Which codec a format's name stands for.
#pragma once

#include <memory>
#include <string_view>

#include "codec/row_codec.h"
#include "pgch/transport/kafka.h"
#include "transport/packer.h"

namespace pgch::transport {

/// Is there a format of that name?
bool is_format(std::string_view name) noexcept;
/// `schema` is what the messages are turned into.
std::unique_ptr<codec::RowDecoder> make_decoder(const KafkaOptions& options, std::shared_ptr<const TableSchema> schema);

}  // namespace pgch::transport
