#include "verify/comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"

namespace pgch::comparing {
namespace {

constexpr std::uint64_t rows_at_once = 2'000'000;  // hashes kept of each side
constexpr std::size_t kept_max = 1'000'000, runs_max = 64;
constexpr std::size_t witnesses_of_a_version = 4, versions_witnessed = 100'000;

Runs runs_of_ranges(const std::vector<std::size_t>& ranges) {
  Runs out;
  for (const std::size_t range : ranges) {
    if (!out.empty() && out.back().second + 1 == range) {
      out.back().second = range;
    } else if (out.empty() || out.back().second < range) {
      out.emplace_back(range, range);
    }
  }
  return out;
}

void add(DifferenceCounts& counts, const Found& one) {
  switch (one.kind) {
    case DifferenceKind::lost:
      counts.lost += one.times;
      break;
    case DifferenceKind::doubled:
      counts.doubled += one.times;
      break;
    case DifferenceKind::altered:
      counts.altered += one.times;
      break;
    case DifferenceKind::stale:
      counts.stale += one.times;
      break;
    case DifferenceKind::extra:
      counts.extra += one.times;
      break;
  }
}

}  // namespace

Runs runs_of(const std::vector<Found>& found) {
  std::vector<std::size_t> ranges;
  for (const Found& one : found) ranges.push_back(one.range);
  std::sort(ranges.begin(), ranges.end());
  return runs_of_ranges(ranges);
}

DifferenceCounts Comparison::counts() const {
  DifferenceCounts out = not_kept_;
  for (const Found& one : found_) add(out, one);
  return out;
}

void Comparison::keep(const Found& one, std::vector<Found>& out) {
  if (out.size() < kept_max) {
    out.push_back(one);
  } else {
    add(not_kept_, one);
  }
}

Result<std::uint64_t> Comparison::count_current() {
  const std::string where =
      sides_.has_deleted() ? " WHERE " + quote_clickhouse(options_.target.deleted_column) + " = 0" : std::string();
  return sides_.count("SELECT count() FROM " + sides_.quoted_target() + (sides_.replaces() ? " FINAL" : "") + where);
}

Result<void> Comparison::count() {
  for (std::uint32_t look = 0;; ++look) {
    PGCH_ASSIGN(const auto rows, sides_.source().query("SELECT count(*) FROM " + sides_.source_rows()));
    PGCH_ASSIGN(report_.source_rows, to_number(rows.at(0).at(0).value_or("")));
    PGCH_ASSIGN(report_.target_rows, count_current());
    if (report_.source_rows == report_.target_rows || look >= std::min(options_.looks, 2U)) return {};
    context_.clock.sleep_until(context_.clock.now() + options_.pause, context_.stop);
    if (context_.stop.stop_requested()) return halt(Errc::stopped, "Stopped before everything was compared.");
  }
}

Result<void> Comparison::compare() {
  PGCH_TRY(sums());
  report_.rows_compared = true;
  report_.ranges = source_.size();
  report_.streamed_for = sides_.why_streamed();
  std::vector<std::size_t> group;
  std::uint64_t rows = 0, source_sum = 0;
  const auto flush = [&]() -> Result<void> {
    if (group.empty()) return {};
    PGCH_TRY(compare_rows(runs_of_ranges(group), rows, nullptr, found_));
    group.clear();
    rows = 0;
    return {};
  };
  for (std::size_t range = 0; range < source_.size(); ++range) {
    source_sum += source_[range].sum;
    report_.target_rows += target_[range].rows;
    if (source_[range] == target_[range] && !target_[range].deleted) continue;
    ++report_.ranges_read;
    const std::uint64_t more = std::max(source_[range].rows, target_[range].rows);
    if (rows + more > rows_at_once || group.size() >= runs_max) PGCH_TRY(flush());
    group.push_back(range);
    rows += more;
    // What is stored is not what is current: counted again while it is read.
    report_.target_rows -= target_[range].rows;
    target_[range] = {};
  }
  PGCH_TRY(flush());
  report_.source_checksum = source_sum;
  std::uint64_t target_sum = 0;
  for (const Sum& sum : target_) target_sum += sum.sum;
  report_.target_checksum = target_sum;
  return {};
}

Result<void> Comparison::compare_rows(const Runs& runs, std::uint64_t rows, const Keys* only, std::vector<Found>& out) {
  // A range can be larger than what may be kept, where a key's values can't be cut: then several times, each with some
  // of the keys.
  const std::uint64_t passes = only != nullptr ? 1 : rows / rows_at_once + 1;
  std::vector<Entry> source, target;
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    source.clear();
    target.clear();
    const auto wanted = [&](const Rows& r, std::size_t row) {
      return only != nullptr ? only->count(r.key[row]) != 0 : passes == 1 || r.key[row] % passes == pass;
    };
    const auto take_source = [&](const Rows& r) -> Result<void> {
      for (std::size_t row = 0; row < r.key.size(); ++row) {
        if (wanted(r, row)) source.push_back({r.key[row], r.sum[row], 0, r.range[row], r.mark[row] != 0});
      }
      source_read_ += r.key.size();
      tell();
      return {};
    };
    const auto take_target = [&](const Rows& r) -> Result<void> {
      for (std::size_t row = 0; row < r.key.size(); ++row) {
        if (only == nullptr && pass == 0) {
          ++target_[r.range[row]].rows;
          target_[r.range[row]].sum += r.sum[row];
        }
        if (wanted(r, row))
          target.push_back({r.key[row], r.sum[row], r.version.empty() ? 0 : r.version[row], r.range[row], false});
      }
      target_read_ += r.key.size();
      tell();
      return {};
    };
    std::uint64_t rejected = 0;
    PGCH_TRY(sides_.read_both(runs, true, take_source, take_target, rejected));
    if (only == nullptr && pass == 0) {
      if (sides_.by_database()) report_.source_rejected += rejected;
      for (const auto& [first, last] : runs) {
        for (std::size_t range = first; range <= last; ++range) report_.target_rows += target_[range].rows;
      }
    }
    merge(source, target, out);
  }
  return {};
}

void Comparison::merge(std::vector<Entry>& source, std::vector<Entry>& target, std::vector<Found>& out) {
  const auto before = [](const Entry& a, const Entry& b) { return a.key != b.key ? a.key < b.key : a.sum < b.sum; };
  std::sort(source.begin(), source.end(), before);
  std::sort(target.begin(), target.end(), before);
  std::size_t s = 0, t = 0;
  while (s < source.size() || t < target.size()) {
    const std::uint64_t key = s == source.size()   ? target[t].key
                              : t == target.size() ? source[s].key
                                                   : std::min(source[s].key, target[t].key);
    std::size_t s_end = s, t_end = t;
    while (s_end < source.size() && source[s_end].key == key) ++s_end;
    while (t_end < target.size() && target[t_end].key == key) ++t_end;
    judge(source.data() + s, s_end - s, target.data() + t, t_end - t, out);
    s = s_end;
    t = t_end;
  }
}

void Comparison::judge(const Entry* s, std::size_t s_rows, const Entry* t, std::size_t t_rows,
                       std::vector<Found>& out) {
  // What still waits to be sent is not expected, and may be there already.
  if (std::any_of(s, s + s_rows, [](const Entry& e) { return e.unsent; })) return;
  if (s_rows == t_rows && std::equal(s, s + s_rows, t, [](const Entry& a, const Entry& b) { return a.sum == b.sum; })) {
    if (t->version == 0 || witnesses_.size() >= versions_witnessed) return;
    auto& witnesses = witnesses_[t->version];
    if (witnesses.size() < witnesses_of_a_version) witnesses.emplace_back(t->key, s->range);
    return;
  }
  Found one;
  one.key = s_rows > 0 ? s->key : t->key;
  one.range = s_rows > 0 ? s->range : t->range;
  for (std::size_t i = 0; i < s_rows; ++i) one.source += s[i].sum;
  for (std::size_t i = 0; i < t_rows; ++i) {
    one.target += t[i].sum;
    one.version = std::max(one.version, t[i].version);
  }
  if (t_rows < s_rows) {
    one.kind = DifferenceKind::lost;
  } else if (s_rows == 0) {
    one.kind = DifferenceKind::extra;
  } else {
    one.kind = t_rows > s_rows ? DifferenceKind::doubled : DifferenceKind::altered;
  }
  if (!sides_.has_key()) one.times = s_rows > t_rows ? s_rows - t_rows : t_rows - s_rows;
  keep(one, out);
}

Result<void> Comparison::again(std::vector<Found>& out) {
  Keys keys;
  for (const Found& one : found_) keys.emplace(one.key, one);
  return compare_rows(runs_of(found_), found_.size(), &keys, out);
}

Result<void> Comparison::look_again() {
  const auto same = [](const Found& a, const Found& b) {
    return a.key == b.key && a.kind == b.kind && a.source == b.source && a.target == b.target;
  };
  for (std::uint32_t look = 1; look <= options_.looks && !found_.empty() && not_kept_.total() == 0; ++look) {
    // At once, and then with pauses as long as something moves.
    if (look > 1) context_.clock.sleep_until(context_.clock.now() + options_.pause, context_.stop);
    if (context_.stop.stop_requested()) return halt(Errc::stopped, "Stopped before everything was compared.");
    const auto before = [](const Found& a, const Found& b) { return a.key < b.key; };
    std::sort(found_.begin(), found_.end(), before);
    std::vector<Found> now;
    PGCH_TRY(again(now));
    std::sort(now.begin(), now.end(), before);
    const bool still = now.size() == found_.size() && std::equal(now.begin(), now.end(), found_.begin(), same);
    found_ = std::move(now);
    if (still && look > 1) break;
  }
  return find_stale();
}

// A row's transaction: newer than that of rows which were sent together with it, and are equal, means that the row was
// changed since.
Result<bool> Comparison::newest_of(const std::vector<std::pair<std::uint64_t, std::uint32_t>>& keys,
                                   std::unordered_map<std::uint64_t, std::uint32_t>& transactions) {
  std::vector<Found> located;
  std::string list = "{";
  for (const auto& [key, range] : keys) {
    located.push_back({key, range});
    list += (list.size() > 1 ? "," : "") + std::to_string(static_cast<std::int64_t>(key));
  }
  PGCH_ASSIGN(
      const auto rows,
      sides_.source().query(
          fmt::format(
              "SELECT k, x FROM (SELECT {} AS k, x FROM (SELECT {} AS h, t.xmin::text AS x FROM {} OFFSET 0) y) "
              "z WHERE k = ANY ($1::bigint[])",
              RowSum::mixed_sql("h"), sides_.key_sum().sql(),
              sides_.source_rows(sides_.ranges_where(runs_of(located)))),
          {list + "}"}));
  for (const auto& row : rows) {
    if (!row[0] || !row[1]) continue;
    PGCH_ASSIGN(const std::uint64_t transaction, to_number(*row[1]));
    const bool negative = row[0]->front() == '-';
    PGCH_ASSIGN(const std::uint64_t key, to_number(negative ? std::string_view(*row[0]).substr(1) : *row[0]));
    transactions[negative ? 0 - key : key] = static_cast<std::uint32_t>(transaction);
  }
  return true;
}

Result<void> Comparison::find_stale() {
  constexpr std::size_t asked_max = 20'000;
  if (sides_.key_sum().sql().empty()) return {};
  std::vector<std::pair<std::uint64_t, std::uint32_t>> keys;
  for (const Found& one : found_) {
    const auto witnesses = witnesses_.find(one.version);
    if (one.kind != DifferenceKind::altered || witnesses == witnesses_.end() || keys.size() > asked_max) continue;
    keys.emplace_back(one.key, one.range);
    keys.insert(keys.end(), witnesses->second.begin(), witnesses->second.end());
  }
  if (keys.empty()) return {};
  std::unordered_map<std::uint64_t, std::uint32_t> transactions;
  // A view's rows have no transaction: then it can't be told, and altered is what they are.
  if (auto known = newest_of(keys, transactions); !known) return {};
  for (Found& one : found_) {
    const auto own = transactions.find(one.key);
    if (one.kind != DifferenceKind::altered || own == transactions.end()) continue;
    const auto witnesses = witnesses_.find(one.version);
    if (witnesses == witnesses_.end()) continue;
    bool newer = true, some = false;
    for (const auto& [key, range] : witnesses->second) {
      const auto other = transactions.find(key);
      if (other == transactions.end()) continue;
      some = true;
      newer = newer && static_cast<std::int32_t>(own->second - other->second) > 0;
    }
    if (some && newer) one.kind = DifferenceKind::stale;
  }
  return {};
}

}  // namespace pgch::comparing
