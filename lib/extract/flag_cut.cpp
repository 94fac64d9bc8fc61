#include "extract/flag_cut.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/try.h"

namespace pgch {
namespace {

bool is_trailer(std::span<const std::byte> message) noexcept {
  return message.size() >= 2 && message[0] == std::byte{0xFF} && message[1] == std::byte{0xFF};
}

}  // namespace

FlagCut::FlagCut(const FlagTable& table)
    : table_(&table), decoder_(table.fields, table.main_fields()), extra_(table.extra_fields()) {
  row_bytes_ = table.catalog.source.row_bytes_estimate;
}

Error FlagCut::corrupt() const {
  return halt(Errc::corrupt,
              "While reading " + display_name(*table_->schema) +
                  ": PostgreSQL's rows are not what was asked for; was the table changed? Restart pgch.");
}

void FlagCut::begin(RowBatch& into) {
  into.reset(table_->schema);
  for (Column& c : extra_) c.clear();
  rejected_ = {};
  rejected_.keys = table_->key_cells();
  rejected_tids_.clear();
  bytes_ = 0;
}

Result<bool> FlagCut::take(std::span<const std::byte>& message, RowBatch& into, const BatchLimits& limits,
                           std::uint64_t& rows) {
  while (!message.empty()) {
    const std::size_t taken = into.rows + into.rejected.size();
    const bool full = taken >= limits.rows_max || bytes_ + message.size() > limits.bytes_max;
    if (taken > 0 && full && !is_trailer(message)) return false;
    const std::span<const std::byte> tuple = message;
    switch (decoder_.decode(message, into.columns.data(), extra_.data(), into.rows)) {
      case pg::TupleOutcome::row:
        ++into.rows;
        ++rows;
        bytes_ += tuple.size() - message.size();
        pg::count_decoded(into, bytes_);
        break;
      case pg::TupleOutcome::rejected:
        PGCH_TRY(set_aside(into, tuple, true));
        ++rows;
        bytes_ += tuple.size();
        break;
      case pg::TupleOutcome::trailer:
        break;
      case pg::TupleOutcome::malformed:
        return corrupt();
    }
  }
  return true;
}

Result<void> FlagCut::set_aside(RowBatch& into, std::span<const std::byte> tuple, bool note) {
  std::vector<KeyCells> cells = table_->key_cells();
  if (!table_->add_keys(cells, tuple)) return corrupt();
  Rejected rejected;
  rejected.reason = decoder_.why();
  rejected.origin = display_name(*table_->schema);
  for (const KeyCells& k : cells) put_text(rejected.key, k.text(0));
  rejected.payload = as_text(tuple);
  into.rejected.push_back(std::move(rejected));
  if (!note) return {};
  const auto xmin = pg::tuple_cell(tuple, table_->xmin_field), ctid = pg::tuple_cell(tuple, table_->ctid_field);
  if (!xmin || xmin->size() != 4 || !ctid || ctid->size() != 6) return corrupt();
  (void)table_->add_keys(rejected_.keys, tuple);  // it could be read just now
  rejected_.xmins.push_back(ByteReader(*xmin).big<std::uint32_t>());
  rejected_tids_.append(as_text(*ctid));
  return {};
}

FlagOut FlagCut::end(RowBatch& into, std::uint64_t version) {
  FlagPosition position;
  position.version = version;
  position.moved = into.rows;
  position.keys = table_->key_cells();
  table_->add_keys(position.keys, into, extra_);
  last_key_.clear();
  if (into.rows > 0) {
    for (const KeyCells& k : position.keys) last_key_.push_back(k.text(into.rows - 1));
  }
  for (std::size_t k = 0; k < position.keys.size(); ++k) {
    for (std::size_t r = 0; r < rejected_.xmins.size(); ++r) {
      if (position.keys[k].integer) {
        position.keys[k].integers.push_back(rejected_.keys[k].integers[r]);
      } else {
        position.keys[k].add_text(rejected_.keys[k].text(r));
      }
    }
  }
  position.xmins.resize(into.rows);
  const Column& xmins = extra(table_->xmin_field);
  std::copy(xmins.data.begin(), xmins.data.end(), reinterpret_cast<std::byte*>(position.xmins.data()));
  position.xmins.insert(position.xmins.end(), rejected_.xmins.begin(), rejected_.xmins.end());

  FlagOut out;
  out.position = encode(position);
  out.rows = static_cast<std::uint32_t>(position.xmins.size());
  out.tids = as_text(extra(table_->ctid_field).data);
  out.tids += rejected_tids_;
  into.version = version;
  into.position = out.position;
  if (out.rows > 0) row_bytes_ = static_cast<double>(bytes_) / out.rows;
  return out;
}

Result<void> FlagCut::again(const pg::Answer& answer, const FlagPosition& position, RowBatch& into, FlagOut& out) {
  begin(into);
  out.tids.clear();
  out.picked.clear();
  out.rows = 0;
  const std::size_t fields = table_->fields.size();
  std::vector<std::byte> tuple;
  for (std::size_t r = 0; r < answer.rows(); ++r) {
    const auto number = ByteReader(answer.cell(r, fields)).big<std::int64_t>();
    const auto xmin = ByteReader(answer.cell(r, table_->xmin_field)).big<std::uint32_t>();
    if (number < 1 || static_cast<std::size_t>(number) > position.xmins.size()) return corrupt();
    const auto index = static_cast<std::uint32_t>(number - 1);
    if (xmin != position.xmins[index]) continue;  // changed since: it goes the ordinary way
    tuple.clear();
    pg::append_tuple_head(tuple, fields);
    for (std::size_t f = 0; f < fields; ++f)
      pg::append_tuple_cell(tuple, as_bytes(answer.cell(r, f)), answer.is_null(r, f));
    std::span<const std::byte> message(tuple);
    switch (decoder_.decode(message, into.columns.data(), extra_.data(), into.rows)) {
      case pg::TupleOutcome::row:
        ++into.rows;
        into.ordinals.push_back(index);
        break;
      case pg::TupleOutcome::rejected:
        PGCH_TRY(set_aside(into, tuple, false));
        break;
      case pg::TupleOutcome::trailer:
      case pg::TupleOutcome::malformed:
        return corrupt();
    }
    out.tids.append(answer.cell(r, table_->ctid_field));
    out.picked.push_back(index);
    ++out.rows;
  }
  into.version = position.version;
  into.position = out.position;
  into.intent = out.intent;
  return {};
}

}  // namespace pgch
