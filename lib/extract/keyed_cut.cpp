#include "extract/keyed_cut.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/try.h"

namespace pgch {
namespace {

bool is_trailer(std::span<const std::byte> message) noexcept {
  return message.size() >= 2 && message[0] == std::byte{0xFF} && message[1] == std::byte{0xFF};
}

std::uint64_t read_stamp(std::string_view wire) noexcept {
  ByteReader reader(wire);
  return wire.size() == sizeof(std::uint32_t) ? reader.big<std::uint32_t>() : reader.big<std::uint64_t>();
}

}  // namespace

KeyedCut::KeyedCut(const KeyedTable& table)
    : table_(&table), decoder_(table.fields, table.main_fields()), extra_(table.extra_fields()) {
  row_bytes_ = table.catalog.source.row_bytes_estimate;
  if (table.repeats) row_key_ = key_indexes(*table.schema);
}

Error KeyedCut::corrupt() const {
  return halt(Errc::corrupt,
              "While reading " + display_name(*table_->schema) +
                  ": PostgreSQL's rows are not what was asked for; was the table changed? Restart pgch.");
}

void KeyedCut::begin(RowBatch& into) {
  into.reset(table_->schema);
  for (Column& c : extra_) c.clear();
  rest_ = {};
  rest_.keys = table_->key_cells();
  rest_tids_.clear();
  seen_.clear();
  bytes_ = 0;
}

Result<bool> KeyedCut::take(std::span<const std::byte>& message, RowBatch& into, const BatchLimits& limits,
                            std::uint64_t& rows) {
  while (!message.empty()) {
    const std::size_t taken = this->taken(into);
    const bool full = taken >= limits.rows_max || bytes_ + message.size() > limits.bytes_max;
    if (taken > 0 && full && !is_trailer(message)) return false;
    const std::span<const std::byte> tuple = message;
    switch (decoder_.decode(message, into.columns.data(), extra_.data(), into.rows)) {
      case pg::TupleOutcome::row:
        ++rows;
        last_is_rest_ = !stays(into);
        if (last_is_rest_) {
          PGCH_TRY(note(tuple));
          break;
        }
        ++into.rows;
        bytes_ += tuple.size() - message.size();
        pg::count_decoded(into, bytes_);
        break;
      case pg::TupleOutcome::rejected:
        PGCH_TRY(set_aside(into, tuple));
        PGCH_TRY(note(tuple));
        ++rows;
        last_is_rest_ = true;
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

// The row that was decoded last, not counted yet: is it moved? If not, it is taken back.
bool KeyedCut::stays(RowBatch& into) {
  bool stay = !table_->skips_gone || extra(table_->gone_field).data[into.rows] != std::byte{1};
  if (stay && table_->repeats) {
    const RowHash key = hash_row(into, into.rows, row_key_);
    stay = seen_.emplace(key.low, key.high).second;
  }
  if (stay) return true;
  for (std::size_t i = 0; i < into.columns.size(); ++i)
    truncate_column(into.columns[i], table_->fields[i].layout, into.rows);
  for (std::size_t i = 0; i < extra_.size(); ++i)
    truncate_column(extra_[i], table_->fields[table_->main_fields() + i].layout, into.rows);
  return false;
}

Result<void> KeyedCut::set_aside(RowBatch& into, std::span<const std::byte> tuple) {
  std::vector<KeyCells> cells = table_->key_cells();
  if (!table_->add_keys(cells, tuple)) return corrupt();
  Rejected rejected;
  rejected.reason = decoder_.why();
  rejected.origin = display_name(*table_->schema);
  for (const KeyCells& k : cells) put_text(rejected.key, k.text(0));
  rejected.payload = as_text(tuple);
  into.rejected.push_back(std::move(rejected));
  return {};
}

// What is told with the batch, but moves no row.
Result<void> KeyedCut::note(std::span<const std::byte> tuple) {
  const auto stamp = pg::tuple_cell(tuple, table_->stamp_field);
  if (!stamp || stamp->size() != width_of(table_->fields[table_->stamp_field].layout)) return corrupt();
  if (!table_->add_keys(rest_.keys, tuple)) return corrupt();
  rest_.stamps.push_back(read_stamp(as_text(*stamp)));
  if (table_->ctid_field == npos) return {};
  const auto ctid = pg::tuple_cell(tuple, table_->ctid_field);
  if (!ctid || ctid->size() != 6) return corrupt();
  rest_tids_.append(as_text(*ctid));
  return {};
}

// Of rows that are gone the deletion is moved.
void KeyedCut::tell_removed(RowBatch& into) const {
  if (table_->gone_field == npos) return;
  const std::vector<std::byte>& gone = extra(table_->gone_field).data;
  if (std::find(gone.begin(), gone.end(), std::byte{1}) == gone.end()) return;
  into.ops.resize(into.rows, RowOp::insert);
  for (std::size_t r = 0; r < into.rows; ++r) {
    if (gone[r] == std::byte{1}) into.ops[r] = RowOp::remove;
  }
}

CutRows KeyedCut::end(RowBatch& into, std::uint64_t version) {
  CutRows out;
  KeyedPosition& position = out.rows;
  position.version = version;
  position.moved = into.rows;
  position.keys = table_->key_cells();
  table_->add_keys(position.keys, into, extra_);
  for (std::size_t k = 0; k < position.keys.size(); ++k) {
    for (std::size_t r = 0; r < rest_.stamps.size(); ++r) {
      if (position.keys[k].integer) {
        position.keys[k].integers.push_back(rest_.keys[k].integers[r]);
      } else {
        position.keys[k].add_text(rest_.keys[k].text(r));
      }
    }
  }
  position.stamps.resize(into.rows);
  const Column& stamps = extra(table_->stamp_field);
  if (width_of(table_->fields[table_->stamp_field].layout) == sizeof(std::uint64_t)) {
    std::copy(stamps.data.begin(), stamps.data.end(), reinterpret_cast<std::byte*>(position.stamps.data()));
  } else {
    ByteReader reader(stamps.data);
    for (std::uint64_t& stamp : position.stamps) stamp = reader.little<std::uint32_t>();
  }
  position.stamps.insert(position.stamps.end(), rest_.stamps.begin(), rest_.stamps.end());
  last_key_.clear();
  if (!position.stamps.empty()) {
    const std::size_t last = (last_is_rest_ ? position.stamps.size() : into.rows) - 1;
    for (const KeyCells& k : position.keys) last_key_.push_back(k.text(last));
    last_stamp_ = position.stamps[last];
  }
  if (table_->ctid_field != npos) {
    out.tids = as_text(extra(table_->ctid_field).data);
    out.tids += rest_tids_;
  }
  into.version = version;
  tell_removed(into);
  if (!position.stamps.empty()) row_bytes_ = static_cast<double>(bytes_) / static_cast<double>(position.stamps.size());
  return out;
}

Result<FoundRows> KeyedCut::again(const pg::Answer& answer, const KeyedPosition& position, RowBatch& into) {
  begin(into);
  FoundRows found;
  const std::size_t fields = table_->fields.size();
  std::vector<std::byte> memory;
  for (std::size_t r = 0; r < answer.rows(); ++r) {
    const auto number = ByteReader(answer.cell(r, fields)).big<std::int64_t>();
    if (number < 1 || static_cast<std::size_t>(number) > position.stamps.size()) return corrupt();
    const auto index = static_cast<std::uint32_t>(number - 1);
    if (read_stamp(answer.cell(r, table_->stamp_field)) != position.stamps[index])
      continue;  // changed since: it goes the ordinary way
    std::span<const std::byte> message = tuple_of(answer, r, fields, memory);
    const std::span<const std::byte> tuple = message;
    switch (decoder_.decode(message, into.columns.data(), extra_.data(), into.rows)) {
      case pg::TupleOutcome::row:
        if (!stays(into)) break;
        ++into.rows;
        into.ordinals.push_back(index);
        break;
      case pg::TupleOutcome::rejected:
        PGCH_TRY(set_aside(into, tuple));
        break;
      case pg::TupleOutcome::trailer:
      case pg::TupleOutcome::malformed:
        return corrupt();
    }
    if (table_->ctid_field != npos) found.tids.append(answer.cell(r, table_->ctid_field));
    found.picked.push_back(index);
  }
  tell_removed(into);
  into.version = position.version;
  return found;
}

}  // namespace pgch
