// Where the poll method keeps its cursor. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "extract/poll_cursor.h"
#include "pg/connection.h"

namespace pgch {

class PollCursorStore {
 public:
  virtual ~PollCursorStore() = default;
  /// nullopt: there is none yet. Errc::corrupt if there is one that can't be trusted.
  virtual Result<std::optional<PollCursor>> load(pg::Connection& connection, const Context& context) = 0;
  /// Durable on return. A full disk is Recovery::retry; the old cursor is still whole then. `connection`: null if it
  /// was lost.
  virtual Result<void> save(const PollCursor& cursor, pg::Connection* connection, const Context& context) = 0;
  /// Names it, for messages.
  virtual std::string where() const = 0;
};

std::unique_ptr<PollCursorStore> make_cursor_file(std::string directory, const std::string& pipeline);
/// In the table pgch_cursor of `schema`, whose row is named by pipeline and stream.
std::unique_ptr<PollCursorStore> make_cursor_row(const std::string& schema, std::string pipeline, std::string stream);

}  // namespace pgch
