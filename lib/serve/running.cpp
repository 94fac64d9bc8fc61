#include "serve/running.h"

#include <chrono>
#include <utility>

namespace pgch::serve {
namespace {
constexpr std::size_t burials_max = 4096;
constexpr std::chrono::seconds slot_wait{10};
}  // namespace

Running::Ticket Running::begin(std::string query_id, std::string user, std::string sql, Connection& connection) {
  auto entry = std::make_shared<Entry>();
  entry->query_id = std::move(query_id);
  entry->user = std::move(user);
  entry->sql = std::move(sql);
  const std::scoped_lock lock(mutex_);
  if (!slots_.try_emplace(entry->query_id, Slot{entry, &connection}).second) return {};
  return {*this, std::move(entry)};
}

void Running::end(const Entry& entry) {
  const std::scoped_lock lock(mutex_);
  slots_.erase(entry.query_id);
  ended_.notify_all();
}

std::vector<Running::Killed> Running::kill(const std::vector<std::string>& query_ids, bool test) {
  std::vector<Killed> killed;
  const std::scoped_lock lock(mutex_);
  for (const std::string& id : query_ids) {
    const auto slot = slots_.find(id);
    if (slot != slots_.end()) {
      const Entry& entry = *slot->second.entry;
      killed.push_back({entry.query_id, entry.user, entry.sql});
    }
    if (test) continue;
    if (slot != slots_.end()) {
      slot->second.entry->cancelled = true;
      slot->second.connection->cut();
    }
    if (buried_.insert(id).second) burials_.push_back(id);
    if (burials_.size() > burials_max) {
      buried_.erase(burials_.front());
      burials_.pop_front();
    }
  }
  return killed;
}

bool Running::buried(const std::string& query_id) {
  const std::scoped_lock lock(mutex_);
  return buried_.count(query_id) != 0;
}

bool Running::any_of(const std::vector<std::string>& query_ids) {
  const std::scoped_lock lock(mutex_);
  for (const std::string& id : query_ids) {
    if (slots_.count(id) != 0) return true;
  }
  return false;
}

void Running::wait_a_moment() {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, std::chrono::milliseconds(200));
}

Slots::Lease Slots::take() {
  std::unique_lock lock(mutex_);
  if (!freed_.wait_for(lock, slot_wait, [this] { return free_ > 0; })) return Lease(nullptr);
  --free_;
  return Lease(this);
}

void Slots::give_back() {
  const std::scoped_lock lock(mutex_);
  ++free_;
  freed_.notify_one();
}

}  // namespace pgch::serve
