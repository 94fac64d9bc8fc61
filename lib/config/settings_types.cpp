// The settings of [types]: what types with a choice become, for all tables. docs/TYPES.md has the words.
#include <charconv>

#include "config/appliers.h"

namespace pgch::config {
namespace {

Apply family(const char* name, const List& allowed) {
  return word(name, allowed, [name](D d, const std::string& chosen) {
    d.config.types.as[std::string(name).substr(sizeof "types." - 1)] = chosen;
  });
}

// "string", "int256", "decimal(38,10)"
Result<void> set_numeric(D d, const Given& given) {
  PGCH_ASSIGN(const std::string chosen, as_text(given, "types.numeric"));
  unsigned precision = 0, scale = 0;
  const char* const end = chosen.data() + chosen.size();
  bool good = chosen == "string" || chosen == "int256";
  if (chosen.rfind("decimal(", 0) == 0) {
    const auto [comma, problem] = std::from_chars(chosen.data() + 8, end, precision);
    if (problem == std::errc{} && comma != end && *comma == ',') {
      const char* second = comma + 1;
      while (second != end && *second == ' ') ++second;
      const auto [close, wrong_scale] = std::from_chars(second, end, scale);
      good = wrong_scale == std::errc{} && close + 1 == end && *close == ')' && precision >= 1 && precision <= 76 &&
             scale <= precision;
    }
  }
  if (!good)
    return wrong(given,
                 "\"types.numeric\" must be \"string\", \"int256\" or a decimal of at most 76 digits, like "
                 "\"decimal(38,10)\"");
  d.config.types.as["numeric"] = chosen;
  return {};
}

}  // namespace

std::vector<Setting> type_settings() {
  return {
      {"types.misfit",
       "fail, null, clamp or string",
       "fail",
       "",
       "What becomes of a value that its column can't hold: a dead letter, NULL, the nearest one that fits; or columns "
       "that could have such values are String.",
       word("types.misfit", {"fail", "null", "clamp", "string"},
            [](D d, const std::string& w) { d.config.types.misfit = w; }),
       {}},
      {"types.nulls",
       "nullable or default",
       "nullable",
       "",
       "default: columns are not Nullable, and NULL becomes 0 or an empty text.",
       family("types.nulls", {"nullable", "default"}),
       {}},
      {"types.null_nested",
       "flag or empty",
       "flag",
       "",
       "Arrays, tuples and maps can't be NULL at ClickHouse: flag tells it in a column <name>__is_null, empty makes it "
       "an "
       "empty one.",
       family("types.null_nested", {"flag", "empty"}),
       {}},
      {"types.years",
       "1900-2299 or 0000-9999",
       "1900-2299",
       "",
       "Timestamps outside of these years don't fit; 0000-9999 needs ClickHouse 26.7.",
       family("types.years", {"1900-2299", "0000-9999"}),
       {}},
      {"types.numeric",
       "string, int256 or decimal(P,S)",
       "string",
       "",
       "numeric without precision, or with more than 76 digits.",
       set_numeric,
       {}},
      {"types.money",
       "decimal or string",
       "decimal",
       "",
       "money: its digits after the point by lc_monetary.",
       family("types.money", {"decimal", "string"}),
       {}},
      {"types.time",
       "time64, int64 or string",
       "time64",
       "",
       "time: Time64(6) (Int64 at servers before 25.6), microseconds, or text.",
       family("types.time", {"time64", "int64", "string"}),
       {}},
      {"types.interval",
       "string or tuple",
       "string",
       "",
       "interval: ISO 8601, or Tuple(months, days, microseconds).",
       family("types.interval", {"string", "tuple"}),
       {}},
      {"types.jsonb",
       "string or json",
       "string",
       "",
       "jsonb: the exact text, or ClickHouse's type JSON (from 25.3 on), which doesn't keep it exactly.",
       family("types.jsonb", {"string", "json"}),
       {}},
      {"types.array",
       "nullable, plain or string",
       "nullable",
       "",
       "Arrays: Array(Nullable(T)), Array(T) (an element NULL doesn't fit), or PostgreSQL's text.",
       family("types.array", {"nullable", "plain", "string"}),
       {}},
      {"types.enum",
       "string or enum",
       "string",
       "",
       "Enums: LowCardinality(String), or Enum8 or Enum16 with the labels that there are when the table is made.",
       family("types.enum", {"string", "enum"}),
       {}},
      {"types.composite",
       "string or tuple",
       "string",
       "",
       "Composite types: PostgreSQL's text, or a Tuple with names.",
       family("types.composite", {"string", "tuple"}),
       {}},
      {"types.range",
       "string or tuple",
       "string",
       "",
       "Ranges and multiranges: PostgreSQL's text, or Tuple(lower, upper, flags), for multiranges an Array of it.",
       family("types.range", {"string", "tuple"}),
       {}},
      {"types.bit",
       "string or uint64",
       "string",
       "",
       "bit and varbit: text of 0 and 1, or a number of up to 64 bits.",
       family("types.bit", {"string", "uint64"}),
       {}},
      {"types.inet",
       "string or ipv6",
       "string",
       "",
       "inet and cidr: text with the mask, or IPv6, which an address with a mask doesn't fit.",
       family("types.inet", {"string", "ipv6"}),
       {}},
      {"types.macaddr",
       "string or uint64",
       "string",
       "",
       "macaddr and macaddr8: text, or a number.",
       family("types.macaddr", {"string", "uint64"}),
       {}},
      {"types.point",
       "tuple or string",
       "tuple",
       "",
       "point: Tuple(Float64, Float64), or text.",
       family("types.point", {"tuple", "string"}),
       {}},
      {"types.hstore",
       "map or string",
       "map",
       "",
       "hstore: Map(String, Nullable(String)), or text.",
       family("types.hstore", {"map", "string"}),
       {}},
      {"types.geometry",
       "ewkb, wkt or ewkt",
       "ewkb",
       "",
       "PostGIS's geometry and geography: EWKB in hexadecimal, or what ST_AsText or ST_AsEWKT print.",
       family("types.geometry", {"ewkb", "wkt", "ewkt"}),
       {}},
  };
}

}  // namespace pgch::config
