#include "pg/type_map.h"

#include <charconv>
#include <cstring>

namespace pgch::pg {
namespace {

TypeMapping cast_text(std::string before, std::string after) {
  TypeMapping mapping{Kind::text, Decoder::raw, 0, 0, true};
  mapping.before = std::move(before);
  mapping.after = std::move(after);
  return mapping;
}

// By the output function itself: a cast to text may be another function ("10.0.0.1" becomes "10.0.0.1/32" by it).
TypeMapping as_text(const TypeInfo* info) {
  if (info == nullptr || info->output.empty()) return cast_text("", "::pg_catalog.text");
  return cast_text("pg_catalog.textin(" + info->output + "(", "))");
}

TypeMapping nested(Kind kind, Decoder decoder, std::vector<ColumnSpec> elements) {
  TypeMapping mapping{kind, decoder, 0, 0, false};
  auto plan = std::make_shared<NestedPlan>();
  plan->shape.kind = kind;
  plan->shape.elements = elements;
  mapping.elements = std::move(elements);
  mapping.nested = std::move(plan);
  return mapping;
}

TypeMapping nested(Kind kind, Decoder decoder, std::vector<ColumnSpec> elements, NestedPlan plan) {
  TypeMapping mapping = nested(kind, decoder, std::move(elements));
  plan.shape = mapping.nested->shape;
  mapping.nested = std::make_shared<const NestedPlan>(std::move(plan));
  return mapping;
}

ColumnSpec element(std::string name, Kind kind, bool nullable = false) {
  ColumnSpec spec;
  spec.name = std::move(name);
  spec.kind = kind;
  spec.nullable = nullable;
  return spec;
}

// "decimal(38, 10)"
bool read_decimal(std::string_view word, unsigned& precision, unsigned& scale) noexcept {
  if (word.substr(0, 8) != "decimal(" || word.back() != ')') return false;
  word = word.substr(8, word.size() - 9);
  const auto comma = word.find(',');
  if (comma == std::string_view::npos) return false;
  const auto read = [](std::string_view text, unsigned& into) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), into);
    return problem == std::errc{} && end == text.data() + text.size();
  };
  return read(word.substr(0, comma), precision) && read(word.substr(comma + 1), scale) && precision >= 1 &&
         precision <= 76 && scale <= precision;
}

std::string quoted_label(const std::string& label) {
  std::string out = "'";
  for (const char c : label) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

bool word_is(const TypeOptions& options, const char* family, const char* word) {
  const auto found = options.as.find(family);
  return found != options.as.end() && found->second == word;
}

std::string quoted_schema(const std::string& schema) {
  std::string out = "\"";
  for (const char c : schema) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace

Misfit misfit_of(const std::string& policy) noexcept {
  return policy == "null" ? Misfit::null : policy == "clamp" ? Misfit::clamp : Misfit::fail;
}

ColumnSpec shape_of(const TypeMapping& mapping) {
  ColumnSpec spec;
  spec.kind = mapping.kind;
  spec.precision = mapping.precision;
  spec.scale = mapping.scale;
  spec.elements = mapping.elements;
  spec.target_type = mapping.target_type;
  return spec;
}

// The column's word, if it is one of the family's, else the pipeline's; empty: the default.
std::string TypeMapper::word(Wish& wish, const char* family, std::initializer_list<const char*> words) const {
  for (const char* known : words) {
    // A word with arguments is known by its beginning.
    if (wish.as == known || (std::strchr(known, '(') != nullptr && wish.as.rfind(known, 0) == 0)) {
      wish.taken = true;
      return wish.as;
    }
  }
  const auto general = options_.as.find(family);
  return general == options_.as.end() ? std::string() : general->second;
}

TypeMapping TypeMapper::numeric(std::int32_t typmod, Wish& wish) const {
  TypeMapping mapping = map_type(oid::numeric, typmod, 'b');
  const std::string as = word(wish, "numeric", {"decimal(", "int256"});
  if (mapping.kind == Kind::decimal && !wish.taken) return mapping;
  unsigned precision = 0, scale = 0;
  if (as == "int256") return {Kind::int256, Decoder::int256, 0, 0, false, true};
  if (read_decimal(as, precision, scale)) {
    return {
        Kind::decimal, Decoder::decimal, static_cast<std::uint8_t>(precision), static_cast<std::uint8_t>(scale), false,
        true};
  }
  return mapping;
}

TypeMapping TypeMapper::enumeration(const TypeInfo* info, Wish& wish) const {
  TypeMapping mapping = map_type(0, -1, 'e');
  if (word(wish, "enum", {"enum"}) != "enum" || info == nullptr || info->labels.empty()) return mapping;
  std::string list;
  for (std::size_t i = 0; i < info->labels.size(); ++i)
    list += (list.empty() ? "" : ", ") + quoted_label(info->labels[i]) + " = " + std::to_string(i + 1);
  mapping.target_type = (info->labels.size() > 127 ? "Enum16(" : "Enum8(") + list + ")";
  return mapping;
}

TypeMapping TypeMapper::of_extension(const TypeInfo& info, Wish& wish) const {
  if (info.send == "hstore_send" && word(wish, "hstore", {"map"}) != "string") {
    return nested(Kind::map, Decoder::hstore, {element({}, Kind::text), element({}, Kind::text, true)});
  }
  if (info.send == "vector_send" || info.send == "halfvec_send") {
    return nested(Kind::array, info.send == "vector_send" ? Decoder::vector : Decoder::halfvec,
                  {element({}, Kind::float32)});
  }
  if (info.send == "geometry_send" || info.send == "geography_send") {
    const std::string as = word(wish, "geometry", {"ewkb", "wkt", "ewkt"});
    if (as != "wkt" && as != "ewkt") return as_text(&info);
    return cast_text(quoted_schema(info.schema) + (as == "wkt" ? ".ST_AsText(" : ".ST_AsEWKT("), ")");
  }
  return as_text(&info);
}

TypeMapping TypeMapper::scalar(std::uint32_t type, std::int32_t typmod, const TypeInfo* info, Wish& wish) const {
  switch (type) {
    case oid::numeric:
      return numeric(typmod, wish);
    case oid::money:
      if (word(wish, "money", {"decimal"}) == "string") return as_text(info);
      return {Kind::decimal, Decoder::money, 19, static_cast<std::uint8_t>(catalog_.money_scale), false};
    case oid::time: {
      const std::string as = word(wish, "time", {"time64", "int64"});
      if (as == "string") return as_text(info);
      return as == "int64" ? TypeMapping{Kind::int64, Decoder::time, 0, 0, false} : map_type(type, typmod, 'b');
    }
    case oid::interval:
      if (word(wish, "interval", {"tuple"}) != "tuple") break;
      return nested(
          Kind::tuple, Decoder::interval_parts,
          {element("months", Kind::int32), element("days", Kind::int32), element("microseconds", Kind::int64)});
    case oid::jsonb: {
      TypeMapping mapping = map_type(type, typmod, 'b');
      if (word(wish, "jsonb", {"json"}) == "json") mapping.target_type = "JSON";
      return mapping;
    }
    case oid::bit:
    case oid::varbit:
      if (word(wish, "bit", {"uint64"}) != "uint64") break;
      return {Kind::uint64, Decoder::bits_number, 0, 0, false, true};
    case oid::inet:
    case oid::cidr:
      if (word(wish, "inet", {"ipv6"}) != "ipv6") break;
      return {Kind::ipv6, Decoder::inet_ipv6, 0, 0, false, true};
    case oid::macaddr:
    case oid::macaddr8:
      if (word(wish, "macaddr", {"uint64"}) != "uint64") break;
      return {Kind::uint64, Decoder::macaddr_number, 0, 0, false};
    case oid::point:
      if (word(wish, "point", {"tuple"}) == "string") return as_text(info);
      return nested(Kind::tuple, Decoder::point, {element({}, Kind::float64), element({}, Kind::float64)});
    default:
      break;
  }
  TypeMapping mapping = map_type(type, typmod, 'b');
  if (!mapping.cast_to_text) return mapping;
  return info == nullptr ? as_text(info) : of_extension(*info, wish);
}

FieldPlan TypeMapper::part(const TypeMapping& mapping, const std::string& name, bool nullable, const Wish& wish) const {
  FieldPlan plan;
  plan.name = name;
  plan.decoder = mapping.decoder;
  plan.layout = layout_of(shape_of(mapping));
  plan.nullable = nullable;
  plan.precision = mapping.precision;
  plan.scale = mapping.scale;
  plan.misfit = wish.misfit;
  plan.wide_years = word_is(options_, "years", "0000-9999");
  plan.nested = mapping.nested;
  return plan;
}

TypeMapping TypeMapper::array(const TypeInfo& info, std::int32_t typmod, std::int32_t dimensions, Wish& wish) const {
  Wish inner = wish;
  inner.misfit_as_text = false;
  TypeMapping item = value(info.element, typmod, 0, inner);
  wish.taken = wish.taken || inner.taken;
  const std::string as = word(wish, "array", {"nullable", "plain"});
  if (as == "string") return as_text(&info);
  const bool nullable = as != "plain";
  // Elements that have to be cast are cast all at once; a function can't be called on each.
  const bool cast = item.cast_to_text;
  if (cast && item.before.find(".ST_As") != std::string::npos) return as_text(&info);
  if (cast) item = cast_text("", "");
  ColumnSpec shape = shape_of(item);
  shape.target_type.clear();  // the wire has texts, and within an array they stay what they are
  shape.nullable = nullable && !is_nested(shape.kind);
  NestedPlan plan;
  plan.parts.push_back(part(item, {}, shape.nullable, wish));
  // After a cast the elements are texts.
  plan.part_oids.push_back(cast ? oid::text : 0);
  plan.dimensions = dimensions < 1 ? 1 : static_cast<unsigned>(dimensions);
  for (unsigned i = 1; i < plan.dimensions; ++i) {
    ColumnSpec outer = element({}, Kind::array);
    outer.elements.push_back(shape);
    shape = std::move(outer);
  }
  TypeMapping mapping = nested(Kind::array, Decoder::array, {std::move(shape)}, std::move(plan));
  mapping.can_misfit = true;
  if (cast) mapping.after = "::pg_catalog.text[]";
  return mapping;
}

TypeMapping TypeMapper::composite(const TypeInfo& info, Wish& wish) const {
  if (word(wish, "composite", {"tuple"}) != "tuple" || info.attributes.empty()) return as_text(&info);
  std::vector<ColumnSpec> shapes;
  NestedPlan plan;
  bool can_misfit = false;
  for (const TypeInfo::Attribute& attribute : info.attributes) {
    Wish inner;
    inner.misfit = wish.misfit;
    const TypeMapping field = value(attribute.type, attribute.typmod, attribute.dimensions, inner);
    // What has to be cast can't be, inside of another value.
    if (field.cast_to_text || !field.after.empty()) return as_text(&info);
    ColumnSpec shape = shape_of(field);
    shape.target_type.clear();
    shape.name = attribute.name;
    shape.nullable = !is_nested(shape.kind);
    plan.parts.push_back(part(field, attribute.name, shape.nullable, wish));
    plan.part_oids.push_back(attribute.type);
    can_misfit = can_misfit || field.can_misfit || is_nested(shape.kind);
    shapes.push_back(std::move(shape));
  }
  TypeMapping mapping = nested(Kind::tuple, Decoder::composite, std::move(shapes), std::move(plan));
  mapping.can_misfit = can_misfit;
  return mapping;
}

TypeMapping TypeMapper::range(const TypeInfo& info, Wish& wish) const {
  if (word(wish, "range", {"tuple"}) != "tuple") return as_text(&info);
  Wish inner;
  inner.misfit = wish.misfit;
  const TypeMapping bound = value(info.subtype, -1, 0, inner);
  if (bound.cast_to_text || is_nested(bound.kind)) return as_text(&info);
  std::vector<ColumnSpec> shapes;
  NestedPlan plan;
  for (const char* name : {"lower", "upper"}) {
    ColumnSpec shape = shape_of(bound);
    shape.target_type.clear();
    shape.name = name;
    shape.nullable = true;
    plan.parts.push_back(part(bound, name, true, wish));
    shapes.push_back(std::move(shape));
  }
  shapes.push_back(element("flags", Kind::uint8));
  const bool multi = info.typtype == 'm';
  if (multi) {
    ColumnSpec tuple = element({}, Kind::tuple);
    tuple.elements = std::move(shapes);
    shapes = {std::move(tuple)};
  }
  TypeMapping mapping = nested(multi ? Kind::array : Kind::tuple, multi ? Decoder::multirange : Decoder::range,
                               std::move(shapes), std::move(plan));
  mapping.can_misfit = bound.can_misfit;
  return mapping;
}

TypeMapping TypeMapper::value(std::uint32_t type, std::int32_t typmod, std::int32_t dimensions, Wish& wish) const {
  // A domain is what it is made of, recursively; the innermost type modifier that is set counts.
  const TypeInfo* info = catalog_.find(type);
  while (info != nullptr && info->typtype == 'd') {
    if (info->base_typmod != -1) typmod = info->base_typmod;
    if (info->base_dimensions > 0) dimensions = info->base_dimensions;
    type = info->base;
    info = catalog_.find(type);
  }
  if (wish.as == "string") {
    wish.taken = true;
    return as_text(info);
  }
  TypeMapping mapping;
  if (info != nullptr && info->typtype == 'e') {
    mapping = enumeration(info, wish);
  } else if (info != nullptr && info->typtype == 'c') {
    mapping = composite(*info, wish);
  } else if (info != nullptr && (info->typtype == 'r' || info->typtype == 'm')) {
    mapping = range(*info, wish);
  } else if (info != nullptr && info->element != 0) {
    mapping = array(*info, typmod, dimensions, wish);
  } else {
    mapping = scalar(type, typmod, info, wish);
  }
  return mapping.can_misfit && wish.misfit_as_text ? as_text(info) : mapping;
}

Result<TypeMapping> TypeMapper::map(std::uint32_t type, std::int32_t typmod, std::int32_t dimensions,
                                    const std::string& as, const std::string& policy) const {
  Wish wish;
  wish.as = as;
  const std::string& chosen = policy.empty() ? options_.misfit : policy;
  wish.misfit = misfit_of(chosen);
  wish.misfit_as_text = chosen == "string";
  TypeMapping mapping = value(type, typmod, dimensions, wish);
  unsigned precision = 0, scale = 0;
  if (wish.taken && as.rfind("decimal(", 0) == 0 && !read_decimal(as, precision, scale))
    return halt(Errc::config,
                "\"" + as + "\" is no Decimal: decimal(P,S) has 1 to 76 digits P, S of them after the point.");
  if (!as.empty() && !wish.taken)
    return halt(Errc::config, "\"" + as + "\" is nothing that its type can become; docs/TYPES.md has the words.");
  return mapping;
}

}  // namespace pgch::pg
