// Sessions that live over several requests (session_id=…): temporary tables, SET and USE stay. One request at a time
// each.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "clickhouse/chdb.h"
#include "pgch/context.h"
#include "serve/exception.h"

namespace pgch::serve {

class KeptSessions {
 public:
  KeptSessions(ch::Engine& engine, Clock& clock) : engine_(engine), clock_(clock) {}
  struct Kept {
    std::unique_ptr<ch::Session> session;
    bool busy = true;
    std::chrono::seconds timeout{60};
    Clock::TimePoint expires;
  };
  // A session lent to one request.
  class Lease {
   public:
    Lease() = default;
    Lease(KeptSessions& owner, std::shared_ptr<Kept> kept) : owner_(&owner), kept_(std::move(kept)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(kept_, other.kept_);
      return *this;
    }
    ~Lease() {
      if (kept_) owner_->give_back(*kept_);
    }
    ch::Session& session() const noexcept { return *kept_->session; }
    explicit operator bool() const noexcept { return kept_ != nullptr; }

   private:
    KeptSessions* owner_ = nullptr;
    std::shared_ptr<Kept> kept_;
  };
  struct Wanted {
    std::string user, id;
    std::chrono::seconds timeout{60};
    bool must_exist = false;
  };
  // No lease: `why` says why.
  Lease take(const Wanted& wanted, Exception& why);
  void forget(const std::string& user, const std::string& id);

 private:
  void give_back(Kept& kept);
  void sweep();

  ch::Engine& engine_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Kept>> sessions_;
};

}  // namespace pgch::serve
