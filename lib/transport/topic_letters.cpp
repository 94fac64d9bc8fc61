// Dead letters in a topic: reading them, and dealing with them by transactions. docs/WIRE.md has the records.
#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/try.h"
#include "kafka/admin.h"
#include "kafka/consumer.h"
#include "kafka/errors.h"
#include "kafka/transaction.h"
#include "pgch/dead_letter.h"
#include "transport/original.h"
#include "transport/record.h"

namespace pgch {
namespace {

using transport::Original;
using transport::OriginalMessage;

constexpr std::string_view header_done = "pgch-done";
constexpr std::string_view header_replay_of = "pgch-replay-of";
constexpr std::size_t records_at_once = 5'000, letters_a_transaction = 500;
constexpr std::size_t bytes_a_transaction = 16u << 20, room_for_headers = 65'536;
constexpr std::chrono::seconds patience{60};

struct Letter {
  DeadLetter told;
  std::string topic;                         // of the message
  std::int64_t partition = -1, offset = -1;  // of the message; -1: nobody said
  std::int32_t own_partition = 0;            // at the dead letters' topic
  bool truncated = false;
};

std::int64_t number_of(std::string_view text) {
  const auto n = transport::parse_number(text);
  return n && *n <= INT64_MAX ? static_cast<std::int64_t>(*n) : -1;
}

class TopicLetters final : public DeadLetterBox {
 public:
  TopicLetters(KafkaOptions options, const Context& context) : source_(std::move(options)), context_(context) {
    letters_ = source_;
    letters_.topic = source_.dead_letter_topic.empty() ? source_.topic + ".dlq" : source_.dead_letter_topic;
  }

  std::string name() const override { return "topic " + letters_.topic; }

  Result<std::vector<DeadLetter>> list(bool with_values) override {
    PGCH_ASSIGN(std::vector<Letter> all, read(with_values));
    std::vector<DeadLetter> out;
    out.reserve(all.size());
    for (Letter& one : all) out.push_back(std::move(one.told));
    return out;
  }

  Result<DeadLettersDone> replay(const std::vector<std::string>& places) override { return settle(places, true); }
  Result<DeadLettersDone> drop(const std::vector<std::string>& places) override { return settle(places, false); }

 private:
  // All that have no note behind them.
  Result<std::vector<Letter>> read(bool with_values) {
    PGCH_ASSIGN(const auto admin, kafka::Admin::open(letters_, context_));
    PGCH_ASSIGN(const std::optional<std::int32_t> partitions, admin->partitions(letters_.topic));
    if (!partitions) return std::vector<Letter>();
    PGCH_ASSIGN(const auto consumer, kafka::Consumer::read(letters_, context_, kafka::Consumer::Sees::committed));
    PGCH_ASSIGN(const std::vector<kafka::Watermarks> marks, admin->watermarks(letters_.topic, *partitions));
    std::vector<std::pair<std::int32_t, std::int64_t>> from;
    for (std::int32_t p = 0; p < *partitions; ++p) from.emplace_back(p, marks[static_cast<std::size_t>(p)].low);
    PGCH_TRY(consumer->assign(from));
    std::vector<Letter> all;
    std::unordered_set<std::string> done;
    for (std::int32_t p = 0; p < *partitions; ++p) PGCH_TRY(read_partition(*consumer, p, with_values, all, done));
    std::vector<Letter> open;
    for (Letter& one : all) {
      if (done.insert(one.told.place).second) open.push_back(std::move(one));
    }
    return open;
  }

  Result<void> read_partition(kafka::Consumer& consumer, std::int32_t partition, bool with_values,
                              std::vector<Letter>& all, std::unordered_set<std::string>& done) {
    auto progress = context_.clock.now();
    while (true) {
      if (context_.stop.stop_requested()) return retry(Errc::stopped, "stopped while reading topic " + letters_.topic);
      kafka::Records records;
      if (consumer.take(partition, records, records_at_once, 50) == 0) {
        PGCH_TRY(consumer.poll(0));
        if (context_.clock.now() - progress > patience)
          return retry(Errc::timeout, "Kafka: topic " + letters_.topic + " could not be read to its end in time");
        continue;
      }
      progress = context_.clock.now();
      for (std::size_t i = 0; i < records.size(); ++i) {
        if (records[i].is_end()) return {};
        if (records[i].error() != 0)
          return kafka::error_of(records[i].error(), "reading topic " + letters_.topic, records[i].error_text());
        take(records[i], with_values, all, done);
      }
    }
  }

  void take(const kafka::Record& record, bool with_values, std::vector<Letter>& all,
            std::unordered_set<std::string>& done) const {
    constexpr std::array<std::string_view, 8> names = {"pgch-reason",         "pgch-stream", "pgch-topic",
                                                       "pgch-partition",      "pgch-offset", "pgch-origin",
                                                       "pgch-truncated-from", header_done};
    std::array<std::optional<std::string_view>, 8> values;
    const kafka::RecordHeaders headers(record);
    headers.find(names, values);
    const auto text = [&](std::size_t i) { return std::string(values[i].value_or(std::string_view())); };
    Letter one;
    one.topic = text(2);
    one.partition = number_of(text(3));
    one.offset = number_of(text(4));
    one.own_partition = record.partition();
    // A letter whose message nobody named is known by its own place.
    if (one.partition < 0 || one.partition > INT32_MAX) one.offset = -1;
    one.told.place = one.offset < 0 ? place_of(letters_.topic, record.partition(), record.offset())
                                    : place_of(one.topic, one.partition, one.offset);
    if (values[7]) {
      done.insert(text(5).empty() ? one.told.place : text(5));
      return;
    }
    one.told.reason = text(0);
    one.told.stream = text(1);
    one.told.time_us = record.time_ms() < 0 ? -1 : record.time_ms() * 1000;
    one.told.bytes = record.value().size();
    one.told.payload_is_null = !record.has_value();
    one.truncated = values[6].has_value();
    if (with_values) {
      one.told.key = record.key();
      one.told.payload = record.value();
    }
    all.push_back(std::move(one));
  }

  static std::string place_of(const std::string& topic, std::int64_t partition, std::int64_t offset) {
    return topic + "/" + std::to_string(partition) + "@" + std::to_string(offset);
  }

  Result<DeadLettersDone> settle(const std::vector<std::string>& places, bool again) {
    // First, so that nobody else deals with them from here on.
    PGCH_ASSIGN(const auto admin, kafka::Admin::open(letters_, context_));
    PGCH_ASSIGN(const std::optional<std::int32_t> there, admin->partitions(letters_.topic));
    std::vector<Letter> all;
    std::unique_ptr<kafka::Transactions> transactions;
    if (there) {
      PGCH_ASSIGN(std::size_t bytes_max, admin->message_bytes_max(letters_.topic));
      if (again) {
        PGCH_ASSIGN(const std::size_t theirs, admin->message_bytes_max(source_.topic));
        bytes_max = std::max(bytes_max, theirs);
      }
      PGCH_ASSIGN(transactions, kafka::Transactions::open(letters_, "pgch-dead-letters-" + letters_.topic,
                                                          bytes_max + room_for_headers, context_));
      PGCH_ASSIGN(all, read(again));
    }
    std::unordered_map<std::string_view, const Letter*> by_place;
    for (const Letter& one : all) by_place.emplace(one.told.place, &one);
    std::vector<const Letter*> chosen;
    for (const std::string& place : places) {
      const auto found = by_place.find(place);
      if (found == by_place.end())
        return halt(Errc::not_found, "there is no dead letter " + place + " in topic " + letters_.topic);
      if (std::find(chosen.begin(), chosen.end(), found->second) == chosen.end()) chosen.push_back(found->second);
    }
    std::sort(chosen.begin(), chosen.end(), [](const Letter* a, const Letter* b) {
      return std::tie(a->partition, a->offset) < std::tie(b->partition, b->offset);
    });
    return settle_all(transactions.get(), chosen, again);
  }

  struct Ready {
    const Letter* letter;
    OriginalMessage message;  // of a replay
  };

  Result<DeadLettersDone> settle_all(kafka::Transactions* transactions, const std::vector<const Letter*>& chosen,
                                     bool again) {
    DeadLettersDone out;
    Original original(source_, context_);
    for (std::size_t i = 0; i < chosen.size();) {
      // All that takes time comes before the transaction: readers of the topic wait behind one that is open.
      std::vector<Ready> ready;
      std::size_t bytes = 0;
      for (; i < chosen.size() && ready.size() < letters_a_transaction && bytes < bytes_a_transaction; ++i) {
        Ready one{chosen[i], {}};
        if (again) {
          PGCH_ASSIGN(const std::string why_not, fetch(original, one));
          if (!why_not.empty()) {
            out.left.push_back({one.letter->told.place, why_not});
            continue;
          }
        }
        bytes += one.message.key.size() + one.message.value.size();
        ready.push_back(std::move(one));
      }
      if (ready.empty()) continue;
      PGCH_TRY(transactions->begin());
      for (const Ready& one : ready) {
        if (again) PGCH_TRY(send_again(*transactions, one));
        PGCH_TRY(note(*transactions, *one.letter, again ? "replayed" : "dropped"));
      }
      PGCH_TRY(transactions->commit());
      for (const Ready& one : ready) out.done.push_back(one.letter->told.place);
    }
    return out;
  }

  // Empty: it is there. Else why it can't be sent again.
  Result<std::string> fetch(Original& original, Ready& into) {
    const Letter& one = *into.letter;
    if (one.offset < 0) return std::string("it does not say which message it was");
    if (one.topic != source_.topic) return "it is of topic " + one.topic + ", not of " + source_.topic;
    PGCH_ASSIGN(std::optional<OriginalMessage> message,
                original.at(static_cast<std::int32_t>(one.partition), one.offset));
    if (!message) {
      return std::string(
          "the message is gone from its topic by retention; if its row is still in PostgreSQL, pgch repair copies it");
    }
    // Of a block only this row is missing: all of it once more would double the others.
    const std::string_view kept = one.told.payload, whole = message->value;
    if (message->header(transport::header_rows) && (one.truncated ? whole.substr(0, kept.size()) : whole) != kept) {
      return std::string(
          "its message holds other rows, too, which were delivered; pgch repair copies this one from PostgreSQL");
    }
    into.message = *std::move(message);
    return std::string();
  }

  Result<void> send_again(kafka::Transactions& transactions, const Ready& ready) {
    const OriginalMessage& message = ready.message;
    const std::string version = std::to_string(ready.letter->offset + 1);
    std::vector<kafka::Header> headers;
    for (const auto& [name, value] : message.headers) {
      // With its place in the producer's stream consumers would take it for a repeat, and leave it out.
      if (name == transport::header_stream || name == transport::header_sequence || name == header_replay_of) continue;
      headers.push_back({name.c_str(), value});
    }
    // As new as it was at first, so that it doesn't come over rows that were sent after it.
    // (Debezium's events say it themselves, in another measure than offsets.)
    const bool says_itself = source_.format == "debezium" && source_.debezium.version == "lsn";
    if (!message.header(transport::header_version) && !says_itself)
      headers.push_back({transport::header_version.data(), version});
    headers.push_back({header_replay_of.data(), ready.letter->told.place});
    kafka::Outgoing out;
    out.key = message.key;
    out.has_key = message.has_key;
    out.value = message.value;
    out.tombstone = !message.has_value;
    out.partition = static_cast<std::int32_t>(ready.letter->partition);
    out.headers = headers;
    return transactions.send(source_.topic, out);
  }

  Result<void> note(kafka::Transactions& transactions, const Letter& one, std::string_view what) {
    const std::string partition = std::to_string(one.partition), offset = std::to_string(one.offset);
    std::vector<kafka::Header> headers = {{header_done.data(), what}};
    if (one.offset < 0) {
      headers.push_back({"pgch-origin", one.told.place});
    } else {
      headers.push_back({"pgch-topic", one.topic});
      headers.push_back({"pgch-partition", partition});
      headers.push_back({"pgch-offset", offset});
    }
    kafka::Outgoing out;
    out.key = one.told.place;  // a topic may be set to be compacted: then every record needs one
    out.has_key = true;
    out.partition = one.own_partition;
    out.headers = headers;
    return transactions.send(letters_.topic, out);
  }

  KafkaOptions source_, letters_;
  Context context_;
};

}  // namespace

Result<std::unique_ptr<DeadLetterBox>> open_topic_letters(const KafkaOptions& options, const Context& context) {
  return std::unique_ptr<DeadLetterBox>(std::make_unique<TopicLetters>(options, context));
}

}  // namespace pgch
