/// PostgreSQL as a target: what the generator needs (S0: Kafka → PostgreSQL). Rows whose key exists already are left
/// alone.
#pragma once

#include <memory>
#include <string>

#include "pgch/export.h"
#include "pgch/loader.h"
#include "pgch/postgres.h"

namespace pgch {

struct PostgresTargetOptions {
  PostgresOptions postgres;
  std::string table;
  bool create = false;  ///< make the table, with the flag column, if it is missing
  std::string flag_column = "sent_to_kafka";
};
/// Each batch is one transaction. look() goes by the key, which the target's primary key must be; without it
/// LoaderTraits says that exactly-once can't be promised. A value that the target's type refuses is Errc::data with
/// Recovery::dead_letter.
PGCH_EXPORT Result<std::unique_ptr<Loader>> make_postgres_loader(PostgresTargetOptions options);

}  // namespace pgch
