// The transport's factory, and what commands need to know about a topic.
#include "pgch/transport/kafka.h"

#include <algorithm>
#include <array>

#include "base/try.h"
#include "kafka/admin.h"
#include "kafka/settings.h"
#include "transport/formats.h"
#include "transport/kafka_receiver.h"
#include "transport/kafka_sender.h"
#include "transport/looked_up.h"

namespace pgch {
namespace {

class KafkaTransport final : public Transport {
 public:
  explicit KafkaTransport(KafkaOptions options) : options_(std::move(options)) {}
  Result<std::unique_ptr<Loader>> make_sender() override { return transport::make_kafka_sender(options_); }
  Result<Receiver> make_receiver() override {
    auto ownership = std::make_shared<transport::Ownership>(options_.topic);
    Receiver receiver;
    receiver.extractor = transport::make_kafka_receiver(options_, ownership);
    if (options_.format == "key") {
      if (!options_.lookup)
        return halt(Errc::config, "a consumer of keys needs to know where to look the rows up (KafkaOptions::lookup)");
      PGCH_ASSIGN(std::unique_ptr<RowLookup> lookup, options_.lookup());
      receiver.extractor =
          transport::make_looked_up(std::move(receiver.extractor), std::move(lookup), options_.skip_gone);
    }
    receiver.journal = transport::make_commit_journal(ownership);
    receiver.dead_letters = transport::make_kafka_dead_letters(options_);
    return receiver;
  }

 private:
  KafkaOptions options_;
};

bool valid_topic(std::string_view name) {
  if (name.empty() || name.size() > 249 || name == "." || name == "..") return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
         std::string_view::npos;
}

Result<void> check(const KafkaOptions& options) {
  const auto wrong = [](std::string text) { return halt(Errc::config, "Kafka: " + std::move(text)); };
  if (options.bootstrap.empty()) return wrong("bootstrap must name at least one broker, as host:port");
  for (const std::string_view topic : {std::string_view(options.topic), std::string_view(options.dead_letter_topic)}) {
    if (topic.data() == options.dead_letter_topic.data() && topic.empty()) continue;
    if (!valid_topic(topic))
      return wrong("\"" + std::string(topic) +
                   "\" is not a topic's name: 1 to 249 letters, digits, dots, underscores and hyphens");
  }
  if (options.group.empty()) return wrong("group must not be empty");
  if (options.partitions < 1) return wrong("partitions must be at least 1");
  if (options.replication < 1) return wrong("replication must be at least 1");
  if (options.offset_reset != "earliest" && options.offset_reset != "latest")
    return wrong("offset_reset must be earliest or latest");
  constexpr std::array<std::string_view, 5> codecs = {"none", "lz4", "zstd", "gzip", "snappy"};
  if (std::find(codecs.begin(), codecs.end(), options.compression) == codecs.end())
    return wrong("compression must be none, lz4, zstd, gzip or snappy");
  PGCH_TRY(transport::check_format(options));
  if (options.json_bytes_max == 0 || options.json_bytes_max > (1u << 30))
    return wrong("json_bytes_max must be between 1 byte and 1 GiB");
  if (options.producer_queue_bytes_max < 1024 || options.producer_queue_bytes_max > (1u << 30))
    return wrong("producer_queue_bytes_max must be between 1 KiB and 1 GiB");
  return kafka::check_passthrough(options.librdkafka);
}

}  // namespace

Result<std::unique_ptr<Transport>> make_kafka(KafkaOptions options) {
  PGCH_TRY(check(options));
  return std::unique_ptr<Transport>(std::make_unique<KafkaTransport>(std::move(options)));
}

Result<std::vector<PartitionInfo>> describe_topic(const KafkaOptions& options, const Context& context) {
  PGCH_TRY(check(options));
  PGCH_ASSIGN(const auto admin, kafka::Admin::open(options, context));
  PGCH_ASSIGN(const std::optional<std::int32_t> partitions, admin->partitions(options.topic));
  if (!partitions) return halt(Errc::not_found, "topic " + options.topic + " does not exist");
  PGCH_ASSIGN(const std::vector<kafka::Watermarks> marks, admin->watermarks(options.topic, *partitions));
  PGCH_ASSIGN(const std::vector<kafka::CommittedOffset> committed, admin->committed(options.topic, *partitions));
  std::vector<PartitionInfo> out;
  for (std::int32_t p = 0; p < *partitions; ++p) {
    const auto i = static_cast<std::size_t>(p);
    out.push_back({p, marks[i].low, marks[i].high, committed[i].offset});
  }
  return out;
}

Result<void> check_schema_registry(const KafkaOptions& options, const Context& context) {
  return transport::greet_servers(options, context);
}

Result<void> create_topic(const KafkaOptions& options, const Context& context) {
  PGCH_TRY(check(options));
  PGCH_ASSIGN(const auto admin, kafka::Admin::open(options, context));
  return admin->create(options.topic, options.partitions, options.replication);
}

Result<void> delete_topic(const KafkaOptions& options, const Context& context) {
  PGCH_TRY(check(options));
  PGCH_ASSIGN(const auto admin, kafka::Admin::open(options, context));
  return admin->remove(options.topic);
}

}  // namespace pgch
