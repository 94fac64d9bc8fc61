// One message a row, by a format's RowEncoder.
#pragma once

#include <memory>

#include "codec/row_codec.h"
#include "transport/packer.h"

namespace pgch::transport {

std::unique_ptr<Packer> make_row_packer(const KafkaOptions& options, std::unique_ptr<codec::RowEncoder> encoder);

}  // namespace pgch::transport
