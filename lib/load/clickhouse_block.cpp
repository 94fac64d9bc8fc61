#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/try.h"
#include "clickhouse/native_block.h"
#include "load/clickhouse_loader.h"

namespace pgch::ch {
namespace {

constexpr std::size_t default_block_rows = 1'048'449;

template <class T, class Get>
void put_own(std::string& out, const std::string& name, std::string_view type, std::size_t rows, const Get& get) {
  std::vector<T> values(rows);
  for (std::size_t r = 0; r < rows; ++r) values[r] = get(r);
  put_values(out, name, type, std::as_bytes(std::span<const T>(values)));
}

bool has_removes(const RowBatch& batch) {
  return std::find(batch.ops.begin(), batch.ops.end(), RowOp::remove) != batch.ops.end();
}

}  // namespace

std::uint64_t batch_id(const Attempt& attempt) {
  std::string bytes;
  put_text(bytes, attempt.pipeline);
  put_text(bytes, attempt.stream);
  put_little(bytes, attempt.generation);
  put_little(bytes, attempt.sequence);
  return hash64(bytes);
}

Result<void> encode(const TablePlan& plan, const TargetOptions& target, const RowBatch& batch, const Attempt& attempt,
                    std::string& out) {
  if (batch.columns.size() != plan.columns.size())
    return halt(Errc::internal, "a batch came that its table was not prepared for");
  if (!plan.has_deleted && has_removes(batch)) {
    return halt(Errc::schema, plan.quoted + " has no column " + target.deleted_column +
                                  ", so a deleted row can't be told to it: add it (UInt8), or move inserts only "
                                  "(outbox and keys: table.gone = \"skip\")");
  }
  out.clear();
  std::size_t flags = 0;
  for (const ColumnPlan& column : plan.columns) flags += column.null_flag.empty() ? 0 : 1;
  const std::size_t own =
      flags + (plan.has_version ? 1U : 0U) + (plan.has_deleted ? 1U : 0U) + (plan.has_batch ? 2U : 0U);
  // All at once: growing by doubling would touch twice the memory, and copy it.
  constexpr std::size_t own_bytes_of_row = 16, header_bytes = 4096;
  out.reserve(batch.bytes() + batch.rows * (own_bytes_of_row + flags) + header_bytes);
  put_block_header(out, plan.columns.size() + own, batch.rows);
  Column scratch;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    const ColumnPlan& column = plan.columns[i];
    if (is_nested(column.wire.kind)) {
      PGCH_TRY(put_nested(out, column, batch.columns[i], batch.rows));
      if (!column.null_flag.empty()) {
        put_own<std::uint8_t>(out, column.null_flag, "UInt8", batch.rows, [&](std::size_t r) {
          return static_cast<std::uint8_t>(batch.columns[i].is_null(r) ? 1 : 0);
        });
      }
      continue;
    }
    PGCH_ASSIGN(const Column* values, to_wire(column, batch.columns[i], batch.rows, scratch));
    PGCH_TRY(put_column(out, column.wire.name, column.wire_name, *values, layout_of(column.wire), column.wire.nullable,
                        batch.rows));
  }
  if (plan.has_version)
    put_own<std::uint64_t>(out, target.version_column, "UInt64", batch.rows,
                           [&](std::size_t r) { return batch.version_of(r); });
  if (plan.has_deleted) {
    put_own<std::uint8_t>(out, target.deleted_column, "UInt8", batch.rows, [&](std::size_t r) {
      return static_cast<std::uint8_t>(batch.op_of(r) == RowOp::remove ? 1 : 0);
    });
  }
  if (plan.has_batch) {
    const std::uint64_t id = batch_id(attempt);
    put_own<std::uint64_t>(out, target.batch_column, "UInt64", batch.rows, [&](std::size_t) { return id; });
    put_own<std::uint32_t>(out, target.row_column, "UInt32", batch.rows,
                           [&](std::size_t r) { return batch.ordinal_of(r); });
  }
  return {};
}

Settings insert_settings(const Server& server, const Settings& from_user, const std::string& token, std::size_t rows) {
  const std::string block_rows = std::to_string(std::max(rows, default_block_rows));
  const bool tokens = server.knows("insert_deduplication_token");
  const std::pair<std::string_view, std::string> wanted[] = {
      {"async_insert", "0"},
      {"wait_for_async_insert", "1"},
      // Without tokens a server compares contents, and two honest batches of the same content would become one.
      {"insert_deduplicate", tokens ? "1" : "0"},
      {"deduplicate_insert", tokens ? "enable" : "disable"},
      {"insert_deduplication_token", token},
      {"deduplicate_blocks_in_dependent_materialized_views", "1"},
      // One block stays one part, so that an insert is there whole or not at all.
      {"max_insert_block_size", block_rows},
      {"max_insert_block_size_bytes", "0"},
      {"min_insert_block_size_rows", block_rows},
      {"min_insert_block_size_bytes", "0"},
      {"input_format_parallel_parsing", "0"},
      // A ReplacingMergeTree would merge each block by itself first, a third of an insert's time, for keys that hardly
      // ever come twice in one.
      {"optimize_on_insert", "0"},
      // Loud instead of lossy.
      {"input_format_null_as_default", "0"},
      {"input_format_skip_unknown_fields", "0"},
      {"date_time_overflow_behavior", "throw"},
      // The answer means that the far table has it, also behind a Distributed one.
      {"insert_distributed_sync", "1"},
  };
  Settings out;
  for (const auto& [name, value] : wanted) {
    if (server.knows(name)) out.emplace(name, value);
  }
  for (const auto& [name, value] : from_user) out[name] = value;
  return out;
}

}  // namespace pgch::ch
