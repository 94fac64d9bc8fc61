// A batch becomes messages by its format, all confirmed before load() returns. The topic itself is the checkpoint:
// look() reads it.
#include "transport/kafka_sender.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "base/try.h"
#include "kafka/admin.h"
#include "kafka/producer.h"
#include "transport/kafka_look.h"
#include "transport/packer.h"
#include "transport/record.h"

namespace pgch::transport {
namespace {

// A mark that is older is asked for anew: look() reads from it, and others may write to the topic as well.
constexpr std::chrono::seconds mark_age_max{10};

class KafkaSender final : public Loader {
 public:
  explicit KafkaSender(KafkaOptions options) : options_(std::move(options)) {}
  ~KafkaSender() override { KafkaSender::close(); }
  KafkaSender(const KafkaSender&) = delete;
  KafkaSender& operator=(const KafkaSender&) = delete;

  Result<void> open(const Context& context) override {
    close();
    context_.emplace(context);
    kafka::warn_if_old(context.log);
    PGCH_ASSIGN(admin_, kafka::Admin::open(options_, context));
    // Nothing has connected so far; before rows are read it should be known that somebody answers.
    PGCH_ASSIGN([[maybe_unused]] const std::optional<std::int32_t> there, admin_->partitions(options_.topic));
    return {};
  }

  Result<LoaderTraits> prepare(const TableSchema& schema) override {
    PGCH_ASSIGN(std::optional<std::int32_t> partitions, admin_->partitions(options_.topic));
    if (!partitions) {
      if (!options_.create_topic) {
        return halt(Errc::not_found,
                    "topic " + options_.topic + " does not exist; create it, or switch create_topic on");
      }
      PGCH_TRY(admin_->create(options_.topic, options_.partitions, options_.replication));
      context_->log.write(LogLevel::info, "made topic " + options_.topic + " with " +
                                              std::to_string(options_.partitions) + " partitions");
      PGCH_ASSIGN(partitions, admin_->partitions(options_.topic));
    }
    if (partitions_ != 0 && partitions.value_or(0) != partitions_) {
      return halt(Errc::conflict, "topic " + options_.topic + " had " + std::to_string(partitions_) +
                                      " partitions and has " + std::to_string(partitions.value_or(0)) +
                                      ": keys go to other partitions now; let the consumers drain it, and start again");
    }
    partitions_ = partitions.value_or(0);
    PGCH_ASSIGN(const std::size_t topic_limit, admin_->message_bytes_max(options_.topic));
    bytes_max_ = options_.message_bytes_max == 0 ? topic_limit : std::min(options_.message_bytes_max, topic_limit);
    has_key_ = !key_indexes(schema).empty();
    PGCH_ASSIGN(packer_, make_packer(options_, *context_));
    PGCH_TRY(packer_->open(std::make_shared<const TableSchema>(schema), {bytes_max_, partitions_}));
    return LoaderTraits{true, {}};
  }

  Result<std::string> mark() override {
    const auto now = context_->clock.now();
    if (ends_.empty() || now - ends_at_ > mark_age_max) {
      PGCH_ASSIGN(const std::vector<kafka::Watermarks> marks, admin_->watermarks(options_.topic, partitions_));
      ends_.resize(marks.size());
      for (std::size_t p = 0; p < marks.size(); ++p) ends_[p] = marks[p].high;
      ends_at_ = now;
    }
    return encode_mark(ends_);
  }

  Result<void> load(const RowBatch& batch, const Attempt& attempt) override {
    // Everything is packed before anything is sent: a row that can't go must be found while nothing has gone.
    PGCH_TRY(packer_->pack(batch, packed_));
    if (!producer_) {
      PGCH_ASSIGN(producer_, kafka::Producer::open(options_, options_.topic, bytes_max_, *context_));
    }
    auto sent = send(batch, attempt);
    if (sent) sent = producer_->finish();
    if (!sent) {
      // Whatever it still holds must not come after the next attempt; its state is of no use after a failure either.
      producer_.reset();
      sent.error().in_doubt = true;
      return sent;
    }
    const auto& confirmed = producer_->ends();
    for (std::size_t p = 0; p < std::min(confirmed.size(), ends_.size()); ++p)
      ends_[p] = std::max(ends_[p], confirmed[p]);
    return {};
  }

  Result<Landed> look(const Intent& intent, const RowBatch& batch, const Attempt& last) override {
    producer_.reset();  // an earlier attempt must not go on while we look
    Landed landed;
    if (batch.rows == 0) return landed;
    LookRequest request;
    request.stream = options_.stream.empty() ? last.stream : options_.stream;
    request.epoch = last.generation;
    request.attempts = intent.attempts;
    PGCH_ASSIGN(request.from, decode_mark(intent.mark));
    PGCH_ASSIGN(const std::optional<std::int32_t> partitions, admin_->partitions(options_.topic));
    if (static_cast<std::size_t>(partitions.value_or(0)) < request.from.size()) {
      return halt(Errc::conflict, "topic " + options_.topic +
                                      " is gone or has fewer partitions than when the unfinished batch was sent; "
                                      "compare it with the source by hand, and then remove the journal");
    }
    // Partitions that were added since then began empty.
    request.from.resize(static_cast<std::size_t>(*partitions), 0);
    PGCH_ASSIGN(const std::vector<std::uint32_t> ordinals, find_landed(options_, *context_, request));
    const std::unordered_set<std::uint32_t> found(ordinals.begin(), ordinals.end());
    for (std::uint32_t row = 0; row < batch.rows; ++row) {
      if (found.count(batch.ordinal_of(row)) == 0) landed.missing.push_back(row);
    }
    return landed;
  }

  void close() noexcept override {
    producer_.reset();
    admin_.reset();
    packer_.reset();
    ends_.clear();
    partitions_ = 0;
    context_.reset();
  }

 private:
  Result<void> send(const RowBatch& batch, const Attempt& attempt) {
    const std::string& stream = options_.stream.empty() ? batch.stream : options_.stream;
    std::string sequence;
    std::string number;
    std::array<kafka::Header, 5> headers{};
    const bool named = options_.format != "json" && options_.format != "native";
    Parcel from;
    for (const Parcel& to : packed_.parcels) {
      const bool block = to.rows != 0;
      const RowOp op = block ? RowOp::insert : batch.op_of(to.row);
      write_sequence({attempt.generation, attempt.number, batch.ordinal_of(to.row)}, sequence);
      number = std::to_string(block ? to.rows : batch.version_of(to.row));
      std::size_t count = 0;
      headers[count++] = {header_stream.data(), stream};
      headers[count++] = {header_sequence.data(), sequence};
      headers[count++] = {block ? header_rows.data() : header_version.data(), number};
      if (op != RowOp::insert) headers[count++] = {header_op.data(), op_text(op)};
      if (named) headers[count++] = {header_format.data(), options_.format};
      kafka::Outgoing message;
      message.key = std::string_view(packed_.keys).substr(from.key_end, to.key_end - from.key_end);
      message.has_key = has_key_ && !block;
      message.value = std::string_view(packed_.values).substr(from.value_end, to.value_end - from.value_end);
      message.tombstone = to.tombstone;
      message.partition = to.partition;
      message.headers = std::span(headers).first(count);
      PGCH_TRY(producer_->send(message));
      from = to;
    }
    return {};
  }

  KafkaOptions options_;
  std::optional<Context> context_;
  std::unique_ptr<kafka::Admin> admin_;
  std::unique_ptr<Packer> packer_;
  bool has_key_ = false;
  std::int32_t partitions_ = 0;
  std::size_t bytes_max_ = 0;
  std::vector<std::int64_t> ends_;
  Clock::TimePoint ends_at_;
  Packed packed_;  // before the producer: it looks into the values until it is gone
  std::unique_ptr<kafka::Producer> producer_;
};

}  // namespace

std::unique_ptr<Loader> make_kafka_sender(KafkaOptions options) {
  return std::make_unique<KafkaSender>(std::move(options));
}

}  // namespace pgch::transport
