// The settings of one [[table]] for the poll method.
#include "config/table_makers.h"

namespace pgch::config {

std::vector<Setting> poll_settings() {
  using T = TableConfig&;
  return {
      {"table.poll_form",
       "snapshots, xid, xmin, plain",
       "snapshots",
       "",
       "Poll: what new rows are known by. snapshots, xid: a column that setup adds; xmin: for small tables, adds "
       "nothing; plain: a rising column, at the risk of losing rows.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string form, as_word(given, "table.poll_form", {"snapshots", "xid", "xmin", "plain"}));
         t.poll.form = form == "xid"     ? PollForm::xid
                       : form == "xmin"  ? PollForm::xmin
                       : form == "plain" ? PollForm::plain
                                         : PollForm::snapshots;
         return {};
       }},
      {"table.poll_column",
       "text",
       "_pgch_xid",
       "",
       "Poll: the column with each row's transaction (xid8), for snapshots and xid; never moved.",
       {},
       table_text(
           "table.poll_column", [](T t) -> auto& { return t.poll.xid_column; })},
      {"table.poll_updates",
       "true/false",
       "false",
       "",
       "Poll: setup also makes a trigger that renews the column at each update, so that updated rows are sent again.",
       {},
       table_flag(
           "table.poll_updates", [](T t) -> auto& { return t.poll_updates; })},
      {"table.poll_cursor",
       "list",
       "the key",
       "",
       "Poll, plain: the rising columns, like [\"updated_at\"]; the key's columns follow by themselves.",
       {},
       table_list(
           "table.poll_cursor", [](T t) -> auto& { return t.poll.cursor; })},
      {"table.poll_lag",
       "duration",
       "0",
       "",
       "Poll, plain: a row is read only when its cursor was passed that long ago: makes a loss less likely.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::uint64_t value, as_duration_ms(given, "table.poll_lag", 0, days));
         t.poll.lag = std::chrono::milliseconds(value);
         return {};
       }},
      {"table.poll_start",
       "beginning, now",
       "beginning",
       "",
       "Poll: what the first start begins with: all rows, or those that come from then on.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string start, as_word(given, "table.poll_start", {"beginning", "now"}));
         t.poll.from_now = start == "now";
         return {};
       }},
      {"table.notify_interval",
       "duration",
       "10s",
       "",
       "Notify: look for new rows that long after the last look, even if nothing was heard.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::uint64_t value, as_duration_ms(given, "table.notify_interval", 10, days));
         t.poll.interval = std::chrono::milliseconds(value);
         return {};
       }},
      {"table.poll_failover",
       "stop, continue",
       "stop",
       "",
       "Poll: what to do when another PostgreSQL server has taken over, which may lack what was read: continue if it "
       "lacks nothing.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string what, as_word(given, "table.poll_failover", {"stop", "continue"}));
         t.poll.after_failover = what == "continue";
         return {};
       }},
      {"table.poll_store",
       "file, database",
       "file",
       "",
       "Poll: where the cursor is kept: in the state directory, or in the table pgch_cursor, which setup makes beside "
       "the source table.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string store, as_word(given, "table.poll_store", {"file", "database"}));
         t.poll.store = store == "database" ? PollStore::database : PollStore::file;
         return {};
       }},
  };
}

}  // namespace pgch::config
