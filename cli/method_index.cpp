// The index that a method needs on its own column, also where the table is partitioned.
#include <fmt/format.h>

#include <algorithm>

#include "method.h"

namespace pgch::cli {
namespace {

Result<std::string> index_name(const std::string& table, const MethodIndex& index) {
  // A name's limit is 63 bytes. What has to be cut is told apart by its length and sum, or a second table would get no
  // index.
  std::string name = table + "_" + index.column + "_" + index.suffix;
  if (name.size() > 63) {
    unsigned sum = 0;
    for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
    std::size_t cut = 63 - 9;
    while (cut > 0 && (static_cast<unsigned char>(name[cut]) & 0xC0) == 0x80) --cut;
    name = name.substr(0, cut) + fmt::format("_{:08x}", sum);
  }
  return quote_postgres(name);
}

// As DROP INDEX and ALTER INDEX want it: in the table's schema.
Result<std::string> index_in_schema(const std::string& quoted_table, const std::string& table,
                                    const MethodIndex& index) {
  auto name = index_name(table, index);
  if (!name) return name;
  const auto dot = quoted_table.find("\".\"");
  return (dot == std::string::npos ? "" : quoted_table.substr(0, dot + 2)) + *name;
}

struct Part {
  std::string quoted, bare;  // "schema"."table" and table
  std::size_t parent = 0;    // which of them it is a partition of; the first has none
  bool leaf = false, attached = false;
};

// The table and all partitions below it, each after its parent; nothing if it is not partitioned. `index` is the
// table's own.
Result<std::vector<Part>> partitions_of(PostgresSession& source, const std::string& table, const std::string& index) {
  auto rows = source.query(
      "SELECT '\"' || replace(n.nspname, '\"', '\"\"') || '\".\"' || replace(c.relname, '\"', '\"\"') || '\"', "
      "c.relname,"
      " t.relid::oid, t.parentrelid::oid, t.isleaf,"
      " EXISTS (SELECT 1 FROM pg_partition_tree(to_regclass($2)) a JOIN pg_index i ON i.indexrelid = a.relid"
      "   WHERE a.level > 0 AND i.indrelid = t.relid)"
      " FROM pg_partition_tree(to_regclass($1)) t JOIN pg_class c ON c.oid = t.relid"
      " JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE EXISTS (SELECT 1 FROM pg_class p WHERE p.oid = to_regclass($1) AND p.relkind = 'p')"
      " ORDER BY t.level, 1",
      {table, index});
  if (!rows) return std::move(rows).error();
  std::vector<Part> out;
  std::vector<std::string> ids;
  for (const auto& row : *rows) {
    const auto parent = std::find(ids.begin(), ids.end(), row[3].value_or(""));
    out.push_back({row[0].value_or(""), row[1].value_or(""),
                   parent == ids.end() ? 0 : static_cast<std::size_t>(parent - ids.begin()), is_yes(row[4]),
                   is_yes(row[5])});
    ids.push_back(row[2].value_or(""));
  }
  return out;
}

}  // namespace

Result<void> add_index(PostgresSession& source, const TableConfig& table, const MethodIndex& index,
                       const std::string& definition, std::vector<std::string>& out) {
  auto name = quote_postgres_table(table.name);
  if (!name) return std::move(name).error();
  auto own = index_name(bare_name(table), index);
  if (!own) return std::move(own).error();
  auto own_in_schema = index_in_schema(*name, bare_name(table), index);
  if (!own_in_schema) return std::move(own_in_schema).error();
  auto parts = partitions_of(source, *name, *own_in_schema);
  if (!parts) return std::move(parts).error();
  if (parts->empty()) {
    out.push_back("CREATE INDEX CONCURRENTLY IF NOT EXISTS " + *own + " ON " + *name + " " + definition);
    return {};
  }
  // As PostgreSQL's manual has it: an index on the parents alone is not valid until one of each partition is attached.
  // Partitions that are made later get theirs by themselves.
  std::vector<std::string> attach;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const Part& part = (*parts)[i];
    if (part.attached) continue;
    auto made = index_name(part.bare, index);
    if (!made) return std::move(made).error();
    out.push_back("CREATE INDEX " + std::string(part.leaf ? "CONCURRENTLY " : "") + "IF NOT EXISTS " + *made + " ON " +
                  (part.leaf ? "" : "ONLY ") + part.quoted + " " + definition);
    if (i == 0) continue;
    auto child = index_in_schema(part.quoted, part.bare, index);
    if (!child) return std::move(child).error();
    const Part& above = (*parts)[part.parent];
    auto parent = index_in_schema(above.quoted, above.bare, index);
    if (!parent) return std::move(parent).error();
    attach.push_back("ALTER INDEX " + *parent + " ATTACH PARTITION " + *child);
  }
  // The deepest first, so that what is attached is whole.
  out.insert(out.end(), attach.rbegin(), attach.rend());
  return {};
}

Result<std::string> drop_index(PostgresSession& source, const TableConfig& table, const MethodIndex& index) {
  auto name = quote_postgres_table(table.name);
  if (!name) return name;
  auto own = index_in_schema(*name, bare_name(table), index);
  if (!own) return own;
  auto parts = partitions_of(source, *name, *own);
  if (!parts) return std::move(parts).error();
  return std::string("DROP INDEX ") + (parts->empty() ? "CONCURRENTLY " : "") + "IF EXISTS " + *own;
}

}  // namespace pgch::cli
