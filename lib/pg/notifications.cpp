#include "pg/notifications.h"

#include <libpq-fe.h>

#include "base/try.h"

namespace pgch::pg {
namespace {

void free_notify(pgNotify* notify) noexcept { PQfreemem(notify); }

}  // namespace

Result<void> listen(Connection& connection, const std::string& channel, const Wait& wait) {
  PGCH_ASSIGN(const std::string quoted, quote_postgres(channel));
  PGCH_TRY(connection.exec("LISTEN " + quoted, {}, "listening for new rows", wait));
  return {};
}

Result<bool> take_notifications(Connection& connection) {
  if (PQconsumeInput(connection.raw()) == 0) return connection.lost("listening for new rows");
  bool any = false;
  while (const Handle<pgNotify, &free_notify> one{PQnotifies(connection.raw())}) any = true;
  return any;
}

}  // namespace pgch::pg
