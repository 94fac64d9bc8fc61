#include "transport/looked_up.h"

#include <algorithm>

#include "base/try.h"
#include "codec/json_row.h"

namespace pgch::transport {
namespace {

class LookedUp final : public Extractor {
 public:
  LookedUp(std::unique_ptr<Extractor> keys, std::unique_ptr<RowLookup> lookup, bool skip_gone)
      : inner_(std::move(keys)), lookup_(std::move(lookup)), skip_gone_(skip_gone) {}

  // A row that is looked up again may be another by now: it keeps the version of its message, and a later change has a
  // later message.
  ExtractorTraits traits() const noexcept override {
    ExtractorTraits traits = inner_->traits();
    traits.exact_replay = false;
    return traits;
  }
  Result<void> open(const Context& context, std::vector<Intent> pending) override {
    PGCH_TRY(lookup_->open(context));
    return inner_->open(context, std::move(pending));
  }
  std::shared_ptr<const TableSchema> known_schema() const override { return inner_->known_schema(); }
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override;
  Result<void> acknowledge(const std::string& stream, const Position& position) override {
    return inner_->acknowledge(stream, position);
  }
  std::vector<Acknowledged> take_acknowledged() override { return inner_->take_acknowledged(); }
  void abandon(const std::string& stream, const Position& position) noexcept override {
    inner_->abandon(stream, position);
  }
  void close() noexcept override {
    inner_->close();
    lookup_->close();
  }

 private:
  Result<void> fill(RowBatch& into, std::size_t bytes_max);
  Result<void> set_aside(const std::vector<Found::Unfit>& unfit, RowBatch& into);

  std::unique_ptr<Extractor> inner_;
  std::unique_ptr<RowLookup> lookup_;
  bool skip_gone_;
  RowBatch keys_;
};

Result<Fetch> LookedUp::fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) {
  BatchLimits of_keys = limits;
  const std::size_t fitting = limits.bytes_max / std::max<std::size_t>(lookup_->row_bytes(), 1);
  of_keys.rows_max = static_cast<std::uint32_t>(std::clamp<std::size_t>(fitting, 1, limits.rows_max));
  PGCH_ASSIGN(const Fetch fetched, inner_->fetch(keys_, of_keys, deadline));
  if (fetched != Fetch::rows) {
    into.reset(keys_.schema);
    return fetched;
  }
  // What was under way comes as it was cut; and a row larger than all limits comes alone.
  const bool whole = keys_.intent.has_value() || keys_.rows <= 1;
  if (auto filled = fill(into, whole ? ~std::size_t{0} : limits.bytes_max * 2); !filled) {
    inner_->abandon(keys_.stream, keys_.position);
    return std::move(filled).error();
  }
  return Fetch::rows;
}

Result<void> LookedUp::fill(RowBatch& into, std::size_t bytes_max) {
  PGCH_ASSIGN(Found found, lookup_->look_up(keys_, bytes_max));
  into = std::move(found.rows);
  into.stream = keys_.stream;
  into.position = keys_.position;
  into.intent = keys_.intent;
  into.version = keys_.version;
  into.rejected = std::move(keys_.rejected);
  std::vector<bool> known(keys_.rows);
  for (const std::uint32_t k : into.ordinals) known[k] = true;
  for (const Found::Unfit& u : found.unfit) known[u.key] = true;
  PGCH_TRY(set_aside(found.unfit, into));
  const std::uint32_t there = into.rows;
  for (std::uint32_t k = 0; k < keys_.rows; ++k) {
    if (known[k] || skip_gone_) continue;
    into.ordinals.push_back(k);
    ++into.rows;
  }
  if (into.rows != there) {
    into.ops.assign(there, RowOp::insert);
    into.ops.resize(into.rows, RowOp::remove);
  }
  // Of a row that is gone, what is known is its key.
  for (std::size_t c = 0; c < into.columns.size(); ++c) {
    const ColumnSpec& spec = into.schema->columns[c];
    const Layout layout = layout_of(spec);
    const Column& from = keys_.columns[c];
    for (std::uint32_t r = there; r < into.rows; ++r) {
      const std::uint32_t k = into.ordinals[r];
      if (from.is_null(k))
        append_null(into.columns[c], layout);
      else
        append_value(into.columns[c], layout, spec.nullable, from.at(k, width_of(layout)));
    }
  }
  for (std::uint32_t r = 0; r < into.rows; ++r) {
    const std::uint32_t k = into.ordinals[r];
    into.versions.push_back(keys_.version_of(k));
    if (!keys_.places.empty()) into.places.push_back(keys_.places[k]);
    into.ordinals[r] = keys_.ordinal_of(k);
  }
  return {};
}

// As a message that names the row again, if somebody sends it once more.
Result<void> LookedUp::set_aside(const std::vector<Found::Unfit>& unfit, RowBatch& into) {
  if (unfit.empty()) return {};
  codec::JsonRowEncoder encoder(false, true);
  PGCH_TRY(encoder.open(keys_.schema));
  for (const Found::Unfit& u : unfit) {
    Rejected rejected;
    rejected.reason = u.reason;
    rejected.origin = keys_.stream;
    if (!keys_.places.empty()) rejected.origin += "@" + std::to_string(keys_.places[u.key]);
    (void)encoder.append_key(keys_, u.key, rejected.key);
    (void)encoder.append_value(keys_, u.key, rejected.payload);
    into.rejected.push_back(std::move(rejected));
  }
  return {};
}

}  // namespace

std::unique_ptr<Extractor> make_looked_up(std::unique_ptr<Extractor> keys, std::unique_ptr<RowLookup> lookup,
                                          bool skip_gone) {
  return std::make_unique<LookedUp>(std::move(keys), std::move(lookup), skip_gone);
}

}  // namespace pgch::transport
