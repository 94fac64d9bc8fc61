#include "serve/kept_sessions.h"

namespace pgch::serve {
namespace {
constexpr std::size_t sessions_max = 1000;
}

void KeptSessions::sweep() {
  const Clock::TimePoint now = clock_.now();
  std::erase_if(sessions_, [&](const auto& item) { return !item.second->busy && item.second->expires <= now; });
}

KeptSessions::Lease KeptSessions::take(const Wanted& wanted, Exception& why) {
  const std::scoped_lock lock(mutex_);
  sweep();
  const auto key = std::make_pair(wanted.user, wanted.id);
  if (const auto known = sessions_.find(key); known != sessions_.end()) {
    if (known->second->busy) {
      why = exception(session_is_locked, "Session " + wanted.id + " is locked by a concurrent client");
      return {};
    }
    known->second->busy = true;
    known->second->timeout = wanted.timeout;
    return {*this, known->second};
  }
  if (wanted.must_exist) {
    why = exception(session_not_found, "Session " + wanted.id + " not found");
    return {};
  }
  if (sessions_.size() >= sessions_max) {
    why = exception(too_many_simultaneous_queries, "Too many sessions are kept; use fewer values of session_id");
    return {};
  }
  auto made = engine_.connect();
  if (!made) {
    why = exception(logical_error, made.error().message);
    return {};
  }
  auto kept = std::make_shared<Kept>();
  kept->session = std::move(*made);
  kept->timeout = wanted.timeout;
  sessions_.emplace(key, kept);
  return {*this, std::move(kept)};
}

void KeptSessions::give_back(Kept& kept) {
  const std::scoped_lock lock(mutex_);
  kept.busy = false;
  kept.expires = clock_.now() + kept.timeout;
}

void KeptSessions::forget(const std::string& user, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  sessions_.erase({user, id});
}

}  // namespace pgch::serve
