// Random rows of every kind, with edge values often: the same seed gives the same rows.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "pgch/batch.h"

namespace pgch::test {

using Random = std::mt19937_64;

inline std::shared_ptr<const TableSchema> every_kind_schema(bool nullable) {
  auto schema = std::make_shared<TableSchema>();
  schema->schema = "public";
  schema->table = "everything";
  const auto add = [&](const std::string& name, Kind kind, std::uint8_t precision = 0, std::uint8_t scale = 0) {
    schema->columns.push_back({name, kind, nullable, false, precision, scale, ""});
  };
  for (int k = 0; k <= static_cast<int>(Kind::enumeration); ++k) {
    const auto kind = static_cast<Kind>(k);
    if (kind == Kind::decimal) {
      add("dec 9,0", kind, 9, 0);
      add("dec\"9,9", kind, 9, 9);
      add("dec18,4", kind, 18, 4);
      add("dec38,10", kind, 38, 10);
      add("dec76,30", kind, 76, 30);
    } else if (kind == Kind::timestamp || kind == Kind::timestamptz) {
      for (const int scale : {0, 3, 6, 9})
        add("time" + std::to_string(k) + "_" + std::to_string(scale), kind, 0, static_cast<std::uint8_t>(scale));
    } else {
      add("kind" + std::to_string(k), kind);
    }
  }
  schema->columns.insert(schema->columns.begin(), {"id", Kind::int64, false, true, 0, 0, "int8"});
  schema->key_order = {"id"};
  return schema;
}

inline std::string random_text(Random& random) {
  static const std::string pieces[] = {"a",
                                       "Z",
                                       "0",
                                       " ",
                                       "\"",
                                       "\\",
                                       "/",
                                       "\n",
                                       "\t",
                                       "\x01",
                                       std::string(1, '\0'),
                                       "é",
                                       "€",
                                       "𝄞",
                                       "\xED\x9F\xBF",
                                       "<",
                                       "\x7F",
                                       "plain ascii words"};
  std::string out;
  for (std::uint64_t n = random() % 24; n > 0; --n) out += pieces[random() % std::size(pieces)];
  return out;
}

/// A value of at most `digits` decimal digits as two's complement.
inline void random_decimal(Random& random, unsigned digits, std::byte* out, std::size_t width) {
  std::uint64_t limbs[4] = {};
  const bool all_nines = random() % 8 == 0;
  for (std::uint64_t n = all_nines ? digits : random() % (digits + 1); n > 0; --n) {
    std::uint64_t carry = all_nines ? 9 : random() % 10;
    for (std::uint64_t& limb : limbs) {
      __extension__ typedef unsigned __int128 Wide;
      const Wide product = static_cast<Wide>(limb) * 10 + carry;
      limb = static_cast<std::uint64_t>(product);
      carry = static_cast<std::uint64_t>(product >> 64U);
    }
  }
  if (random() % 2 == 0) {
    std::uint64_t carry = 1;
    for (std::uint64_t& limb : limbs) {
      limb = ~limb + carry;
      carry = carry != 0 && limb == 0 ? 1 : 0;
    }
  }
  std::memcpy(out, limbs, width);
}

inline void append_random(Random& random, const ColumnSpec& spec, Column& column) {
  const Layout layout = layout_of(spec);
  const std::size_t width = width_of(layout);
  if (spec.nullable && random() % 5 == 0) return append_null(column, layout);
  std::byte cell[32] = {};
  const auto whole = random() % 4 == 0
                         ? (random() % 2 == 0 ? ~std::uint64_t{0} >> (random() % 2) : std::uint64_t{1} << 63U)
                         : random() >> (random() % 64);
  std::memcpy(cell, &whole, 8);
  std::string text;
  switch (spec.kind) {
    case Kind::boolean:
      cell[0] = static_cast<std::byte>(random() % 2);
      break;
    case Kind::float32: {
      float f = 0;
      std::memcpy(&f, cell, 4);
      if (f != f) f = std::numeric_limits<float>::quiet_NaN();
      std::memcpy(cell, &f, 4);
      break;
    }
    case Kind::float64: {
      double f = 0;
      const auto bits = random() % 8 == 0 ? std::uint64_t{0x7FF0000000000000} | (random() % 2) << 63U : random();
      std::memcpy(&f, &bits, 8);
      if (f != f) f = std::numeric_limits<double>::quiet_NaN();
      std::memcpy(cell, &f, 8);
      break;
    }
    case Kind::decimal:
      random_decimal(random, spec.precision, cell, width);
      break;
    case Kind::uuid: {
      const auto other = random();
      std::memcpy(cell + 8, &other, 8);
      break;
    }
    case Kind::json:
      text = random() % 2 == 0 ? R"({"b": 1.50, "a": [1e400, "é\u0000"], "a": null})" : "[12345678901234567890]";
      break;
    case Kind::bytes:
      for (std::uint64_t n = random() % 12; n > 0; --n) text += static_cast<char>(random());
      break;
    case Kind::text:
    case Kind::enumeration:
      text = random_text(random);
      break;
    default:
      break;
  }
  const auto* data = width != 0 ? cell : reinterpret_cast<const std::byte*>(text.data());
  append_value(column, layout, spec.nullable, {data, width != 0 ? width : text.size()});
}

inline RowBatch random_batch(Random& random, std::shared_ptr<const TableSchema> schema, std::uint32_t rows,
                             std::int64_t first_id = 1) {
  RowBatch batch;
  batch.reset(schema);
  for (std::uint32_t r = 0; r < rows; ++r) {
    const std::int64_t id = first_id + r;
    append_value(batch.columns[0], Layout::fixed8, false, {reinterpret_cast<const std::byte*>(&id), 8});
    for (std::size_t i = 1; i < schema->columns.size(); ++i)
      append_random(random, schema->columns[i], batch.columns[i]);
  }
  batch.rows = rows;
  return batch;
}

}  // namespace pgch::test
