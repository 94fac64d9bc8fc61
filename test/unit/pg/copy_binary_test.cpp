#include "pg/copy_binary.h"

#include <cstring>

#include "base/bytes.h"
#include "test/support/catch.h"
#include "test/support/golden.h"

using namespace pgch;
using namespace pgch::pg;

namespace {

std::vector<FieldPlan> golden_fields() {
  const auto field = [](Decoder d, Layout l, bool nullable = false) {
    return FieldPlan{"c", "type", d, l, nullable, 20, 4};
  };
  return {field(Decoder::boolean, Layout::fixed1),    field(Decoder::swap2, Layout::fixed2),
          field(Decoder::swap4, Layout::fixed4),      field(Decoder::swap8, Layout::fixed8),
          field(Decoder::swap4, Layout::fixed4),      field(Decoder::swap4, Layout::fixed4),
          field(Decoder::swap8, Layout::fixed8),      field(Decoder::decimal, Layout::fixed16),
          field(Decoder::raw, Layout::varlen),        field(Decoder::raw, Layout::varlen, true),
          field(Decoder::raw, Layout::varlen),        field(Decoder::jsonb, Layout::varlen),
          field(Decoder::raw, Layout::varlen),        field(Decoder::uuid, Layout::fixed16),
          field(Decoder::date, Layout::fixed4),       field(Decoder::timestamp, Layout::fixed8),
          field(Decoder::swap4, Layout::fixed4, true)};
}

template <class T>
T value_of(const Column& column) {
  REQUIRE(column.data.size() == sizeof(T));
  T v;
  std::memcpy(&v, column.data.data(), sizeof v);
  return v;
}

bool all_empty(const std::vector<Column>& columns) {
  for (const Column& c : columns) {
    if (!c.data.empty() || !c.ends.empty() || !c.nulls.empty()) return false;
  }
  return true;
}

std::vector<std::byte> tuple_of(std::string_view cell_hex) {
  const auto cell = testing::from_hex(cell_hex);
  std::vector<std::byte> out;
  append_tuple_head(out, 2);
  append_tuple_cell(out, as_bytes("before"), false);
  append_tuple_cell(out, cell, false);
  return out;
}

TupleOutcome decode_one(FieldPlan field, std::string_view cell_hex, std::string* why = nullptr) {
  TupleDecoder decoder({{"before", "text", Decoder::raw, Layout::varlen, true, 0, 0}, std::move(field)}, 2);
  std::vector<Column> columns(2);
  const auto tuple = tuple_of(cell_hex);
  std::span<const std::byte> message(tuple);
  const TupleOutcome outcome = decoder.decode(message, columns.data(), nullptr, 0);
  if (outcome != TupleOutcome::row) CHECK(all_empty(columns));
  if (outcome == TupleOutcome::rejected && why != nullptr) *why = decoder.why();
  return outcome;
}

}  // namespace

TEST_CASE("a row captured from PostgreSQL becomes the bytes that ClickHouse's Native format wants") {
  const auto stream = testing::from_hex(testing::golden_copy);
  std::span<const std::byte> message(stream);
  REQUIRE(TupleDecoder::take_header(message));
  TupleDecoder decoder(golden_fields(), 17);
  std::vector<Column> c(17);
  REQUIRE(decoder.decode(message, c.data(), nullptr, 0) == TupleOutcome::row);
  CHECK(value_of<std::uint8_t>(c[0]) == 1);
  CHECK(value_of<std::int16_t>(c[1]) == -2);
  CHECK(value_of<std::int32_t>(c[2]) == 2147483647);
  CHECK(value_of<std::int64_t>(c[3]) == std::numeric_limits<std::int64_t>::min());
  CHECK(value_of<std::uint32_t>(c[4]) == 4294967295U);
  CHECK(value_of<std::uint32_t>(c[5]) == 0x80000000U);
  CHECK(value_of<std::uint64_t>(c[6]) == 0x7FF8000000000000U);
  REQUIRE(c[7].data.size() == 16);
  std::int64_t low = 0;
  std::memcpy(&low, c[7].data.data(), 8);
  CHECK(low == -12345678901);
  CHECK(c[7].data[15] == std::byte{0xFF});
  CHECK(as_text(c[8].data) == "grüß");
  CHECK(c[9].data.empty());
  CHECK(c[9].ends.size() == 1);
  CHECK(c[9].nulls == std::vector<std::uint8_t>{0});
  CHECK(as_text(c[10].data) == "{\"a\": [1, 2]}");
  CHECK(as_text(c[11].data) == "{\"b\": null}");
  CHECK(c[12].data == testing::from_hex("00ff"));
  CHECK(c[13].data == testing::from_hex("7766554433221100ffeeddccbbaa9988"));
  CHECK(value_of<std::int32_t>(c[14]) == -25567);
  CHECK(value_of<std::int64_t>(c[15]) == 10413791999999999);
  CHECK(c[16].nulls == std::vector<std::uint8_t>{1});
  CHECK(c[16].data.size() == 4);
  CHECK(decoder.decode(message, c.data(), nullptr, 1) == TupleOutcome::trailer);
  CHECK(message.empty());
}

TEST_CASE("a tuple cut at any byte is malformed, and leaves nothing behind") {
  const auto stream = testing::from_hex(testing::golden_copy);
  std::span<const std::byte> whole(stream);
  REQUIRE(TupleDecoder::take_header(whole));
  whole = whole.first(whole.size() - 2);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    // A copy of exactly that size, so that a read past its end is seen by the sanitizer.
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    std::span<const std::byte> message(cut);
    TupleDecoder decoder(golden_fields(), 17);
    std::vector<Column> columns(17);
    INFO("cut at " << n);
    CHECK(decoder.decode(message, columns.data(), nullptr, 0) == TupleOutcome::malformed);
    CHECK(all_empty(columns));
  }
}

TEST_CASE("a header cut at any byte, or another one, is refused") {
  const auto stream = testing::from_hex(testing::golden_copy);
  for (std::size_t n = 0; n < 19; ++n) {
    const std::vector<std::byte> cut(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(n));
    std::span<const std::byte> message(cut);
    CHECK_FALSE(TupleDecoder::take_header(message));
  }
  auto wrong = stream;
  wrong[3] = std::byte{0};
  std::span<const std::byte> message(wrong);
  CHECK_FALSE(TupleDecoder::take_header(message));
}

TEST_CASE("values that a column can't hold reject their row with a sentence that names column and type") {
  std::string why;
  const FieldPlan date{"born", "date", Decoder::date, Layout::fixed4, true, 0, 0};
  CHECK(decode_one(date, "7fffffff", &why) == TupleOutcome::rejected);
  CHECK(why.find("\"born\" (date)") != std::string::npos);
  CHECK(decode_one(date, "80000000") == TupleOutcome::rejected);
  CHECK(decode_one(date, "ffff7153") == TupleOutcome::rejected);  // 1899-12-31
  CHECK(decode_one(date, "ffff7154") == TupleOutcome::row);       // 1900-01-01
  CHECK(decode_one(date, "0001ac04") == TupleOutcome::row);       // 2299-12-31
  CHECK(decode_one(date, "0001ac05") == TupleOutcome::rejected);
  const FieldPlan stamp{"at", "timestamp with time zone", Decoder::timestamp, Layout::fixed8, true, 0, 6};
  CHECK(decode_one(stamp, "7fffffffffffffff") == TupleOutcome::rejected);
  CHECK(decode_one(stamp, "8000000000000000") == TupleOutcome::rejected);
  CHECK(decode_one(stamp, "0021a248a9b4dfff") == TupleOutcome::row);
  CHECK(decode_one(stamp, "0021a248a9b4e000") == TupleOutcome::rejected);
  const FieldPlan price{"price", "numeric(5,2)", Decoder::decimal, Layout::fixed4, true, 5, 2};
  CHECK(decode_one(price, "00000000c0000000") == TupleOutcome::rejected);
  CHECK(decode_one(price, "00000000d0000020") == TupleOutcome::rejected);
  CHECK(decode_one(price, "00010000000000000001") == TupleOutcome::row);
  const FieldPlan flag{"flag", "boolean", Decoder::boolean, Layout::fixed1, true, 0, 0};
  CHECK(decode_one(flag, "02") == TupleOutcome::rejected);
  CHECK(decode_one(flag, "") == TupleOutcome::rejected);
  const FieldPlan jsonb{"doc", "jsonb", Decoder::jsonb, Layout::varlen, true, 0, 0};
  CHECK(decode_one(jsonb, "027b7d") == TupleOutcome::rejected);
  CHECK(decode_one(jsonb, "") == TupleOutcome::rejected);
  const FieldPlan number{"n", "integer", Decoder::swap4, Layout::fixed4, true, 0, 0};
  CHECK(decode_one(number, "000000") == TupleOutcome::rejected);
}

TEST_CASE("a NULL in a column that can't be NULL rejects the row and takes back its other cells") {
  TupleDecoder decoder({{"a", "integer", Decoder::swap4, Layout::fixed4, true, 0, 0},
                        {"k", "text", Decoder::raw, Layout::varlen, false, 0, 0}},
                       2);
  std::vector<Column> columns(2);
  std::vector<std::byte> tuple;
  append_tuple_head(tuple, 2);
  append_tuple_cell(tuple, testing::from_hex("00000007"), false);
  append_tuple_cell(tuple, as_bytes("x"), false);
  std::span<const std::byte> message(tuple);
  REQUIRE(decoder.decode(message, columns.data(), nullptr, 0) == TupleOutcome::row);
  tuple.clear();
  append_tuple_head(tuple, 2);
  append_tuple_cell(tuple, testing::from_hex("00000008"), false);
  append_tuple_cell(tuple, {}, true);
  message = tuple;
  CHECK(decoder.decode(message, columns.data(), nullptr, 1) == TupleOutcome::rejected);
  CHECK(columns[0].data.size() == 4);
  CHECK(columns[0].nulls.size() == 1);
  CHECK(columns[1].ends.size() == 1);
  CHECK(as_text(columns[1].data) == "x");
}

TEST_CASE("a tuple with more or fewer fields than planned is malformed") {
  TupleDecoder decoder({{"a", "integer", Decoder::swap4, Layout::fixed4, true, 0, 0}}, 1);
  std::vector<Column> columns(1);
  for (const std::size_t fields : {std::size_t{0}, std::size_t{2}}) {
    std::vector<std::byte> tuple;
    append_tuple_head(tuple, fields);
    for (std::size_t i = 0; i < fields; ++i) append_tuple_cell(tuple, testing::from_hex("00000001"), false);
    std::span<const std::byte> message(tuple);
    CHECK(decoder.decode(message, columns.data(), nullptr, 0) == TupleOutcome::malformed);
  }
  CHECK(all_empty(columns));
}

TEST_CASE("one cell of a raw tuple can be found again") {
  std::vector<std::byte> tuple;
  append_tuple_head(tuple, 3);
  append_tuple_cell(tuple, as_bytes("one"), false);
  append_tuple_cell(tuple, {}, true);
  append_tuple_cell(tuple, as_bytes("three"), false);
  REQUIRE(tuple_cell(tuple, 2));
  CHECK(as_text(*tuple_cell(tuple, 2)) == "three");
  CHECK_FALSE(tuple_cell(tuple, 1));
  CHECK_FALSE(tuple_cell(tuple, 3));
  for (std::size_t n = 0; n < tuple.size(); ++n) {
    const std::vector<std::byte> cut(tuple.begin(), tuple.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK_FALSE(tuple_cell(cut, 2));
  }
}
