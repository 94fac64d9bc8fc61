// The headers of a record and the mark of a topic's ends, as docs/WIRE.md has them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/batch.h"
#include "pgch/error.h"

namespace pgch::transport {

inline constexpr std::string_view header_stream = "pgch-stream";
inline constexpr std::string_view header_sequence = "pgch-seq";
inline constexpr std::string_view header_version = "pgch-version";
inline constexpr std::string_view header_op = "pgch-op";
inline constexpr std::string_view header_format = "pgch-format";  ///< without it: json, or native if it is a block
inline constexpr std::string_view header_rows = "pgch-rows";      ///< the value is a block of so many rows

/// A record's place in its producer's stream: rises within a partition. "epoch.major.minor" in decimal.
struct Sequence {
  std::uint64_t epoch = 0, major = 0;
  std::uint32_t minor = 0;
  auto operator<=>(const Sequence&) const = default;
};
/// Writes into `out`, which keeps its memory.
void write_sequence(const Sequence& sequence, std::string& out);
std::optional<Sequence> parse_sequence(std::string_view text);
std::optional<std::uint64_t> parse_number(std::string_view text);

/// Empty for an insert.
std::string_view op_text(RowOp op);
std::optional<RowOp> parse_op(std::string_view text);

/// By partition: the offset at which the next record will be written.
std::string encode_mark(const std::vector<std::int64_t>& ends);
Result<std::vector<std::int64_t>> decode_mark(std::string_view mark);

}  // namespace pgch::transport
