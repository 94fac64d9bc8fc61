// The flag method's table: rows whose flag is not set are claimed, and marked by setting it.
#pragma once

#include <memory>

#include "extract/claim_table.h"
#include "pgch/extract/flag.h"

namespace pgch {

/// Everything that can be wrong with the table is said here, each with what to do about it.
Result<std::unique_ptr<ClaimTable>> describe_flag_table(pg::Connection& connection, const FlagOptions& options,
                                                        const Context& context);

}  // namespace pgch
