// Plans of decoders without a server: a catalog with one type of each form, and single cells decoded by it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codec/json_row.h"
#include "pg/copy_binary.h"
#include "pg/type_map.h"
#include "pgch/batch.h"

namespace pgch::testing {

inline constexpr std::uint32_t int4_array = 1007, text_array = 1009, float8_array = 1022, date_array = 1182,
                               int4range = 3904, int4multirange = 4451, composite = 90001, hstore = 90002,
                               vector = 90003, halfvec = 90004, mood = 90005, composite_array = 90006;

inline pg::TypeCatalog example_types() {
  pg::TypeCatalog catalog;
  const auto add = [&](std::uint32_t oid, char typtype, std::uint32_t element, const char* send) -> pg::TypeInfo& {
    pg::TypeInfo& info = catalog.types[oid];
    info.schema = "public";
    info.name = "t" + std::to_string(oid);
    info.typtype = typtype;
    info.element = element;
    info.send = send;
    return info;
  };
  add(int4_array, 'b', pg::oid::int4, "array_send");
  add(text_array, 'b', pg::oid::text, "array_send");
  add(float8_array, 'b', pg::oid::float8, "array_send");
  add(date_array, 'b', pg::oid::date, "array_send");
  add(composite_array, 'b', composite, "array_send");
  add(int4range, 'r', 0, "range_send").subtype = pg::oid::int4;
  add(int4multirange, 'm', 0, "multirange_send").subtype = pg::oid::int4;
  add(hstore, 'b', 0, "hstore_send");
  add(vector, 'b', 0, "vector_send");
  add(halfvec, 'b', 0, "halfvec_send");
  add(mood, 'e', 0, "enum_send").labels = {"sad", "ok"};
  add(composite, 'c', 0, "record_send").attributes = {
      {"n", pg::oid::int4, -1, 0}, {"t", pg::oid::text, -1, 0}, {"list", int4_array, -1, 0}};
  return catalog;
}

/// All options that make a type more than a text.
inline TypeOptions rich_types(std::string misfit = "fail") {
  TypeOptions options;
  options.as = {{"composite", "tuple"}, {"range", "tuple"}};
  options.misfit = std::move(misfit);
  return options;
}

struct TypePlan {
  std::shared_ptr<TableSchema> schema = std::make_shared<TableSchema>();
  pg::FieldPlan field;
};

/// One nullable column "c" of the type.
inline TypePlan plan_of(std::uint32_t type, const TypeOptions& options = rich_types(), std::int32_t dimensions = 0,
                        std::int32_t typmod = -1) {
  static const pg::TypeCatalog catalog = example_types();
  const pg::TypeMapping mapping =
      std::move(pg::TypeMapper(catalog, options).map(type, typmod, dimensions, {}, {})).value();
  TypePlan plan;
  ColumnSpec spec = pg::shape_of(mapping);
  spec.name = "c";
  plan.field = {"c", "type", mapping.decoder, layout_of(spec), true, spec.precision, spec.scale};
  plan.field.misfit = pg::misfit_of(options.misfit);
  plan.field.nested = mapping.nested;
  plan.schema->table = "t";
  plan.schema->columns = {std::move(spec)};
  return plan;
}

/// Decodes one cell as a row of COPY's; on `row` the batch has it.
inline pg::TupleOutcome decode_cell(const TypePlan& plan, std::span<const std::byte> cell, RowBatch& batch,
                                    std::string* why = nullptr) {
  std::vector<std::byte> tuple;
  pg::append_tuple_head(tuple, 1);
  pg::append_tuple_cell(tuple, cell, false);
  pg::TupleDecoder decoder({plan.field}, 1);
  batch.reset(plan.schema);
  std::span<const std::byte> message(tuple);
  const auto outcome = decoder.decode(message, batch.columns.data(), nullptr, 0);
  if (outcome == pg::TupleOutcome::row) batch.rows = 1;
  if (why != nullptr && outcome == pg::TupleOutcome::rejected) *why = decoder.why();
  return outcome;
}

/// The one value as it stands in a message: {"c":…} without what is around it; nullopt if it has none.
inline std::optional<std::string> json_of(const RowBatch& batch) {
  std::string out;
  if (codec::JsonRowEncoder(batch.schema, false).append_value(batch, 0, out) != npos) return std::nullopt;
  return out.substr(5, out.size() - 6);
}

}  // namespace pgch::testing
