// Arrays, tuples, maps.
#include "test/types/cases.h"

namespace pgch::types_test {
namespace {

// An array's elements, each as text by its own rule, with something between that no value has.
const char* const list_postgres =
    "(SELECT COALESCE(string_agg(COALESCE(%e, '~null~'), '|~|' ORDER BY n), '') FROM unnest(v) WITH ORDINALITY AS u(e, "
    "n))";
const char* const list_clickhouse = "arrayStringConcat(arrayMap(e -> ifNull(%e, '~null~'), v), '|~|')";

std::string with(std::string text, const std::string& what) {
  text.replace(text.find("%e"), 2, what);
  return text;
}

}  // namespace

void add_nested(std::vector<Case>& c) {
  const auto array = [&](std::string type, std::string element, std::vector<std::string> edges, std::string postgres,
                         std::string clickhouse, std::string target, std::string setup = {},
                         std::string extension = {}) {
    const std::string maybe = "CASE WHEN random() < 0.1 THEN NULL ELSE " + element + " END";
    c.push_back({type, type, "ARRAY(SELECT " + maybe + " FROM generate_series(1, r(0, 5) + 0 * g))::" + type,
                 std::move(edges)});
    c.back().postgres = with(list_postgres, postgres);
    c.back().clickhouse = with(list_clickhouse, clickhouse);
    c.back().target = "Array(" + target + ")";
    c.back().setup = std::move(setup);
    c.back().extension = std::move(extension);
  };
  // unnest takes composites apart.
  const std::string composites = [] {
    std::string rule = list_postgres;
    return rule.replace(rule.find("unnest(v)"), 9, "unnest(v::text[])");
  }();
  array("boolean[]", "random() < 0.5", {"'{}'", "'{t,NULL,f}'"}, "e::text", "toString(e)", "Nullable(Bool)");
  array("integer[]", "r(-2147483648, 2147483647)",
        {"'{}'", "'{NULL}'", "'{-2147483648,2147483647}'", "array_fill(7, ARRAY[20000])"}, "e::text", "toString(e)",
        "Nullable(Int32)");
  array("bigint[]", "r_int8()", {"'{}'", "'{9223372036854775807,NULL}'"}, "e::text", "toString(e)", "Nullable(Int64)");
  array("double precision[]", "random() * 1e10", {"'{NaN,-0,Infinity,5e-324}'"}, "encode(float8send(e), 'hex')",
        "lower(hex(reverse(reinterpretAsFixedString(reinterpretAsUInt64(e)))))", "Nullable(Float64)");
  array("numeric(12,3)[]", "r(-99999999, 99999999) / 1000.0", {"'{999999999.999,NULL,-0.001}'"}, "e::text",
        "toDecimalString(e, 3)", "Nullable(Decimal(12, 3))");
  array("numeric[]", "r_digits(r(1, 60)::int)::numeric", {"'{NaN,Infinity,1.50}'"}, "e::text", "e", "Nullable(String)");
  array("text[]", "r_text(r(0, 8)::int)",
        {"'{}'", "'{\"\",NULL,\"NULL\",\"a,b\",\"{}\",\"q\\\\\\\"\"}'", "ARRAY[repeat('x', 70000), '']"}, "e", "e",
        "Nullable(String)");
  array("char(4)[]", "r_hex(3)", {"'{a,NULL}'"}, "textin(bpcharout(e))", "e", "Nullable(String)");
  array("uuid[]", "r_hex(32)::uuid", {"'{}'"}, "e::text", "toString(e)", "Nullable(UUID)");
  array("date[]", "date '1900-01-01' + r(0, 146096)::int", {"'{1900-01-01,2299-12-31,NULL}'"}, "e::text", "toString(e)",
        "Nullable(Date32)");
  array("timestamptz[]", "timestamptz '1970-01-01Z' + r(0, 2000000000) * interval '1.000001 sec'",
        {"'{1900-01-01Z,NULL}'"}, "to_char(e, 'YYYY-MM-DD HH24:MI:SS.US')", "toString(e)",
        "Nullable(DateTime64(6, 'UTC'))");
  array("time[]", "time '00:00' + r(0, 86399999999) * interval '1 us'", {"'{24:00:00}'"},
        "to_char(e::interval, 'HH24:MI:SS.US')", "toString(e)", "Nullable(Time64(6))");
  array("interval[]", "make_interval(months => r(-99, 99)::int, days => r(-9, 9)::int, secs => r(-99999, 99999))",
        {"'{0,NULL}'"}, "textin(interval_out(e))", "e", "Nullable(String)");
  array("inet[]", "('0.0.0.0'::inet + r(0, 4294967295))", {"'{10.0.0.1/8,::1,NULL}'"}, "textin(inet_out(e))", "e",
        "Nullable(String)");
  array("jsonb[]", "jsonb_build_object('k', r_int8())", {"ARRAY['null'::jsonb, NULL, '[1, \"ü\"]']"}, "e::text", "e",
        "Nullable(String)");
  array("bytea[]", "decode(r_hex(2 * r(0, 9)::int), 'hex')", {"ARRAY['\\x'::bytea, NULL, '\\x00ff']"},
        "encode(e, 'hex')", "lower(hex(e))", "Nullable(String)");
  array("hue[]", "(ARRAY['red', 'g r'])[r(1, 2)]::hue", {"'{red,NULL}'"}, "e::text", "e", "Nullable(String)",
        "CREATE TYPE hue AS ENUM ('red', 'g r')");
  array("tsvector[]", "to_tsvector('simple', r_hex(3))", {"'{}'"}, "e::text", "e", "Nullable(String)");
  array("spot[]", "ROW(r(1, 9)::int, r_text(3))::spot", {"'{}'"}, "e::text", "e", "Nullable(String)",
        "CREATE TYPE spot AS (a integer, b text)");
  c.back().postgres = with(composites, "e");
  array("money[]", "r(-99999, 99999)::int::money", {"'{}'"}, "e::numeric::text", "toDecimalString(e, 2)",
        "Nullable(Decimal(19, 2))");
  c.back().random = "ARRAY(SELECT r(-99999, 99999)::int::money FROM generate_series(1, r(0, 5) + 0 * g))";
  // A domain over an array of a composite, and arrays of a domain.
  array("spots", "ROW(r(1, 9)::int, r_text(3))::stop", {"'{}'"}, "e::text", "e", "Nullable(String)",
        "CREATE TYPE stop AS (a integer, b text); CREATE DOMAIN spots AS stop[]");
  c.back().postgres = with(composites, "e");
  array("percent[]", "r(0, 100)", {"'{0,100,NULL}'"}, "e::text", "toString(e)", "Nullable(Int16)",
        "CREATE DOMAIN percent AS smallint CHECK (VALUE BETWEEN 0 AND 100)");

  c.push_back({"integer[][]",
               "integer[][]",
               "(SELECT array_agg(ARRAY[r(1, 9), NULL, r(1, 9)]::int[]) FROM generate_series(1, 1 + r(0, 4) + 0 * g))",
               {"'{}'", "'{{1,2},{3,4}}'"},
               "replace(to_json(v)::text, ' ', '')",
               "toJSONString(v)",
               "Array(Array(Nullable(Int32)))"});
  c.push_back({"text[][][]",
               "text[][][]",
               "ARRAY[ARRAY[ARRAY[r_hex(4), NULL], ARRAY['a', r_hex(2)]]]",
               {"'{}'", "'{{{x}}}'"},
               "to_json(v)::text",
               "toJSONString(v)",
               "Array(Array(Array(Nullable(String))))"});
  c.push_back({"point",
               "point",
               "point((random() - 0.5) * 10.0 ^ r(-200, 200), r(-9, 9))",
               {"'(0,-0)'", "'(1e300,NaN)'", "'(Infinity,5e-324)'"},
               "encode(point_send(v), 'hex')",
               "concat(lower(hex(reverse(reinterpretAsFixedString(reinterpretAsUInt64(v.1))))), "
               "lower(hex(reverse(reinterpretAsFixedString(reinterpretAsUInt64(v.2))))))",
               "Tuple(Float64, Float64)"});
  c.push_back({"point[]",
               "point[]",
               "ARRAY(SELECT point(r(-9, 9), r(0, 99) / 8.0) FROM generate_series(1, r(0, 5) + 0 * g))",
               {"'{}'"},
               with(list_postgres, "encode(point_send(e), 'hex')"),
               with(list_clickhouse,
                    "concat(lower(hex(reverse(reinterpretAsFixedString(reinterpretAsUInt64(e.1))))), "
                    "lower(hex(reverse(reinterpretAsFixedString(reinterpretAsUInt64(e.2))))))"),
               "Array(Tuple(Float64, Float64))"});
  c.push_back({"hstore",
               "hstore",
               "hstore(ARRAY[r_hex(2), 'k', r_hex(3)], ARRAY[r_text(4), NULL, ''])",
               {"''", "'a=>NULL, \"\"=>\"\"'", "'\"q\\\"\"=>\"ü\"'"},
               "(SELECT COALESCE(string_agg(key || '=>' || COALESCE('\"' || value || '\"', 'NULL'), '|~|' ORDER BY key "
               "COLLATE \"C\"), '') FROM each(v))",
               "arrayStringConcat(arrayMap(t -> concat(t.1, '=>', ifNull(concat('\"', t.2, '\"'), 'NULL')), "
               "arraySort(t -> t.1, arrayZip(mapKeys(v), mapValues(v)))), '|~|')",
               "Map(String, Nullable(String))"});
  c.back().extension = "hstore";
}

}  // namespace pgch::types_test
