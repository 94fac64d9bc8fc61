// Numbers, times, identifiers.
#include "test/types/cases.h"

namespace pgch::types_test {

// Volatile, so that each row has its own; the argument `g` in a query keeps a subquery from being run only once.
const char* const helpers = R"(
CREATE FUNCTION r(lo bigint, hi bigint) RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT lo + floor(random() * (hi - lo + 1)::float8)::bigint';
CREATE FUNCTION r_int8() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT (('x' || substr(md5(random()::text), 1, 16))::bit(64)::bigint) >> r(0, 63)::int $$;
CREATE FUNCTION r_hex(n int) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT substr(md5(random()::text) || md5(random()::text), 1, n) $$;
CREATE FUNCTION r_digits(n int) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT substr(translate(md5(random()::text) || md5(random()::text) || md5(random()::text), 'abcdef', '123456'), 1, n) $$;
CREATE FUNCTION r_text(n int) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT COALESCE(string_agg(chr(CASE WHEN k < 0.5 THEN r(32, 126) WHEN k < 0.7 THEN r(1, 31) WHEN k < 0.8 THEN r(160, 2047)
    WHEN k < 0.9 THEN r(2048, 55295) ELSE r(65536, 1114109) END::int), ''), '') FROM (SELECT random() AS k FROM generate_series(1, n)) x $$;
)";

void add_scalars(std::vector<Case>& c) {
  const std::string fixed_point = "to_char(v, 'YYYY-MM-DD HH24:MI:SS.US')";
  c.push_back({"bool", "boolean", "random() < 0.5", {"true", "false"}, "v::text", "toString(v)", "Nullable(Bool)"});
  c.push_back(
      {"int2", "smallint", "r(-32768, 32767)", {"-32768", "32767", "0"}, "v::text", "toString(v)", "Nullable(Int16)"});
  c.push_back({"int4",
               "integer",
               "r(-2147483648, 2147483647)",
               {"-2147483648", "2147483647"},
               "v::text",
               "toString(v)",
               "Nullable(Int32)"});
  c.push_back({"int8",
               "bigint",
               "r_int8()",
               {"-9223372036854775808", "9223372036854775807", "9007199254740993"},
               "v::text",
               "toString(v)",
               "Nullable(Int64)"});
  // The smallest real above zero is 2^-149: what would be less is an error in PostgreSQL, not a zero.
  c.push_back({"float4",
               "real",
               "((r_int8() % 16777216)::float8 * 2.0 ^ r(-149, 100))::float8::real",
               {"'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'1e-45'", "'3.4028235e38'", "0.1"},
               "encode(float4send(v), 'hex')",
               "lower(hex(reverse(reinterpretAsFixedString(reinterpretAsUInt32(v)))))",
               "Nullable(Float32)"});
  c.push_back({"float8",
               "double precision",
               "(r_int8()::float8 * 2.0 ^ r(-900, 900))",
               {"'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'5e-324'", "'1.7976931348623157e308'", "0.1"},
               "encode(float8send(v), 'hex')",
               "lower(hex(reverse(reinterpretAsFixedString(reinterpretAsUInt64(v)))))",
               "Nullable(Float64)"});
  const auto decimal = [&](int p, int s) {
    const std::string n = std::to_string(p) + "," + std::to_string(s), digits = std::to_string(p - s);
    const std::string largest = std::string(static_cast<std::size_t>(p - s), '9') +
                                (s > 0 ? "." + std::string(static_cast<std::size_t>(s), '9') : "");
    c.push_back(
        {"numeric(" + n + ")",
         "numeric(" + n + ")",
         "((CASE WHEN random() < 0.5 THEN '-' ELSE '' END || r_digits(r(1, " + std::to_string(p - s) +
             ")::int) || '.' || r_digits(r(1, " + std::to_string(s > 0 ? s : 1) + ")::int))::numeric % 1e" + digits +
             ")::numeric(" + n + ")",
         {largest, "-" + largest, "0", s > 0 ? "'0." + std::string(static_cast<std::size_t>(s - 1), '0') + "1'" : "1"},
         "v::text",
         s > 0 ? "toDecimalString(v, " + std::to_string(s) + ")" : "toString(v)",
         "Nullable(Decimal(" + std::to_string(p) + ", " + std::to_string(s) + "))"});
    if (p == s) c.back().random = "(random() * 0.99)::numeric(" + n + ")";
  };
  decimal(9, 2);
  decimal(18, 0);
  decimal(38, 10);
  decimal(76, 38);
  decimal(5, 5);
  c.push_back({"numeric(5,-2)",
               "numeric(5,-2)",
               "r(-9999900, 9999900)",
               {"9999900", "-9999900", "0"},
               "v::text",
               "toString(v)",
               "Nullable(Decimal(7, 0))"});
  c.back().since = 15;
  c.push_back({"numeric(3,5)",
               "numeric(3,5)",
               "(random() * 0.00998)::numeric(3,5)",
               {"0.00999", "-0.00999"},
               "v::text",
               "toDecimalString(v, 5)",
               "Nullable(Decimal(5, 5))"});
  c.back().since = 15;
  c.push_back(
      {"numeric",
       "numeric",
       "(CASE WHEN random() < 0.5 THEN '-' ELSE '' END || r_digits(r(1, 90)::int) || CASE WHEN random() < 0.5 THEN '' "
       "ELSE '.' || r_digits(r(1, 60)::int) END)::numeric",
       {"'NaN'", "'Infinity'", "'-Infinity'", "'0.00'", "'1e-16383'", "repeat('9', 131072)::numeric",
        "('0.' || repeat('7', 16383))::numeric", "'1e131071'"},
       "v::text",
       "v",
       "Nullable(String)"});
  c.push_back({"numeric(100,2)",
               "numeric(100,2)",
               "(r_digits(90) || '.' || r_digits(2))::numeric",
               {"'NaN'", "0"},
               "v::text",
               "v",
               "Nullable(String)"});
  c.push_back({"money",
               "money",
               "(r_int8()::numeric / 100)::money",
               {"'-92233720368547758.08'", "'92233720368547758.07'", "'0'", "'-0.01'"},
               "v::numeric::text",
               "toDecimalString(v, 2)",
               "Nullable(Decimal(19, 2))"});
  c.push_back(
      {"oid", "oid", "r(0, 4294967295)::oid", {"0", "4294967295"}, "v::text", "toString(v)", "Nullable(UInt32)"});
  c.push_back({"xid",
               "xid",
               "r(0, 4294967295)::text::xid",
               {"'0'", "'4294967295'"},
               "v::text",
               "toString(v)",
               "Nullable(UInt32)"});
  c.push_back({"cid",
               "cid",
               "r(0, 4294967295)::text::cid",
               {"'0'", "'4294967295'"},
               "v::text",
               "toString(v)",
               "Nullable(UInt32)"});
  c.push_back({"xid8",
               "xid8",
               "(abs(r_int8() / 2))::text::xid8",
               {"'0'", "'18446744073709551615'"},
               "v::text",
               "toString(v)",
               "Nullable(UInt64)"});
  c.push_back({"pg_lsn",
               "pg_lsn",
               "('0/0'::pg_lsn + abs(r_int8() / 2)::numeric)",
               {"'0/0'", "'FFFFFFFF/FFFFFFFF'"},
               "(v - '0/0'::pg_lsn)::text",
               "toString(v)",
               "Nullable(UInt64)"});
  c.push_back({"uuid",
               "uuid",
               "r_hex(32)::uuid",
               {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
                "'00112233-4455-6677-8899-aabbccddeeff'"},
               "v::text",
               "toString(v)",
               "Nullable(UUID)"});
  c.push_back({"date",
               "date",
               "date '1900-01-01' + r(0, 146096)::int",
               {"'1900-01-01'", "'2299-12-31'", "'1970-01-01'"},
               "v::text",
               "toString(v)",
               "Nullable(Date32)"});
  c.push_back({"timestamp",
               "timestamp",
               "timestamp '1900-01-01' + r(0, 12622780799) * interval '1 s' + r(0, 999999) * interval '1 us'",
               {"'1900-01-01'", "'2299-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.999999'"},
               fixed_point,
               "toString(v)",
               "Nullable(DateTime64(6, 'UTC'))"});
  c.push_back(
      {"timestamptz",
       "timestamptz",
       "timestamptz '1900-01-01 00:00:00Z' + r(0, 12622780799) * interval '1 s' + r(0, 999999) * interval '1 us'",
       {"'1900-01-01Z'", "'2299-12-31 23:59:59.999999Z'", "'1969-12-31 23:59:59.999999Z'", "'2024-03-31 02:30:00+02'"},
       fixed_point,
       "toString(v)",
       "Nullable(DateTime64(6, 'UTC'))"});
  c.push_back({"time",
               "time",
               "time '00:00' + r(0, 86399999999) * interval '1 us'",
               {"'00:00:00'", "'24:00:00'", "'23:59:59.999999'", "'00:00:00.000001'"},
               "to_char(v::interval, 'HH24:MI:SS.US')",
               "toString(v)",
               "Nullable(Time64(6))"});
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_scalars(cases);
  add_texts(cases);
  add_nested(cases);
  add_options(cases);
  return cases;
}

}  // namespace pgch::types_test
