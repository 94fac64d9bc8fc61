#include "serve/query.h"

#include <array>
#include <charconv>
#include <chrono>
#include <limits>

#include "base/bytes.h"
#include "serve/formats.h"
#include "serve/lexer.h"

namespace pgch::serve {
namespace {

// Parameters of the URL that are no settings.
constexpr std::array<std::string_view, 18> own_parameters = {
    "query",           "user",     "password",          "database",      "query_id",      "session_id",
    "session_timeout", "compress", "decompress",        "session_check", "stacktrace",    "default_format",
    "buffer_size",     "role",     "wait_end_of_query", "quota_key",     "close_session", "client_protocol_version"};

constexpr std::size_t statement_bytes_max = 16U << 20;
constexpr std::size_t held_bytes = 1U << 20;

bool is_own(std::string_view name) noexcept {
  for (const std::string_view own : own_parameters) {
    if (own == name) return true;
  }
  return false;
}

// param_name and names of settings are written into SQL as they are.
bool is_plain_name(std::string_view name) noexcept {
  for (const char c : name) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!fine) return false;
  }
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9');
}

std::string quote_identifier(std::string_view name) {
  std::string out = "`";
  for (const char c : name) {
    if (c == '`' || c == '\\') out += '\\';
    out += c;
  }
  return out += '`';
}

std::uint64_t number_of(const std::string* text, std::uint64_t otherwise) {
  std::uint64_t value = otherwise;
  if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

}  // namespace

bool Query::fail(const Exception& exception) {
  reply_.fail(exception, service_.version());
  return false;
}
bool Query::fail_engine(const std::string& text, const Error& error) {
  if (ticket_ && ticket_.cancelled()) return fail(exception(query_was_cancelled, "Query was cancelled"));
  return fail(exception_of_engine(text, error));
}
bool Query::fail_body(const Error& error) {
  reply_.close_after();
  if (ticket_ && ticket_.cancelled()) return fail(exception(query_was_cancelled, "Query was cancelled"));
  if (error.code == Errc::corrupt) return fail(exception(cannot_decompress, error.message));
  if (error.code == Errc::timeout) return fail(exception(socket_timeout, error.message));
  if (error.native == "413") return fail(exception(query_is_too_large, error.message));
  return fail(exception(network_error, error.message));
}

void Query::run() {
  begun_ = service_.context_.clock.now();
  if (!admit() || !open_source() || !read_statement()) return;
  if (statement_.kind != Statement::Kind::insert_data) {
    if (const auto killed = kill_of(statement_.sql)) return kill(*killed);
  }
  if (!allowed()) return;
  const Slots::Lease slot = service_.slots_.take();
  if (!slot) {
    fail(exception(too_many_simultaneous_queries,
                   "Too many simultaneous queries. Maximum: " + std::to_string(service_.options().threads)));
    return;
  }
  ticket_ = service_.running_.begin(query_id_, user_, statement_.sql, connection_);
  if (!ticket_) {
    fail(exception(query_with_same_id_is_already_running, "Query with id = " + query_id_ + " is already running."));
    return;
  }
  if (statement_.writes && service_.running_.buried(query_id_)) {
    fail(exception(query_was_cancelled, "A query with id = " + query_id_ + " was killed; use another id"));
    return;
  }
  if (!open_session()) return;
  if (apply_settings()) execute();
  restore();
}

bool Query::admit() {
  const auto user = service_.authenticate(request_, user_);
  if (!user) {
    return fail(exception(authentication_failed, user_ + ": Authentication failed: password is incorrect, or there is "
                                                         "no user with such name."));
  }
  const std::string* id = request_.parameter("query_id");
  query_id_ = id != nullptr && !id->empty() ? *id : service_.new_query_id();
  reply_.header("X-ClickHouse-Query-Id", query_id_);
  reply_.header("X-ClickHouse-Timezone", service_.timezone_);
  return true;
}

bool Query::open_source() {
  auto coding = coding_named(request_.header("content-encoding"));
  if (!coding) {
    reply_.close_after();
    return fail(exception(not_implemented, coding.error().message));
  }
  source_.emplace(body_, *coding, request_.flag("decompress"));
  const std::string_view type = request_.header("content-type");
  if (!lower(type).starts_with("multipart/form-data")) return true;
  std::string form;
  for (;;) {
    auto piece = source_->next();
    if (!piece) return fail_body(piece.error());
    if (piece->empty()) break;
    form += *piece;
    if (form.size() > statement_bytes_max) return fail(exception(query_is_too_large, "The form is too large"));
  }
  auto fields = parse_multipart(type, form);
  if (!fields) return fail(exception(not_implemented, fields.error().message));
  for (auto& field : *fields) request_.parameters.push_back(std::move(field));
  return true;
}

// The statement is what `query` says followed by the body, with a line break between them; of an INSERT only as much of
// it is read as is needed to see where its rows begin.
bool Query::read_statement() {
  const std::string* in_url = request_.parameter("query");
  if (in_url == nullptr) in_url = request_.parameter("param_query");
  std::string text;
  if (in_url != nullptr && !in_url->empty()) {
    text = *in_url;
    statement_ = analyse(text, true);
    if (statement_.kind == Statement::Kind::insert_data && statement_.format.empty()) {
      if (read_default_format_insert()) return true;
      if (reply_.started()) return false;
    } else if (statement_.kind == Statement::Kind::insert_data) {
      first_data_ = text.substr(std::min(statement_.data, text.size()));
      // What follows in the body is a line of its own, unless the line had ended at FORMAT.
      if (!first_data_.empty()) first_data_ += '\n';
      return true;
    }
    if (!body_.present() || body_.at_end()) return true;
    text += '\n';
  }
  std::size_t next_look = 64U << 10;
  for (bool at_end = false;;) {
    auto piece = source_->next();
    if (!piece) return fail_body(piece.error());
    at_end = piece->empty();
    text += *piece;
    if (!at_end && text.size() < next_look) continue;
    next_look = text.size() * 2;
    statement_ = analyse(text, at_end);
    if (statement_.kind == Statement::Kind::insert_data) {
      first_data_ = text.substr(std::min(statement_.data, text.size()));
      return true;
    }
    if (at_end) return true;
    if (text.size() > statement_bytes_max) {
      reply_.close_after();
      return fail(exception(query_is_too_large, "The statement is larger than 16 MiB"));
    }
  }
}

// INSERT INTO t in the URL without FORMAT: the body may go on with the statement, or hold rows in the default format.
bool Query::read_default_format_insert() {
  std::string text;
  while (text.size() < 4096) {
    auto piece = source_->next();
    if (!piece) return fail_body(piece.error());
    if (piece->empty()) break;
    text += *piece;
  }
  Lexer lexer(text);
  const Token first = lexer.next();
  const std::string_view word = lexer.text_of(first);
  bool goes_on = word == "(" && default_format() == "Values";
  for (const std::string_view w : {"VALUES", "FORMAT", "SETTINGS", "SELECT", "WITH"}) goes_on |= is_word(word, w);
  source_->unread(std::move(text));
  if (goes_on) return false;
  statement_.format = default_format();
  return true;
}

bool Query::allowed() {
  const bool reads = request_.method == "GET" || request_.method == "HEAD";
  if (statement_.kind == Statement::Kind::empty) return fail(exception(syntax_error, "Empty query"));
  if (statement_.several) {
    return fail(
        exception(syntax_error, "Syntax error (Multi-statements are not allowed): send one statement a request"));
  }
  if (statement_.file_clause) {
    return fail(exception(not_implemented, "INTO OUTFILE and FROM INFILE are not allowed over HTTP"));
  }
  if (reads && statement_.writes) {
    return fail(exception(readonly,
                          "Cannot execute query in readonly mode. For queries over HTTP, method GET implies "
                          "readonly. You should use method POST for modifying queries."));
  }
  return true;
}

bool Query::open_session() {
  if (const std::string* id = request_.parameter("session_id"); id != nullptr && !id->empty()) {
    KeptSessions::Wanted wanted{user_, *id, std::chrono::seconds(60), request_.flag("session_check")};
    const std::uint64_t seconds = number_of(request_.parameter("session_timeout"), 60);
    if (seconds > 3600) {
      return fail(exception(invalid_session_timeout, "Session timeout is larger than max_session_timeout: 3600"));
    }
    wanted.timeout = std::chrono::seconds(seconds);
    Exception why;
    kept_session_ = service_.kept_.take(wanted, why);
    if (!kept_session_) return fail(why);
    session_ = &kept_session_.session();
    return true;
  }
  auto made = service_.engine_->connect();
  if (!made) return fail(exception(logical_error, made.error().message));
  own_session_ = std::move(*made);
  session_ = own_session_.get();
  return true;
}

bool Query::apply_settings() {
  std::vector<std::pair<std::string, std::string>> settings;
  bool comment = false;
  for (const auto& [name, value] : request_.parameters) {
    if (is_own(name) || name == "param_query") continue;
    if (!is_plain_name(name)) return fail(exception(bad_arguments, "A setting's name holds a character that none has"));
    settings.emplace_back(name, value);
    comment |= name == "log_comment";
  }
  // The only way to give the engine's own list of processes the client's id, and KILL a way to find it there.
  if (!comment) settings.emplace_back("log_comment", query_id_);
  std::string database(request_.header("x-clickhouse-database"));
  if (const std::string* named = request_.parameter("database"); named != nullptr) database = *named;
  if (kept_session_ && !remember(settings, !database.empty())) return false;
  if (!database.empty()) {
    if (auto used = session_->query("USE " + quote_identifier(database), "Null"); !used) {
      return fail_engine(session_->exception(), used.error());
    }
  }
  std::string set = "SET ";
  for (const auto& [name, value] : settings) {
    if (set.size() > 4) set += ", ";
    set += name + " = " + quote_string(value);
  }
  if (auto done = session_->query(set, "Null"); !done) return fail_engine(session_->exception(), done.error());
  return true;
}

// A kept session must not keep what was meant for one request.
bool Query::remember(const std::vector<std::pair<std::string, std::string>>& settings, bool database) {
  std::string names;
  for (const auto& [name, value] : settings) names += (names.empty() ? "" : ", ") + quote_string(name);
  auto before = session_->query("SELECT name, value, changed, currentDatabase() FROM system.settings WHERE name IN (" +
                                    names + ", 'max_threads')",
                                "RowBinary");
  if (!before) return fail_engine(session_->exception(), before.error());
  ByteReader rows(before->data);
  while (rows.ok() && !rows.at_end()) {
    const std::string name(rows.text()), value(rows.text());
    const bool changed = rows.little<std::uint8_t>() != 0;
    if (database) undo_database_ = rows.text();
    if (!database) rows.text();
    if (name == "max_threads" && request_.parameter(name) == nullptr) continue;
    undo_.emplace_back(name, changed ? quote_string(value) : "DEFAULT");
  }
  return true;
}

void Query::restore() {
  if (!kept_session_) return;
  std::string set;
  for (const auto& [name, value] : undo_) {
    // What a SET statement itself has changed is meant to stay.
    if (statement_.keyword == "SET" && statement_.sql.find(name) != std::string::npos) continue;
    set += (set.empty() ? "SET " : ", ") + name;
    set += " = ";
    set += value;
  }
  if (!set.empty()) (void)session_->query(set, "Null");
  if (!undo_database_.empty() && statement_.keyword != "USE") {
    (void)session_->query("USE " + quote_identifier(undo_database_), "Null");
  }
  if (const std::string* id = request_.parameter("session_id"); id != nullptr && request_.flag("close_session")) {
    service_.kept_.forget(user_, *id);
  }
}

std::string Query::default_format() const {
  if (const std::string* named = request_.parameter("default_format"); named != nullptr && !named->empty())
    return *named;
  if (const std::string_view named = request_.header("x-clickhouse-format"); !named.empty()) return std::string(named);
  return statement_.keyword == "INSERT" ? "Values" : "TabSeparated";
}
std::string Query::output_format() const { return statement_.format.empty() ? default_format() : statement_.format; }

void Query::execute() {
  if (ticket_.cancelled()) {
    fail(exception(query_was_cancelled, "Query was cancelled"));
    return;
  }
  if (statement_.kind == Statement::Kind::insert_data) return insert();
  const std::string format = output_format();
  reply_.header("X-ClickHouse-Format", format);
  reply_.header("Content-Type", service_.content_type(format));
  Coding coding = Coding::none;
  if (request_.flag("enable_http_compression")) coding = coding_accepted(request_.header("accept-encoding"));
  if (request_.flag("compress")) coding = Coding::frames;
  reply_.code(coding);
  const std::uint64_t buffer = number_of(request_.parameter("buffer_size"), held_bytes);
  const bool wait = request_.flag("wait_end_of_query") || request_.flag("http_wait_end_of_query");
  reply_.hold(wait ? std::numeric_limits<std::size_t>::max() : std::max<std::uint64_t>(buffer, held_bytes));
  const Pieces pieces = pieces_of(format);
  const bool odd = statement_.whole_only || request_.flag("extremes") ||
                   request_.flag("output_format_json_array_of_rows") || request_.parameter("limit") != nullptr;
  if (statement_.kind != Statement::Kind::select || pieces == Pieces::whole || odd) return whole(format);
  select_in_pieces(format, pieces == Pieces::headed);
}

}  // namespace pgch::serve
