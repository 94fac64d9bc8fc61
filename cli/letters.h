// The dead letters of a table: in the file of the half that reads PostgreSQL, in the topic of the half that reads
// Kafka.
#pragma once

#include <memory>
#include <vector>

#include "pgch/dead_letter.h"
#include "program.h"

namespace pgch::cli {

Result<std::vector<std::unique_ptr<DeadLetterBox>>> letter_boxes(Session& session, const TableConfig& table);

}  // namespace pgch::cli
