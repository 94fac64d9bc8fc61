#include "extract/keyed_table.h"

#include <cstring>

#include "base/bytes.h"
#include "base/try.h"
#include "pg/array.h"

namespace pgch {
namespace {

bool is_integer(Kind kind) noexcept {
  return kind == Kind::int16 || kind == Kind::int32 || kind == Kind::int64 || kind == Kind::uint32;
}

std::int64_t read_integer(Kind kind, const std::byte* little) noexcept {
  const auto as = [little]<class T>(T v) {
    std::memcpy(&v, little, sizeof v);
    return static_cast<std::int64_t>(v);
  };
  if (kind == Kind::int16) return as(std::int16_t{});
  if (kind == Kind::int32) return as(std::int32_t{});
  if (kind == Kind::uint32) return as(std::uint32_t{});
  return as(std::int64_t{});
}

}  // namespace

Result<void> place_keys(KeyedTable& t) {
  for (const pg::KeyColumn& key : t.catalog.key) {
    KeyedTable::KeyPlace place;
    PGCH_ASSIGN(place.quoted, quote_postgres(key.name));
    place.kind = key.mapping.kind;
    place.integer = is_integer(place.kind);
    const bool readable = place.integer || ((place.kind == Kind::text || place.kind == Kind::enumeration) &&
                                            key.mapping.decoder == pg::Decoder::raw);
    if (readable && key.column != npos) {
      place.field = key.column;
    } else {
      place.field = t.fields.size();
      pg::FieldPlan field;
      field.name = key.name;
      field.source_type = key.type;
      field.nullable = false;
      field.decoder = place.integer ? key.mapping.decoder : pg::Decoder::raw;
      if (place.integer) {
        ColumnSpec spec;
        spec.kind = place.kind;
        field.layout = layout_of(spec);
      }
      t.fields.push_back(field);
      t.catalog.selects.push_back("t." + place.quoted + (place.integer ? "" : "::pg_catalog.text"));
    }
    t.keys.push_back(std::move(place));
  }
  return {};
}

Result<void> check_key(const pg::CatalogTable& table, const char* method, const Context& context) {
  const std::string name = display_name(table.source.schema);
  if (table.key.empty()) {
    return halt(Errc::schema, "Table " + name + " has no key: the " + method +
                                  " method must know which rows it sent. Add one (ALTER TABLE " + table.quoted +
                                  " ADD PRIMARY KEY (…)), or name unique columns with table.key.");
  }
  for (const pg::KeyColumn& k : table.key) {
    if (k.not_null) continue;
    return halt(Errc::schema, "Column \"" + k.name + "\" of table " + name +
                                  " is part of the key but may be NULL: ALTER TABLE " + table.quoted +
                                  " ALTER COLUMN \"" + k.name +
                                  "\" SET NOT NULL, or choose another key with table.key.");
  }
  if (!table.key_unique) {
    context.log.write(
        LogLevel::warning,
        "Table " + name +
            ": no unique index proves that table.key is a key; two rows with one key would be taken for one.");
  }
  return {};
}

Result<void> check_children(pg::Connection& connection, const pg::CatalogTable& table, const pg::Wait& wait) {
  if (table.relkind != 'r' || table.source.plain_table) return {};
  const pg::Parameter name{table.quoted};
  PGCH_ASSIGN(const pg::Answer children,
              connection.exec("SELECT 1 FROM pg_catalog.pg_inherits WHERE inhparent = $1::pg_catalog.regclass LIMIT 1",
                              {&name, 1}, "looking for child tables", wait));
  if (children.rows() == 0) return {};
  return halt(Errc::unsupported, display_name(table.source.schema) +
                                     " has child tables that inherit from it, and over those no key is unique, so "
                                     "rows would replace each other: name the child tables one by one.");
}

std::span<const std::byte> tuple_of(const pg::Answer& answer, std::size_t row, std::size_t fields,
                                    std::vector<std::byte>& memory) {
  memory.clear();
  pg::append_tuple_head(memory, fields);
  for (std::size_t f = 0; f < fields; ++f)
    pg::append_tuple_cell(memory, as_bytes(answer.cell(row, f)), answer.is_null(row, f));
  return memory;
}

std::vector<std::string> key_arrays(const KeyedPosition& position, const std::vector<std::uint32_t>& picked) {
  std::vector<std::string> out;
  for (const KeyCells& key : position.keys) {
    pg::ArrayWriter array(pg::oid::text);
    if (picked.empty()) {
      for (std::size_t r = 0; r < key.size(); ++r) array.add(key.text(r));
    } else {
      for (const std::uint32_t r : picked) array.add(key.text(r));
    }
    out.emplace_back(array.finish());
  }
  return out;
}

std::string KeyedTable::select_list() const {
  std::string out;
  for (const std::string& s : catalog.selects) out += (out.empty() ? "" : ", ") + s;
  return out;
}

std::string KeyedTable::key_columns() const {
  std::string out;
  for (const KeyPlace& k : keys) out += (out.empty() ? "t." : ", t.") + k.quoted;
  return out;
}

std::string KeyedTable::hint_values() const {
  std::string out;
  for (std::size_t k = 0; k < keys.size(); ++k) {
    out += (k == 0 ? "" : ", ") +
           ("pg_catalog.current_setting('pgch.k" + std::to_string(k) + "')::" + catalog.key[k].type);
  }
  return out;
}

std::string KeyedTable::set_hint() const {
  std::string sql = "SELECT ";
  for (std::size_t k = 0; k < keys.size(); ++k) {
    sql += (k == 0 ? "" : ", ") + ("pg_catalog.set_config('pgch.k" + std::to_string(k) + "', $" +
                                   std::to_string(k + 1) + "::pg_catalog.text, true)");
  }
  return sql;
}

KeyedTable::Join KeyedTable::join_keys() const {
  std::string arrays, names, conditions;
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const std::string n = std::to_string(k);
    // One unnest an array: the form with several arguments can't be written with its schema.
    arrays += (k == 0 ? "" : ", ") + ("pg_catalog.unnest($" + std::to_string(k + 1) + "::pg_catalog.text[]::") +
              catalog.key[k].type + "[])";
    names += (k == 0 ? "k" : ", k") + n;
    conditions += (k == 0 ? "t." : " AND t.") + keys[k].quoted + " = p.k" + n;
  }
  return {"ROWS FROM (" + arrays + ") WITH ORDINALITY AS p(" + names + ", n)", conditions};
}

std::string KeyedTable::from_keys() const {
  const Join join = join_keys();
  return join.keys + " JOIN " + catalog.quoted + " t ON " + join.condition;
}

std::vector<KeyCells> KeyedTable::key_cells() const {
  std::vector<KeyCells> out(keys.size());
  for (std::size_t k = 0; k < keys.size(); ++k) {
    out[k].name = catalog.key[k].name;
    out[k].integer = keys[k].integer;
  }
  return out;
}

void KeyedTable::add_keys(std::vector<KeyCells>& to, const RowBatch& batch, std::span<const Column> extra) const {
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const std::size_t field = keys[k].field;
    const Column& column = field < main_fields() ? batch.columns[field] : extra[field - main_fields()];
    const std::size_t width = width_of(fields[field].layout);
    for (std::size_t r = 0; r < batch.rows; ++r) {
      if (keys[k].integer) {
        to[k].integers.push_back(read_integer(keys[k].kind, column.data.data() + r * width));
      } else {
        to[k].add_text(as_text(column.at(r, 0)));
      }
    }
  }
}

bool KeyedTable::add_keys(std::vector<KeyCells>& to, std::span<const std::byte> tuple) const {
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const auto cell = pg::tuple_cell(tuple, keys[k].field);
    if (!cell) return false;
    if (!keys[k].integer) {
      to[k].add_text(as_text(*cell));
      continue;
    }
    // The wire is big-endian.
    std::byte little[8] = {};
    if (cell->size() > sizeof little) return false;
    for (std::size_t i = 0; i < cell->size(); ++i) little[i] = (*cell)[cell->size() - 1 - i];
    to[k].integers.push_back(read_integer(keys[k].kind, little));
  }
  return true;
}

}  // namespace pgch
