// When a thread should come round next, so that others can tell one that hangs from one that waits.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "pgch/context.h"

namespace pgch {

// Written by its thread, read by anybody.
class Due {
 public:
  void at(Clock::TimePoint when) noexcept { at_.store(when.time_since_epoch().count(), std::memory_order_relaxed); }
  // It has nothing to do, and sleeps until somebody wakes it.
  void never() noexcept { at_.store(idle, std::memory_order_relaxed); }
  std::chrono::milliseconds late(Clock::TimePoint now) const noexcept {
    const auto at = at_.load(std::memory_order_relaxed);
    const Clock::TimePoint when{Clock::TimePoint::duration(at)};
    if (at == idle || when >= now) return std::chrono::milliseconds(0);
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - when);
  }

 private:
  static constexpr Clock::TimePoint::rep idle = Clock::TimePoint::duration::max().count();
  std::atomic<Clock::TimePoint::rep> at_{idle};
};

}  // namespace pgch
