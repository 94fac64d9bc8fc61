// Many rows in one message: a block in ClickHouse's Native format. docs/WIRE.md has its columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "codec/row_codec.h"
#include "pgch/batch.h"
#include "pgch/error.h"
#include "pgch/schema.h"

namespace pgch::codec {

/// Columns of pgch's own, before the table's: a row's place in its batch, its version, and what was done to it.
inline constexpr std::string_view native_row = "_pgch_row";
inline constexpr std::string_view native_version = "_pgch_version";
inline constexpr std::string_view native_op = "_pgch_op";  ///< 0 insert, 1 update, 2 remove

/// Writes blocks of one schema. One thread.
class NativeEncoder {
 public:
  /// Errc::config if a column has the name of one of pgch's own.
  Result<void> open(std::shared_ptr<const TableSchema> schema);
  /// Appends rows `first` … `first + rows - 1` as one block.
  Result<void> append_block(const RowBatch& batch, std::uint32_t first, std::uint32_t rows, std::string& out);
  /// About how many bytes the row takes in a block: exact for flat columns, a little too many for nested ones.
  std::size_t bytes_of(const RowBatch& batch, std::uint32_t row) const noexcept;
  /// Names, types and counts of a block: what it takes beside its rows.
  std::size_t head_bytes() const noexcept { return head_bytes_; }

 private:
  std::shared_ptr<const TableSchema> schema_;
  std::vector<std::string> types_;
  std::size_t fixed_bytes_ = 0, head_bytes_ = 0, columns_ = 0;
  std::vector<std::size_t> varlen_, nested_;
  Column scratch_;
};

struct NativeOptions {
  std::vector<std::string> ignore_fields;
  bool ignore_unknown_fields = false;
  std::size_t bytes_max = 16u << 20;
};

/// Reads messages of one or more blocks. Columns are found by name; each must have exactly the type that the encoder
/// gives it, Nullable or not. pgch's own may be missing: their values are the caller's then.
class NativeDecoder final : public RowDecoder {
 public:
  NativeDecoder(std::shared_ptr<const TableSchema> schema, NativeOptions options);
  ~NativeDecoder() override;
  NativeDecoder(const NativeDecoder&) = delete;
  NativeDecoder& operator=(const NativeDecoder&) = delete;
  Result<Decoded> append(const MessageView& message, RowBatch& batch) override;
  const std::string& reason() const noexcept override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Places of a message's rows in their batch, if it is a block that NativeEncoder wrote; only its first column is read.
std::optional<std::vector<std::uint32_t>> native_rows(std::string_view message);

}  // namespace pgch::codec
