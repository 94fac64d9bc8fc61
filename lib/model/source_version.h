// What _version becomes: one number for a place in PostgreSQL's log. Flag batches, snapshots and repairs all take
// theirs from here, since their rows replace each other by it.
#pragma once

#include <cstdint>

namespace pgch {

/// The timeline (from 1) above the log's position in bytes: after a failover everything counts as newer. 52 bits of
/// position are 4 PiB of log.
constexpr std::uint64_t source_version(std::uint64_t timeline, std::uint64_t lsn) noexcept {
  constexpr unsigned lsn_bits = 52;
  return (((timeline - 1) & 0xFFF) << lsn_bits) | (lsn & ((std::uint64_t{1} << lsn_bits) - 1));
}

/// The timeline's part of it, as it stands there.
constexpr std::uint64_t timeline_of(std::uint64_t version) noexcept { return version >> 52; }

}  // namespace pgch
