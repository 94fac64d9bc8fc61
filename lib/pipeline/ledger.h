// The book of batches under way, a page for each stream.
//
// A batch is opened when it is handed out and settled once. What may be acknowledged is the contiguous prefix of
// settled batches of its stream: loaders finish in any order, the source hears of it in its own. Not thread-safe: Flow
// locks it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "pgch/batch.h"
#include "pgch/extractor.h"

namespace pgch {

class Ledger {
 public:
  // Returns a ticket, unique for the life of the ledger.
  std::uint64_t open(const std::string& stream, const Position& position, std::size_t bytes) {
    const std::uint64_t ticket = ++tickets_;
    pages_[stream].push_back({ticket, position, bytes, State::under_way});
    bytes_ += bytes;
    ++open_;
    return ticket;
  }
  void durable(const std::string& stream, std::uint64_t ticket) { settle(stream, ticket, State::durable); }
  // It will come again (revoked, or the source lost it): nothing is acknowledged for it.
  void abandoned(const std::string& stream, std::uint64_t ticket) { settle(stream, ticket, State::abandoned); }
  // Batches that are settled and have nothing unsettled before them in their stream, each told once.
  struct Ready {
    Acknowledged batch;
    bool durable = true;
  };
  std::vector<Ready> take_ready() {
    std::vector<Ready> out;
    for (auto page = pages_.begin(); page != pages_.end();) {
      auto& entries = page->second;
      while (!entries.empty() && entries.front().state != State::under_way) {
        out.push_back({{page->first, std::move(entries.front().position)}, entries.front().state == State::durable});
        entries.pop_front();
      }
      page = entries.empty() ? pages_.erase(page) : std::next(page);
    }
    return out;
  }
  std::size_t bytes() const noexcept { return bytes_; }  // of batches not settled
  std::size_t under_way() const noexcept { return open_; }
  bool empty() const noexcept { return pages_.empty(); }  // nothing unsettled, nothing left to take

 private:
  enum class State : std::uint8_t { under_way, durable, abandoned };
  struct Entry {
    std::uint64_t ticket;
    Position position;
    std::size_t bytes;
    State state;
  };
  void settle(const std::string& stream, std::uint64_t ticket, State state) {
    for (Entry& e : pages_[stream]) {
      if (e.ticket != ticket || e.state != State::under_way) continue;
      e.state = state;
      bytes_ -= e.bytes;
      --open_;
      return;
    }
  }
  std::map<std::string, std::deque<Entry>> pages_;
  std::uint64_t tickets_ = 0;
  std::size_t bytes_ = 0, open_ = 0;
};

}  // namespace pgch
