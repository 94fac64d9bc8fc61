#include "pg/type_catalog.h"

#include <algorithm>
#include <charconv>

#include "base/try.h"
#include "pg/types.h"

namespace pgch::pg {
namespace {

// Ends, since each type comes once: a composite can't hold itself but by way of an array, and that is one type more.
constexpr const char* types_sql = R"(
WITH RECURSIVE t(oid) AS (
  SELECT u.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS u(oid)
  UNION
  SELECT x.sub FROM t JOIN pg_catalog.pg_type p ON p.oid = t.oid CROSS JOIN LATERAL (
    SELECT p.typelem WHERE p.typtype = 'b' AND p.typcategory = 'A' AND p.typelem <> 0
    UNION ALL SELECT p.typbasetype WHERE p.typtype = 'd'
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
               WHERE p.typtype = 'c' AND a.attrelid = p.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE p.typtype IN ('r', 'm') AND %RANGE%) AS x(sub))
SELECT p.oid::pg_catalog.int8, n.nspname, p.typname, f.proname, p.typtype,
       CASE WHEN p.typtype = 'b' AND p.typcategory = 'A' AND p.typlen = -1 AND p.oid NOT IN (22, 30) THEN p.typelem ELSE 0 END::pg_catalog.int8,
       p.typbasetype::pg_catalog.int8, p.typtypmod, p.typndims,
       COALESCE((SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE %RANGE%), 0)::pg_catalog.int8,
       pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(o.proname)
  FROM t JOIN pg_catalog.pg_type p ON p.oid = t.oid JOIN pg_catalog.pg_namespace n ON n.oid = p.typnamespace
  JOIN pg_catalog.pg_proc o ON o.oid = p.typoutput JOIN pg_catalog.pg_namespace s ON s.oid = o.pronamespace
  LEFT JOIN pg_catalog.pg_proc f ON f.oid = p.typsend)";

constexpr const char* attributes_sql = R"(
SELECT p.oid::pg_catalog.int8, a.attname, a.atttypid::pg_catalog.int8, a.atttypmod, a.attndims
  FROM pg_catalog.pg_type p JOIN pg_catalog.pg_attribute a ON a.attrelid = p.typrelid
 WHERE p.oid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY p.oid, a.attnum)";

constexpr const char* labels_sql = R"(
SELECT e.enumtypid::pg_catalog.int8, e.enumlabel FROM pg_catalog.pg_enum e
 WHERE e.enumtypid = ANY ($1::pg_catalog.oid[]) ORDER BY e.enumtypid, e.enumsortorder)";

template <class T>
T number(std::string_view text) noexcept {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string array_of(std::span<const std::uint32_t> oids) {
  std::string out = "{";
  for (const std::uint32_t oid : oids) out += (out.size() == 1 ? "" : ",") + std::to_string(oid);
  return out + "}";
}

Result<void> read_parts(Connection& connection, TypeCatalog& catalog, char typtype, const Wait& wait) {
  std::vector<std::uint32_t> oids;
  for (const auto& [oid, info] : catalog.types) {
    if (info.typtype == typtype) oids.push_back(oid);
  }
  if (oids.empty()) return {};
  const std::string list = array_of(oids);
  const Parameter p{list};
  PGCH_ASSIGN(const Answer answer,
              connection.exec(typtype == 'c' ? attributes_sql : labels_sql, {&p, 1}, "reading the catalog", wait));
  for (std::size_t r = 0; r < answer.rows(); ++r) {
    TypeInfo& info = catalog.types[number<std::uint32_t>(answer.cell(r, 0))];
    if (typtype == 'e') {
      info.labels.emplace_back(answer.cell(r, 1));
      continue;
    }
    info.attributes.push_back({std::string(answer.cell(r, 1)), number<std::uint32_t>(answer.cell(r, 2)),
                               number<std::int32_t>(answer.cell(r, 3)), number<std::int32_t>(answer.cell(r, 4))});
  }
  return {};
}

}  // namespace

Result<TypeCatalog> read_types(Connection& connection, std::span<const std::uint32_t> oids, bool all,
                               const Wait& wait) {
  TypeCatalog catalog;
  const auto is_plain = [](std::uint32_t oid) { return !map_type(oid, -1, 'b').cast_to_text; };
  if (!all && std::all_of(oids.begin(), oids.end(), is_plain)) return catalog;
  // Multiranges came with 14.
  const std::string range =
      connection.server_version() >= 140000 ? "(r.rngtypid = p.oid OR r.rngmultitypid = p.oid)" : "r.rngtypid = p.oid";
  std::string sql = types_sql;
  for (std::size_t at = 0; (at = sql.find("%RANGE%", at)) != std::string::npos;) sql.replace(at, 7, range);
  const std::string list = array_of(oids);
  const Parameter p{list};
  PGCH_ASSIGN(const Answer answer, connection.exec(sql, {&p, 1}, "reading the catalog", wait));
  for (std::size_t r = 0; r < answer.rows(); ++r) {
    TypeInfo info;
    info.schema = answer.cell(r, 1);
    info.name = answer.cell(r, 2);
    info.send = answer.cell(r, 3);
    info.typtype = answer.cell(r, 4).front();
    info.element = number<std::uint32_t>(answer.cell(r, 5));
    info.base = number<std::uint32_t>(answer.cell(r, 6));
    info.base_typmod = number<std::int32_t>(answer.cell(r, 7));
    info.base_dimensions = number<std::int32_t>(answer.cell(r, 8));
    info.subtype = number<std::uint32_t>(answer.cell(r, 9));
    info.output = answer.cell(r, 10);
    catalog.types.emplace(number<std::uint32_t>(answer.cell(r, 0)), std::move(info));
  }
  PGCH_TRY(read_parts(connection, catalog, 'c', wait));
  PGCH_TRY(read_parts(connection, catalog, 'e', wait));
  if (catalog.find(oid::money) != nullptr) {
    PGCH_ASSIGN(const Answer scale, connection.exec("SELECT pg_catalog.scale(1::pg_catalog.money::pg_catalog.numeric)",
                                                    {}, "reading the catalog", wait));
    if (scale.rows() == 1) catalog.money_scale = number<int>(scale.cell(0, 0));
  }
  return catalog;
}

}  // namespace pgch::pg
