// The outbox method's table: notes are claimed, and marked by deleting them; the rows they name are looked up with
// them.
#pragma once

#include <memory>

#include "extract/claim_table.h"
#include "pgch/extract/outbox.h"

namespace pgch {

/// Everything that can be wrong with the table or its outbox is said here, each with what to do about it.
Result<std::unique_ptr<ClaimTable>> describe_outbox_table(pg::Connection& connection, const OutboxOptions& options,
                                                          const Context& context);

}  // namespace pgch
