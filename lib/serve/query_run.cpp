// The second half of Query: statements under way.
#include <chrono>

#include "base/bytes.h"
#include "serve/formats.h"
#include "serve/lexer.h"
#include "serve/query.h"

namespace pgch::serve {
namespace {

// Small pieces are gathered: each append() wakes the engine.
constexpr std::size_t append_bytes = 1U << 20;

std::string escape_tsv(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\t') {
      out += "\\t";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace

void Query::summary(std::uint64_t rows_read, std::uint64_t bytes_read, std::uint64_t rows_written,
                    std::uint64_t bytes_written) {
  const auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(service_.context_.clock.now() - begun_);
  std::string out = "{";
  const auto put = [&out](std::string_view name, std::uint64_t value) {
    if (out.size() > 1) out += ',';
    out += '"';
    out += name;
    out += "\":\"";
    out += std::to_string(value);
    out += '"';
  };
  put("read_rows", rows_read);
  put("read_bytes", bytes_read);
  put("written_rows", rows_written);
  put("written_bytes", bytes_written);
  put("total_rows_to_read", rows_read);
  put("result_rows", rows_written);
  put("result_bytes", bytes_written);
  put("elapsed_ns", static_cast<std::uint64_t>(elapsed.count()));
  reply_.header("X-ClickHouse-Summary", out + "}");
}

void Query::whole(std::string_view format) {
  auto result = session_->query(statement_.sql, format);
  if (!result) {
    fail_engine(session_->exception(), result.error());
    return;
  }
  summary(result->rows_read, result->bytes_read, result->rows_written, result->bytes_written);
  reply_.write(result->data);
  reply_.finish();
}

void Query::select_in_pieces(std::string_view format, bool headed) {
  bool first = true, client_gone = false;
  const auto streamed = session_->stream(statement_.sql, format, [&](std::string_view piece) -> Result<void> {
    if (ticket_.cancelled()) return halt(Errc::stopped, "cancelled");
    if (headed && !first) {
      const auto header = header_bytes(format, piece);
      if (!header) return halt(Errc::internal, "a piece of the answer has no header in format " + std::string(format));
      piece.remove_prefix(*header);
    }
    if (first) summary(0, 0, 0, 0);
    first = false;
    client_gone = !reply_.write(piece);
    if (client_gone) return halt(Errc::connection, "the client is gone");
    return {};
  });
  if (client_gone) {
    reply_.close_after();
    return;
  }
  if (!streamed) {
    fail_engine(session_->exception(), streamed.error());
    return;
  }
  // Nothing came: the engine makes a document of no rows (a header, in most formats) only of a whole result.
  if (first) return whole(format);
  reply_.finish();
}

void Query::insert() {
  auto begun = session_->insert(statement_.sql, statement_.format);
  if (!begun) {
    fail_engine(session_->exception(), begun.error());
    return;
  }
  // Left by any way but finish(), the stream is cancelled, and nothing that the engine still holds is committed.
  const std::unique_ptr<ch::InsertStream> stream = std::move(*begun);
  std::uint64_t bytes = 0;
  std::string gathered = std::move(first_data_);
  for (bool at_end = false; !at_end;) {
    auto piece = source_->next();
    if (!piece) {
      fail_body(piece.error());
      return;
    }
    at_end = piece->empty();
    gathered += *piece;
    if (gathered.size() < append_bytes && !at_end) continue;
    bytes += gathered.size();
    auto taken = stream->append(as_bytes(gathered));
    gathered.clear();
    if (!taken || ticket_.cancelled()) {
      fail_engine(stream->exception(), taken ? halt(Errc::stopped, "cancelled") : taken.error());
      return;
    }
  }
  // Who is gone will look whether the rows are there, and may look before they are: so they must not come any more.
  if (ticket_.cancelled() || connection_.gone()) {
    reply_.close_after();
    fail(exception(query_was_cancelled, ticket_.cancelled()
                                            ? "Query was cancelled"
                                            : "The client closed the connection before its INSERT was done"));
    return;
  }
  auto rows = stream->finish();
  if (!rows) {
    fail_engine(stream->exception(), rows.error());
    return;
  }
  summary(*rows, bytes, *rows, bytes);
  reply_.header("X-ClickHouse-Format", "TabSeparated");
  reply_.header("Content-Type", "text/tab-separated-values; charset=UTF-8");
  reply_.finish();
}

// KILL QUERY by query id, which the engine knows as log_comment only. With SYNC it returns when none of them runs any
// more.
void Query::kill(const Kill& what) {
  const auto killed = service_.running_.kill(what.query_ids, what.test);
  std::string in_engine;
  for (const auto& entry : killed) in_engine += (in_engine.empty() ? "" : ", ") + quote_string(entry.query_id);
  in_engine = "KILL QUERY WHERE Settings['log_comment'] IN (" + in_engine + ") ASYNC";
  auto session = service_.engine_->connect();
  if (session && !killed.empty() && !what.test) (void)(*session)->query(in_engine, "Null");
  while (what.sync && !what.test && service_.running_.any_of(what.query_ids)) {
    if (connection_.gone()) {
      reply_.close_after();
      return;
    }
    service_.running_.wait_a_moment();
    // Again: the first one may have come before the engine knew the statement.
    if (session && !killed.empty()) (void)(*session)->query(in_engine, "Null");
  }
  std::string out;
  for (const auto& entry : killed) {
    out += what.sync ? "finished" : "waiting";
    for (const std::string& cell : {entry.query_id, entry.user, entry.sql}) {
      out += '\t';
      out += escape_tsv(cell);
    }
    out += '\n';
  }
  summary(0, 0, 0, 0);
  reply_.header("X-ClickHouse-Format", "TabSeparated");
  reply_.whole(200, out, "text/tab-separated-values; charset=UTF-8");
}

}  // namespace pgch::serve
