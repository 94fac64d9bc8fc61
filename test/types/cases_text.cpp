// What is a String at ClickHouse: texts, bytes, and all that is printed.
#include "test/types/cases.h"

namespace pgch::types_test {

void add_texts(std::vector<Case>& c) {
  const auto text = [&](std::string name, std::string type, std::string random, std::vector<std::string> edges,
                        std::string setup = {}, std::string extension = {}) {
    c.push_back({std::move(name), std::move(type), std::move(random), std::move(edges)});
    c.back().clickhouse = "v";
    c.back().target = "Nullable(String)";
    c.back().setup = std::move(setup);
    c.back().extension = std::move(extension);
  };
  text("text", "text", "r_text(r(0, 40)::int)", {"''", "E'\\n\\t\\\\''\"'", "repeat('😀', 5000)"});
  text("varchar", "varchar(50)", "r_text(r(0, 50)::int)", {"''", "repeat('ß', 50)"});
  text("bpchar", "char(10)", "r_hex(r(0, 10)::int)", {"''", "'a'", "' a '"});
  text("name", "name", "r_text(r(0, 15)::int)::name", {"''", "repeat('x', 63)"});
  text("citext", "citext", "r_text(r(0, 20)::int)::citext", {"'MiXed'"}, {}, "citext");
  text("xml", "xml", "('<a>' || r_hex(8) || '</a>')::xml",
       {"'<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>ü</a>'", "'text only'"});
  text("\"char\"", "\"char\"", "chr(r(1, 127)::int)::\"char\"", {"''", "'a'", "'\\351'"});
  text("json", "json", "('{\"b\": ' || r_int8() || ', \"a\":' || to_json(r_text(5)) || '}')::json",
       {"'{\"a\":1, \"a\" : 2.50}'", "'null'", "'1e400'", "'[]'"});
  text("jsonb", "jsonb", "jsonb_build_object(r_hex(3), r_int8(), 'x', r_text(r(1, 5)::int))",
       {"'{\"b\":1, \"a\" : 2.50}'", "'null'", "'123456789012345678901234567890.10'", "'\"\"'"});
  text("enum", "mood", "(ARRAY['sad', 'ok', 'it''s \"so\"', 'froh 😀'])[r(1, 4)]::mood", {"'sad'", "'froh 😀'"},
       "CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s \"so\"', 'froh 😀')");
  c.back().target = "LowCardinality(Nullable(String))";
  c.back().clickhouse = "toString(v)";
  text("bytea", "bytea", "decode(r_hex(2 * r(0, 20)::int), 'hex')",
       {"''", "'\\x00ff0a0a27'", "decode(repeat('00', 9000), 'hex')"});
  c.back().postgres = "encode(v, 'hex')";
  c.back().clickhouse = "lower(hex(v))";
  text("interval", "interval",
       "make_interval(months => r(-20000, 20000)::int, days => r(-5000, 5000)::int) + r(-99999999999, 99999999999) * "
       "interval '1 us'",
       {"'0'", "'-1 year -2 months 3 days -04:05:06.789'", "'178000000 years'", "'2147483647 days'",
        "'-00:00:00.000001'", "'1 year -1 month'", "'2147483647:00:00'", "'00:00:01.5'", "'-1 hour -0.5 sec'"});
  c.back().postgres = "textin(interval_out(v))";
  // 14 has no text for more than 2^31 hours.
  text("interval of many hours", "interval", "r_int8() / 2 * interval '1 us'", {"interval '9223372036854775807 us'"});
  c.back().postgres = "textin(interval_out(v))";
  c.back().since = 15;
  text("timetz", "timetz",
       "(time '00:00' + r(0, 86399999999) * interval '1 us')::text::timetz AT TIME ZONE (r(-57599, 57599) * interval "
       "'1 sec')",
       {"'00:00:00-15:59:59'", "'24:00:00+15:59'", "'12:00:00+00'", "'12:30:00.5+05:30'"});
  text("inet", "inet",
       "CASE WHEN random() < 0.5 THEN set_masklen('0.0.0.0'::inet + r(0, 4294967295), r(0, 32)::int) ELSE "
       "set_masklen(regexp_replace(replace(regexp_replace(r_hex(32), '(....)(?!$)', '\\1:', 'g'), r_hex(1), '0'), "
       "'[1-9a-f]{2}', "
       "CASE WHEN random() < 0.3 THEN '00' ELSE '1f' END, 'g')::inet, CASE WHEN random() < 0.5 THEN 128 ELSE r(0, "
       "128)::int END) END",
       {"'10.0.0.1'", "'10.0.0.1/8'", "'::'", "'::1'", "'::2'", "'::ffff:1.2.3.4'", "'::1.2.3.4'", "'::1:0:0'", "'1::'",
        "'2001:db8::8:800:200c:417a/64'", "'1:0:0:2:0:0:0:3'", "'0:1::'", "'1:2:3:4:5:6:7:0'", "'::ffff:0:0'",
        "'fe80::1%'"});
  c.back().edges.pop_back();
  text("cidr", "cidr", "network(set_masklen('0.0.0.0'::inet + r(0, 4294967295), r(0, 32)::int))",
       {"'10.0.0.0/8'", "'10.1.2.3/32'", "'::/0'", "'2001:db8::/32'", "'::ffff:1.2.3.0/120'"});
  text("macaddr", "macaddr", "r_hex(12)::macaddr", {"'00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff'"});
  text("macaddr8", "macaddr8", "r_hex(16)::macaddr8", {"'00:00:00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff:ff:ff'"});
  text("bit(13)", "bit(13)", "r(0, 8191)::int::bit(13)", {"'0000000000000'", "'1111111111111'"});
  text("varbit", "varbit", "substr(('x' || r_hex(32))::bit(128)::text, 1, r(0, 128)::int)::varbit",
       {"''", "'1'", "'101010101'"});
  text("tsvector", "tsvector", "to_tsvector('simple', r_hex(3) || ' ' || r_hex(4) || ' ' || r_hex(3))",
       {"''", "'''a b'':3A c:1'"});
  text("tsquery", "tsquery", "(r_hex(3) || ' & !' || r_hex(4))::tsquery", {"''", "'a <-> b | c:*A'"});
  text("int4range", "int4range", "int4range(r(-100, 100)::int, 101 + r(0, 99)::int)",
       {"'empty'", "'(,)'", "'[1,]'", "'[1,1]'"});
  text("numrange", "numrange", "numrange(r(-100, 100) / 7.0, 101, '(]')", {"'empty'", "'(,)'", "'[1.50,)'"});
  text("tstzrange", "tstzrange", "tstzrange(timestamptz '2000-01-01Z' + r(0, 1000000000)::text::interval, NULL)",
       {"'empty'", "'[-infinity, infinity)'", "'[2024-01-01 00:00:00.5+02,2025-01-01)'"});
  text("nummultirange", "nummultirange", "nummultirange(numrange(r(1, 9), r(10, 20)), numrange(r(30, 40), NULL))",
       {"'{}'", "'{[1.5,2],(3,)}'"});
  text("line", "line", "line(point(random(), random()), point(1 + random(), 2))", {"'{1,-1,0}'"});
  text("lseg", "lseg", "lseg(point(random(), random()), point(random(), random() * 1e300))", {"'[(0,0),(-0,1)]'"});
  text("box", "box", "box(point(random(), random()), point(random(), random()))",
       {"'(1,1),(0,0)'", "'(Infinity,1),(0,0)'"});
  text("path", "path", "('[' || point(random(), random()) || ',' || point(random(), 1) || ']')::path",
       {"'((0,0),(1,1))'", "'[(0,0)]'"});
  text("polygon", "polygon", "polygon(box(point(random(), random()), point(1, 1)))", {"'((0,0),(1,1),(1e-300,3))'"});
  text("circle", "circle", "circle(point(random(), random()), random())", {"'<(0,0),1>'"});
  text("regclass", "regclass", "(ARRAY['pg_class', 'pg_type', 'pg_proc'])[r(1, 3)]::regclass", {"0", "'pg_attribute'"});
  text("regtype", "regtype", "(ARRAY['int4', 'text[]', 'timestamptz'])[r(1, 3)]::regtype", {"'numeric'"});
  text("jsonpath", "jsonpath", "('$.' || 'k' || r_hex(3))::jsonpath", {"'$'", "'$.a[*] ? (@ > 1)'"});
  text("pg_snapshot", "pg_snapshot", "(r(1, 9) || ':20:10,14')::pg_snapshot", {"'1:1:'"});
  text("tid", "tid", "('(' || r(0, 4294967294) || ',' || r(0, 65535) || ')')::tid", {"'(0,0)'"});
  text("int2vector", "int2vector", "(r(1, 9) || ' ' || r(1, 9))::int2vector", {"''", "'1 2 3'"});
  text("ltree", "ltree", "(r_hex(3) || '.' || r_hex(4))::ltree", {"''", "'Top.Science'"}, {}, "ltree");
  text("composite", "pair", "ROW(r(1, 9)::int, r_text(4))::pair",
       {"ROW(NULL, NULL)::pair", "ROW(1, 'a \"b\", c')::pair"}, "CREATE TYPE pair AS (a integer, b text)");
  text("geometry", "geometry", "ST_SetSRID(ST_MakePoint(random() * 360 - 180, random()), 4326)",
       {"'POINT EMPTY'", "'SRID=4326;POLYGON((0 0,1 0,1 1,0 0))'", "'POINT ZM (1 2 3 4)'"}, {}, "postgis");
  text("geography", "geography", "ST_MakePoint(random() * 360 - 180, random() * 90)::geography", {"'POINT(1 2)'"}, {},
       "postgis");
  // A base type that nobody has heard of, with the functions of another.
  text("unknown", "unheard", "r_hex(6)::unheard", {"''", "'ü'"},
       "CREATE TYPE unheard; CREATE FUNCTION unheard_in(cstring) RETURNS unheard LANGUAGE internal STRICT IMMUTABLE AS "
       "'textin'; CREATE "
       "FUNCTION unheard_out(unheard) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'textout'; CREATE TYPE "
       "unheard (INPUT = "
       "unheard_in, OUTPUT = unheard_out, LIKE = text); CREATE CAST (text AS unheard) WITHOUT FUNCTION");
}

}  // namespace pgch::types_test
