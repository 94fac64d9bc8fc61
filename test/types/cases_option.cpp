// The same types under their options.
#include "test/types/cases.h"

namespace pgch::types_test {

void add_options(std::vector<Case>& c) {
  const auto option = [&](std::string name, std::string type, std::string random, std::vector<std::string> edges,
                          std::string postgres, std::string clickhouse, std::string target,
                          std::map<std::string, std::string> as, std::string misfit = "fail") {
    c.push_back({std::move(name), std::move(type), std::move(random), std::move(edges), std::move(postgres),
                 std::move(clickhouse), std::move(target), std::move(as), std::move(misfit)});
  };
  option("numeric as decimal(76,20)", "numeric", "(r_digits(r(1, 40)::int) || '.' || r_digits(r(1, 20)::int))::numeric",
         {"-1", "'99999999999999999999999999999999999999999999999999999999.99999999999999999999'"},
         "v::numeric(76,20)::text", "toDecimalString(v, 20)", "Nullable(Decimal(76, 20))",
         {{"numeric", "decimal(76,20)"}});
  option("numeric as int256", "numeric",
         "(CASE WHEN random() < 0.5 THEN '-' ELSE '' END || r_digits(r(1, 75)::int))::numeric",
         {"0", "-1", "repeat('9', 76)::numeric", "-repeat('9', 76)::numeric", "'1.000'"}, "trunc(v)::text",
         "toString(v)", "Nullable(Int256)", {{"numeric", "int256"}});
  option("numeric clamped", "numeric", "((r_int8() % 1000000)::numeric * 10.0 ^ r(-6, 3))",
         {"'Infinity'", "'-Infinity'", "1e9", "-1e100", "0.005", "-0.015", "1e-400"},
         "CASE WHEN abs(v) >= 99999.995 THEN sign(v) * 99999.99 ELSE v::numeric(7,2) END::text",
         "toDecimalString(v, 2)", "Nullable(Decimal(7, 2))", {{"numeric", "decimal(7,2)"}}, "clamp");
  option("numeric(6,2) or NULL", "numeric(6,2)", "CASE WHEN random() < 0.1 THEN 'NaN'::numeric ELSE r(-999, 999) END",
         {"'NaN'", "1.25"}, "NULLIF(v, 'NaN')::text", "toDecimalString(v, 2)", "Nullable(Decimal(6, 2))", {}, "null");
  option("numeric(6,2) as string", "numeric(6,2)", "r(-999, 999) / 8.0", {"'NaN'", "1.25"}, "v::text", "v",
         "Nullable(String)", {}, "string");
  option("date clamped", "date", "date '1890-01-01' + r(0, 200000)::int",
         {"'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"},
         "LEAST(GREATEST(v, '1900-01-01'), '2299-12-31')::text", "toString(v)", "Nullable(Date32)", {}, "clamp");
  option("date or NULL", "date", "date '1890-01-01' + r(0, 200000)::int",
         {"'infinity'", "'-infinity'", "'4713-01-01 BC'"},
         "CASE WHEN v BETWEEN '1900-01-01' AND '2299-12-31' THEN v::text END", "toString(v)", "Nullable(Date32)", {},
         "null");
  option("date as string", "date", "date '1890-01-01' + r(0, 200000)::int",
         {"'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"}, "v::text", "v", "Nullable(String)", {},
         "string");
  option("timestamp clamped", "timestamp", "timestamp '1890-01-01' + r(0, 14000000000) * interval '1 s'",
         {"'infinity'", "'-infinity'", "'294276-12-31 23:59:59.999999'"},
         "to_char(LEAST(GREATEST(v, '1900-01-01'), '2299-12-31 23:59:59.999999'), 'YYYY-MM-DD HH24:MI:SS.US')",
         "toString(v)", "Nullable(DateTime64(6, 'UTC'))", {}, "clamp");
  option("timestamptz, years 0000-9999", "timestamptz",
         "timestamptz '0001-01-01Z' + r(0, 315537897599) * interval '1 s'",
         {"'0001-01-01Z'", "'9999-12-31 23:59:59.999999Z'"}, "to_char(v, 'YYYY-MM-DD HH24:MI:SS.US')", "toString(v)",
         "Nullable(DateTime64(6, 'UTC'))", {{"years", "0000-9999"}});
  option("timestamptz as string", "timestamptz", "timestamptz '0001-01-01Z' + r(0, 315537897599) * interval '1 s'",
         {"'infinity'", "'-infinity'", "'0044-03-15 12:00:00.5+00 BC'"}, "textin(timestamptz_out(v))", "v",
         "Nullable(String)", {}, "string");
  option("time as int64", "time", "time '00:00' + r(0, 86399999999) * interval '1 us'", {"'24:00:00'"},
         "(extract(epoch FROM v) * 1000000)::bigint::text", "toString(v)", "Nullable(Int64)", {{"time", "int64"}});
  option("time as string", "time", "time '00:00' + r(0, 86399999999) * interval '1 us'", {"'24:00:00'"}, "v::text", "v",
         "Nullable(String)", {{"time", "string"}});
  option("interval as tuple", "interval",
         "make_interval(months => r(-20000, 20000)::int, days => r(-5000, 5000)::int, secs => r(-99999, 99999) / 8.0)",
         {"'0'", "'-1 year 3 days -04:05:06.789'", "'178000000 years'"}, "encode(interval_send(v), 'hex')",
         "lower(concat(hex(v.microseconds), hex(v.days), hex(v.months)))",
         "Tuple(months Int32, days Int32, microseconds Int64)", {{"interval", "tuple"}});
  c.back().clickhouse =
      "lower(concat(hex(reverse(reinterpretAsFixedString(v.microseconds))), "
      "hex(reverse(reinterpretAsFixedString(v.days))), "
      "hex(reverse(reinterpretAsFixedString(v.months)))))";
  option("money as string", "money", "r(-9999999, 9999999)::int::money", {"'-1.5'"}, "v::text", "v", "Nullable(String)",
         {{"money", "string"}});
  option("bit as uint64", "varbit", "substr(('x' || r_hex(16))::bit(64)::text, 1, r(0, 64)::int)::varbit",
         {"''", "'1'", "repeat('1', 64)::varbit"}, "lpad(v::text, 64, '0')", "leftPad(bin(v), 64, '0')",
         "Nullable(UInt64)", {{"bit", "uint64"}});
  option("inet as ipv6", "inet", "'0.0.0.0'::inet + r(0, 4294967295)", {"'::1'", "'10.0.0.1'", "'2001:db8::1'"},
         "CASE WHEN family(v) = 4 THEN '::ffff:' || host(v) ELSE host(v) END", "toString(v)", "Nullable(IPv6)",
         {{"inet", "ipv6"}});
  option("inet as ipv6, masks cut", "inet", "set_masklen('0.0.0.0'::inet + r(0, 4294967295), r(0, 32)::int)",
         {"'10.0.0.1/8'"}, "'::ffff:' || host(v)", "toString(v)", "Nullable(IPv6)", {{"inet", "ipv6"}}, "clamp");
  option("macaddr as uint64", "macaddr", "r_hex(12)::macaddr", {"'ff:ff:ff:ff:ff:ff'"},
         "(('x0000' || replace(v::text, ':', ''))::bit(64)::bigint)::text", "toString(v)", "Nullable(UInt64)",
         {{"macaddr", "uint64"}});
  option("enum as enum", "level", "(ARRAY['low', 'it''s', 'a\\b'])[r(1, 3)]::level", {"'low'"}, "v::text",
         "toString(v)", "Nullable(Enum8('low' = 1, 'it\\'s' = 2, 'a\\\\b' = 3))", {{"enum", "enum"}});
  c.back().setup = "CREATE TYPE level AS ENUM ('low', 'it''s', 'a\\b')";
  option("integer[] as plain", "integer[]", "ARRAY(SELECT r(-9, 9) FROM generate_series(1, r(0, 5) + 0 * g))", {"'{}'"},
         "to_json(v)::text", "toJSONString(v)", "Array(Int32)", {{"array", "plain"}});
  option("integer[] clamped", "integer[]", "ARRAY(SELECT r(-9, 9) FROM generate_series(1, r(0, 5) + 0 * g))",
         {"'[5:7]={1,NULL,3}'"}, "to_json(array_replace(v, NULL, 0))::text", "toJSONString(v)", "Array(Int32)",
         {{"array", "plain"}}, "clamp");
  option("integer[] as string", "integer[]", "ARRAY(SELECT r(-9, 9) FROM generate_series(1, r(0, 5) + 0 * g))",
         {"'[5:7]={1,NULL,3}'", "'{{1,2},{3,4}}'"}, "textin(array_out(v))", "v", "Nullable(String)", {}, "string");
  option("integer[] or NULL", "integer[]", "ARRAY(SELECT r(-9, 9) FROM generate_series(1, r(0, 5) + 0 * g))",
         {"'[5:7]={1,NULL,3}'", "'{{1,2},{3,4}}'"},
         "CASE WHEN array_lower(v, 1) = 5 OR array_ndims(v) > 1 THEN NULL ELSE to_json(v)::text END", "toJSONString(v)",
         "Array(Nullable(Int32))", {}, "null");
  option("composite as tuple", "item",
         "ROW(r(1, 9)::int, CASE WHEN random() < 0.5 THEN r_text(3) END, ARRAY[r(1, 9), NULL]::int[], 1.5)::item",
         {"ROW(NULL, NULL, '{}', NULL)::item"},
         "concat_ws('|', COALESCE((v).n::text, '~'), COALESCE((v).\"odd `name\"::text, '~'), to_json((v).list)::text, "
         "COALESCE((v).price::text, '~'))",
         "concat(ifNull(toString(v.n), '~'), '|', ifNull(tupleElement(v, 2), '~'), '|', toJSONString(v.list), '|', "
         "ifNull(toDecimalString(v.price, 2), '~'))",
         "Tuple(n Nullable(Int32), `odd \\`name` Nullable(String), list Array(Nullable(Int32)), price "
         "Nullable(Decimal(8, 2)))",
         {{"composite", "tuple"}});
  c.back().setup = "CREATE TYPE item AS (n integer, \"odd `name\" text, list integer[], price numeric(8,2))";
  option("composite[] as tuples", "duo[]",
         "ARRAY(SELECT ROW(r(1, 9)::int, r_hex(3))::duo FROM generate_series(1, r(0, 4) + 0 * g))", {"'{}'"},
         "(SELECT COALESCE(string_agg((e).a || ':' || (e).b, ','  ORDER BY n), '') FROM unnest(v) WITH ORDINALITY AS "
         "u(a, b, n), LATERAL (SELECT ROW(a, b)::duo AS e) x)",
         "arrayStringConcat(arrayMap(e -> concat(toString(e.a), ':', e.b), v), ',')",
         "Array(Tuple(a Nullable(Int32), b Nullable(String)))", {{"composite", "tuple"}});
  c.back().setup = "CREATE TYPE duo AS (a integer, b text)";
  const std::string bounds =
      "concat(ifNull(toString(v.lower), '~'), ' ', ifNull(toString(v.upper), '~'), ' ', toString(v.flags))";
  option("int8range as tuple", "int8range",
         "int8range(r(-100, 100), CASE WHEN random() < 0.2 THEN NULL ELSE r(101, 200) END)",
         {"'empty'", "'(,)'", "'[1,1]'"},
         "concat_ws(' ', COALESCE(lower(v)::text, '~'), COALESCE(upper(v)::text, '~'), (isempty(v)::int + 2 * "
         "lower_inc(v)::int + 4 * "
         "upper_inc(v)::int + 8 * lower_inf(v)::int + 16 * upper_inf(v)::int)::text)",
         bounds, "Tuple(lower Nullable(Int64), upper Nullable(Int64), flags UInt8)", {{"range", "tuple"}});
  option(
      "int4multirange as tuples", "int4multirange",
      "int4multirange(int4range(r(1, 9)::int, r(10, 20)::int), int4range(r(30, 40)::int, NULL))", {"'{}'"},
      "(SELECT COALESCE(string_agg(lower(e) || ' ' || COALESCE(upper(e)::text, '~'), ','), '') FROM unnest(v) AS u(e))",
      "arrayStringConcat(arrayMap(e -> concat(toString(e.lower), ' ', ifNull(toString(e.upper), '~')), v), ',')",
      "Array(Tuple(lower Nullable(Int32), upper Nullable(Int32), flags UInt8))", {{"range", "tuple"}});
  option("point as string", "point", "point(random(), random() * 1e-300)", {"'(0,-0)'"}, "v::text", "v",
         "Nullable(String)", {{"point", "string"}});
  option("NULLs as defaults", "integer", "r(1, 9)", {"0"}, "COALESCE(v, 0)::text", "toString(v)", "Int32",
         {{"nulls", "default"}});
  option("NULL arrays as empty", "integer[]", "ARRAY[r(1, 9)]", {"'{}'"}, "to_json(COALESCE(v, '{}'))::text",
         "toJSONString(v)", "Array(Nullable(Int32))", {{"null_nested", "empty"}});
  option("geometry as wkt", "geometry", "ST_MakePoint(r(1, 9), r(1, 9))", {"'POINT EMPTY'"}, "ST_AsText(v)", "v",
         "Nullable(String)", {{"geometry", "wkt"}});
  c.back().extension = "postgis";
  option("geometry as ewkt", "geometry", "ST_SetSRID(ST_MakePoint(r(1, 9), r(1, 9)), 4326)", {"'POINT EMPTY'"},
         "ST_AsEWKT(v)", "v", "Nullable(String)", {{"geometry", "ewkt"}});
  c.back().extension = "postgis";
  option("jsonb as JSON", "jsonb", "jsonb_build_object('a', r(1, 99), 'b', r_hex(3))", {"'{\"a\": 1, \"b\": \"x\"}'"},
         "(v->>'a') || ' ' || (v->>'b')", "if(isNull(v), NULL, concat(toString(v.a), ' ', toString(v.b)))",
         "Nullable(JSON)", {{"jsonb", "json"}});
}

}  // namespace pgch::types_test
