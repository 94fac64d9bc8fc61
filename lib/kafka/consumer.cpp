#include "kafka/consumer.h"

#include <algorithm>
#include <map>

#include "base/try.h"
#include "kafka/conf.h"
#include "kafka/errors.h"

namespace pgch::kafka {
namespace {

constexpr int answer_ms = 15'000;
// Records that librdkafka may hold ahead of us, over all partitions: about 60 MiB with records of 200 bytes.
constexpr std::int64_t ahead_records = 120'000;
constexpr std::int64_t ahead_kbytes = 48 * 1024;
constexpr std::chrono::milliseconds patience_min{3};
constexpr std::chrono::milliseconds patience_max{500};

Settings read_ahead(std::int32_t partitions) {
  // Each partition has a queue of its own, so the limits count for each.
  const std::int64_t n = std::max<std::int32_t>(partitions, 1);
  return {{"queued.min.messages", std::to_string(std::max<std::int64_t>(ahead_records / n, 2'000))},
          {"queued.max.messages.kbytes", std::to_string(std::max<std::int64_t>(ahead_kbytes / n, 2'048))},
          {"max.partition.fetch.bytes", std::to_string(n > 48 ? 262'144 : 1'048'576)}};
}

}  // namespace

std::int32_t Record::partition() const noexcept { return message_->partition; }
std::int64_t Record::offset() const noexcept { return message_->offset; }
bool Record::has_key() const noexcept { return message_->key != nullptr; }
std::string_view Record::key() const noexcept {
  return message_->key == nullptr ? std::string_view()
                                  : std::string_view(static_cast<const char*>(message_->key), message_->key_len);
}
bool Record::has_value() const noexcept { return message_->payload != nullptr; }
std::string_view Record::value() const noexcept {
  return message_->payload == nullptr ? std::string_view()
                                      : std::string_view(static_cast<const char*>(message_->payload), message_->len);
}
std::int64_t Record::time_ms() const noexcept { return rd_kafka_message_timestamp(message_, nullptr); }
int Record::error() const noexcept { return message_->err; }
bool Record::is_end() const noexcept { return message_->err == RD_KAFKA_RESP_ERR__PARTITION_EOF; }
bool Record::is_out_of_range() const noexcept {
  return message_->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
         message_->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
}
std::string Record::error_text() const { return rd_kafka_message_errstr(message_); }

RecordHeaders::RecordHeaders(const Record& record) noexcept {
  if (rd_kafka_message_detach_headers(record.message_, &list_) != RD_KAFKA_RESP_ERR_NO_ERROR) list_ = nullptr;
}
RecordHeaders::~RecordHeaders() {
  if (list_ != nullptr) rd_kafka_headers_destroy(list_);
}

void RecordHeaders::find(std::span<const std::string_view> names,
                         std::span<std::optional<std::string_view>> values) const {
  if (list_ == nullptr) return;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(list_, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    for (std::size_t n = 0; n < names.size(); ++n) {
      if (names[n] == name) values[n] = std::string_view(static_cast<const char*>(value), value == nullptr ? 0 : size);
    }
  }
}

std::vector<std::pair<std::string, std::string>> RecordHeaders::all() const {
  std::vector<std::pair<std::string, std::string>> out;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; list_ != nullptr && rd_kafka_header_get_all(list_, i, &name, &value, &size) == 0; ++i)
    out.emplace_back(name, value == nullptr ? std::string() : std::string(static_cast<const char*>(value), size));
  return out;
}

void Records::clear() noexcept {
  for (rd_kafka_message_s* m : messages_) rd_kafka_message_destroy(m);
  messages_.clear();
}

class KafkaConsumer final : public Consumer {
 public:
  KafkaConsumer(const Context& context, std::string topic)
      : context_(context), topic_(std::move(topic)), listener_(context.log) {}
  ~KafkaConsumer() override { KafkaConsumer::close(); }
  KafkaConsumer(const KafkaConsumer&) = delete;
  KafkaConsumer& operator=(const KafkaConsumer&) = delete;

  Result<void> start(const KafkaOptions& options, Role role, const Settings& forced) {
    PGCH_ASSIGN(Conf conf, make_conf(options, role, forced, listener_));
    if (role == Role::group) rd_kafka_conf_set_rebalance_cb(conf.get(), &KafkaConsumer::on_rebalance);
    // The callbacks get the listener as their opaque; the consumer is found through it.
    listener_.consumer = this;
    PGCH_ASSIGN(client_, make_client(RD_KAFKA_CONSUMER, std::move(conf), "making a consumer"));
    rd_kafka_poll_set_consumer(client_.get());
    if (role == Role::reader) return {};
    const PartitionList topics(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
    const auto code = rd_kafka_subscribe(client_.get(), topics.get());
    return check(code, "joining group " + options.group);
  }

  Result<void> poll(int timeout_ms) override {
    const Records one = wrap(rd_kafka_consumer_poll(client_.get(), timeout_ms));
    if (one.size() == 0) return {};
    if (one[0].error() == 0) {
      // Of a partition that was just given up: its next owner reads it.
      if (!queues_.contains(one[0].partition())) return {};
      return halt(Errc::internal, "Kafka: a record of topic " + topic_ + " came where none may come; start pgch again");
    }
    // Whatever comes on the common queue is about the connection or the group: records have queues of their own.
    const Error error = error_of(one[0].error(), "reading topic " + topic_, one[0].error_text());
    if (error.recovery == Recovery::halt) return listener_.describe(error);
    context_.log.write(LogLevel::warning, error.message);
    return {};
  }

  const Rebalance& rebalance() const noexcept override { return wish_; }

  Result<std::vector<CommittedOffset>> committed(const std::vector<std::int32_t>& partitions) override {
    const PartitionList list = list_of(partitions);
    PGCH_TRY(
        check(rd_kafka_committed(client_.get(), list.get(), answer_ms), "asking for the group's committed offsets"));
    std::vector<CommittedOffset> out;
    for (int i = 0; i < list->cnt; ++i) {
      const rd_kafka_topic_partition_t& tp = list->elems[i];
      PGCH_TRY(check(tp.err, "asking for the group's committed offsets"));
      CommittedOffset c;
      c.offset = tp.offset < 0 ? -1 : tp.offset;
      if (tp.metadata != nullptr) c.metadata.assign(static_cast<const char*>(tp.metadata), tp.metadata_size);
      out.push_back(std::move(c));
    }
    return out;
  }

  Result<void> assign(const std::vector<std::pair<std::int32_t, std::int64_t>>& from) override {
    const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(from.size())));
    queues_.clear();
    for (const auto& [partition, offset] : from) {
      rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition)->offset = offset;
      // Before the assignment: records must not get into the common queue.
      Queue queue(rd_kafka_queue_get_partition(client_.get(), topic_.c_str(), partition));
      if (!queue) return error_of(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "reading topic " + topic_);
      rd_kafka_queue_forward(queue.get(), nullptr);
      queues_[partition].queue = std::move(queue);
    }
    wish_ = {};
    return check(rd_kafka_assign(client_.get(), list.get()), "taking over partitions of topic " + topic_);
  }

  Result<void> unassign() override {
    queues_.clear();
    wish_ = {};
    return check(rd_kafka_assign(client_.get(), nullptr), "giving up partitions of topic " + topic_);
  }

  Result<void> seek(std::int32_t partition, std::int64_t offset) override {
    const PartitionList list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition)->offset = offset;
    const std::string doing = "going back in topic " + topic_;
    const Failure failure(rd_kafka_seek_partitions(client_.get(), list.get(), answer_ms));
    if (failure) return check(rd_kafka_error_code(failure.get()), doing);
    if (const auto queue = queues_.find(partition); queue != queues_.end()) queue->second.at_end = false;
    return check(list->elems[0].err, doing);
  }

  std::size_t take(std::int32_t partition, Records& into, std::size_t max, int timeout_ms) override {
    const auto found = queues_.find(partition);
    if (found == queues_.end() || max == 0) return 0;
    PartitionQueue& queue = found->second;
    const std::size_t had = into.messages_.size();
    into.messages_.resize(had + max);
    const ssize_t n = rd_kafka_consume_batch_queue(queue.queue.get(), timeout_ms, into.messages_.data() + had, max);
    into.messages_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    const std::size_t taken = into.messages_.size() - had;
    queue.taken += taken;
    if (taken != 0) queue.at_end = into[into.size() - 1].is_end();
    wake_fetcher(partition, queue);
    return taken;
  }

  std::size_t waiting(std::int32_t partition) override {
    const auto found = queues_.find(partition);
    return found == queues_.end() ? 0 : wake_fetcher(partition, found->second);
  }

  Result<Watermarks> watermarks(std::int32_t partition) override {
    Watermarks w;
    PGCH_TRY(
        check(rd_kafka_query_watermark_offsets(client_.get(), topic_.c_str(), partition, &w.low, &w.high, answer_ms),
              "asking for the offsets of topic " + topic_));
    return w;
  }

  Result<void> commit(std::int32_t partition, std::int64_t offset, const std::string& metadata) override {
    const PartitionList list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_t* tp = rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition);
    tp->offset = offset;
    tp->metadata = rd_kafka_mem_malloc(client_.get(), metadata.size());  // freed with the list
    if (tp->metadata == nullptr) return halt(Errc::limit, "out of memory");
    tp->metadata_size = metadata.size();
    std::copy(metadata.begin(), metadata.end(), static_cast<char*>(tp->metadata));
    const Queue queue(rd_kafka_queue_new(client_.get()));
    const std::string doing = "committing an offset of topic " + topic_;
    PGCH_TRY(check(rd_kafka_commit_queue(client_.get(), list.get(), queue.get(), nullptr, nullptr), doing));
    const auto deadline = context_.clock.now() + std::chrono::milliseconds(2 * answer_ms);
    while (context_.clock.now() < deadline) {
      const Event event(rd_kafka_queue_poll(queue.get(), 100));
      if (!event) continue;
      PGCH_TRY(check(rd_kafka_event_error(event.get()), doing));
      const rd_kafka_topic_partition_list_t* answered = rd_kafka_event_topic_partition_list(event.get());
      return answered != nullptr && answered->cnt > 0 ? check(answered->elems[0].err, doing) : Result<void>();
    }
    return check(RD_KAFKA_RESP_ERR__TIMED_OUT, doing);
  }

  void close() noexcept override {
    if (!client_) return;
    closing_ = true;
    queues_.clear();
    // Answer what is still open, or closing would wait for it.
    if (wish_.kind != Rebalance::Kind::none) rd_kafka_assign(client_.get(), nullptr);
    rd_kafka_consumer_close(client_.get());
    client_.reset();
  }

 private:
  struct PartitionQueue {
    Queue queue;
    std::uint64_t taken = 0;    // by us, so far
    std::uint64_t arrived = 0;  // taken, and waiting at the last look
    bool at_end = false;        // the last record taken said so
    Clock::TimePoint quiet_since;
    std::chrono::milliseconds patience = patience_min;
  };
  // The listener is the callbacks' opaque.
  struct GroupListener : Listener {
    using Listener::Listener;
    KafkaConsumer* consumer = nullptr;
  };

  // Returns how many records wait. Before librdkafka 2.2 the fetching thread sleeps for up to a second once it found a
  // queue full, by records or by bytes, and does not notice when it is emptied. Any request to the partition's leader
  // wakes it: this one costs a millisecond, or, if the leader holds a fetch back for want of new records, as long as
  // that (fetch.wait.max.ms). So it is sent only when there is nothing to do: the queue is empty, its end was not
  // reached, and nothing has come for a while.
  std::size_t wake_fetcher(std::int32_t partition, PartitionQueue& queue) {
    const std::size_t waiting = rd_kafka_queue_length(queue.queue.get());
    if (rd_kafka_version() >= 0x02020000) return waiting;
    const Clock::TimePoint now = context_.clock.now();
    if (queue.taken + waiting != queue.arrived) {
      queue.arrived = queue.taken + waiting;
      queue.quiet_since = now;
      queue.patience = patience_min;
    }
    if (waiting != 0 || queue.at_end || now - queue.quiet_since < queue.patience) return waiting;
    std::int64_t low = 0;
    std::int64_t high = 0;
    (void)rd_kafka_query_watermark_offsets(client_.get(), topic_.c_str(), partition, &low, &high, 100);
    queue.quiet_since = context_.clock.now();
    queue.patience = std::min(queue.patience * 2, patience_max);
    return waiting;
  }

  static Records wrap(rd_kafka_message_t* message) {
    Records records;
    if (message != nullptr) records.messages_.push_back(message);
    return records;
  }

  PartitionList list_of(const std::vector<std::int32_t>& partitions) const {
    PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const std::int32_t p : partitions) rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), p);
    return list;
  }

  Result<void> check(rd_kafka_resp_err_t code, const std::string& doing) {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    return listener_.describe(error_of(code, doing));
  }

  static void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions,
                           void* opaque) {
    KafkaConsumer& self = *static_cast<GroupListener*>(static_cast<Listener*>(opaque))->consumer;
    if (self.closing_) {
      rd_kafka_assign(client, nullptr);
      return;
    }
    self.wish_.partitions.clear();
    for (int i = 0; i < partitions->cnt; ++i) self.wish_.partitions.push_back(partitions->elems[i].partition);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
      self.wish_.kind = Rebalance::Kind::assigned;
    } else {
      self.wish_.kind = rd_kafka_assignment_lost(client) != 0 ? Rebalance::Kind::lost : Rebalance::Kind::revoked;
    }
  }

  Context context_;
  std::string topic_;
  GroupListener listener_;
  Rebalance wish_;
  bool closing_ = false;
  Client client_;
  std::map<std::int32_t, PartitionQueue> queues_;
};

Result<std::unique_ptr<Consumer>> Consumer::join(const KafkaOptions& options, std::int32_t partitions,
                                                 const Context& context) {
  auto consumer = std::make_unique<KafkaConsumer>(context, options.topic);
  PGCH_TRY(consumer->start(options, Role::group, read_ahead(partitions)));
  return std::unique_ptr<Consumer>(std::move(consumer));
}

Result<std::unique_ptr<Consumer>> Consumer::read(const KafkaOptions& options, const Context& context, Sees sees) {
  auto consumer = std::make_unique<KafkaConsumer>(context, options.topic);
  PGCH_TRY(consumer->start(options, Role::reader,
                           {{"isolation.level", sees == Sees::all ? "read_uncommitted" : "read_committed"}}));
  return std::unique_ptr<Consumer>(std::move(consumer));
}

}  // namespace pgch::kafka
