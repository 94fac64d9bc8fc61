// Batches for the ClickHouse tests, and the servers they go to.
#pragma once

#include <stdlib.h>  // NOLINT: mkdtemp

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "pgch/batch.h"
#include "pgch/load/clickhouse.h"
#include "test/support/catch.h"

namespace pgch::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pgch-ch-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string required(const char* name) {
  const char* value = std::getenv(name);
  INFO(name << " must be set; test/run.sh does it");
  REQUIRE(value != nullptr);
  return value;
}

inline Context context() { return {null_logger(), system_clock(), {}}; }

inline ColumnSpec column(std::string name, Kind kind, bool nullable = false, std::uint8_t precision = 0,
                         std::uint8_t scale = 0) {
  return {std::move(name), kind, nullable, false, precision, scale, ""};
}

inline std::shared_ptr<const TableSchema> table(std::string name, std::vector<ColumnSpec> columns,
                                                std::vector<std::string> key) {
  auto schema = std::make_shared<TableSchema>();
  schema->schema = "public";
  schema->table = std::move(name);
  schema->columns = std::move(columns);
  schema->key_order = std::move(key);
  for (auto& c : schema->columns) {
    for (const auto& k : schema->key_order) c.key = c.key || c.name == k;
  }
  return schema;
}

class Rows {
 public:
  explicit Rows(std::shared_ptr<const TableSchema> schema) {
    batch_.reset(std::move(schema));
    batch_.version = 1;
    batch_.stream = "s";
  }
  template <class T>
  Rows& value(T v) {
    return bytes(std::as_bytes(std::span<const T, 1>(&v, 1)));
  }
  Rows& text(std::string_view v) { return bytes(as_bytes(v)); }
  Rows& null() {
    append_null(batch_.columns[at_], layout_of(batch_.schema->columns[at_]));
    return next();
  }
  Rows& bytes(std::span<const std::byte> v) {
    const ColumnSpec& spec = batch_.schema->columns[at_];
    append_value(batch_.columns[at_], layout_of(spec), spec.nullable, v);
    return next();
  }
  RowBatch take() { return std::move(batch_); }

 private:
  Rows& next() {
    if (++at_ == batch_.columns.size()) {
      at_ = 0;
      ++batch_.rows;
    }
    return *this;
  }
  RowBatch batch_;
  std::size_t at_ = 0;
};

template <class T>
inline constexpr T low = std::numeric_limits<T>::min();
template <class T>
inline constexpr T high = std::numeric_limits<T>::max();

inline std::array<std::byte, 32> wide_decimal(std::uint8_t fill) {
  std::array<std::byte, 32> v{};
  v.fill(std::byte{fill});
  return v;
}

// Every kind, with its edges; the second row is all NULL but for the key.
inline std::shared_ptr<const TableSchema> every_kind(bool keyed) {
  std::vector<ColumnSpec> c{column("id", Kind::int64)};
  const auto add = [&](const char* name, Kind kind, std::uint8_t precision = 0, std::uint8_t scale = 0) {
    c.push_back(column(name, kind, true, precision, scale));
  };
  add("boolean", Kind::boolean);
  add("i8", Kind::int8);
  add("i16", Kind::int16);
  add("i32", Kind::int32);
  add("i64", Kind::int64);
  add("u8", Kind::uint8);
  add("u16", Kind::uint16);
  add("u32", Kind::uint32);
  add("u64", Kind::uint64);
  add("f32", Kind::float32);
  add("f64", Kind::float64);
  add("d9", Kind::decimal, 9, 2);
  add("d18", Kind::decimal, 18, 0);
  add("d38", Kind::decimal, 38, 10);
  add("d76", Kind::decimal, 76, 20);
  add("date16", Kind::date16);
  add("date", Kind::date);
  add("datetime", Kind::datetime);
  add("ts", Kind::timestamp, 0, 6);
  add("tstz", Kind::timestamptz, 0, 6);
  add("uuid", Kind::uuid);
  add("text", Kind::text);
  add("bytes", Kind::bytes);
  add("json", Kind::json);
  add("enumeration", Kind::enumeration);
  return table("every_kind", std::move(c), keyed ? std::vector<std::string>{"id"} : std::vector<std::string>{});
}

inline void edges(Rows& rows, bool upper) {
  __extension__ using Wide = __int128;
  const auto uuid =
      upper ? std::array<std::uint64_t, 2>{0x123456789abcdef0, 0xfedcba9876543210} : std::array<std::uint64_t, 2>{0, 0};
  rows.value<std::uint8_t>(upper ? 1 : 0);
  rows.value(upper ? high<std::int8_t> : low<std::int8_t>).value(upper ? high<std::int16_t> : low<std::int16_t>);
  rows.value(upper ? high<std::int32_t> : low<std::int32_t>).value(upper ? high<std::int64_t> : low<std::int64_t>);
  rows.value(upper ? high<std::uint8_t> : low<std::uint8_t>).value(upper ? high<std::uint16_t> : low<std::uint16_t>);
  rows.value(upper ? high<std::uint32_t> : low<std::uint32_t>).value(upper ? high<std::uint64_t> : low<std::uint64_t>);
  rows.value(upper ? std::numeric_limits<float>::infinity() : std::nanf(""))
      .value(upper ? -0.0 : std::numeric_limits<double>::denorm_min());
  rows.value<std::int32_t>(upper ? 999'999'999 : -999'999'999)
      .value<std::int64_t>(upper ? 999'999'999'999'999'999 : -999'999'999'999'999'999);
  rows.value<Wide>(upper ? static_cast<Wide>(1) << 120 : -(static_cast<Wide>(1) << 120))
      .bytes(wide_decimal(upper ? 0x11 : 0xEE));
  rows.value<std::uint16_t>(upper ? 65535 : 0)
      .value<std::int32_t>(upper ? 120'529 : -25'567)
      .value<std::uint32_t>(upper ? high<std::uint32_t> : 0);
  rows.value<std::int64_t>(upper ? 10'413'791'999'999'999 : -2'208'988'800'000'000)
      .value<std::int64_t>(upper ? 253'402'300'799'999'999 : -62'167'219'200'000'000);
  rows.bytes(std::as_bytes(std::span(uuid)));
  rows.text(upper ? "Grüße 😀\n\t\\'\"`" : "")
      .text(std::string_view("\0\xff\xfe\n\n\0", 6))
      .text(R"({"a": 1.0, "a": 2})")
      .text(upper ? "sad" : "");
}

inline RowBatch edge_rows(const std::shared_ptr<const TableSchema>& schema) {
  Rows rows(schema);
  rows.value<std::int64_t>(1);
  edges(rows, true);
  rows.value<std::int64_t>(2);
  for (std::size_t i = 1; i < schema->columns.size(); ++i) rows.null();
  rows.value<std::int64_t>(high<std::int64_t>);
  edges(rows, false);
  return rows.take();
}

inline std::uint64_t comparable(RowBatch batch) {
  batch.version = 0;
  batch.versions.clear();
  batch.ops.clear();
  return content_hash(batch);
}

inline std::shared_ptr<const TableSchema> simple(std::vector<std::string> key = {"id"}) {
  return table("simple", {column("id", Kind::int32), column("name", Kind::text, true)}, std::move(key));
}
inline RowBatch simple_rows(const std::shared_ptr<const TableSchema>& schema, int first, int count) {
  Rows rows(schema);
  for (int i = first; i < first + count; ++i) rows.value<std::int32_t>(i).text("name " + std::to_string(i));
  return rows.take();
}

inline Attempt attempt(std::uint64_t sequence, std::uint64_t number) { return {"test", "s", 1, sequence, number}; }
inline Intent intent(std::uint64_t sequence, std::vector<std::uint64_t> attempts) {
  Intent i;
  i.stream = "s";
  i.sequence = sequence;
  i.attempts = std::move(attempts);
  return i;
}

template <class T>
T ok(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return std::move(result).value();
}
inline void ok(Result<void> result) {
  if (!result) FAIL(result.error().message);
}
template <class T>
Error error_of(Result<T> result) {
  REQUIRE(!result);
  return std::move(result).error();
}

}  // namespace pgch::test
