// What runs at the moment, by query id: so that an id is not used twice at a time, and that KILL QUERY reaches inserts
// whose rows are still on their way. The engine gives its statements ids of its own and knows none of these.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "serve/connection.h"

namespace pgch::serve {

class Running {
 public:
  struct Entry {
    std::string query_id, user, sql;
    std::atomic<bool> cancelled{false};
  };
  // Ends the entry when it goes.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Running& running, std::shared_ptr<Entry> entry) : running_(&running), entry_(std::move(entry)) {}
    Ticket(Ticket&& other) noexcept = default;
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(running_, other.running_);
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Ticket() {
      if (entry_) running_->end(*entry_);
    }
    bool cancelled() const noexcept { return entry_->cancelled.load(); }
    explicit operator bool() const noexcept { return entry_ != nullptr; }

   private:
    Running* running_ = nullptr;
    std::shared_ptr<Entry> entry_;
  };
  struct Killed {
    std::string query_id, user, sql;
  };

  // No ticket if the id is running already. `connection` outlives the ticket.
  Ticket begin(std::string query_id, std::string user, std::string sql, Connection& connection);
  // Marks as cancelled, and cuts their connections so that none waits for bytes any longer.
  std::vector<Killed> kill(const std::vector<std::string>& query_ids, bool test);
  // Ids that were killed for good before they were ever seen: the request may still lie in a socket. An INSERT with
  // such an id is refused, so that after KILL … SYNC nothing of it can appear.
  bool buried(const std::string& query_id);
  bool any_of(const std::vector<std::string>& query_ids);
  // Waits until one entry ended, or a moment.
  void wait_a_moment();

 private:
  struct Slot {
    std::shared_ptr<Entry> entry;
    Connection* connection;
  };
  void end(const Entry& entry);

  std::mutex mutex_;
  std::condition_variable ended_;
  std::unordered_map<std::string, Slot> slots_;
  std::unordered_set<std::string> buried_;
  std::deque<std::string> burials_;
};

// At most so many statements at a time; the others wait a little, then are refused.
class Slots {
 public:
  explicit Slots(std::size_t free) : free_(free) {}
  class Lease {
   public:
    explicit Lease(Slots* slots) : slots_(slots) {}
    Lease(Lease&& other) noexcept : slots_(other.slots_) { other.slots_ = nullptr; }
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (slots_ != nullptr) slots_->give_back();
    }
    explicit operator bool() const noexcept { return slots_ != nullptr; }

   private:
    Slots* slots_;
  };
  Lease take();

 private:
  void give_back();

  std::mutex mutex_;
  std::condition_variable freed_;
  std::size_t free_;
};

}  // namespace pgch::serve
