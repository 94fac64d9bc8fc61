#include "transport/assignment.h"

#include <algorithm>
#include <random>

#include "base/try.h"

namespace pgch::transport {
namespace {

// Batch and attempt numbers of a partition without a note begin at random, far from those of any earlier life of the
// group: the target may still know those, and must not take a new batch for an old one.
std::uint64_t random_base() { return static_cast<std::uint64_t>(std::random_device{}() & 0x3FFF'FFFFU) << 20U; }

}  // namespace

Result<std::vector<Begin>> begin_partitions(kafka::Consumer& consumer, const std::vector<std::int32_t>& partitions,
                                            bool latest, const Ownership& ownership, std::uint64_t epoch) {
  PGCH_ASSIGN(const std::vector<kafka::CommittedOffset> committed, consumer.committed(partitions));
  std::vector<Begin> out;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const std::int32_t partition = partitions[i];
    auto decoded = decode_note(committed[i].metadata);
    if (!decoded) {
      Error error = std::move(decoded).error();
      error.message = ownership.stream_of(partition) + ": " + error.message;
      return error;
    }
    Begin b;
    const std::optional<Note>& note = *decoded;
    b.reading.partition = b.owned.partition = partition;
    b.reading.next = committed[i].offset;
    b.owned.epoch = epoch;
    if (committed[i].offset < 0) {
      PGCH_ASSIGN(const kafka::Watermarks w, consumer.watermarks(partition));
      b.reading.next = latest ? w.high : w.low;
      b.pin = true;
    }
    if (note) {
      b.owned.note = *note;
      b.reading.waters = note->waters;
      if (note->open) b.reading.replay = note;
      if (note->open) b.reading.next = note->first;
    } else {
      b.owned.note.sequence = b.owned.note.attempt = random_base();
    }
    b.reading.reached = b.owned.done_next = b.reading.next;
    b.owned.done_waters = b.reading.waters;
    b.owned.dirty = b.pin;
    out.push_back(std::move(b));
  }
  return out;
}

Result<void> explain_out_of_range(kafka::Consumer& consumer, const std::string& stream, const Reading& reading) {
  PGCH_ASSIGN(const kafka::Watermarks w, consumer.watermarks(reading.partition));
  const std::string wanted = std::to_string(reading.next);
  if (reading.next < w.low) {
    return halt(Errc::data, "records " + wanted + " to " + std::to_string(w.low - 1) + " of " + stream +
                                " are gone by retention and were never delivered; send them again from the "
                                "source, or set the group's offset to " +
                                std::to_string(w.low) + " to go on without them");
  }
  return halt(Errc::conflict,
              stream + " ends at offset " + std::to_string(w.high) + ", but the group had read up to " + wanted +
                  ": the topic was made anew or lost records; use a new group, or set the group's offset by hand");
}

}  // namespace pgch::transport
