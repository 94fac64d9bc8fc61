// Batches for the ClickHouse tests, and the servers they go to.
#pragma once

#include <stdlib.h>  // NOLINT: mkdtemp

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
