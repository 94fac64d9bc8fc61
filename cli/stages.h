// From one [[table]] to the stages of its pipeline.
#pragma once

#include <optional>

#include "pgch/pipeline.h"
#include "program.h"

namespace pgch::cli {

enum class Half : std::uint8_t { whole, produce, consume };

Result<Stages> stages_of(Session& session, const TableConfig& table, Half half);
/// Into the table's target, or into `target` in its place.
Result<std::unique_ptr<Loader>> loader_of(const Config& config, const TableConfig& table,
                                          std::optional<TargetOptions> target = {});
Result<std::unique_ptr<Transport>> transport_of(const KafkaOptions& options);
/// Topic of the dead letters of what is consumed.
std::string dead_letter_topic(const KafkaOptions& options);
/// What the consumer turns messages into: the table's `types`, else what PostgreSQL says, else the existing target.
Result<TableSchema> consumed_schema(Session& session, const TableConfig& table);

/// "Nullable(Decimal(10, 2))": the ClickHouse type a column becomes.
std::string clickhouse_type(const ColumnSpec& column);
/// "id Int64", "note Nullable(String)", … and Bytes and JSON for what JSON messages write in their own way.
Result<ColumnSpec> parse_column(const std::string& text);

/// Builds without Kafka refuse here.
Result<std::vector<PartitionInfo>> topic_info(const KafkaOptions& options, const Context& context);
Result<void> registry_answers(const KafkaOptions& options, const Context& context);
Result<void> make_topic(const KafkaOptions& options, const Context& context);
Result<std::vector<GroupMove>> move_group(const KafkaOptions& options, const GroupStart& start, const Context& context);
Result<void> drop_topic(const KafkaOptions& options, const Context& context);

}  // namespace pgch::cli
