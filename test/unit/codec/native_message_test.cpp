#include "codec/native_message.h"

#include <numeric>
#include <random>

#include "base/bytes.h"
#include "model/packed.h"
#include "random_rows.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::codec;
using test::Random;

namespace {

ColumnSpec column(std::string name, Kind kind, bool nullable, std::vector<ColumnSpec> elements = {}) {
  ColumnSpec spec{std::move(name), kind, nullable, false, 0, 0, ""};
  if (kind == Kind::time) spec.scale = 6;
  spec.elements = std::move(elements);
  return spec;
}

// Every flat kind, and nested ones in one another.
std::shared_ptr<const TableSchema> schema_of_all(bool nullable) {
  auto schema = std::make_shared<TableSchema>(*test::every_kind_schema(nullable));
  for (const Kind kind : {Kind::time, Kind::int256, Kind::ipv6})
    schema->columns.push_back(column("k" + std::to_string(static_cast<int>(kind)), kind, nullable));
  const ColumnSpec number = column("", Kind::int32, true), text = column("", Kind::text, false);
  const ColumnSpec inner = column("", Kind::array, false, {column("", Kind::text, true)});
  schema->columns.push_back(column("numbers", Kind::array, nullable, {number}));
  schema->columns.push_back(column("lists", Kind::array, nullable, {inner}));
  schema->columns.push_back(column("map", Kind::map, nullable, {text, inner}));
  schema->columns.push_back(column("pair", Kind::tuple, nullable,
                                   {column("a b", Kind::boolean, true), column("list", Kind::array, false, {number})}));
  schema->columns.push_back(column("pairs", Kind::array, nullable, {schema->columns.back()}));
  schema->columns.back().elements[0].nullable = false;
  return schema;
}

void put_cell(Random& random, const ColumnSpec& spec, std::vector<std::byte>& out);

void put_value(Random& random, const ColumnSpec& spec, std::vector<std::byte>& out) {
  if (is_nested(spec.kind)) {
    const std::uint64_t n = spec.kind == Kind::tuple ? 1 : random() % 4;
    if (spec.kind != Kind::tuple) put_varint(out, n);
    for (std::uint64_t i = 0; i < n; ++i) {
      for (const ColumnSpec& element : spec.elements) put_cell(random, element, out);
    }
    return;
  }
  Column one;
  ColumnSpec plain = spec;
  plain.nullable = false;
  test::append_random(random, plain, one);
  if (width_of(layout_of(spec)) == 0) put_varint(out, one.data.size());
  out.insert(out.end(), one.data.begin(), one.data.end());
}

void put_cell(Random& random, const ColumnSpec& spec, std::vector<std::byte>& out) {
  if (packs_null(spec)) {
    const bool null = random() % 4 == 0;
    out.push_back(static_cast<std::byte>(null ? 1 : 0));
    if (null) return;
  }
  put_value(random, spec, out);
}

RowBatch rows_of(Random& random, const std::shared_ptr<const TableSchema>& schema, std::uint32_t rows) {
  RowBatch batch;
  batch.reset(schema);
  for (std::uint32_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < schema->columns.size(); ++i) {
      const ColumnSpec& spec = schema->columns[i];
      if (!is_nested(spec.kind)) {
        test::append_random(random, spec, batch.columns[i]);
      } else if (spec.nullable && random() % 4 == 0) {
        append_null(batch.columns[i], Layout::varlen);
      } else {
        std::vector<std::byte> value;
        put_value(random, spec, value);
        append_value(batch.columns[i], Layout::varlen, spec.nullable, value);
      }
    }
    batch.versions.push_back(random() % 1000);
    batch.ops.push_back(static_cast<RowOp>(random() % 3));
  }
  batch.rows = rows;
  return batch;
}

std::string encoded(const RowBatch& batch) {
  NativeEncoder encoder;
  REQUIRE(encoder.open(batch.schema));
  std::string out;
  REQUIRE(encoder.append_block(batch, 0, batch.rows, out));
  return out;
}

struct Reader {
  explicit Reader(std::shared_ptr<const TableSchema> schema, NativeOptions options = {})
      : decoder(schema, std::move(options)) {
    batch.reset(std::move(schema));
  }
  std::string take(std::string_view message) {
    const auto decoded = decoder.append({{}, message, true}, batch);
    REQUIRE(decoded);
    return *decoded == Decoded::rows ? "" : decoder.reason();
  }
  NativeDecoder decoder;
  RowBatch batch;
};

std::shared_ptr<const TableSchema> small(bool nullable = false) {
  auto schema = std::make_shared<TableSchema>();
  schema->table = "t";
  schema->columns = {column("id", Kind::int32, false), column("s", Kind::text, nullable)};
  return schema;
}

RowBatch small_rows() {
  RowBatch batch;
  batch.reset(small());
  for (std::int32_t i = 0; i < 3; ++i) {
    append_value(batch.columns[0], Layout::fixed4, false, std::as_bytes(std::span(&i, 1)));
    append_value(batch.columns[1], Layout::varlen, false,
                 as_bytes(std::string(static_cast<std::size_t>(i * 100), 'x')));
  }
  batch.rows = 3;
  batch.version = 9;
  return batch;
}

}  // namespace

TEST_CASE("rows of every kind come back from a block the same, with version and operation") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  for (const bool nullable : {false, true}) {
    const auto schema = schema_of_all(nullable);
    const RowBatch batch = rows_of(random, schema, 200);
    Reader reader(schema);
    CHECK(reader.take(encoded(batch)) == "");
    CHECK(reader.batch.rows == 200);
    CHECK(content_hash(reader.batch) == content_hash(batch));
    // In pieces of the batch, to the same end; appended to what is there.
    NativeEncoder encoder;
    REQUIRE(encoder.open(schema));
    Reader pieces(schema);
    for (std::uint32_t first = 0; first < 200;) {
      const std::uint32_t n = std::min<std::uint32_t>(200 - first, 1 + static_cast<std::uint32_t>(random() % 40));
      std::string message;
      REQUIRE(encoder.append_block(batch, first, n, message));
      CHECK(pieces.take(message) == "");
      const auto places = native_rows(message);
      REQUIRE(places);
      std::vector<std::uint32_t> want(n);
      std::iota(want.begin(), want.end(), first);
      CHECK(*places == want);
      first += n;
    }
    CHECK(content_hash(pieces.batch) == content_hash(batch));
  }
}

TEST_CASE("the size of a flat row in a block is known exactly") {
  Random random(7);
  const auto schema = test::every_kind_schema(true);
  const RowBatch batch = test::random_batch(random, schema, 50);
  NativeEncoder encoder;
  REQUIRE(encoder.open(schema));
  std::size_t rows = 0;
  for (std::uint32_t r = 0; r < batch.rows; ++r) rows += encoder.bytes_of(batch, r);
  const std::size_t real = encoded(batch).size();
  CHECK(rows < real);
  CHECK(rows + encoder.head_bytes() >= real);
}

TEST_CASE("a message that is cut off anywhere is refused, and the batch is as before") {
  Random random(3);
  const auto schema = schema_of_all(true);
  const RowBatch first = rows_of(random, schema, 2), batch = rows_of(random, schema, 3);
  const std::string message = encoded(batch);
  Reader reader(schema);
  REQUIRE(reader.take(encoded(first)) == "");
  for (std::size_t n = 0; n < message.size(); ++n) {
    INFO("cut after " << n << " of " << message.size());
    CHECK(reader.take(std::string_view(message).substr(0, n)) != "");
    CHECK(content_hash(reader.batch) == content_hash(first));
  }
  CHECK(reader.take(message + "x") != "");
  CHECK(content_hash(reader.batch) == content_hash(first));
  CHECK(reader.take(message) == "");
  CHECK(reader.batch.rows == 5);
}

TEST_CASE("no changed byte of a message makes more than rows or a reason") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random(seed);
  const auto schema = schema_of_all(true);
  const std::string message = encoded(rows_of(random, schema, 3));
  for (int i = 0; i < 3000; ++i) {
    std::string changed = message;
    for (std::uint64_t n = 1 + random() % 3; n > 0; --n)
      changed[random() % changed.size()] = static_cast<char>(random());
    Reader reader(schema);
    if (!reader.take(changed).empty()) {
      CHECK(reader.batch.rows == 0);
      continue;
    }
    for (std::size_t c = 0; c < schema->columns.size(); ++c) {
      if (is_nested(schema->columns[c].kind)) {
        for (std::uint32_t r = 0; r < reader.batch.rows; ++r)
          CHECK(
              (reader.batch.columns[c].is_null(r) || is_packed(schema->columns[c], reader.batch.columns[c].at(r, 0))));
      }
    }
    (void)content_hash(reader.batch);
  }
}

TEST_CASE("columns are found by name; others, missing ones and other types are refused with their names") {
  const RowBatch batch = small_rows();
  const std::string message = encoded(batch);
  auto other = std::make_shared<TableSchema>(*batch.schema);
  std::swap(other->columns[0], other->columns[1]);
  Reader swapped(other);
  CHECK(swapped.take(message) == "");
  CHECK(as_text(swapped.batch.columns[0].at(1, 0)) == std::string(100, 'x'));

  other = std::make_shared<TableSchema>(*batch.schema);
  other->columns.push_back(column("new", Kind::float64, true));
  Reader grown(other);
  CHECK(grown.take(message) == "");
  CHECK(grown.batch.columns[2].is_null(2));
  other->columns.back().nullable = false;
  CHECK(Reader(other).take(message).find("\"new\" is missing") != std::string::npos);

  other = std::make_shared<TableSchema>(*batch.schema);
  other->columns.pop_back();
  CHECK(Reader(other).take(message).find("\"s\" is not one of t") != std::string::npos);
  NativeOptions options;
  options.ignore_fields = {"s"};
  Reader without(other, options);
  CHECK(without.take(message) == "");
  CHECK(without.batch.rows == 3);

  other = std::make_shared<TableSchema>(*batch.schema);
  other->columns[0].kind = Kind::int64;
  CHECK(Reader(other).take(message).find("\"id\" comes as \"Int32\" instead of Int64") != std::string::npos);
}

TEST_CASE("a column that has become nullable is read, and one that must not be NULL is looked at") {
  const RowBatch batch = small_rows();
  Reader reader(small(true));
  CHECK(reader.take(encoded(batch)) == "");
  CHECK(reader.batch.columns[1].nulls == std::vector<std::uint8_t>{0, 0, 0});
  CHECK(reader.batch.version_of(2) == 9);
  CHECK(reader.batch.ops.empty());
  RowBatch nulls = batch;
  nulls.schema = small(true);
  nulls.columns[1].nulls = {0, 0, 0};
  CHECK(Reader(small()).take(encoded(nulls)) == "");
  nulls.columns[1].nulls = {0, 1, 0};
  CHECK(Reader(small()).take(encoded(nulls)).find("must not be") != std::string::npos);
}

TEST_CASE("a column with the name of one of pgch's own is refused before anything is sent") {
  auto schema = std::make_shared<TableSchema>(*small());
  schema->columns[1].name = "_pgch_op";
  NativeEncoder encoder;
  const auto refused = encoder.open(schema);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("_pgch_op") != std::string::npos);
}
