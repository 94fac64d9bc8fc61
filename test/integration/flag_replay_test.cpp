// A batch that an earlier process had under way, replayed while sessions die.
#include "test/integration/flag_fixture.h"

using namespace pgch;
using namespace pgch::testing;

TEST_CASE("a replayed batch whose session is ended while it is out is replayed once more, and nothing is lost") {
  TestSchema db;
  db.run(logins);
  fill(db, 30);
  RowBatch batch;
  Intent intent;
  {
    auto x = opened(db.flag("user_logins"), db.context);
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
    intent = intent_of(batch);
  }
  auto x = opened(db.flag("user_logins"), db.context, {intent});
  for (int time = 0; time < 3; ++time) {
    REQUIRE(next_batch(*x, batch, db.context, rows_at_once(10)));
    // Each time it is the intent's batch, so that the pipeline looks for it under all of its attempts.
    REQUIRE(batch.intent);
    CHECK(batch.intent->sequence == 1);
    CHECK(batch.position == intent.position);
    CHECK(batch.rows == 10);
    if (time == 2) break;
    kill_sessions(db, time == 1);
    // The loss is noticed here or by the next fetch; either way nothing is told as acknowledged.
    const auto done = x->acknowledge(batch.stream, batch.position);
    if (!done) CHECK(done.error().recovery == Recovery::retry);
    CHECK(x->take_acknowledged().empty());
  }
  Target target;
  target.load(batch);
  REQUIRE(x->acknowledge(batch.stream, batch.position));
  drain(*x, target, db.context, rows_at_once(10));
  CHECK(target.rows == 30);
  CHECK_FALSE(target.has_duplicates());
  x->close();
  CHECK(db.one("SELECT count(*) FROM user_logins WHERE sent_to_kafka IS NOT TRUE") == "0");
}
