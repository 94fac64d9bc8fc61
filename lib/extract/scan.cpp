// Scan: COPY of a table in one REPEATABLE READ transaction, in batches.
#include "pgch/extract/scan.h"

#include "base/bytes.h"
#include "base/try.h"
#include "pg/catalog.h"
#include "pg/connection.h"
#include "pg/copy_binary.h"
#include "pg/copy_stream.h"

namespace pgch {
namespace {

class ScanExtractor final : public Extractor {
 public:
  explicit ScanExtractor(ScanOptions options) : options_(std::move(options)) {}

  ExtractorTraits traits() const noexcept override { return {false, "scan"}; }
  Result<void> open(const Context& context, std::vector<Intent> pending) override;
  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override;
  Result<void> acknowledge(const std::string& stream, const Position& position) override {
    acknowledged_.push_back({stream, position});
    return {};
  }
  std::vector<Acknowledged> take_acknowledged() override { return std::exchange(acknowledged_, {}); }
  void abandon(const std::string&, const Position&) noexcept override {}
  void close() noexcept override {
    copy_.reset();
    message_ = {};
    connection_.reset();
  }

 private:
  Result<bool> take(RowBatch& into, const BatchLimits& limits);
  void seal(RowBatch& into);

  ScanOptions options_;
  std::optional<Context> context_;
  std::unique_ptr<pg::Connection> connection_;
  std::optional<pg::CopyStream> copy_;
  std::span<const std::byte> message_;
  pg::TupleDecoder decoder_;
  std::shared_ptr<const TableSchema> schema_;
  std::vector<Acknowledged> acknowledged_;
  std::uint64_t row_ = 0;  // of the first row of the batch: its position
  std::size_t bytes_ = 0;
  bool began_ = false, ended_ = false;
};

Result<void> ScanExtractor::open(const Context& context, std::vector<Intent> pending) {
  close();
  if (!pending.empty()) {
    return halt(Errc::config,
                "The journal holds batches under way, but a scan can't repeat them: use the settings the pipeline was "
                "started with, or another pipeline name.");
  }
  context_.emplace(context);
  acknowledged_.clear();
  row_ = 0;
  began_ = ended_ = false;
  PGCH_ASSIGN(connection_, pg::Connection::open(options_.postgres, *context_));
  const pg::Wait wait{context.clock.now() + std::chrono::seconds(30), context.stop};
  // The catalog is read in the same snapshot: what is described is what is read.
  PGCH_TRY(connection_->exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {}, "beginning a scan", wait));
  PGCH_ASSIGN(pg::CatalogTable table, pg::describe(*connection_, options_.table, options_.columns, {}, wait));
  std::string columns;
  for (const std::string& s : table.selects) columns += (columns.empty() ? "" : ", ") + s;
  const std::size_t count = table.fields.size();
  if (table.row_security) {
    context.log.write(LogLevel::warning, "Table " + display_name(table.source.schema) +
                                             " has row security, and its policies may hide rows from this user: they "
                                             "are not read. A user with BYPASSRLS sees them all.");
  }
  decoder_ = pg::TupleDecoder(std::move(table.fields), count);
  schema_ = std::make_shared<const TableSchema>(std::move(table.source.schema));
  const std::string doing = "scanning " + display_name(*schema_);
  PGCH_TRY(connection_->send("COPY (SELECT " + columns + " FROM " + table.quoted + " t" +
                                 (options_.where.empty() ? "" : " WHERE " + options_.where) +
                                 ") TO STDOUT (FORMAT binary)",
                             {}, doing));
  PGCH_ASSIGN(const pg::Answer answer, connection_->answer({Clock::TimePoint::max(), context.stop}));
  if (!answer.is_copy_out()) return halt(Errc::internal, "While " + doing + ": PostgreSQL did not begin to copy.");
  copy_.emplace(*connection_);
  return {};
}

// True: the message is used up. False: the batch is full, the rest belongs to the next one.
Result<bool> ScanExtractor::take(RowBatch& into, const BatchLimits& limits) {
  const Error corrupt = halt(
      Errc::corrupt, "While scanning " + display_name(*schema_) + ": PostgreSQL's rows are not what was asked for.");
  if (!began_ && !pg::TupleDecoder::take_header(message_)) return corrupt;
  began_ = true;
  while (!message_.empty()) {
    const std::size_t taken = into.rows + into.rejected.size();
    if (taken > 0 && (taken >= limits.rows_max || bytes_ + message_.size() > limits.bytes_max)) return false;
    const std::span<const std::byte> tuple = message_;
    switch (decoder_.decode(message_, into.columns.data(), nullptr, into.rows)) {
      case pg::TupleOutcome::row:
        ++into.rows;
        bytes_ += tuple.size() - message_.size();
        pg::count_decoded(into, bytes_);
        break;
      case pg::TupleOutcome::rejected:
        into.rejected.push_back({decoder_.why(), display_name(*schema_), {}, std::string(as_text(tuple))});
        bytes_ += tuple.size();
        break;
      case pg::TupleOutcome::trailer:
        break;
      case pg::TupleOutcome::malformed:
        return corrupt;
    }
  }
  return true;
}

void ScanExtractor::seal(RowBatch& into) {
  into.stream = "scan:" + display_name(*schema_);
  put_varint(into.position.bytes, row_);
  row_ += into.rows + into.rejected.size();
}

Result<Fetch> ScanExtractor::fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) {
  into.reset(schema_);
  bytes_ = 0;
  if (ended_) return Fetch::end;
  if (!copy_)
    return halt(Errc::connection,
                "The scan was interrupted: its snapshot is gone with its connection; start it again.");
  const auto broken = [this](Error e) {
    close();
    // A snapshot can't be had again: what was read and what would be read need not fit together.
    e.recovery = Recovery::halt;
    return e;
  };
  for (;;) {
    const bool some = into.rows + into.rejected.size() > 0;
    if (!message_.empty()) {
      auto all = take(into, limits);
      if (!all) return broken(std::move(all).error());
      if (!*all) {
        seal(into);
        return Fetch::rows;
      }
      continue;
    }
    auto step = copy_->next();
    if (!step) return broken(std::move(step).error());
    if (*step == pg::CopyStream::Step::message) {
      message_ = copy_->data();
      continue;
    }
    if (*step == pg::CopyStream::Step::end) {
      ended_ = true;
      close();
      if (!some) return Fetch::end;
      seal(into);
      return Fetch::rows;
    }
    pg::Connection* connection = connection_.get();
    if (auto waited = pg::wait_for({&connection, 1}, context_->clock, {deadline, context_->stop}); !waited) {
      if (waited.error().code != Errc::timeout) return broken(std::move(waited).error());
      if (!some) return Fetch::busy;
      seal(into);
      return Fetch::rows;
    }
  }
}

}  // namespace

Result<std::unique_ptr<Extractor>> make_scan(ScanOptions options) {
  PGCH_TRY(quote_postgres_table(options.table));
  return std::unique_ptr<Extractor>(new ScanExtractor(std::move(options)));
}

}  // namespace pgch
