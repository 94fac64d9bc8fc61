// A lane of the claiming extractor: one connection and its transaction. Rows are locked, read (in one batch or
// several), and when all batches are decided the delivered rows are marked and the transaction ends.
//
//   free ─select→ reading ─end of rows→ held ─all decided→ updating → committing → free
//                                         └─ nothing delivered ───→ rolling_back → free
//   any ─error→ the connection is dropped; what was locked is unlocked, what was not committed is not marked
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "extract/claim_table.h"
#include "extract/keyed_cut.h"
#include "pg/connection.h"
#include "pg/copy_stream.h"

namespace pgch {

/// A batch that was handed out.
struct ClaimOut {
  Position position;
  std::string tids;                   ///< 6 bytes a row, as on the wire; plain tables only
  std::vector<std::uint32_t> picked;  ///< rows of the position that are meant; empty: all
  std::uint32_t rows = 0;             ///< to be marked
  enum class State : std::uint8_t { out, delivered, abandoned } state = State::out;
  std::optional<Intent> intent;  ///< of an earlier process

  void found(FoundRows again);
};
ClaimOut out_of(CutRows cut);

struct ClaimLane {
  enum class State : std::uint8_t { free, reading, held, updating, committing, rolling_back };

  std::unique_ptr<pg::Connection> connection;
  State state = State::free;
  std::vector<ClaimOut> outs;
  std::string xid;  ///< of the transaction
  std::optional<pg::CopyStream> copy;
  std::span<const std::byte> message;  ///< read but not decoded: it belongs to the next batch
  bool began = false;                  ///< the stream's header was seen
  std::uint64_t limit = 0, taken = 0;  ///< rows asked for and rows received, of this transaction
  std::uint64_t to_mark = 0;
  bool from_start = false;  ///< the statement had no hint
  /// The transaction holds rows that it will not mark. Passes of other lanes skip them for as long, so only a pass that
  /// began afterwards can say that there is nothing left.
  bool withholds = false;
  std::uint64_t releases = 0;  ///< how many such transactions had ended before the statement began
  std::uint64_t losses = 0;    ///< how many transactions with batches were lost before the statement began

  bool marking() const noexcept {
    return state == State::updating || state == State::committing || state == State::rolling_back;
  }
  bool decided() const noexcept;
  bool has_out() const noexcept;
  /// Sends the UPDATE (or the ROLLBACK, if nothing was delivered). Needs `held` and decided().
  Result<void> start_mark(const ClaimTable& table);
  /// Goes on as far as it can without waiting. True when the transaction is over and the lane free.
  Result<bool> advance(const ClaimTable& table);
  /// Ends the transaction without a mark.
  Result<void> start_rollback();
};

}  // namespace pgch
