// librdkafka's settings by name, and which of them a user may pass through.
#pragma once

#include <map>
#include <string>

#include "pgch/error.h"

namespace pgch::kafka {

using Settings = std::map<std::string, std::string>;

/// Are these settings allowed in KafkaOptions::librdkafka? The Error says why not.
Result<void> check_passthrough(const Settings& settings);

}  // namespace pgch::kafka
