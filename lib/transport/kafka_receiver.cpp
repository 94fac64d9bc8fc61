// Reads a topic as a member of a group, batch by batch, each of one partition. Offsets are committed by the journal
// only.
#include "transport/kafka_receiver.h"

#include <algorithm>
#include <limits>

#include "base/try.h"
#include "transport/assignment.h"
#include "transport/batch_filler.h"
#include "transport/formats.h"
#include "transport/topic_ends.h"

namespace pgch::transport {
namespace {

constexpr std::size_t out_of_partition_max = 2;  // one is loaded while the next is read
constexpr std::size_t out_max = 4;
// So many records of another partition end the wait for more of this one.
constexpr std::size_t worth_a_switch = 2'000, blocks_worth_a_switch = 4;
constexpr int turn_ms = 5;
constexpr std::chrono::seconds join_patience{10};
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
    PGCH_TRY(ends_.look(options_, context));
    PGCH_ASSIGN(consumer_, kafka::Consumer::join(options_, ends_.partitions(), context));
    PGCH_ASSIGN(auto decoder, make_decoder(options_, *context_, schema_));
    filler_ = std::make_unique<BatchFiller>(options_, context, schema_, *consumer_, std::move(decoder));
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
        pass_marks();
        PGCH_TRY(close_settled());
        if (options_.until_end) {
          PGCH_ASSIGN(const bool others_done, ends_.others_reached(options_, *context_, readings_));
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
    filler_->report_repeats();
    readings_.clear();  // the records must go before their client
    {
      const std::lock_guard lock(ownership_->mutex);
      ownership_->owned.clear();
      ownership_->consumer.reset();
    }
    filler_.reset();
    consumer_->close();
    consumer_.reset();
    assigned_ = false;
  }

 private:
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
                begin_partitions(*consumer_, partitions, ends_.first_start() && options_.offset_reset == "latest",
                                 *ownership_, ++epoch_));
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
      if (options_.until_end && reading.at_end && ends_.reached(reading)) continue;
      const std::size_t n = reading.records.size() - reading.used + consumer_->waiting(partition);
      if (n <= most) continue;
      most = n;
      best = &reading;
    }
    return best;
  }

  bool all_at_ends() const {
    if (!assigned_) return false;
    // What is out may come back: then there is more to read.
    if (ownership_->any_out()) return false;
    return std::all_of(readings_.begin(), readings_.end(), [&](const auto& r) {
      return !r.second.replay && (options_.until_end ? ends_.reached(r.second) : r.second.at_end);
    });
  }

  // At the end of a partition nothing but marks of transactions can lie between the last record and the end, and
  // nothing but records that are no rows behind the last batch. They count as read: else the group would never reach
  // the end, and whoever waits for that would wait for ever.
  void pass_marks() {
    const std::lock_guard lock(ownership_->mutex);
    for (auto& [partition, reading] : readings_) {
      Owned& o = ownership_->owned.at(partition);
      if (reading.replay || !o.out.empty() || o.restart || o.revoking) continue;
      const std::int64_t end = std::max(reading.next, reading.reached);
      if (end <= o.done_next) continue;
      reading.next = end;
      o.done_next = reading.next;
      o.done_waters = reading.waters;
      o.dirty = true;
    }
  }

  // True: `into` holds a batch, and it is registered as handed out.
  Result<bool> fill(Reading& reading, RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) {
    into.reset(schema_);
    HandedOut out;
    out.first = reading.next;
    out.before = reading.waters;
    const std::size_t many = options_.format == "native" ? blocks_worth_a_switch : worth_a_switch;
    const auto enough = [&] {
      if (options_.until_end && ends_.reached(reading)) return true;
      return std::any_of(readings_.begin(), readings_.end(), [&](const auto& other) {
        return other.first != reading.partition && consumer_->waiting(other.first) >= many;
      });
    };
    const auto full = filler_->fill(reading, into, limits, deadline, enough);
    if (reading.replay && (!full || !*full)) return leave_replay(reading, full);
    const bool empty = into.rows == 0 && into.rejected.empty();
    // What came before a record that can't be read just now is a batch; the record itself is the next one's first.
    if (!full && (empty || full.error().recovery != Recovery::retry)) return full;
    if (empty) {
      skip_repeats(reading);
      return false;
    }
    hand_out(reading, std::move(out), into);
    return true;
  }

  // Half read it can't be gone on with: it is read again from its note, by us or by the partition's next owner.
  Result<bool> leave_replay(const Reading& reading, const Result<bool>& why) {
    {
      const std::lock_guard lock(ownership_->mutex);
      ownership_->owned.at(reading.partition).restart = true;
    }
    if (!why) return why;
    if (context_->stop.stop_requested() || consumer_->rebalance().kind != kafka::Rebalance::Kind::none) return false;
    return retry(Errc::timeout, "the batch under way in " + ownership_->stream_of(reading.partition) +
                                    " could not be read again in time: look at the brokers");
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
    filler_->report_repeats();
    for (const auto& [partition, reading] : readings_) PGCH_TRY(ownership_->close_partition(partition));
    return {};
  }

  KafkaOptions options_;
  std::shared_ptr<Ownership> ownership_;
  std::optional<Context> context_;
  std::shared_ptr<const TableSchema> schema_;
  TopicEnds ends_;
  bool assigned_ = false;
  std::uint64_t epoch_ = 0;
  std::optional<Clock::TimePoint> revoking_since_;
  std::vector<Acknowledged> acknowledged_;
  std::shared_ptr<kafka::Consumer> consumer_;
  std::unique_ptr<BatchFiller> filler_;
  std::map<std::int32_t, Reading> readings_;  // after the consumer: its records go first
};

}  // namespace

std::unique_ptr<Extractor> make_kafka_receiver(KafkaOptions options, std::shared_ptr<Ownership> ownership) {
  return std::make_unique<KafkaReceiver>(std::move(options), std::move(ownership));
}

}  // namespace pgch::transport
