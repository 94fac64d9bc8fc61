#include "extract/claim_lane.h"

#include <algorithm>

#include "base/try.h"
#include "pg/array.h"

namespace pgch {

void ClaimOut::found(FoundRows again) {
  rows = static_cast<std::uint32_t>(again.picked.size());
  tids = std::move(again.tids);
  picked = std::move(again.picked);
}

ClaimOut out_of(CutRows cut) {
  ClaimOut out;
  out.position = encode(cut.rows);
  out.rows = static_cast<std::uint32_t>(cut.rows.stamps.size());
  out.tids = std::move(cut.tids);
  return out;
}

bool ClaimLane::decided() const noexcept {
  return std::none_of(outs.begin(), outs.end(), [](const ClaimOut& o) { return o.state == ClaimOut::State::out; });
}

bool ClaimLane::has_out() const noexcept { return !decided(); }

Result<void> ClaimLane::start_rollback() {
  PGCH_TRY(connection->send("ROLLBACK", {}, "ending a transaction"));
  state = State::rolling_back;
  return {};
}

Result<void> ClaimLane::start_mark(const ClaimTable& table) {
  to_mark = 0;
  for (const ClaimOut& o : outs) to_mark += o.state == ClaimOut::State::delivered ? o.rows : 0;
  if (to_mark == 0) return start_rollback();
  const std::string doing = "marking rows of " + table.name;
  if (table.catalog.source.plain_table) {
    pg::ArrayWriter tids(pg::oid::tid);
    for (const ClaimOut& o : outs) {
      if (o.state != ClaimOut::State::delivered) continue;
      for (std::size_t at = 0; at < o.tids.size(); at += 6) tids.add(std::string_view(o.tids).substr(at, 6));
    }
    const pg::Parameter p{tids.finish(), pg::oid::tid_array, true};
    PGCH_TRY(connection->send(table.mark_by_ctid(), {&p, 1}, doing));
  } else {
    // In the children of a parent a ctid names no row by itself: the keys do.
    KeyedPosition all;
    all.keys = table.key_cells();
    for (const ClaimOut& o : outs) {
      if (o.state != ClaimOut::State::delivered || o.rows == 0) continue;
      PGCH_ASSIGN(const KeyedPosition one, decode_keyed_position(o.position));
      for (std::size_t k = 0; k < all.keys.size(); ++k) {
        all.keys[k].integer = false;
        for (std::size_t r = 0; r < one.keys[k].size(); ++r) {
          if (o.picked.empty() || std::binary_search(o.picked.begin(), o.picked.end(), static_cast<std::uint32_t>(r)))
            all.keys[k].add_text(one.keys[k].text(r));
        }
      }
    }
    const std::vector<std::string> arrays = key_arrays(all, {});
    std::vector<pg::Parameter> parameters;
    for (const std::string& a : arrays) parameters.push_back({a, pg::oid::text_array, true});
    PGCH_TRY(connection->send(table.mark_by_key(), parameters, doing));
  }
  state = State::updating;
  return {};
}

Result<bool> ClaimLane::advance(const ClaimTable& table) {
  while (marking()) {
    PGCH_ASSIGN(std::optional<pg::Answer> answer, connection->try_answer());
    if (!answer) return false;
    if (state == State::updating) {
      const std::uint64_t marked =
          table.marks_counted && answer->rows() == 1 ? pg::number(answer->cell(0, 0)) : answer->affected();
      if (marked != to_mark) {
        return table.mismarked(to_mark, marked);
      }
      PGCH_TRY(connection->send("COMMIT", {}, "committing the mark of " + table.name));
      state = State::committing;
      continue;
    }
    state = State::free;
    taken = 0;
    return true;
  }
  return false;
}

}  // namespace pgch
