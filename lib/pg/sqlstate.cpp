#include "pg/sqlstate.h"

#include <string>

namespace pgch::pg {
namespace {

bool is_code_char(char c) noexcept { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); }

std::string_view first_line(std::string_view message) noexcept {
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.remove_suffix(1);
  const std::size_t end = message.find('\n');
  return end == std::string_view::npos ? message : message.substr(0, end);
}

bool contains(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

// Errors after which the same statement may succeed by itself.
bool is_transient(std::string_view code) noexcept {
  if (code.substr(0, 2) == "08") return true;
  for (const std::string_view one : {"57P01", "57P02", "57P03", "57P05", "53300", "40001", "40P01", "55P03", "55006",
                                     "53100", "53200", "25006", "25P03", "25P04", "57014"}) {
    if (code == one) return true;
  }
  return false;
}

Error transient(std::string_view code, const std::string& what, std::string_view line) {
  const std::string text(line);
  std::string native(code);
  if (code == "53300") {
    return retry(Errc::limit,
                 what + "PostgreSQL has no free connection (" + text +
                     "); pgch waits for one: raise max_connections or close some.",
                 native);
  }
  if (code == "55P03") {
    return retry(Errc::timeout,
                 what + "a lock was not to be had in time (" + text +
                     "); pgch tries again: look for the session that holds it in pg_locks.",
                 native);
  }
  if (code == "57014")
    return retry(Errc::timeout, what + "the statement was cancelled (" + text + "); pgch tries again.", native);
  if (code == "53100") {
    return retry(Errc::limit,
                 what + "the disk of the PostgreSQL server is full (" + text + "); pgch waits until there is room.",
                 native);
  }
  if (code == "25006") {
    return retry(Errc::unsupported,
                 what + "the PostgreSQL server is read-only (" + text + "); pgch needs the primary, and waits for it.",
                 native);
  }
  if (code.substr(0, 2) == "40" || code.substr(0, 2) == "53" || code == "55006") {
    return retry(Errc::conflict, what + text + "; pgch tries again.", native);
  }
  return retry(Errc::connection, what + "the connection to PostgreSQL was lost (" + text + "); pgch connects again.",
               native);
}

}  // namespace

Error error_of(std::string_view code, std::string_view message, std::string_view doing) {
  const std::string_view line = first_line(message);
  const std::string what = doing.empty() ? std::string() : "While " + std::string(doing) + ": ";
  const std::string text(line);
  std::string native(code);
  if (code.empty()) {
    return retry(Errc::connection, what + "the connection to PostgreSQL was lost (" +
                                       (text.empty() ? "no reason given" : text) + "); pgch connects again.");
  }
  if (is_transient(code)) return transient(code, what, line);
  if (code.substr(0, 2) == "28")
    return halt(Errc::authentication,
                what + "PostgreSQL refused the login (" + text + "); check user, password and pg_hba.conf.", native);
  if (code == "3D000")
    return halt(Errc::not_found, what + text + "; check the database's name in the connection, or create it.", native);
  if (code == "42501")
    return halt(Errc::permission, what + text + "; GRANT the missing right to the user pgch connects as.", native);
  if (code == "42P01" || code == "3F000")
    return halt(Errc::not_found, what + text + "; check the table's name and its schema.", native);
  if (code == "42703")
    return halt(Errc::not_found, what + text + "; check the column's name, or restart pgch if the table was changed.",
                native);
  if (code == "0A000")
    return halt(Errc::unsupported, what + "this PostgreSQL server can't do that (" + text + ").", native);
  if (code.substr(0, 2) == "22" || code.substr(0, 2) == "23") {
    return halt(Errc::data,
                what + "PostgreSQL refused a value (SQLSTATE " + native +
                    "); its own log has the details, which are not repeated here because they may quote data.",
                native);
  }
  if (code == "XX001" || code == "XX002")
    return halt(Errc::corrupt, what + "PostgreSQL reports damaged data (" + text + "); look at the server's log.",
                native);
  return halt(Errc::internal, what + "PostgreSQL answered: " + text + " (SQLSTATE " + native + ").", native);
}

std::string_view sqlstate_in(std::string_view message) noexcept {
  // "<severity>:  <SQLSTATE>: <text>"; the severity is in the server's language, so only the shape counts.
  for (std::size_t i = message.find(":  "); i != std::string_view::npos; i = message.find(":  ", i + 1)) {
    const std::string_view rest = message.substr(i + 3);
    if (rest.size() < 7 || rest[5] != ':' || rest[6] != ' ') continue;
    bool all = true;
    for (std::size_t k = 0; k < 5; ++k) all = all && is_code_char(rest[k]);
    if (all) return rest.substr(0, 5);
  }
  return {};
}

Error connect_error(std::string_view message) {
  std::string text(first_line(message));
  const std::string_view code = sqlstate_in(message);
  if (!code.empty()) {
    // Drop the code from what people read: it goes into `native`.
    std::string native(code);
    if (const std::size_t at = text.find(native + ": "); at != std::string::npos) text.erase(at, native.size() + 2);
    if (native == "28P01")
      return halt(Errc::authentication, "PostgreSQL refused the password (" + text + "); check user and password.",
                  native);
    if (native == "57P03")
      return retry(Errc::connection, "PostgreSQL is starting or stopping (" + text + "); pgch tries again.", native);
    return error_of(native, text, "connecting");
  }
  if (contains(text, "could not translate host name")) {
    return retry(Errc::connection,
                 "PostgreSQL's host is unknown (" + text + "); check the host's name in the connection.");
  }
  if (contains(text, "Connection refused")) {
    return retry(Errc::connection, "Nothing listens at PostgreSQL's address (" + text +
                                       "); check host and port, and that the server is up.");
  }
  if (contains(text, "No such file or directory") && contains(text, "socket")) {
    return retry(Errc::connection,
                 "There is no PostgreSQL socket (" + text + "); check host and port, and that the server is up.");
  }
  if (contains(text, "no password supplied")) {
    return halt(Errc::authentication, "PostgreSQL asks for a password and none was given (" + text +
                                          "); set PGPASSWORD, ~/.pgpass or the password setting.");
  }
  if (contains(text, "certificate") || contains(text, "SSL")) {
    return halt(Errc::authentication, "The TLS connection to PostgreSQL could not be verified (" + text +
                                          "); off loopback pgch asks for sslmode=verify-full: give sslrootcert, or say "
                                          "sslmode or insecure yourself.");
  }
  return retry(Errc::connection, "PostgreSQL can't be reached (" + (text.empty() ? "no reason given" : text) + ").");
}

}  // namespace pgch::pg
