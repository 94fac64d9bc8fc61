// The ClickHouse loader's parts: writing a batch as one block, and finding its rows again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "load/clickhouse_table.h"
#include "pgch/load/clickhouse.h"
#include "pgch/loader.h"

namespace pgch::ch {

// The batch's number as it stands in the _batch column.
std::uint64_t batch_id(const Attempt& attempt);

// The batch as one Native block with pgch's own columns. `out` keeps its memory from call to call.
Result<void> encode(const TablePlan& plan, const TargetOptions& target, const RowBatch& batch, const Attempt& attempt,
                    std::string& out);

// Settings of one insert: everything explicit that servers differ in, as far as this server knows it.
Settings insert_settings(const Server& server, const Settings& from_user, const std::string& token, std::size_t rows);

// Which rows of the batch are not in the table. Nothing may be inserting them meanwhile.
Result<Landed> find_missing(Client& client, const TablePlan& plan, const TargetOptions& target, const Server& server,
                            const RowBatch& batch, const Attempt& attempt);
// Whether find_missing can tell, or a sentence why not.
LoaderTraits look_traits(const TablePlan& plan, const TargetOptions& target);

}  // namespace pgch::ch
