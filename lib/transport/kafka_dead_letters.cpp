// Dead letters as records of a topic of their own: key and value as they were, the reason and the origin in headers.
#include <array>
#include <mutex>
#include <optional>

#include "base/try.h"
#include "kafka/admin.h"
#include "kafka/producer.h"
#include "transport/kafka_receiver.h"

namespace pgch::transport {
namespace {

constexpr std::size_t record_overhead = 1'024;
constexpr std::size_t room_for_headers = 65'536;

// "topic/partition@offset"; anything else is passed on whole.
struct Origin {
  std::string_view topic, partition, offset;
};
std::optional<Origin> split_origin(std::string_view text) {
  const std::size_t at = text.rfind('@');
  const std::size_t slash = at == std::string_view::npos ? at : text.substr(0, at).rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  return Origin{text.substr(0, slash), text.substr(slash + 1, at - slash - 1), text.substr(at + 1)};
}

class TopicDeadLetters final : public DeadLetters {
 public:
  explicit TopicDeadLetters(KafkaOptions options) : options_(std::move(options)) {
    topic_ = options_.dead_letter_topic.empty() ? options_.topic + ".dlq" : options_.dead_letter_topic;
  }
  ~TopicDeadLetters() override { TopicDeadLetters::close(); }
  TopicDeadLetters(const TopicDeadLetters&) = delete;
  TopicDeadLetters& operator=(const TopicDeadLetters&) = delete;

  Result<void> open(const Context& context) override {
    const std::lock_guard lock(mutex_);
    context_.emplace(context);
    return {};
  }

  // The topic is looked for, or made, with the first dead letter only: most pipelines never have one.
  Result<void> put(const std::string& stream, const std::vector<Rejected>& rejected) override {
    const std::lock_guard lock(mutex_);
    if (!producer_) PGCH_TRY(connect());
    auto sent = send(stream, rejected);
    if (sent) sent = producer_->finish();
    if (!sent) {
      producer_.reset();
      // A repetition doubles a dead letter, and that is harmless: the origin in its headers tells.
      Error error = std::move(sent).error();
      error.in_doubt = false;
      return error;
    }
    return {};
  }

  void close() noexcept override {
    const std::lock_guard lock(mutex_);
    producer_.reset();
    context_.reset();
  }

 private:
  Result<void> connect() {
    if (!context_) return halt(Errc::internal, "dead letters were written before they were opened");
    PGCH_ASSIGN(const auto admin, kafka::Admin::open(options_, *context_));
    PGCH_ASSIGN(const std::optional<std::int32_t> partitions, admin->partitions(topic_));
    if (!partitions) {
      if (!options_.create_topic)
        return halt(Errc::not_found,
                    "topic " + topic_ + " for dead letters does not exist; create it, or switch create_topic on");
      // Whatever the topic takes has room here, its reason as well.
      PGCH_ASSIGN(const std::size_t theirs, admin->message_bytes_max(options_.topic));
      PGCH_TRY(admin->create(topic_, 1, options_.replication, theirs + room_for_headers));
      context_->log.write(LogLevel::info, "made topic " + topic_ + " for dead letters");
    }
    PGCH_ASSIGN(bytes_max_, admin->message_bytes_max(topic_));
    PGCH_ASSIGN(producer_, kafka::Producer::open(options_, topic_, bytes_max_, *context_));
    return {};
  }

  Result<void> send(const std::string& stream, const std::vector<Rejected>& rejected) {
    for (const Rejected& r : rejected) {
      std::vector<kafka::Header> headers = {{"pgch-reason", r.reason}, {"pgch-stream", stream}};
      if (const auto origin = split_origin(r.origin); origin) {
        headers.push_back({"pgch-topic", origin->topic});
        headers.push_back({"pgch-partition", origin->partition});
        headers.push_back({"pgch-offset", origin->offset});
      } else {
        headers.push_back({"pgch-origin", r.origin});
      }
      kafka::Outgoing message;
      message.key = r.key;
      message.has_key = !r.key.empty();
      message.value = r.payload;
      message.tombstone = r.payload_is_null;
      const std::string size = std::to_string(r.payload.size());
      if (const std::size_t room = bytes_max_ - std::min(bytes_max_, r.key.size() + r.reason.size() + record_overhead);
          r.payload.size() > room) {
        // Its whole is still in its own topic, at the offset that the headers name.
        message.value = std::string_view(r.payload).substr(0, room);
        headers.push_back({"pgch-truncated-from", size});
      }
      message.headers = headers;
      PGCH_TRY(producer_->send(message));
    }
    return {};
  }

  KafkaOptions options_;
  std::string topic_;
  std::mutex mutex_;
  std::optional<Context> context_;
  std::size_t bytes_max_ = 0;
  std::unique_ptr<kafka::Producer> producer_;
};

}  // namespace

std::shared_ptr<DeadLetters> make_kafka_dead_letters(KafkaOptions options) {
  return std::make_shared<TopicDeadLetters>(std::move(options));
}

}  // namespace pgch::transport
