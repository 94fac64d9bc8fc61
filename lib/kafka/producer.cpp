#include "kafka/producer.h"

#include <array>

#include "base/try.h"
#include "kafka/conf.h"
#include "kafka/errors.h"

namespace pgch::kafka {
namespace {

// Fixes of the idempotent producer that pgch relies on came with this version (librdkafka's issue 4438).
constexpr int version_relied_on = 0x02030000;
// Without any delivery for so long something is wrong that waiting does not mend: the answer is then in doubt.
constexpr std::chrono::seconds patience{120};
constexpr std::chrono::seconds say_every{15};

class KafkaProducer final : public Producer {
 public:
  KafkaProducer(const Context& context, std::string topic)
      : context_(context), topic_name_(std::move(topic)), listener_(context.log) {}
  ~KafkaProducer() override {
    if (!client_) return;
    // Nothing may be sent from here on, and the messages' memory must not be looked at again.
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(client_.get(), 500);
    if (topic_ != nullptr) rd_kafka_topic_destroy(topic_);
  }
  KafkaProducer(const KafkaProducer&) = delete;
  KafkaProducer& operator=(const KafkaProducer&) = delete;

  Result<void> start(const KafkaOptions& options, std::size_t message_bytes_max) {
    const std::string limit =
        std::to_string(std::min<std::size_t>(std::max<std::size_t>(message_bytes_max, 1000), 1'000'000'000));
    PGCH_ASSIGN(Conf conf, make_conf(options, Role::producer, {{"message.max.bytes", limit}}, listener_));
    rd_kafka_conf_set_dr_msg_cb(conf.get(), &KafkaProducer::on_delivery);
    PGCH_ASSIGN(client_, make_client(RD_KAFKA_PRODUCER, std::move(conf), "making a producer"));
    topic_ = rd_kafka_topic_new(client_.get(), topic_name_.c_str(), nullptr);
    if (topic_ == nullptr) return error_of(rd_kafka_last_error(), doing());
    return {};
  }

  Result<void> send(const Outgoing& message) override {
    HeaderList headers(rd_kafka_headers_new(message.headers.size()));
    for (const Header& h : message.headers) {
      const auto code =
          rd_kafka_header_add(headers.get(), h.name, -1, h.value.data(), static_cast<ssize_t>(h.value.size()));
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, doing());
    }
    std::array<rd_kafka_vu_t, 7> parts{};
    std::size_t n = 0;
    const auto part = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
      parts[n].vtype = type;
      return parts[n++];
    };
    part(RD_KAFKA_VTYPE_RKT).u.rkt = topic_;
    part(RD_KAFKA_VTYPE_MSGFLAGS).u.i = 0;
    if (message.partition >= 0) part(RD_KAFKA_VTYPE_PARTITION).u.i32 = message.partition;
    if (!message.tombstone) {
      rd_kafka_vu_t& value = part(RD_KAFKA_VTYPE_VALUE);
      value.u.mem.ptr = const_cast<char*>(message.value.data());
      value.u.mem.size = message.value.size();
    }
    if (message.has_key) {
      rd_kafka_vu_t& key = part(RD_KAFKA_VTYPE_KEY);
      key.u.mem.ptr = const_cast<char*>(message.key.data());
      key.u.mem.size = message.key.size();
    }
    part(RD_KAFKA_VTYPE_HEADERS).u.headers = headers.get();
    part(RD_KAFKA_VTYPE_OPAQUE).u.ptr = this;
    Wait wait(context_.clock.now());
    while (true) {
      const Failure failure(rd_kafka_produceva(client_.get(), parts.data(), n));
      if (!failure) break;
      const auto code = rd_kafka_error_code(failure.get());
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(code, rd_kafka_error_string(failure.get()));
      PGCH_TRY(turn(wait));
    }
    (void)headers.release();  // librdkafka's now
    // Reports are taken in passing, so that the queue's memory is freed while more is sent.
    if ((++sent_ & 0x3FFU) == 0) rd_kafka_poll(client_.get(), 0);
    return {};
  }

  Result<void> finish() override {
    Wait wait(context_.clock.now());
    while (confirmed_ + failed_ < sent_) PGCH_TRY(turn(wait));
    if (failed_ != 0) return fail(first_failure_, {});
    return {};
  }

  const std::vector<std::int64_t>& ends() const noexcept override { return ends_; }

 private:
  struct Wait {
    explicit Wait(Clock::TimePoint now) : progress(now), said(now) {}
    Clock::TimePoint progress, said;
    std::uint64_t seen = 0;
  };

  // Serves delivery reports for a moment.
  Result<void> turn(Wait& wait) {
    if (context_.stop.stop_requested()) return in_doubt(Errc::stopped, "Kafka: stopped while " + doing());
    rd_kafka_poll(client_.get(), 50);
    if (const auto code = rd_kafka_fatal_error(client_.get(), nullptr, 0); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::array<char, 256> text{};
      rd_kafka_fatal_error(client_.get(), text.data(), text.size());
      return fail(RD_KAFKA_RESP_ERR__FATAL, text.data());
    }
    const auto now = context_.clock.now();
    if (confirmed_ + failed_ != wait.seen) {
      wait.seen = confirmed_ + failed_;
      wait.progress = wait.said = now;
    } else if (now - wait.progress > patience) {
      return fail(RD_KAFKA_RESP_ERR__TIMED_OUT, {});
    } else if (now - wait.said > say_every) {
      wait.said = now;
      context_.log.write(LogLevel::warning,
                         listener_.describe(error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, doing())).message);
    }
    return {};
  }

  Error fail(rd_kafka_resp_err_t code, std::string_view detail) {
    Error error = listener_.describe(error_of(code, doing(), detail));
    error.in_doubt = true;
    return error;
  }

  std::string doing() const { return "sending to topic " + topic_name_; }

  static void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
    static_cast<KafkaProducer*>(message->_private)->take_report(*message);
  }
  void take_report(const rd_kafka_message_t& message) {
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (failed_++ == 0) first_failure_ = message.err;
      return;
    }
    ++confirmed_;
    const auto partition = static_cast<std::size_t>(message.partition);
    if (partition >= ends_.size()) ends_.resize(partition + 1, -1);
    ends_[partition] = std::max(ends_[partition], message.offset + 1);
  }

  Context context_;
  std::string topic_name_;
  Listener listener_;
  std::uint64_t sent_ = 0, confirmed_ = 0, failed_ = 0;
  rd_kafka_resp_err_t first_failure_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::vector<std::int64_t> ends_;
  Client client_;
  rd_kafka_topic_t* topic_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Producer>> Producer::open(const KafkaOptions& options, const std::string& topic,
                                                 std::size_t message_bytes_max, const Context& context) {
  auto producer = std::make_unique<KafkaProducer>(context, topic);
  PGCH_TRY(producer->start(options, message_bytes_max));
  return std::unique_ptr<Producer>(std::move(producer));
}

void warn_if_old(Logger& log) {
  if (rd_kafka_version() >= version_relied_on) return;
  log.write(LogLevel::info, std::string("librdkafka ") + rd_kafka_version_str() +
                                " has known faults of the idempotent producer that 2.3.0 mends; pgch is tested with "
                                "2.0.2 and looks before it repeats, but a newer one is better");
}

}  // namespace pgch::kafka
