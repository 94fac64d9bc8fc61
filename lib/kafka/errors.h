// librdkafka's and the broker's codes as Errors: what the caller can do about each.
#pragma once

#include <string>
#include <string_view>

#include "pgch/error.h"

namespace pgch::kafka {

/// `code` is an rd_kafka_resp_err_t. `doing` completes "while …": "sending to topic x".
Error error_of(int code, std::string_view doing, std::string_view detail = {});
/// The group has given the partition to somebody else, or is about to: what was to be committed must not be.
bool is_stale_owner(const Error& error);

}  // namespace pgch::kafka
