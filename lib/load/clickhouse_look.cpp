// After doubt: which rows of a batch are in the table? By batch and row number where the table has them, else by key;
// then the version, or without one all values, have to be the same too.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/bytes.h"
#include "base/try.h"
#include "clickhouse/native_block.h"
#include "clickhouse/sql.h"
#include "load/clickhouse_loader.h"

namespace pgch::ch {
namespace {

constexpr std::size_t keys_in_query = 2'000;
constexpr std::size_t query_bytes_max = 64U << 20;

Settings look_settings(const Server& server) {
  Settings settings;
  if (server.knows("max_query_size")) settings.emplace("max_query_size", std::to_string(query_bytes_max));
  if (server.knows("max_ast_elements")) settings.emplace("max_ast_elements", "1000000");
  if (server.knows("max_expanded_ast_elements")) settings.emplace("max_expanded_ast_elements", "1000000");
  return settings;
}

Landed all_but(const RowBatch& batch, const std::vector<bool>& there) {
  Landed landed;
  for (std::uint32_t r = 0; r < batch.rows; ++r) {
    if (!there[r]) landed.missing.push_back(r);
  }
  return landed;
}

Result<Landed> by_batch_number(Client& client, const TablePlan& plan, const TargetOptions& target,
                               const RowBatch& batch, const Attempt& attempt) {
  const std::string sql = fmt::format("SELECT {} FROM {} WHERE {} = {}", quote_name(target.row_column), plan.quoted,
                                      quote_name(target.batch_column), batch_id(attempt));
  PGCH_ASSIGN(const std::string answer, client.query(sql, "RowBinary"));
  ByteReader reader(answer);
  std::vector<std::uint32_t> found(answer.size() / sizeof(std::uint32_t));
  for (std::uint32_t& row : found) row = reader.little<std::uint32_t>();
  std::sort(found.begin(), found.end());
  std::vector<bool> there(batch.rows);
  for (std::uint32_t r = 0; r < batch.rows; ++r)
    there[r] = std::binary_search(found.begin(), found.end(), batch.ordinal_of(r));
  return all_but(batch, there);
}

struct RowHashOfHash {
  std::size_t operator()(const RowHash& h) const noexcept { return static_cast<std::size_t>(h.low); }
};

// What is read back: the key first, then the version, or all other columns.
struct ReadBack {
  std::shared_ptr<TableSchema> schema = std::make_shared<TableSchema>();
  std::vector<std::string> types;
  std::vector<std::size_t> sources;  // index of the plan's column for each, without the version
  std::string select;
  std::vector<std::size_t> key_columns, all_columns;

  void add(const ColumnPlan& column, std::size_t index) {
    ColumnSpec spec = column.wire;
    schema->columns.push_back(std::move(spec));
    types.push_back(read_type(column));
    sources.push_back(index);
    select += (select.empty() ? "" : ", ") + read_back(column);
    all_columns.push_back(all_columns.size());
  }
};

ReadBack what_to_read(const TablePlan& plan, const TargetOptions& target) {
  ReadBack read;
  for (const std::size_t i : plan.key) {
    read.key_columns.push_back(read.sources.size());
    read.add(plan.columns[i], i);
  }
  if (plan.has_version) {
    ColumnSpec version;
    version.name = target.version_column;
    version.kind = Kind::uint64;
    version.nullable = false;
    read.schema->columns.push_back(version);
    read.types.emplace_back("UInt64");
    read.select += ", " + quote_name(target.version_column);
    return read;
  }
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    if (std::find(plan.key.begin(), plan.key.end(), i) == plan.key.end()) read.add(plan.columns[i], i);
  }
  return read;
}

// The batch's own rows in the form in which they would be read back.
Result<RowBatch> as_read(const TablePlan& plan, const ReadBack& read, const RowBatch& batch) {
  RowBatch out;
  out.reset(read.schema);
  out.rows = batch.rows;
  Column scratch;
  for (std::size_t c = 0; c < read.sources.size(); ++c) {
    const std::size_t i = read.sources[c];
    PGCH_ASSIGN(const Column* values, to_wire(plan.columns[i], batch.columns[i], batch.rows, scratch));
    out.columns[c] = *values;
  }
  if (plan.has_version) {
    for (std::size_t r = 0; r < batch.rows; ++r) put_little(out.columns[read.sources.size()].data, batch.version_of(r));
  }
  return out;
}

// Rows of `wanted` with keys that are all different.
RowBatch distinct_keys(const RowBatch& wanted, const ReadBack& read) {
  std::unordered_map<RowHash, std::uint32_t, RowHashOfHash> first;
  std::vector<std::uint32_t> rows;
  for (std::uint32_t r = 0; r < wanted.rows; ++r) {
    if (first.emplace(hash_row(wanted, r, read.key_columns), r).second) rows.push_back(r);
  }
  return select_rows(wanted, rows);
}

class KeyedLook {
 public:
  KeyedLook(const TablePlan& plan, const RowBatch& batch, const ReadBack& read, const RowBatch& wanted)
      : plan_(plan), batch_(batch), read_(read) {
    const auto& columns = plan.has_version ? read.key_columns : read.all_columns;
    for (std::uint32_t r = 0; r < batch.rows; ++r) rows_[hash_row(wanted, r, columns)].push_back(r);
    there_.resize(batch.rows);
  }

  void take(const RowBatch& found) {
    const auto& columns = plan_.has_version ? read_.key_columns : read_.all_columns;
    const std::size_t version_at = read_.sources.size();
    for (std::size_t r = 0; r < found.rows; ++r) {
      const auto it = rows_.find(hash_row(found, r, columns));
      if (it == rows_.end()) continue;
      if (plan_.has_version) {
        ByteReader reader(found.columns[version_at].at(r, sizeof(std::uint64_t)));
        const auto version = reader.little<std::uint64_t>();
        // Where versions replace each other a newer one may have swallowed ours already.
        for (const std::uint32_t row : it->second) {
          const std::uint64_t ours = batch_.version_of(row);
          if (version == ours || (plan_.replaces && version > ours)) there_[row] = true;
        }
      } else {
        // Equal rows are told apart by their number only: each one found stands for one of ours.
        const auto open =
            std::find_if(it->second.begin(), it->second.end(), [&](std::uint32_t row) { return !there_[row]; });
        if (open != it->second.end()) there_[*open] = true;
      }
    }
  }
  const std::vector<bool>& there() const noexcept { return there_; }

 private:
  const TablePlan& plan_;
  const RowBatch& batch_;
  const ReadBack& read_;
  std::unordered_map<RowHash, std::vector<std::uint32_t>, RowHashOfHash> rows_;
  std::vector<bool> there_;
};

Result<Landed> by_key(Client& client, const TablePlan& plan, const TargetOptions& target, const Server& server,
                      const RowBatch& batch) {
  const ReadBack read = what_to_read(plan, target);
  PGCH_ASSIGN(const RowBatch wanted, as_read(plan, read, batch));
  KeyedLook look(plan, batch, read, wanted);
  const Settings settings = look_settings(server);
  // Each key once: a row found by two queries would stand for two.
  const RowBatch keys = distinct_keys(wanted, read);
  std::vector<const Column*> key_values;
  for (const std::size_t c : read.key_columns) key_values.push_back(&keys.columns[c]);
  for (std::size_t first = 0, last = 0; first < keys.rows; first = last) {
    last = std::min<std::size_t>(keys.rows, first + keys_in_query);
    const auto condition = key_condition(plan, key_values, first, last);
    if (!condition) return halt(Errc::unsupported, "the key of " + plan.quoted + " can't be looked up");
    BlockReader reader(read.schema, read.types);
    const auto take = [&](const RowBatch& found) -> Result<void> {
      look.take(found);
      return {};
    };
    PGCH_TRY(client.stream(
        "SELECT " + read.select + " FROM " + plan.quoted + " WHERE " + *condition, "Native",
        [&](std::string_view piece) { return reader.feed(as_bytes(piece), take); }, settings));
    PGCH_TRY(reader.finish());
  }
  return all_but(batch, look.there());
}

}  // namespace

LoaderTraits look_traits(const TablePlan& plan, const TargetOptions& target) {
  // Merges make other rows of the rows that came, or nothing stays at all.
  for (const char* unfit : {"Summing", "Aggregating", "Collapsing", "Coalescing", "Graphite", "Null", "Memory",
                            "Buffer", "Set", "Join", "EmbeddedRocksDB"}) {
    if (plan.engine.find(unfit) == std::string::npos) continue;
    return {false,
            fmt::format(
                "{} is a {}, which does not keep the rows as they come, or not for good, so whether they came can't be "
                "seen afterwards: let pgch fill a MergeTree or ReplacingMergeTree, and a materialized "
                "view this table from that.",
                plan.quoted, plan.engine)};
  }
  if (plan.has_batch) return {true, {}};
  if (plan.key.empty()) {
    return {false, fmt::format("{} has neither a key nor the columns {} (UInt64) and {} (UInt32), so a row that is "
                               "there can't be told from one that is not.",
                               plan.quoted, target.batch_column, target.row_column)};
  }
  for (const ColumnPlan& c : plan.columns) {
    if (plan.has_version || !c.parsed) continue;
    return {false, fmt::format("{} has no column {} (UInt64), so rows are compared value by value, and what column {} "
                               "({}) gives back is not the text that was sent.",
                               plan.quoted, target.version_column, c.source.name, c.target_type)};
  }
  for (const std::size_t i : plan.key) {
    const ColumnPlan& c = plan.columns[i];
    if (!can_be_literal(c.wire))
      return {false, fmt::format("Key column {} is {}, by which rows can't be found again exactly.", c.source.name,
                                 c.target_type)};
    if (c.source.nullable)
      return {false, fmt::format("Key column {} can be NULL, so it does not name a row.", c.source.name)};
  }
  return {true, {}};
}

Result<Landed> find_missing(Client& client, const TablePlan& plan, const TargetOptions& target, const Server& server,
                            const RowBatch& batch, const Attempt& attempt) {
  if (batch.rows == 0) return Landed{};
  if (plan.has_batch) return by_batch_number(client, plan, target, batch, attempt);
  const LoaderTraits traits = look_traits(plan, target);
  if (!traits.can_look) return halt(Errc::unsupported, traits.why_not);
  return by_key(client, plan, target, server, batch);
}

}  // namespace pgch::ch
