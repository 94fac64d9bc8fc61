// What LISTEN brings.
#pragma once

#include <string>

#include "pg/connection.h"

namespace pgch::pg {

/// Begins to listen on the channel.
Result<void> listen(Connection& connection, const std::string& channel, const Wait& wait);
/// Takes all notifications that are there, and says whether there were any: what they say is not looked at. Never
/// waits. An Error: the connection is gone, and what came meanwhile is not known.
Result<bool> take_notifications(Connection& connection);

}  // namespace pgch::pg
