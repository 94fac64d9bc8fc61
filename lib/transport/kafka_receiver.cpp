// Reads a topic as a member of a group, batch by batch, each of one partition. Offsets are committed by the journal
// only.
#include "transport/kafka_receiver.h"

#include <algorithm>
#include <limits>

#include "base/try.h"
#include "kafka/errors.h"
#include "transport/assignment.h"
#include "transport/record_reader.h"

namespace pgch::transport {
namespace {

constexpr std::size_t records_at_once = 10'000;
constexpr std::size_t out_of_partition_max = 2;  // one is loaded while the next is read
constexpr std::size_t out_max = 4;
constexpr std::uint32_t rejected_in_a_row_max = 1'000;
constexpr std::size_t worth_a_switch = 2'000;  // so many records of another partition end the wait for more of this one
constexpr int turn_ms = 5;
constexpr std::chrono::seconds join_patience{10};
constexpr std::chrono::seconds replay_patience{60};
// Less than max.poll.interval.ms: a batch that takes longer to load is left to the next owner.
constexpr std::chrono::seconds revoke_patience{120};

class KafkaReceiver final : public Extractor {
 public:
  KafkaReceiver(KafkaOptions options, std::shared_ptr<Ownership> ownership)
      : options_(std::move(options)), ownership_(std::move(ownership)) {}
  ~KafkaReceiver() override { KafkaReceiver::close(); }
  KafkaReceiver(const KafkaReceiver&) = delete;
  KafkaReceiver& operator=(const KafkaReceiver&) = delete;

  ExtractorTraits traits() const noexcept override { return {true, "kafka", true}; }

  Result<void> open(const Context& context, std::vector<Intent>) override {
    close();
    context_.emplace(context);
    if (!options_.schema)
      return halt(Errc::config, "a Kafka consumer needs to know the table that messages are turned into");
    PGCH_ASSIGN(TableSchema schema, options_.schema());
    schema_ = std::make_shared<const TableSchema>(std::move(schema));
    reader_ = std::make_unique<RecordReader>(options_, schema_);
    PGCH_TRY(look_around());
    PGCH_ASSIGN(consumer_, kafka::Consumer::join(options_, partitions_, context));
    {
      const std::lock_guard lock(ownership_->mutex);
      ownership_->consumer = consumer_;
    }
    const auto patience = context.clock.now() + join_patience;
    while (!assigned_ && context.clock.now() < patience && !context.stop.stop_requested()) {
      PGCH_TRY(consumer_->poll(50));
      PGCH_TRY(serve_group());
    }
    if (!assigned_)
      context.log.write(LogLevel::info,
                        "waiting for group " + options_.group + " to assign partitions of topic " + options_.topic);
    return {};
  }

  std::shared_ptr<const TableSchema> known_schema() const override { return schema_; }

  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override {
    into.reset(schema_);
    while (true) {
      PGCH_TRY(consumer_->poll(0));
      PGCH_TRY(serve_group());
      PGCH_TRY(restart_abandoned());
      if (Reading* reading = choose(); reading != nullptr) {
        PGCH_ASSIGN(const bool filled, fill(*reading, into, limits, deadline));
        if (filled) return Fetch::rows;
        continue;
      }
      const bool at_ends = all_at_ends();
      if (at_ends) {
        PGCH_TRY(close_settled());
        if (options_.until_end) {
          PGCH_ASSIGN(const bool others_done, others_at_ends());
          if (others_done) return Fetch::end;
        }
      }
      if (context_->clock.now() >= deadline || context_->stop.stop_requested())
        return at_ends && !options_.until_end ? Fetch::idle : Fetch::busy;
      PGCH_TRY(consumer_->poll(turn_ms));
      // What is out may be what keeps us from reading on, and its acknowledgement comes between two calls only.
      if (ownership_->any_out()) return Fetch::busy;
    }
  }

  Result<void> acknowledge(const std::string& stream, const Position& position) override {
    ownership_->finish(stream, position);
    acknowledged_.push_back({stream, position});
    return {};
  }
  std::vector<Acknowledged> take_acknowledged() override { return std::exchange(acknowledged_, {}); }

  void abandon(const std::string& stream, const Position& position) noexcept override {
    const auto place = decode_position(position);
    const std::lock_guard lock(ownership_->mutex);
    Owned* o = ownership_->find(stream);
    if (o == nullptr || !place || place->epoch != o->epoch) return;
    const auto gone =
        std::find_if(o->out.begin(), o->out.end(), [&](const HandedOut& h) { return h.first == place->first; });
    if (gone == o->out.end()) return;
    // Begun and not finished: its note must stay the partition's last commit, so that the next owner looks for it. An
    // acknowledgement of the batch before it, told after its intent was committed, must not commit over that.
    if (gone->intended) o->dirty = false;
    o->out.erase(gone);
    o->restart = true;
  }

  void close() noexcept override {
    if (!consumer_) return;
    {
      const std::lock_guard lock(ownership_->mutex);
      // What was not begun may be forgotten; what was begun and not finished stays open in its note.
      for (auto& [partition, o] : ownership_->owned)
        std::erase_if(o.out, [](const HandedOut& h) { return !h.intended; });
    }
    if (auto closed = close_settled(); !closed) context_->log.write(LogLevel::warning, closed.error().message);
    report_repeats();
    readings_.clear();  // the records must go before their client
    {
      const std::lock_guard lock(ownership_->mutex);
      ownership_->owned.clear();
      ownership_->consumer.reset();
    }
    consumer_->close();
    consumer_.reset();
    assigned_ = false;
  }

 private:
  // The topic's shape, and its ends for until_end.
  Result<void> look_around() {
    PGCH_ASSIGN(const auto admin, kafka::Admin::open(options_, *context_));
    PGCH_ASSIGN(std::optional<std::int32_t> partitions, admin->partitions(options_.topic));
    if (!partitions && !options_.create_topic) {
      return halt(Errc::not_found,
                  "topic " + options_.topic +
                      " does not exist; start the producer first, create it, or switch create_topic on");
    }
    if (!partitions) {
      // The producing half makes it with its first batch only, and that may be long in coming.
      PGCH_TRY(admin->create(options_.topic, options_.partitions, options_.replication));
      context_->log.write(LogLevel::warning, "topic " + options_.topic + " did not exist; made it with " +
                                                 std::to_string(options_.partitions) + " partitions");
      PGCH_ASSIGN(partitions, admin->partitions(options_.topic));
    }
    partitions_ = partitions.value_or(0);
    until_.clear();
    PGCH_ASSIGN(const std::vector<kafka::Watermarks> marks, admin->watermarks(options_.topic, partitions_));
    lows_.clear();
    for (const kafka::Watermarks& w : marks) until_.push_back(w.high), lows_.push_back(w.low);
    PGCH_ASSIGN(const std::vector<kafka::CommittedOffset> committed, admin->committed(options_.topic, partitions_));
    // A partition that was added later has no commit either, and its first records are wanted.
    first_start_ =
        std::all_of(committed.begin(), committed.end(), [](const kafka::CommittedOffset& c) { return c.offset < 0; });
    return {};
  }

  Result<void> serve_group() {
    const kafka::Rebalance wish = consumer_->rebalance();
    switch (wish.kind) {
      case kafka::Rebalance::Kind::none:
        return {};
      case kafka::Rebalance::Kind::assigned:
        return take_over(wish.partitions);
      case kafka::Rebalance::Kind::lost:
        context_->log.write(LogLevel::warning,
                            "group " + options_.group + " took all partitions of topic " + options_.topic +
                                " away without asking; what was under way is settled by their next owners");
        return give_up();
      case kafka::Rebalance::Kind::revoked:
        return hand_over();
    }
    return {};
  }

  Result<void> take_over(const std::vector<std::int32_t>& partitions) {
    PGCH_ASSIGN(std::vector<Begin> begins,
                begin_partitions(*consumer_, partitions, first_start_ && options_.offset_reset == "latest", *ownership_,
                                 ++epoch_));
    std::vector<std::pair<std::int32_t, std::int64_t>> from;
    readings_.clear();
    std::vector<std::int32_t> pins;
    {
      const std::lock_guard lock(ownership_->mutex);
      ownership_->owned.clear();
      for (Begin& b : begins) {
        const std::int32_t p = b.reading.partition;
        from.emplace_back(p, b.reading.next);
        if (b.pin) pins.push_back(p);
        if (b.reading.replay)
          context_->log.write(
              LogLevel::info,
              ownership_->stream_of(p) + ": a batch was under way when its earlier owner ended; settling it first");
        ownership_->owned.emplace(p, std::move(b.owned));
        readings_.emplace(p, std::move(b.reading));
      }
    }
    PGCH_TRY(consumer_->assign(from));
    assigned_ = true;
    revoking_since_.reset();
    for (const std::int32_t p : pins) PGCH_TRY(ownership_->close_partition(p));
    context_->log.write(LogLevel::info,
                        "reading " + std::to_string(partitions.size()) + " partitions of topic " + options_.topic);
    return {};
  }

  // Waits, over several calls, until what is under way has settled; then commits, and lets go.
  Result<void> hand_over() {
    const auto now = context_->clock.now();
    if (!revoking_since_) revoking_since_ = now;
    {
      const std::lock_guard lock(ownership_->mutex);
      bool under_way = false;
      for (auto& [partition, o] : ownership_->owned) {
        o.revoking = true;
        std::erase_if(o.out, [](const HandedOut& h) { return !h.intended; });
        o.settle();
        under_way = under_way || o.under_way();
      }
      if (under_way && now - *revoking_since_ < revoke_patience) return {};
    }
    if (auto closed = close_settled(); !closed) context_->log.write(LogLevel::warning, closed.error().message);
    return give_up();
  }

  Result<void> give_up() {
    readings_.clear();
    {
      const std::lock_guard lock(ownership_->mutex);
      ownership_->owned.clear();
    }
    ownership_->changed.notify_all();
    assigned_ = false;
    revoking_since_.reset();
    return consumer_->unassign();
  }

  // An abandoned batch, and what was read behind it, is read again, with its intent if it had one.
  Result<void> restart_abandoned() {
    for (auto& [partition, reading] : readings_) {
      {
        const std::lock_guard lock(ownership_->mutex);
        Owned& o = ownership_->owned.at(partition);
        if (!o.restart || o.revoking) continue;
        std::erase_if(o.out, [](const HandedOut& h) { return !h.intended; });
        if (!o.out.empty()) continue;
      }
      PGCH_TRY(ownership_->close_partition(partition));
      PGCH_ASSIGN(std::vector<Begin> begins, begin_partitions(*consumer_, {partition}, false, *ownership_, ++epoch_));
      PGCH_TRY(consumer_->seek(partition, begins.front().reading.next));
      const std::lock_guard lock(ownership_->mutex);
      Owned& o = ownership_->owned.at(partition);
      // The numbers given out so far stay given out.
      begins.front().owned.note.sequence = std::max(begins.front().owned.note.sequence, o.note.sequence);
      begins.front().owned.note.attempt = std::max(begins.front().owned.note.attempt, o.note.attempt);
      o = std::move(begins.front().owned);
      reading = std::move(begins.front().reading);
    }
    return {};
  }

  // The partition with most to read; one that has a batch to replay before all.
  Reading* choose() {
    Reading* best = nullptr;
    std::size_t most = 0;
    const std::lock_guard lock(ownership_->mutex);
    std::size_t out = 0;
    for (const auto& [partition, o] : ownership_->owned) out += o.out.size();
    if (out >= out_max) return nullptr;
    for (auto& [partition, reading] : readings_) {
      const Owned& o = ownership_->owned.at(partition);
      if (o.revoking || o.restart || o.out.size() >= out_of_partition_max) continue;
      if (reading.replay) return &reading;
      if (options_.until_end && reading.at_end && past_until(reading)) continue;
      const std::size_t n = reading.records.size() - reading.used + consumer_->waiting(partition);
      if (n <= most) continue;
      most = n;
      best = &reading;
    }
    return best;
  }

  bool past_until(const Reading& reading) const {
    const auto p = static_cast<std::size_t>(reading.partition);
    return p >= until_.size() || std::max(reading.next, reading.reached) >= until_[p];
  }

  bool all_at_ends() const {
    if (!assigned_) return false;
    // What is out may come back: then there is more to read.
    if (ownership_->any_out()) return false;
    return std::all_of(readings_.begin(), readings_.end(), [&](const auto& r) {
      return !r.second.replay && (options_.until_end ? past_until(r.second) : r.second.at_end);
    });
  }

  // Partitions that other members hold count as well: after a crash the dead member keeps its own until its session
  // ends, and they come to us only then.
  Result<bool> others_at_ends() {
    if (readings_.size() == until_.size()) return true;
    if (context_->clock.now() < next_look_) return false;
    next_look_ = context_->clock.now() + std::chrono::seconds(1);
    PGCH_ASSIGN(const auto admin, kafka::Admin::open(options_, *context_));
    PGCH_ASSIGN(const std::vector<kafka::CommittedOffset> committed, admin->committed(options_.topic, partitions_));
    for (std::size_t p = 0; p < until_.size(); ++p) {
      if (readings_.contains(static_cast<std::int32_t>(p))) continue;
      const std::int64_t reached = p < committed.size() ? std::max(committed[p].offset, lows_[p]) : lows_[p];
      if (reached < until_[p]) return false;
    }
    return true;
  }

  // True: `into` holds a batch, and it is registered as handed out.
  Result<bool> fill(Reading& reading, RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) {
    into.reset(schema_);
    const bool replaying = reading.replay.has_value();
    const auto begin = context_->clock.now();
    HandedOut out;
    out.first = reading.next;
    out.before = reading.waters;
    auto until = replaying ? begin + replay_patience : std::min(deadline, begin + limits.linger);
    std::size_t bytes = 0;
    bool full = false;
    while (!full) {
      if (reading.used == reading.records.size()) {
        const bool got = refill(reading, limits.rows_max - std::min(into.rows, limits.rows_max));
        if (!got && !wait_for_more(reading, into, until)) break;
        if (!got) PGCH_TRY(consumer_->poll(turn_ms));
        if (got && replaying) until = context_->clock.now() + replay_patience;
        continue;
      }
      PGCH_ASSIGN(full, take_records(reading, into, limits, bytes));
    }
    if (replaying && !full) return leave_replay(reading);
    if (!replaying && into.rows == 0 && into.rejected.empty()) {
      skip_repeats(reading);
      return false;
    }
    hand_out(reading, std::move(out), into);
    return true;
  }

  // Half read it can't be gone on with: it is read again from its note, by us or by the partition's next owner.
  Result<bool> leave_replay(const Reading& reading) {
    {
      const std::lock_guard lock(ownership_->mutex);
      ownership_->owned.at(reading.partition).restart = true;
    }
    if (context_->stop.stop_requested() || consumer_->rebalance().kind != kafka::Rebalance::Kind::none) return false;
    return retry(Errc::timeout, "the batch under way in " + ownership_->stream_of(reading.partition) +
                                    " could not be read again in time: look at the brokers");
  }

  bool refill(Reading& reading, std::size_t wanted) {
    reading.records.clear();
    reading.used = 0;
    return consumer_->take(reading.partition, reading.records, std::clamp<std::size_t>(wanted, 1, records_at_once),
                           0) != 0;
  }

  bool wait_for_more(const Reading& reading, const RowBatch& into, Clock::TimePoint until) const {
    if (context_->stop.stop_requested() || context_->clock.now() >= until ||
        consumer_->rebalance().kind != kafka::Rebalance::Kind::none)
      return false;
    if (reading.replay) return true;
    if (into.rows == 0 && into.rejected.empty()) return false;
    if (options_.until_end && past_until(reading)) return false;
    return std::none_of(readings_.begin(), readings_.end(), [&](const auto& other) {
      return other.first != reading.partition && consumer_->waiting(other.first) >= worth_a_switch;
    });
  }

  // True: the batch is complete.
  Result<bool> take_records(Reading& reading, RowBatch& into, const BatchLimits& limits, std::size_t& bytes) {
    for (; reading.used < reading.records.size(); ++reading.used) {
      const kafka::Record record = reading.records[reading.used];
      if (reading.replay && std::max(reading.reached, record.offset()) > reading.replay->last) return true;
      if (record.error() != 0) {
        PGCH_TRY(take_event(reading, record));
        continue;
      }
      if (!reading.replay &&
          (into.rows >= limits.rows_max || (bytes != 0 && bytes + record.value().size() > limits.bytes_max)))
        return true;
      reading.next = reading.reached = record.offset() + 1;
      reading.at_end = false;
      const std::size_t before = bytes;
      bytes += record.value().size() + record.key().size();
      switch (reader_->take(record, into, reading.waters)) {
        case RecordReader::Outcome::row:
          rejected_in_a_row_ = 0;
          break;
        case RecordReader::Outcome::repeat:
          bytes = before;
          ++repeats_;
          break;
        case RecordReader::Outcome::rejected:
          PGCH_TRY(count_rejected(into));
          break;
      }
    }
    if (reading.replay) return reading.reached > reading.replay->last;
    return into.rows >= limits.rows_max || bytes >= limits.bytes_max;
  }

  Result<void> take_event(Reading& reading, const kafka::Record& record) {
    if (record.is_end()) {
      reading.reached = std::max(reading.reached, record.offset());
      reading.at_end = true;
      return {};
    }
    const std::string stream = ownership_->stream_of(reading.partition);
    if (record.is_out_of_range()) return explain_out_of_range(*consumer_, stream, reading);
    const Error error = kafka::error_of(record.error(), "reading " + stream, record.error_text());
    if (error.recovery == Recovery::halt) return error;
    context_->log.write(LogLevel::warning, error.message);
    return {};
  }

  Result<void> count_rejected(const RowBatch& into) {
    if (++rejected_in_a_row_ <= rejected_in_a_row_max) return {};
    return halt(Errc::schema,
                "more than " + std::to_string(rejected_in_a_row_max) + " messages of topic " + options_.topic +
                    " in a row can't be turned into rows of " + display_name(*schema_) +
                    ", so it is not the messages that are wrong; the last one: " + into.rejected.back().reason);
  }

  // Only repeats came: the next batch begins behind them, and if nothing is out, the group may know.
  void skip_repeats(const Reading& reading) {
    const std::lock_guard lock(ownership_->mutex);
    Owned& o = ownership_->owned.at(reading.partition);
    if (!o.out.empty() || reading.next == o.done_next) return;
    o.done_next = reading.next;
    o.done_waters = reading.waters;
    o.dirty = true;
  }

  void hand_out(Reading& reading, HandedOut out, RowBatch& into) {
    const std::lock_guard lock(ownership_->mutex);
    Owned& o = ownership_->owned.at(reading.partition);
    into.stream = ownership_->stream_of(reading.partition);
    if (reading.replay) reading.next = std::max(reading.next, reading.replay->last + 1);
    out.next = reading.next;
    out.after = reading.waters;
    into.position = encode_position({o.epoch, out.first, out.next});
    if (reading.replay) {
      const Note& note = *reading.replay;
      out.sequence = note.sequence;
      out.first_attempt = note.first_attempt;
      out.intended = true;
      into.intent = intent_of(note, into.stream, into.position);
      reading.replay.reset();
    }
    o.out.push_back(std::move(out));
  }

  Result<void> close_settled() {
    report_repeats();
    for (const auto& [partition, reading] : readings_) PGCH_TRY(ownership_->close_partition(partition));
    return {};
  }

  void report_repeats() {
    if (repeats_ == 0) return;
    context_->log.write(LogLevel::info, "topic " + options_.topic + ": " + std::to_string(repeats_) +
                                            " repeated records were left out");
    repeats_ = 0;
  }

  KafkaOptions options_;
  std::shared_ptr<Ownership> ownership_;
  std::optional<Context> context_;
  std::shared_ptr<const TableSchema> schema_;
  std::unique_ptr<RecordReader> reader_;
  std::int32_t partitions_ = 0;
  std::vector<std::int64_t> until_;
  std::vector<std::int64_t> lows_;
  Clock::TimePoint next_look_;
  bool first_start_ = false;
  bool assigned_ = false;
  std::uint64_t epoch_ = 0;
  std::optional<Clock::TimePoint> revoking_since_;
  std::uint32_t rejected_in_a_row_ = 0;
  std::uint64_t repeats_ = 0;
  std::vector<Acknowledged> acknowledged_;
  std::shared_ptr<kafka::Consumer> consumer_;
  std::map<std::int32_t, Reading> readings_;  // after the consumer: its records go first
};

}  // namespace

std::unique_ptr<Extractor> make_kafka_receiver(KafkaOptions options, std::shared_ptr<Ownership> ownership) {
  return std::make_unique<KafkaReceiver>(std::move(options), std::move(ownership));
}

}  // namespace pgch::transport
