#include "kafka/transaction.h"

#include <array>

#include "base/try.h"
#include "kafka/conf.h"
#include "kafka/errors.h"

namespace pgch::kafka {
namespace {

// While a transaction is open, readers of what is committed wait behind it: one that a killed process left is given up
// by the brokers after this time.
constexpr const char* timeout_ms = "30000";
constexpr int slice_ms = 1'000;
constexpr std::chrono::seconds patience{60};

class KafkaTransactions final : public Transactions {
 public:
  explicit KafkaTransactions(const Context& context) : context_(context), listener_(context.log) {}
  ~KafkaTransactions() override {
    if (!client_) return;
    if (open_) (void)Failure(rd_kafka_abort_transaction(client_.get(), 5 * slice_ms));
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(client_.get(), 500);
  }
  KafkaTransactions(const KafkaTransactions&) = delete;
  KafkaTransactions& operator=(const KafkaTransactions&) = delete;

  Result<void> start(const KafkaOptions& options, const std::string& id, std::size_t message_bytes_max) {
    const std::string limit = std::to_string(std::max<std::size_t>(message_bytes_max, 1'000));
    PGCH_ASSIGN(Conf conf, make_conf(options, Role::producer,
                                     {{"transactional.id", id},
                                      {"transaction.timeout.ms", timeout_ms},
                                      {"message.timeout.ms", timeout_ms},
                                      {"message.max.bytes", limit}},
                                     listener_));
    PGCH_ASSIGN(client_, make_client(RD_KAFKA_PRODUCER, std::move(conf), "making a producer with transactions"));
    return repeated("beginning with transactions", [&] { return rd_kafka_init_transactions(client_.get(), slice_ms); });
  }

  Result<void> begin() override {
    const Failure failure(rd_kafka_begin_transaction(client_.get()));
    if (failure) return failed(failure, "beginning a transaction");
    open_ = true;
    return {};
  }

  Result<void> send(const std::string& topic, const Outgoing& message) override {
    HeaderList headers(rd_kafka_headers_new(message.headers.size()));
    for (const Header& h : message.headers) {
      const auto code =
          rd_kafka_header_add(headers.get(), h.name, -1, h.value.data(), static_cast<ssize_t>(h.value.size()));
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, "sending to topic " + topic);
    }
    std::array<rd_kafka_vu_t, 7> parts{};
    std::size_t n = 0;
    const auto part = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
      parts[n].vtype = type;
      return parts[n++];
    };
    part(RD_KAFKA_VTYPE_TOPIC).u.cstr = topic.c_str();
    part(RD_KAFKA_VTYPE_MSGFLAGS).u.i = RD_KAFKA_MSG_F_COPY;
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
    while (true) {
      const Failure failure(rd_kafka_produceva(client_.get(), parts.data(), n));
      if (!failure) break;
      if (rd_kafka_error_code(failure.get()) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return failed(failure, "sending to topic " + topic);
      if (context_.stop.stop_requested()) return retry(Errc::stopped, "Kafka: stopped while sending to topic " + topic);
      rd_kafka_poll(client_.get(), 50);
    }
    (void)headers.release();  // librdkafka's now
    return {};
  }

  Result<void> commit() override {
    auto done =
        repeated("committing a transaction", [&] { return rd_kafka_commit_transaction(client_.get(), slice_ms); });
    if (done) open_ = false;
    return done;
  }

 private:
  // The calls go on in librdkafka when their time is up, and are to be made again.
  template <class Call>
  Result<void> repeated(const std::string& doing, Call call) {
    const auto deadline = context_.clock.now() + patience;
    while (true) {
      const Failure failure(call());
      if (!failure) return {};
      if (context_.stop.stop_requested()) return in_doubt(Errc::stopped, "Kafka: stopped while " + doing);
      if (rd_kafka_error_is_retriable(failure.get()) == 0 || context_.clock.now() >= deadline)
        return failed(failure, doing);
      context_.clock.sleep_until(context_.clock.now() + std::chrono::milliseconds(50), context_.stop);
    }
  }

  Error failed(const Failure& failure, const std::string& doing) {
    Error error =
        listener_.describe(error_of(rd_kafka_error_code(failure.get()), doing, rd_kafka_error_string(failure.get())));
    error.in_doubt = rd_kafka_error_is_retriable(failure.get()) != 0;
    return error;
  }

  Context context_;
  Listener listener_;
  bool open_ = false;
  Client client_;
};

}  // namespace

Result<std::unique_ptr<Transactions>> Transactions::open(const KafkaOptions& options, const std::string& id,
                                                         std::size_t message_bytes_max, const Context& context) {
  auto out = std::make_unique<KafkaTransactions>(context);
  PGCH_TRY(out->start(options, id, message_bytes_max));
  return std::unique_ptr<Transactions>(std::move(out));
}

}  // namespace pgch::kafka
