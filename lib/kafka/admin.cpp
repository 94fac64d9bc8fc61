#include "kafka/admin.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/try.h"
#include "kafka/conf.h"
#include "kafka/errors.h"

namespace pgch::kafka {
namespace {

constexpr int timeout_ms = 15'000;
// librdkafka's questions block; asked in slices, a stop is heeded in between.
constexpr int slice_ms = 1'000;
// While no broker at all can be reached a longer wait helps nobody.
constexpr int unreachable_ms = 5'000;

class AdminClient final : public Admin {
 public:
  AdminClient(const Context& context, std::string group)
      : context_(context), group_(std::move(group)), listener_(context.log) {}

  Result<void> start(const KafkaOptions& options) {
    // Committed offsets are asked for in the group's name; nothing is joined.
    PGCH_ASSIGN(Conf conf, make_conf(options, Role::reader, {{"group.id", group_}}, listener_));
    PGCH_ASSIGN(client_, make_client(RD_KAFKA_CONSUMER, std::move(conf), "preparing"));
    rd_kafka_poll_set_consumer(client_.get());
    return {};
  }

  Result<std::optional<std::int32_t>> partitions(const std::string& topic) override {
    const rd_kafka_metadata_t* raw = nullptr;
    rd_kafka_topic_t* handle = rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr);
    const auto code = handle == nullptr
                          ? rd_kafka_last_error()
                          : ask([&](int ms) { return rd_kafka_metadata(client_.get(), 0, handle, &raw, ms); });
    if (handle != nullptr) rd_kafka_topic_destroy(handle);
    const Metadata metadata(raw);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(code, "asking about topic " + topic);
    for (int i = 0; i < metadata->topic_cnt; ++i) {
      const rd_kafka_metadata_topic_t& t = metadata->topics[i];
      if (topic != t.topic) continue;
      if (t.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return std::optional<std::int32_t>();
      if (t.err != RD_KAFKA_RESP_ERR_NO_ERROR && t.err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return failed(t.err, "asking about topic " + topic);
      return std::optional<std::int32_t>(t.partition_cnt);
    }
    return std::optional<std::int32_t>();
  }

  Result<std::size_t> message_bytes_max(const std::string& topic) override {
    const ConfigResource resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
    std::array<rd_kafka_ConfigResource_t*, 1> list = {resource.get()};
    const std::string doing = "asking for the settings of topic " + topic;
    PGCH_ASSIGN(const Event event, wait(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, doing,
                                        [&](const rd_kafka_AdminOptions_t* o, rd_kafka_queue_t* q) {
                                          rd_kafka_DescribeConfigs(client_.get(), list.data(), list.size(), o, q);
                                        }));
    std::size_t n = 0;
    const auto* resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &n);
    if (n != 1) return halt(Errc::internal, "Kafka: while " + doing + ": there was no answer for it");
    if (const auto code = rd_kafka_ConfigResource_error(resources[0]); code != RD_KAFKA_RESP_ERR_NO_ERROR)
      return failed(code, doing);
    const auto* entries = rd_kafka_ConfigResource_configs(resources[0], &n);
    for (std::size_t i = 0; i < n; ++i) {
      const char* value = rd_kafka_ConfigEntry_value(entries[i]);
      if (value == nullptr || std::strcmp(rd_kafka_ConfigEntry_name(entries[i]), "max.message.bytes") != 0) continue;
      std::size_t bytes = 0;
      std::from_chars(value, value + std::strlen(value), bytes);
      return bytes;
    }
    return std::size_t{1'000'000};  // what Kafka's own default came to for ever
  }

  Result<void> create(const std::string& topic, std::int32_t count, std::int32_t replication,
                      std::size_t message_bytes_max) override {
    std::array<char, 256> text{};
    const NewTopic fresh(rd_kafka_NewTopic_new(topic.c_str(), count, replication, text.data(), text.size()));
    if (!fresh) return halt(Errc::config, "Kafka: topic " + topic + " can't be made: " + text.data());
    if (message_bytes_max != 0) {
      const auto code =
          rd_kafka_NewTopic_set_config(fresh.get(), "max.message.bytes", std::to_string(message_bytes_max).c_str());
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(code, "making topic " + topic);
    }
    std::array<rd_kafka_NewTopic_t*, 1> list = {fresh.get()};
    const std::string doing = "making topic " + topic;
    PGCH_ASSIGN(const Event event,
                wait(RD_KAFKA_ADMIN_OP_CREATETOPICS, doing, [&](const rd_kafka_AdminOptions_t* o, rd_kafka_queue_t* q) {
                  rd_kafka_CreateTopics(client_.get(), list.data(), list.size(), o, q);
                }));
    std::size_t n = 0;
    const auto* topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &n);
    PGCH_TRY(check_topics(topics, n, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, doing));
    return settle(topic, true);
  }

  Result<void> remove(const std::string& topic) override {
    const OldTopic old(rd_kafka_DeleteTopic_new(topic.c_str()));
    std::array<rd_kafka_DeleteTopic_t*, 1> list = {old.get()};
    const std::string doing = "deleting topic " + topic;
    PGCH_ASSIGN(const Event event,
                wait(RD_KAFKA_ADMIN_OP_DELETETOPICS, doing, [&](const rd_kafka_AdminOptions_t* o, rd_kafka_queue_t* q) {
                  rd_kafka_DeleteTopics(client_.get(), list.data(), list.size(), o, q);
                }));
    std::size_t n = 0;
    const auto* topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &n);
    PGCH_TRY(check_topics(topics, n, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, doing));
    return settle(topic, false);
  }

  Result<std::vector<Watermarks>> watermarks(const std::string& topic, std::int32_t count) override {
    std::vector<Watermarks> out(static_cast<std::size_t>(count));
    for (std::int32_t p = 0; p < count; ++p) {
      Watermarks& w = out[static_cast<std::size_t>(p)];
      const auto code = ask([&](int ms) {
        return rd_kafka_query_watermark_offsets(client_.get(), topic.c_str(), p, &w.low, &w.high, ms);
      });
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(code, "asking for the offsets of topic " + topic);
    }
    return out;
  }

  Result<std::vector<CommittedOffset>> committed(const std::string& topic, std::int32_t count) override {
    const PartitionList list(rd_kafka_topic_partition_list_new(count));
    rd_kafka_topic_partition_list_add_range(list.get(), topic.c_str(), 0, count - 1);
    const auto code = ask([&](int ms) { return rd_kafka_committed(client_.get(), list.get(), ms); });
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(code, "asking for the committed offsets of group " + group_);
    std::vector<CommittedOffset> out(static_cast<std::size_t>(count));
    for (int i = 0; i < list->cnt; ++i) {
      const rd_kafka_topic_partition_t& tp = list->elems[i];
      CommittedOffset& c = out[static_cast<std::size_t>(tp.partition)];
      c.offset = tp.offset < 0 ? -1 : tp.offset;
      c.metadata.assign(static_cast<const char*>(tp.metadata), tp.metadata_size);
    }
    return out;
  }

  Result<std::vector<std::int64_t>> offsets_at(const std::string& topic, std::int32_t count,
                                               std::int64_t time_ms) override {
    const PartitionList list(rd_kafka_topic_partition_list_new(count));
    for (std::int32_t p = 0; p < count; ++p)
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset = time_ms;
    const std::string doing = "asking for the offsets of topic " + topic + " at a time";
    const auto code = ask([&](int ms) { return rd_kafka_offsets_for_times(client_.get(), list.get(), ms); });
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(code, doing);
    PGCH_ASSIGN(const std::vector<Watermarks> ends, watermarks(topic, count));
    std::vector<std::int64_t> out(static_cast<std::size_t>(count));
    for (int i = 0; i < list->cnt; ++i) {
      const rd_kafka_topic_partition_t& tp = list->elems[i];
      if (tp.err != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(tp.err, doing);
      const auto p = static_cast<std::size_t>(tp.partition);
      out[p] = tp.offset < 0 ? ends[p].high : tp.offset;
    }
    return out;
  }

  Result<std::size_t> group_members() override {
    std::array<const char*, 1> groups = {group_.c_str()};
    const std::string doing = "asking for the members of group " + group_;
    PGCH_ASSIGN(const Event event, wait(RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, doing,
                                        [&](const rd_kafka_AdminOptions_t* o, rd_kafka_queue_t* q) {
                                          rd_kafka_DescribeConsumerGroups(client_.get(), groups.data(), groups.size(),
                                                                          o, q);
                                        }));
    std::size_t n = 0;
    const auto* found =
        rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event.get()), &n);
    if (n != 1) return halt(Errc::internal, "Kafka: while " + doing + ": there was no answer for it");
    if (const rd_kafka_error_t* e = rd_kafka_ConsumerGroupDescription_error(found[0]); e != nullptr) {
      // A group that never was: newer brokers say so.
      if (rd_kafka_error_code(e) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) return std::size_t{0};
      return failed(rd_kafka_error_code(e), doing);
    }
    return rd_kafka_ConsumerGroupDescription_member_count(found[0]);
  }

  Result<void> commit(const std::string& topic, const std::map<std::int32_t, CommittedOffset>& offsets) override {
    const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
    for (const auto& [partition, committed] : offsets) {
      rd_kafka_topic_partition_t* tp = rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
      tp->offset = committed.offset;
      if (committed.metadata.empty()) continue;
      tp->metadata = rd_kafka_mem_malloc(client_.get(), committed.metadata.size());  // freed with the list
      if (tp->metadata == nullptr) return halt(Errc::limit, "out of memory");
      tp->metadata_size = committed.metadata.size();
      std::copy(committed.metadata.begin(), committed.metadata.end(), static_cast<char*>(tp->metadata));
    }
    const GroupOffsets request(rd_kafka_AlterConsumerGroupOffsets_new(group_.c_str(), list.get()));
    std::array<rd_kafka_AlterConsumerGroupOffsets_t*, 1> requests = {request.get()};
    const std::string doing = "setting the offsets of group " + group_;
    PGCH_ASSIGN(const Event event, wait(RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, doing,
                                        [&](const rd_kafka_AdminOptions_t* o, rd_kafka_queue_t* q) {
                                          rd_kafka_AlterConsumerGroupOffsets(client_.get(), requests.data(),
                                                                             requests.size(), o, q);
                                        }));
    std::size_t n = 0;
    const rd_kafka_group_result_t** groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event.get()), &n);
    for (std::size_t g = 0; g < n; ++g) {
      if (const rd_kafka_error_t* e = rd_kafka_group_result_error(groups[g]); e != nullptr)
        return failed(rd_kafka_error_code(e), doing);
      const rd_kafka_topic_partition_list_t* answered = rd_kafka_group_result_partitions(groups[g]);
      for (int i = 0; answered != nullptr && i < answered->cnt; ++i) {
        const auto code = answered->elems[i].err;
        // Who is no member may commit only while there is none.
        if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP ||
            code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION)
          return halt(Errc::conflict, "group " + group_ + " has members: stop its consumers first");
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(code, doing);
      }
    }
    return {};
  }

 private:
  Error failed(rd_kafka_resp_err_t code, const std::string& doing) {
    if (context_.stop.stop_requested()) return retry(Errc::stopped, "Kafka: stopped while " + doing);
    return listener_.describe(error_of(code, doing));
  }

  template <class Question>
  rd_kafka_resp_err_t ask(Question question) {
    const auto begin = context_.clock.now();
    for (;;) {
      if (context_.stop.stop_requested()) return RD_KAFKA_RESP_ERR__TIMED_OUT;
      const rd_kafka_resp_err_t code = question(slice_ms);
      const bool unanswered = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
                              code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__WAIT_COORD;
      if (!unanswered) {
        listener_.answered();
        return code;
      }
      // The callbacks that tell why are served here.
      if (rd_kafka_message_t* event = rd_kafka_consumer_poll(client_.get(), 0); event != nullptr)
        rd_kafka_message_destroy(event);
      const auto waited = context_.clock.now() - begin;
      if (waited >= std::chrono::milliseconds(listener_.unreachable() ? unreachable_ms : timeout_ms)) return code;
      context_.clock.sleep_until(context_.clock.now() + std::chrono::milliseconds(20), context_.stop);
    }
  }

  template <class Request>
  Result<Event> wait(rd_kafka_admin_op_t op, const std::string& doing, Request request) {
    const Queue queue(rd_kafka_queue_new(client_.get()));
    const AdminOptions options(rd_kafka_AdminOptions_new(client_.get(), op));
    std::array<char, 128> text{};
    (void)rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, text.data(), text.size());
    request(options.get(), queue.get());
    const auto deadline = context_.clock.now() + std::chrono::milliseconds(2 * timeout_ms);
    while (context_.clock.now() < deadline) {
      if (context_.stop.stop_requested()) return retry(Errc::stopped, "Kafka: stopped while " + doing);
      Event event(rd_kafka_queue_poll(queue.get(), 100));
      if (!event) continue;
      const auto code = rd_kafka_event_error(event.get());
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(code, doing);
      return event;
    }
    return failed(RD_KAFKA_RESP_ERR__TIMED_OUT, doing);
  }

  static Result<void> check_topics(const rd_kafka_topic_result_t* const* topics, std::size_t n,
                                   rd_kafka_resp_err_t harmless, const std::string& doing) {
    for (std::size_t i = 0; i < n; ++i) {
      const auto code = rd_kafka_topic_result_error(topics[i]);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == harmless) continue;
      const char* detail = rd_kafka_topic_result_error_string(topics[i]);
      return error_of(code, doing, detail == nullptr ? "" : detail);
    }
    return {};
  }

  // The controller's answer comes before all brokers know: wait until the metadata say so too.
  Result<void> settle(const std::string& topic, bool present) {
    const auto deadline = context_.clock.now() + std::chrono::milliseconds(timeout_ms);
    while (context_.clock.now() < deadline && !context_.stop.stop_requested()) {
      PGCH_ASSIGN(const std::optional<std::int32_t> found, partitions(topic));
      if (found.has_value() == present && (!present || (*found > 0 && watermarks(topic, *found)))) return {};
      context_.clock.sleep_until(context_.clock.now() + std::chrono::milliseconds(50), context_.stop);
    }
    return retry(Errc::timeout, "Kafka: topic " + topic + " is not settled yet");
  }

  Context context_;
  std::string group_;
  Listener listener_;
  Client client_;
};

}  // namespace

Result<std::unique_ptr<Admin>> Admin::open(const KafkaOptions& options, const Context& context) {
  auto admin = std::make_unique<AdminClient>(context, options.group.empty() ? "pgch" : options.group);
  PGCH_TRY(admin->start(options));
  return std::unique_ptr<Admin>(std::move(admin));
}

}  // namespace pgch::kafka
