#include <algorithm>
#include <cstring>
#include <limits>

#include "base/bytes.h"
#include "clickhouse/types.h"
#include "codec/native_message.h"
#include "codec/native_nested.h"

namespace pgch::codec {
namespace {

using Bytes = std::span<const std::byte>;

struct Target {
  const ColumnSpec* spec = nullptr;
  Layout layout = Layout::varlen;
  std::size_t width = 0;
  std::string plain, nullable;  // the two types it may come as; empty if it can't
};

bool are_flags(Bytes bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return std::to_integer<unsigned>(b) <= 1; });
}

template <class T>
void append_all(std::vector<T>& out, Bytes bytes) {
  const std::size_t before = out.size();
  out.resize(before + bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(out.data() + before, bytes.data(), bytes.size());
}

// Names come from strangers: bounded, so that a log line stays one.
std::string printable(std::string_view name) {
  std::string out = "\"";
  for (const char c : name.substr(0, 64)) out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return out + (name.size() > 64 ? "…\"" : "\"");
}

}  // namespace

class NativeDecoder::Impl {
 public:
  Impl(std::shared_ptr<const TableSchema> schema, NativeOptions options)
      : schema_(std::move(schema)), options_(std::move(options)) {
    for (const ColumnSpec& column : schema_->columns) {
      Target t{&column, layout_of(column), width_of(layout_of(column)), {}, {}};
      ColumnSpec other = column;
      other.nullable = false;
      t.plain = ch::wire_type(other, ch::native_version_written);
      other.nullable = true;
      if (!is_nested(column.kind)) t.nullable = ch::wire_type(other, ch::native_version_written);
      by_name_.emplace(column.name, targets_.size());
      if (is_nested(column.kind)) flags_of_.emplace(ch::null_flag_of(column.name), targets_.size());
      targets_.push_back(std::move(t));
    }
    // A column of the table may have the name of another's flags; then it is the table's.
    for (const auto& [name, index] : by_name_) flags_of_.erase(name);
    ignored_.insert(options_.ignore_fields.begin(), options_.ignore_fields.end());
  }

  bool append(std::string_view message, RowBatch& batch) {
    before_ = {batch.rows, batch.versions.size(), batch.ops.size()};
    reason.clear();
    bool good = message.size() <= options_.bytes_max ||
                fail("the message has " + std::to_string(message.size()) +
                     " bytes, more than json_bytes_max = " + std::to_string(options_.bytes_max));
    ByteReader in(message);
    if (good && message.empty()) good = fail("the message is empty");
    while (good && !in.at_end()) good = read_block(in, batch);
    if (!good) undo(batch);
    return good;
  }

  std::string reason;

 private:
  struct Before {
    std::uint32_t rows = 0;
    std::size_t versions = 0, ops = 0;
  };

  bool fail(std::string text) {
    reason = std::move(text);
    return false;
  }
  bool damaged() { return fail("the message is no block in Native format, or is cut off"); }

  void undo(RowBatch& batch) {
    for (std::size_t i = 0; i < targets_.size(); ++i)
      truncate_column(batch.columns[i], targets_[i].layout, before_.rows);
    batch.rows = before_.rows;
    batch.versions.resize(before_.versions);
    batch.ops.resize(before_.ops);
  }

  bool read_block(ByteReader& in, RowBatch& batch) {
    const std::uint64_t columns = in.varint();
    const std::uint64_t rows = in.varint();
    // Each column takes a byte a row at least.
    if (!in.ok() || columns == 0 || rows > in.left() || columns > in.left() ||
        rows > std::numeric_limits<std::uint32_t>::max() - batch.rows)
      return damaged();
    rows_ = static_cast<std::size_t>(rows);
    seen_.assign(targets_.size(), 0);
    nested_.clear();
    flags_.clear();
    own_seen_.clear();
    for (std::uint64_t c = 0; c < columns; ++c) {
      const std::string_view name = in.text();
      const std::string_view type = in.text();
      if (!in.ok()) return damaged();
      if (!read_column(name, type, in, batch)) return false;
    }
    if (!append_nested(batch) || !fill_missing(batch)) return false;
    batch.rows += static_cast<std::uint32_t>(rows_);
    return true;
  }

  bool read_column(std::string_view name, std::string_view type, ByteReader& in, RowBatch& batch) {
    if (const auto found = by_name_.find(std::string(name)); found != by_name_.end())
      return read_cells(found->second, type, in, batch);
    if (name == native_row || name == native_version || name == native_op) return read_own(name, type, in, batch);
    if (const auto found = flags_of_.find(std::string(name)); found != flags_of_.end()) {
      if (type != "UInt8") return wrong_type(name, type, "UInt8");
      const Bytes bytes = in.take(rows_);
      if (!in.ok() || !are_flags(bytes)) return damaged();
      flags_[found->second] = bytes;
      return true;
    }
    if (!options_.ignore_unknown_fields && ignored_.count(std::string(name)) == 0)
      return fail("the column " + printable(name) + " is not one of " + display_name(*schema_));
    return skip(name, type, in);
  }

  bool wrong_type(std::string_view name, std::string_view type, std::string_view wanted) {
    return fail("the column " + printable(name) + " comes as " + printable(type) + " instead of " +
                std::string(wanted));
  }

  // A column that is not wanted: its type says how long it is.
  bool skip(std::string_view name, std::string_view type, ByteReader& in) {
    const auto parsed = ch::parse_type(type);
    if (!parsed || parsed->low_cardinality || parsed->enumerated || parsed->parsed)
      return fail("the column " + printable(name) + " is of type " + printable(type) + ", which can't be skipped");
    const ColumnSpec spec = ch::spec_of("x", *parsed);
    if (spec.nullable && !is_nested(spec.kind)) in.take(rows_);
    NestedReader reader(spec);
    return (in.ok() && reader.open(in, rows_)) || damaged();
  }

  bool read_own(std::string_view name, std::string_view type, ByteReader& in, RowBatch& batch) {
    const std::size_t width = name == native_row ? 4 : name == native_version ? 8 : 1;
    const std::string_view wanted = width == 4 ? "UInt32" : width == 8 ? "UInt64" : "UInt8";
    if (type != wanted) return wrong_type(name, type, wanted);
    if (rows_ > in.left() / width || !own_seen_.insert(std::string(name)).second) return damaged();
    const Bytes bytes = in.take(rows_ * width);
    if (width == 8) {
      if (batch.versions.size() != batch.rows) return damaged();  // an earlier block had none
      append_all(batch.versions, bytes);
    } else if (width == 1) {
      return read_ops(bytes, batch);
    }
    return true;
  }

  bool read_ops(Bytes bytes, RowBatch& batch) {
    const bool all_inserts = std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
    if (all_inserts && batch.ops.empty()) return true;
    batch.ops.resize(batch.rows, RowOp::insert);
    for (const std::byte b : bytes) {
      if (std::to_integer<unsigned>(b) > static_cast<unsigned>(RowOp::remove)) return damaged();
      batch.ops.push_back(static_cast<RowOp>(b));
    }
    return true;
  }

  bool read_cells(std::size_t index, std::string_view type, ByteReader& in, RowBatch& batch) {
    const Target& t = targets_[index];
    if (seen_[index]++ != 0) return fail("the column " + printable(t.spec->name) + " is there twice");
    const bool wire_nullable = !t.nullable.empty() && type == t.nullable;
    if (!wire_nullable && type != t.plain)
      return wrong_type(t.spec->name, type, t.spec->nullable && !t.nullable.empty() ? t.nullable : t.plain);
    if (is_nested(t.spec->kind)) {
      nested_.emplace_back(index, NestedReader(*t.spec));
      return nested_.back().second.open(in, rows_) || damaged();
    }
    Column& column = batch.columns[index];
    if (wire_nullable) {
      const Bytes nulls = in.take(rows_);
      if (!in.ok() || !are_flags(nulls)) return damaged();
      if (t.spec->nullable) {
        append_all(column.nulls, nulls);
      } else if (std::find(nulls.begin(), nulls.end(), std::byte{1}) != nulls.end()) {
        return fail("the column " + printable(t.spec->name) + " is NULL in a row, and must not be");
      }
    } else if (t.spec->nullable) {
      column.nulls.resize(column.nulls.size() + rows_);
    }
    return t.width == 0 ? read_texts(column, in) : read_fixed(t, column, in);
  }

  bool read_fixed(const Target& t, Column& column, ByteReader& in) {
    if (rows_ > in.left() / t.width) return damaged();
    const Bytes bytes = in.take(rows_ * t.width);
    if (t.spec->kind == Kind::boolean && !are_flags(bytes)) return damaged();
    append_all(column.data, bytes);
    return true;
  }

  // First all lengths, then all bytes: into memory of the right size, which no lie makes larger than the message.
  bool read_texts(Column& column, ByteReader& in) {
    ByteReader again = in;
    const std::size_t begin = column.data.size();
    std::size_t end = begin;
    column.ends.reserve(column.ends.size() + rows_);
    for (std::size_t r = 0; r < rows_; ++r) {
      end += in.text().size();
      if (!in.ok() || end > std::numeric_limits<std::uint32_t>::max()) return damaged();
      column.ends.push_back(static_cast<std::uint32_t>(end));
    }
    column.data.resize(end);
    std::byte* out = column.data.data() + begin;
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::string_view text = again.text();
      if (!text.empty()) std::memcpy(out, text.data(), text.size());
      out += text.size();
    }
    return true;
  }

  bool append_nested(RowBatch& batch) {
    for (auto& [index, reader] : nested_) {
      Column& column = batch.columns[index];
      const bool nullable = targets_[index].spec->nullable;
      const auto flags = flags_.find(index);
      for (std::size_t r = 0; r < rows_; ++r) {
        const std::size_t before = column.data.size();
        reader.append_value(column.data);
        const bool null = flags != flags_.end() && flags->second[r] != std::byte{0};
        if (null && !nullable)
          return fail("the column " + printable(targets_[index].spec->name) + " is NULL in a row, and must not be");
        if (null) column.data.resize(before);
        if (column.data.size() > std::numeric_limits<std::uint32_t>::max()) return damaged();
        column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
        if (nullable) column.nulls.push_back(null ? 1 : 0);
      }
    }
    return true;
  }

  bool fill_missing(RowBatch& batch) {
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (seen_[i] != 0) continue;
      if (!targets_[i].spec->nullable)
        return fail("the column " + printable(targets_[i].spec->name) + " is missing, and is not nullable");
      for (std::size_t r = 0; r < rows_; ++r) append_null(batch.columns[i], targets_[i].layout);
    }
    return true;
  }

  std::shared_ptr<const TableSchema> schema_;
  NativeOptions options_;
  std::vector<Target> targets_;
  std::unordered_map<std::string, std::size_t> by_name_, flags_of_;
  std::unordered_set<std::string> ignored_, own_seen_;
  Before before_;
  std::size_t rows_ = 0;
  std::vector<std::uint8_t> seen_;
  std::vector<std::pair<std::size_t, NestedReader>> nested_;
  std::unordered_map<std::size_t, Bytes> flags_;
};

NativeDecoder::NativeDecoder(std::shared_ptr<const TableSchema> schema, NativeOptions options)
    : impl_(std::make_unique<Impl>(std::move(schema), std::move(options))) {}
NativeDecoder::~NativeDecoder() = default;
Result<Decoded> NativeDecoder::append(const MessageView& message, RowBatch& batch) {
  if (!message.has_value) {
    impl_->reason = "the record has no value, and the format native has none without";
    return Decoded::rejected;
  }
  return impl_->append(message.value, batch) ? Decoded::rows : Decoded::rejected;
}
const std::string& NativeDecoder::reason() const noexcept { return impl_->reason; }

}  // namespace pgch::codec
