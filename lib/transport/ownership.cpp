#include "transport/ownership.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/try.h"
#include "kafka/errors.h"

namespace pgch::transport {

HandedOut* Owned::find(std::int64_t first) noexcept {
  const auto found = std::find_if(out.begin(), out.end(), [&](const HandedOut& h) { return h.first == first; });
  return found == out.end() ? nullptr : &*found;
}

bool Owned::under_way() const noexcept {
  return std::any_of(out.begin(), out.end(), [](const HandedOut& h) { return h.intended && !h.finished; });
}

void Owned::settle() {
  while (!out.empty() && out.front().finished) {
    done_next = out.front().next;
    done_waters = std::move(out.front().after);
    dirty = true;
    out.pop_front();
  }
}

bool Ownership::any_out() {
  const std::lock_guard lock(mutex);
  return std::any_of(owned.begin(), owned.end(),
                     [](const auto& o) { return !o.second.out.empty() || o.second.restart || o.second.revoking; });
}

Owned* Ownership::find(std::string_view stream) {
  for (auto& [partition, o] : owned) {
    if (stream_of(partition) == stream) return &o;
  }
  return nullptr;
}

void Ownership::finish(const std::string& stream, const Position& position) {
  const auto place = decode_position(position);
  const std::lock_guard lock(mutex);
  Owned* o = find(stream);
  if (o == nullptr || !place || place->epoch != o->epoch) return;
  if (HandedOut* h = o->find(place->first); h != nullptr) h->finished = true;
  o->settle();
  changed.notify_all();
}

void Ownership::finish(const std::string& stream, std::uint64_t sequence) {
  const std::lock_guard lock(mutex);
  Owned* o = find(stream);
  if (o == nullptr) return;
  for (HandedOut& h : o->out) {
    if (h.intended && h.sequence == sequence) h.finished = true;
  }
  o->settle();
  changed.notify_all();
}

Result<void> Ownership::close_partition(std::int32_t partition) {
  Note note;
  std::int64_t next = 0;
  std::shared_ptr<kafka::Consumer> through;
  {
    const std::lock_guard lock(mutex);
    const auto found = owned.find(partition);
    // With a batch out, the loader's thread may be committing its intent: that must not be overtaken by this commit.
    if (found == owned.end() || !found->second.dirty || !found->second.out.empty() || !consumer) return {};
    const Owned& o = found->second;
    note.sequence = o.note.sequence;
    note.attempt = o.note.attempt;
    note.waters = o.done_waters;
    next = o.done_next;
    through = consumer;
  }
  PGCH_ASSIGN(const std::string metadata, encode_note(note));
  auto committed = through->commit(partition, next, metadata);
  if (!committed && !kafka::is_stale_owner(committed.error())) return committed;
  const std::lock_guard lock(mutex);
  if (const auto found = owned.find(partition); found != owned.end() && found->second.done_next == next)
    found->second.dirty = false;
  return {};
}

Position encode_position(const PartitionPosition& position) {
  Position out;
  put_varint(out.bytes, position.epoch);
  put_varint(out.bytes, static_cast<std::uint64_t>(position.first));
  put_varint(out.bytes, static_cast<std::uint64_t>(position.next));
  return out;
}

std::optional<PartitionPosition> decode_position(const Position& position) {
  ByteReader reader(position.bytes);
  PartitionPosition out;
  out.epoch = reader.varint();
  out.first = static_cast<std::int64_t>(reader.varint());
  out.next = static_cast<std::int64_t>(reader.varint());
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return out;
}

Error revoked_error(const std::string& stream) {
  return Error{Errc::conflict,
               Recovery::abandon,
               false,
               stream + " was revoked: the group gave it to another consumer, which goes on from the last commit",
               {}};
}

namespace {

class CommitJournal final : public Journal {
 public:
  explicit CommitJournal(std::shared_ptr<Ownership> ownership) : ownership_(std::move(ownership)) {}

  // The group is the lock: a partition has one owner. Each partition's note begins at a random number instead of a
  // generation.
  Result<void> open(const Context&) override { return {}; }
  std::uint64_t generation() const noexcept override { return 1; }
  // Nobody knows them before the partitions are assigned: they come with the batches that the extractor hands out.
  Result<std::vector<Intent>> pending() override { return std::vector<Intent>(); }

  std::uint64_t next_sequence(const std::string& stream) override {
    const std::lock_guard lock(ownership_->mutex);
    const Owned* o = ownership_->find(stream);
    return o == nullptr ? 1 : o->note.sequence + 1;
  }

  Result<std::uint64_t> intend(const Intent& intent, bool durable) override {
    const auto place = decode_position(intent.position);
    if (!place) return halt(Errc::internal, "a batch of " + intent.stream + " has a position that is not Kafka's");
    Note note;
    std::int32_t partition = 0;
    std::shared_ptr<kafka::Consumer> consumer;
    {
      const std::lock_guard lock(ownership_->mutex);
      Owned* o = ownership_->find(intent.stream);
      HandedOut* h = o != nullptr && o->epoch == place->epoch ? o->find(place->first) : nullptr;
      const bool open_already = h != nullptr && h->intended;
      if (h == nullptr || !ownership_->consumer || ((o->revoking || o->restart) && !open_already))
        return revoked_error(intent.stream);
      // Its commit says that everything before it is at the target: what was never begun can't be.
      for (const HandedOut& before : o->out) {
        if (before.first < h->first && !before.intended) return revoked_error(intent.stream);
      }
      note = begin(*o, *h, intent);
      note.open = durable;
      partition = o->partition;
      consumer = ownership_->consumer;
    }
    auto metadata = encode_note(note);
    Result<void> committed =
        metadata ? consumer->commit(partition, note.first, *metadata) : Result<void>(metadata.error());
    if (committed) {
      const std::lock_guard lock(ownership_->mutex);
      Owned* o = ownership_->find(intent.stream);
      // Lost while the commit was under way: its next owner finds the note, and looks.
      if (o == nullptr || o->epoch != place->epoch) return revoked_error(intent.stream);
      // This commit has closed everything before it as well.
      if (o->done_next <= note.first) o->dirty = false;
      return note.attempt;
    }
    const bool stale = kafka::is_stale_owner(committed.error());
    const std::lock_guard lock(ownership_->mutex);
    if (Owned* o = ownership_->find(intent.stream); o != nullptr && o->epoch == place->epoch) {
      // Nothing was loaded under it, unless an earlier attempt was: so nobody has to wait for it.
      if (HandedOut* h = o->find(place->first); h != nullptr && intent.attempts.empty()) h->intended = false;
      if (stale) o->revoking = true;
    }
    ownership_->changed.notify_all();
    if (stale) return revoked_error(intent.stream);
    return std::move(committed).error();
  }

  Result<void> done(const std::string& stream, std::uint64_t sequence) override {
    ownership_->finish(stream, sequence);
    return {};
  }
  void close() noexcept override {}

 private:
  // Gives out the next attempt's number, and the note that says so. With the lock held.
  static Note begin(Owned& o, HandedOut& h, const Intent& intent) {
    const std::uint64_t number = ++o.note.attempt;
    if (!h.intended) {
      h.intended = true;
      h.sequence = intent.sequence;
      if (h.first_attempt == 0) h.first_attempt = number;
      o.note.sequence = std::max(o.note.sequence, intent.sequence);
    }
    Note note;
    note.sequence = intent.sequence;
    note.attempt = number;
    note.open = true;
    note.first = h.first;
    note.last = h.next - 1;
    note.rows = intent.rows;
    note.content = intent.content;
    note.first_attempt = h.first_attempt;
    note.mark = intent.mark;
    note.waters = h.before;
    return note;
  }

  std::shared_ptr<Ownership> ownership_;
};

}  // namespace

std::shared_ptr<Journal> make_commit_journal(std::shared_ptr<Ownership> ownership) {
  return std::make_shared<CommitJournal>(std::move(ownership));
}

}  // namespace pgch::transport
