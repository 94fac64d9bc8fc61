// A table of logins to be moved by the flag method, and what tests of that method do with it.
#pragma once

#include "test/integration/postgres_fixture.h"

namespace pgch::testing {

inline constexpr const char* logins =
    "CREATE TABLE user_logins (id bigserial PRIMARY KEY, user_id int, event_type text, event_time timestamptz, payload "
    "jsonb, sent_to_kafka boolean DEFAULT false);"
    "CREATE INDEX ON user_logins (id) WHERE sent_to_kafka IS NOT TRUE;";

inline void fill(TestSchema& db, int rows) {
  db.run(
      "INSERT INTO user_logins (user_id, event_type, event_time, payload) SELECT g, 'login', now(), '{\"ip\": "
      "\"127.0.0.1\"}' FROM generate_series(1, " +
      std::to_string(rows) + ") g");
}

inline std::unique_ptr<Extractor> opened(FlagOptions options, const Context& context,
                                         std::vector<Intent> pending = {}) {
  auto made = make_flag(std::move(options));
  if (!made) FAIL(made.error().message);
  auto ok = (*made)->open(context, std::move(pending));
  if (!ok) FAIL(ok.error().message);
  return std::move(*made);
}

}  // namespace pgch::testing
