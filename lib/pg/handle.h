// libpq's handles, owned. The types are only named here, so that nothing outside lib/pg needs libpq's header.
#pragma once

#include "base/handle.h"

struct pg_conn;
struct pg_result;

namespace pgch::pg {

void finish(pg_conn* connection) noexcept;
void clear(pg_result* result) noexcept;

using ConnectionHandle = Handle<pg_conn, &finish>;
using ResultHandle = Handle<pg_result, &clear>;

}  // namespace pgch::pg
