#include "extract/snapshot_reader.h"

#include "base/bytes.h"
#include "base/try.h"

namespace pgch {

SnapshotReader::SnapshotReader(const SnapshotTable& table, const SnapshotOptions& options, const Context& context)
    : table_(table),
      options_(options),
      context_(context),
      decoder_(table.fields, table.main_fields()),
      extra_(table.fields.size() - table.main_fields()) {}

template <class T>
T SnapshotReader::failed(T result) {
  if (!result) {
    copy_.reset();
    connection_.reset();
  }
  return result;
}

Result<void> SnapshotReader::begin(const std::string& sql) {
  if (connection_ == nullptr) {
    PGCH_ASSIGN(connection_, connect_at(options_, context_));
  }
  PGCH_TRY(connection_->send(sql, {}, "copying " + table_.name));
  PGCH_ASSIGN(const pg::Answer answer, connection_->answer({Clock::TimePoint::max(), context_.stop}));
  if (!answer.is_copy_out())
    return halt(Errc::internal, "While copying " + table_.name + ": PostgreSQL did not begin to copy.");
  copy_ = std::make_unique<pg::CopyStream>(*connection_);
  header_seen_ = false;
  message_ = {};
  return {};
}

// False: the server has sent everything.
Result<bool> SnapshotReader::next_message() {
  for (;;) {
    PGCH_ASSIGN(const pg::CopyStream::Step step, copy_->next());
    if (step == pg::CopyStream::Step::end) {
      copy_.reset();
      return false;
    }
    if (step == pg::CopyStream::Step::message) {
      message_ = copy_->data();
      return true;
    }
    pg::Connection* connection = connection_.get();
    PGCH_TRY(pg::wait_for({&connection, 1}, context_.clock, {Clock::TimePoint::max(), context_.stop}));
  }
}

Result<SnapshotReader::Taken> SnapshotReader::take(RowBatch& into, const BatchLimits& limits) {
  const Error corrupt =
      halt(Errc::corrupt, "While copying " + table_.name + ": PostgreSQL's rows are not what was asked for.");
  if (!header_seen_ && !pg::TupleDecoder::take_header(message_)) return corrupt;
  header_seen_ = true;
  while (!message_.empty()) {
    const std::size_t taken = into.rows + into.rejected.size();
    const bool trailer = message_.size() == 2;
    if (taken > 0 && !trailer && (taken >= limits.rows_max || bytes_ + message_.size() > limits.bytes_max))
      return Taken::full;
    const std::span<const std::byte> tuple = message_;
    switch (decoder_.decode(message_, into.columns.data(), extra_.data(), into.rows)) {
      case pg::TupleOutcome::row:
        ++into.rows;
        bytes_ += tuple.size() - message_.size();
        pg::count_decoded(into, bytes_);
        break;
      case pg::TupleOutcome::rejected:
        into.rejected.push_back({decoder_.why(), table_.name, {}, std::string(as_text(tuple))});
        bytes_ += tuple.size();
        break;
      case pg::TupleOutcome::trailer:
        break;
      case pg::TupleOutcome::malformed:
        return corrupt;
    }
  }
  return Taken::all;
}

// A row without a key is known by its place; 11 bits are enough for the line, and leave 2^21 blocks.
void SnapshotReader::place_rows(RowBatch& into, PlaceRange range) {
  if (table_.keyed) return;
  constexpr unsigned bits = 11;
  const std::vector<std::byte>& tids = extra_.front().data;
  into.ordinals.resize(into.rows);
  for (std::size_t r = 0; r < into.rows && r * 6 + 6 <= tids.size(); ++r) {
    ByteReader in(std::span<const std::byte>(tids.data() + r * 6, 6));
    const std::uint64_t block = in.big<std::uint32_t>(), line = in.big<std::uint16_t>();
    into.ordinals[r] = static_cast<std::uint32_t>((block - block_of(range.from)) << bits | line);
  }
}

Result<void> SnapshotReader::give_up_copy() {
  connection_->cancel();
  const pg::Wait wait{context_.clock.now() + std::chrono::seconds(30), context_.stop};
  // What was on its way still comes; the error at its end is the answer to the cancelling.
  for (bool more = true; more;) {
    auto next = next_message();
    if (!next && !connection_->alive()) return std::move(next).error();
    if (!next && next.error().code == Errc::stopped) return std::move(next).error();
    more = next && *next;
  }
  copy_.reset();
  PGCH_TRY(connection_->exec("ROLLBACK", {}, "giving up a range", wait));
  return begin_at(*connection_, *options_.point, wait);
}

Result<SnapshotReader::Outcome> SnapshotReader::read(const SnapshotPiece& piece, const BatchLimits& limits,
                                                     RowBatch& into) {
  into.reset(table_.schema);
  for (Column& c : extra_) c.clear();
  bytes_ = 0;
  PGCH_TRY(failed(begin(table_.copy(*piece.part, piece.range, piece.since, piece.before))));
  const bool divisible = halves(piece.range, table_.lines_max).has_value();
  BatchLimits unlimited;
  unlimited.rows_max = ~0U;
  unlimited.bytes_max = ~std::size_t{0};
  for (;;) {
    auto more = failed(next_message());
    if (!more) return std::move(more).error();
    if (!*more) break;
    auto taken = failed(take(into, divisible ? limits : unlimited));
    if (!taken) return std::move(taken).error();
    if (*taken == Taken::full) {
      PGCH_TRY(failed(give_up_copy()));
      return Outcome::too_big;
    }
  }
  place_rows(into, piece.range);
  return Outcome::whole;
}

Result<void> SnapshotReader::read_whole(const SnapshotPart& part, const BatchLimits& limits, RowBatch& into,
                                        const std::function<Result<void>(RowBatch&)>& full) {
  const auto fresh = [&] {
    into.reset(table_.schema);
    for (Column& c : extra_) c.clear();
    bytes_ = 0;
  };
  fresh();
  PGCH_TRY(failed(begin(table_.copy_whole(part))));
  for (;;) {
    auto more = failed(next_message());
    if (!more) return std::move(more).error();
    if (!*more) break;
    for (;;) {
      auto taken = failed(take(into, limits));
      if (!taken) return std::move(taken).error();
      if (*taken == Taken::all) break;
      PGCH_TRY(failed(full(into)));
      fresh();
    }
  }
  return into.rows + into.rejected.size() == 0 ? Result<void>() : full(into);
}

Result<SnapshotReader::Counted> SnapshotReader::count(const SnapshotPiece& piece, std::uint64_t changed_since) {
  if (connection_ == nullptr) {
    PGCH_ASSIGN(connection_, connect_at(options_, context_));
  }
  auto got = failed(connection_->exec(table_.count(*piece.part, piece.range, piece.since, changed_since), {},
                                      "comparing " + table_.name + " with its snapshot",
                                      {Clock::TimePoint::max(), context_.stop}));
  if (!got) return std::move(got).error();
  return Counted{pg::number(got->cell(0, 0)), pg::number(got->cell(0, 1))};
}

}  // namespace pgch
