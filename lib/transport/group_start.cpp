// Sets where a group begins to read, and keeps what its notes must not lose.
#include <algorithm>

#include "base/try.h"
#include "kafka/admin.h"
#include "pgch/transport/kafka.h"
#include "transport/intent_note.h"

namespace pgch {
namespace {

std::string place(const KafkaOptions& options, std::int32_t partition) {
  return options.topic + "/" + std::to_string(partition);
}

Result<std::map<std::int32_t, std::int64_t>> wanted(kafka::Admin& admin, const KafkaOptions& options,
                                                    const GroupStart& start,
                                                    const std::vector<kafka::Watermarks>& marks) {
  std::map<std::int32_t, std::int64_t> out;
  const auto count = static_cast<std::int32_t>(marks.size());
  std::vector<std::int64_t> at;
  if (start.time_ms) {
    PGCH_ASSIGN(at, admin.offsets_at(options.topic, count, *start.time_ms));
  }
  for (std::int32_t p = 0; p < count; ++p) {
    const kafka::Watermarks& w = marks[static_cast<std::size_t>(p)];
    if (start.beginning) out[p] = w.low;
    if (start.time_ms) out[p] = std::max(w.low, at[static_cast<std::size_t>(p)]);
  }
  for (const auto& [partition, offset] : start.offsets) {
    if (partition < 0 || partition >= count) {
      return halt(Errc::not_found, "topic " + options.topic + " has no partition " + std::to_string(partition) +
                                       "; they are 0 to " + std::to_string(count - 1));
    }
    const kafka::Watermarks& w = marks[static_cast<std::size_t>(partition)];
    if (offset < w.low || offset > w.high) {
      return halt(Errc::config, place(options, partition) + " has no offset " + std::to_string(offset) + "; it has " +
                                    std::to_string(w.low) + " to " + std::to_string(w.high));
    }
    out[partition] = offset;
  }
  return out;
}

// What is committed for the new start. The numbers of batches and attempts go on rising, since the target may know the
// old ones; the producers' sequences are forgotten, or all that was read before would be left out as repeats.
Result<kafka::CommittedOffset> committed_at(const KafkaOptions& options, const GroupStart& start, const GroupMove& move,
                                            const std::string& metadata) {
  auto decoded = transport::decode_note(metadata);
  if (!decoded) {
    Error error = std::move(decoded).error();
    error.message = place(options, move.partition) + ": " + error.message;
    return error;
  }
  const std::optional<transport::Note>& old = *decoded;
  if (old && old->open && move.to > old->first) {
    return halt(Errc::conflict, "a batch of " + place(options, move.partition) + " (" + std::to_string(old->first) +
                                    " to " + std::to_string(old->last) +
                                    ") was under way when the group's last consumer ended; a start behind it would "
                                    "lose it: run pgch consume --once first, which settles it");
  }
  if (move.from >= 0 && move.to > move.from && !start.may_skip) {
    return halt(Errc::config, place(options, move.partition) + ": the group has read up to " +
                                  std::to_string(move.from) + ", so " + std::to_string(move.to - move.from) +
                                  " messages would never be delivered; --skip says that this is meant");
  }
  kafka::CommittedOffset out;
  out.offset = move.to;
  if (!old) return out;
  transport::Note note;
  note.sequence = old->sequence;
  note.attempt = old->attempt;
  PGCH_ASSIGN(out.metadata, transport::encode_note(note));
  return out;
}

}  // namespace

Result<std::vector<GroupMove>> set_group_start(const KafkaOptions& options, const GroupStart& start,
                                               const Context& context) {
  if (int{start.beginning} + int{start.time_ms.has_value()} + int{!start.offsets.empty()} != 1)
    return halt(Errc::config, "a group begins at the beginning, at a time or at offsets: say which one");
  PGCH_ASSIGN(const auto admin, kafka::Admin::open(options, context));
  PGCH_ASSIGN(const std::optional<std::int32_t> partitions, admin->partitions(options.topic));
  if (!partitions) return halt(Errc::not_found, "topic " + options.topic + " does not exist");
  PGCH_ASSIGN(const std::size_t members, admin->group_members());
  if (members != 0) {
    return halt(Errc::conflict, "group " + options.group + " has " + std::to_string(members) +
                                    (members == 1 ? " member" : " members") +
                                    ": stop its consumers first (one that was killed is a member until its session "
                                    "has timed out, 45 seconds)");
  }
  PGCH_ASSIGN(const std::vector<kafka::Watermarks> marks, admin->watermarks(options.topic, *partitions));
  PGCH_ASSIGN(const std::vector<kafka::CommittedOffset> old, admin->committed(options.topic, *partitions));
  PGCH_ASSIGN(const auto offsets, wanted(*admin, options, start, marks));
  std::vector<GroupMove> moves;
  std::map<std::int32_t, kafka::CommittedOffset> commits;
  for (const auto& [partition, to] : offsets) {
    const auto i = static_cast<std::size_t>(partition);
    const GroupMove move{partition, old[i].offset, to, marks[i].high};
    if (move.from == move.to) {  // its note stays, too: it may hold a batch under way
      moves.push_back(move);
      continue;
    }
    PGCH_ASSIGN(kafka::CommittedOffset commit, committed_at(options, start, move, old[i].metadata));
    commits.emplace(partition, std::move(commit));
    moves.push_back(move);
  }
  // The broker takes it only while the group has no members, so nothing can have come in between.
  if (!start.dry_run && !commits.empty()) PGCH_TRY(admin->commit(options.topic, commits));
  return moves;
}

}  // namespace pgch
