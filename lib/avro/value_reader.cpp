#include "avro/value_reader.h"

#include <limits>

#include "avro/leaf.h"
#include "avro/row_schema.h"
#include "model/packed.h"

namespace pgch::avro {
namespace {

constexpr unsigned depth_max = 64;
// What takes no bytes could be told by the billion in a few bytes. No message is larger than this by default.
constexpr std::uint64_t idle_max = 16u << 20;
// In one block, which a few bytes tell.
constexpr std::uint64_t empty_items_max = 1'024;

// How many items the next block of an array or a map has; empty: the bytes are none.
std::optional<std::uint64_t> take_block(ByteReader& in) noexcept {
  const auto count = take_long(in);
  if (!count) return std::nullopt;
  if (*count >= 0) return static_cast<std::uint64_t>(*count);
  // A negative count has the block's size behind it, which only those need who skip it.
  if (const auto size = take_long(in); !size || *size < 0) return std::nullopt;
  return ~static_cast<std::uint64_t>(*count) + 1;
}

const ColumnSpec* element_of(const ColumnSpec& tuple, const std::string& name, std::size_t place) noexcept {
  if (tuple.elements.empty()) return nullptr;
  if (tuple.elements.front().name.empty()) return place < tuple.elements.size() ? &tuple.elements[place] : nullptr;
  for (const ColumnSpec& element : tuple.elements) {
    if (element.name == name) return &element;
  }
  return nullptr;
}

// Without names a tuple's fields are known by their places, and there must be as many.
bool is_unnamed(const ColumnSpec& tuple) noexcept {
  return tuple.elements.empty() || tuple.elements.front().name.empty();
}

bool resolves_at(const WriterSchema& schema, std::size_t index, const ColumnSpec& column, unsigned depth);

bool record_resolves(const WriterSchema& schema, const WriterType& type, const ColumnSpec& column, unsigned depth) {
  if (is_unnamed(column) && type.fields.size() != column.elements.size()) return false;
  std::size_t found = 0, needed = 0;
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    const ColumnSpec* element = element_of(column, type.fields[i].column, i);
    if (element == nullptr) continue;
    if (!resolves_at(schema, type.fields[i].type, *element, depth + 1)) return false;
    if (!packs_null(*element)) ++found;
  }
  for (const ColumnSpec& element : column.elements) needed += packs_null(element) ? 0 : 1;
  return found == needed;
}

bool resolves_at(const WriterSchema& schema, std::size_t index, const ColumnSpec& column, unsigned depth) {
  if (depth > depth_max) return false;
  const WriterType& type = schema[index];
  if (type.form == Form::choice) {
    for (const std::size_t part : type.parts) {
      if (schema[part].form != Form::null && resolves_at(schema, part, column, depth + 1)) return true;
    }
    return type.parts.size() == 1 && schema[type.parts[0]].form == Form::null && column.nullable;
  }
  if (type.form == Form::null) return column.nullable;
  switch (column.kind) {
    case Kind::array:
      return type.form == Form::array && resolves_at(schema, type.parts[0], column.elements[0], depth + 1);
    case Kind::tuple:
      return type.form == Form::record && record_resolves(schema, type, column, depth);
    case Kind::map: {
      if (type.form == Form::map) {
        const Kind key = column.elements[0].kind;
        return (key == Kind::text || key == Kind::enumeration) &&
               resolves_at(schema, type.parts[0], column.elements[1], depth + 1);
      }
      if (type.form != Form::array) return false;
      const WriterType& pair = schema[type.parts[0]];
      return pair.form == Form::record && pair.fields.size() == 2 &&
             resolves_at(schema, pair.fields[0].type, column.elements[0], depth + 1) &&
             resolves_at(schema, pair.fields[1].type, column.elements[1], depth + 1);
    }
    default:
      return leaf_resolves(type, column);
  }
}

}  // namespace

bool resolves(const WriterSchema& schema, std::size_t type, const ColumnSpec& column) {
  return resolves_at(schema, type, column, 0);
}

// Calls `item` for each item; false as soon as one or a block is none.
template <class Item>
bool ValueReader::each_item(ByteReader& in, Item item) {
  while (true) {
    const auto count = take_block(in);
    if (!count) return false;
    if (*count == 0) return true;
    for (std::uint64_t i = 0; i < *count; ++i) {
      const std::size_t before = in.left();
      if (!item() || !in.ok()) return false;
      if (before == in.left() && (i >= empty_items_max || ++idle_ > idle_max)) return false;
    }
  }
}

// Through unions to the type that is really there.
bool ValueReader::resolve(std::size_t& type, ByteReader& in) const {
  for (unsigned depth = 0; schema_[type].form == Form::choice; ++depth) {
    const auto branch = take_long(in);
    if (depth > depth_max || !branch || *branch < 0 ||
        static_cast<std::uint64_t>(*branch) >= schema_[type].parts.size())
      return false;
    type = schema_[type].parts[static_cast<std::size_t>(*branch)];
  }
  return true;
}

Fault ValueReader::read(std::size_t type, const codec::TargetColumn& target, ByteReader& in, Column& column) {
  const bool chosen = schema_[type].form == Form::choice;
  if (!resolve(type, in)) return Fault::damaged;
  const ColumnSpec& spec = *target.spec;
  if (schema_[type].form == Form::null) {
    if (!spec.nullable) return Fault::null;
    append_null(column, target.layout);
    return Fault::none;
  }
  if (chosen && !resolves(schema_, type, spec)) return Fault::type;
  if (!is_nested(spec.kind)) return read_leaf(schema_[type], target, in, column);
  if (const Fault fault = value(type, spec, in, column.data); fault != Fault::none) return fault;
  if (column.data.size() > std::numeric_limits<std::uint32_t>::max()) return Fault::full;
  column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
  if (spec.nullable) column.nulls.push_back(0);
  return Fault::none;
}

Fault ValueReader::cell(std::size_t type, const ColumnSpec& spec, ByteReader& in, Bytes& out) {
  const bool chosen = schema_[type].form == Form::choice;
  if (!resolve(type, in)) return Fault::damaged;
  if (schema_[type].form == Form::null) {
    if (!packs_null(spec)) return Fault::null;
    out.push_back(std::byte{1});
    return Fault::none;
  }
  if (chosen && !resolves(schema_, type, spec)) return Fault::type;
  if (packs_null(spec)) out.push_back(std::byte{0});
  return value(type, spec, in, out);
}

// Packed, as lib/model/packed.h says.
Fault ValueReader::value(std::size_t type, const ColumnSpec& spec, ByteReader& in, Bytes& out) {
  if (out.size() > std::numeric_limits<std::uint32_t>::max()) return Fault::full;
  const WriterType& writer = schema_[type];
  switch (spec.kind) {
    case Kind::array:
    case Kind::map:
      return elements(writer, spec, in, out);
    case Kind::tuple:
      return fields(writer, spec, in, out);
    default:
      break;
  }
  const codec::TargetColumn target{&spec, layout_of(spec), width_of(layout_of(spec))};
  leaf_.clear();
  if (const Fault fault = read_leaf(writer, target, in, leaf_); fault != Fault::none) return fault;
  if (target.width == 0) put_varint(out, leaf_.data.size());
  put_raw(out, leaf_.data.data(), leaf_.data.size());
  return Fault::none;
}

Fault ValueReader::elements(const WriterType& type, const ColumnSpec& spec, ByteReader& in, Bytes& out) {
  Bytes body;
  std::uint64_t count = 0;
  Fault fault = Fault::none;
  const bool whole = each_item(in, [&] {
    fault = spec.kind == Kind::map ? pair(type, spec, in, body) : cell(type.parts[0], spec.elements[0], in, body);
    ++count;
    return fault == Fault::none;
  });
  if (fault != Fault::none) return fault;
  if (!whole) return Fault::damaged;
  put_varint(out, count);
  put_raw(out, body.data(), body.size());
  return Fault::none;
}

// Of Avro's map, whose keys are texts, or a record of two fields.
Fault ValueReader::pair(const WriterType& type, const ColumnSpec& spec, ByteReader& in, Bytes& out) {
  const ColumnSpec& key = spec.elements[0];
  if (type.form == Form::map) {
    WriterType text;
    text.form = Form::text;
    const codec::TargetColumn target{&key, Layout::varlen, 0};
    leaf_.clear();
    if (const Fault fault = read_leaf(text, target, in, leaf_); fault != Fault::none) return fault;
    if (packs_null(key)) out.push_back(std::byte{0});
    put_text(out, as_text(leaf_.data));
    return cell(type.parts[0], spec.elements[1], in, out);
  }
  const WriterType& record = schema_[type.parts[0]];
  if (const Fault fault = cell(record.fields[0].type, key, in, out); fault != Fault::none) return fault;
  return cell(record.fields[1].type, spec.elements[1], in, out);
}

// The writer's fields may come in any order; all have to be there unless they can be NULL.
Fault ValueReader::fields(const WriterType& type, const ColumnSpec& spec, ByteReader& in, Bytes& out) {
  std::vector<Bytes> values(spec.elements.size());
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    const ColumnSpec* element = element_of(spec, type.fields[i].column, i);
    if (element == nullptr) {
      if (!skip(type.fields[i].type, in)) return Fault::damaged;
      continue;
    }
    Bytes& one = values[static_cast<std::size_t>(element - spec.elements.data())];
    if (!one.empty()) return Fault::damaged;
    if (const Fault fault = cell(type.fields[i].type, *element, in, one); fault != Fault::none) return fault;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].empty()) {
      if (!packs_null(spec.elements[i])) return Fault::missing;
      values[i].push_back(std::byte{1});
    }
    put_raw(out, values[i].data(), values[i].size());
  }
  return Fault::none;
}

bool ValueReader::skip(std::size_t index, ByteReader& in, unsigned depth) {
  if (depth > depth_max) return false;
  const WriterType& type = schema_[index];
  switch (type.form) {
    case Form::null:
      return true;
    case Form::boolean:
      in.take(1);
      return in.ok();
    case Form::whole:
    case Form::long_whole:
    case Form::enumeration:
      return take_long(in).has_value();
    case Form::float32:
      in.take(4);
      return in.ok();
    case Form::float64:
      in.take(8);
      return in.ok();
    case Form::bytes:
    case Form::text:
      return take_bytes(in).has_value();
    case Form::fixed:
      in.take(type.size);
      return in.ok();
    case Form::array:
      return each_item(in, [&] { return skip(type.parts[0], in, depth + 1); });
    case Form::map:
      return each_item(in, [&] { return take_bytes(in).has_value() && skip(type.parts[0], in, depth + 1); });
    case Form::record:
      if (++idle_ > idle_max) return false;
      for (const WriterType::Field& field : type.fields) {
        if (!skip(field.type, in, depth + 1)) return false;
      }
      return true;
    case Form::choice: {
      std::size_t chosen = index;
      return resolve(chosen, in) && skip(chosen, in, depth + 1);
    }
  }
  return false;
}

}  // namespace pgch::avro
