// The settings of [[table]].
#include <algorithm>
#include <charconv>
#include <limits>

#include "config/table_makers.h"

namespace pgch::config {

std::vector<Setting> table_settings() {
  using T = TableConfig&;
  std::vector<Setting> all{
      {"table.name",
       "text",
       "",
       "PGCH_TABLE PG_TABLE",
       "The table at PostgreSQL, \"table\" or \"schema.table\". Required.",
       {},
       table_text(
           "table.name", [](T t) -> auto& { return t.name; })},
      {"table.method",
       "flag, poll, notify, outbox",
       "flag",
       "",
       "How new rows are found: flag, by a boolean column that says which were sent; poll, by a cursor; notify, by a "
       "cursor when a trigger says so; outbox, by notes that triggers make of each insert, update and delete.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(t.method, as_word(given, "table.method", {"flag", "poll", "notify", "outbox"}));
         return {};
       }},
      {"table.flag_column",
       "text",
       "sent_to_kafka",
       "",
       "The column that says whether a row was sent; NULL counts as not sent.",
       {},
       table_text(
           "table.flag_column", [](T t) -> auto& { return t.flag_column; })},
      {"table.share",
       "text",
       "1/1",
       "",
       "Several producers of one table: each takes its share, \"1/2\" and \"2/2\", on any machine; without it a table "
       "has one.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string value, as_text(given, "table.share"));
         const auto slash = value.find('/');
         const auto number = [&value](std::size_t from, std::size_t to) -> std::uint32_t {
           std::uint32_t n = 0;
           const auto end = std::from_chars(value.data() + from, value.data() + to, n);
           return end.ec == std::errc() && end.ptr == value.data() + to ? n : 0;
         };
         t.share = slash == std::string::npos ? 0 : number(0, slash);
         t.shares = slash == std::string::npos ? 0 : number(slash + 1, value.size());
         if (t.share < 1 || t.share > t.shares || t.shares > 1000) {
           return halt(Errc::config,
                       "The setting table.share is \"" + value + "\": it must be like \"1/2\", the first of two.");
         }
         return {};
       }},
      {"table.lanes",
       "integer",
       "2",
       "",
       "Connections that take turns at reading and marking, 1 to 8.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::uint64_t value, as_integer(given, "table.lanes", 1, 8));
         t.lanes = static_cast<std::uint32_t>(value);
         return {};
       }},
      {"table.outbox",
       "text",
       "<table>_outbox",
       "",
       "Outbox: the table with the notes; setup makes it, with its triggers, unless it is there in another form.",
       {},
       table_text(
           "table.outbox", [](T t) -> auto& { return t.outbox; })},
      {"table.outbox_key",
       "list",
       "",
       "",
       "Outbox: its columns that hold the row's key, in the key's order, where they have other names.",
       {},
       table_list(
           "table.outbox_key", [](T t) -> auto& { return t.outbox_key; })},
      {"table.gone",
       "delete or skip",
       "delete",
       "",
       "Outbox, and kafka.format = \"key\": what becomes of a key whose row is gone when it is looked up. delete: it "
       "is "
       "deleted at the target, which needs the column _deleted; skip: nothing.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(const std::string gone, as_word(given, "table.gone", {"delete", "skip"}));
         t.skip_gone = gone == "skip";
         return {};
       }},
      {"table.columns",
       "list",
       "all",
       "",
       "Only these columns.",
       {},
       table_list(
           "table.columns", [](T t) -> auto& { return t.columns.include; })},
      {"table.exclude",
       "list",
       "",
       "",
       "All columns but these; the flag column is never moved.",
       {},
       table_list(
           "table.exclude", [](T t) -> auto& { return t.columns.exclude; })},
      {"table.rename",
       "map",
       "",
       "",
       "Names at the target: rename = { login = \"user_name\" }.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(t.columns.rename, as_map(given, "table.rename"));
         return {};
       }},
      {"table.key",
       "list",
       "the primary key",
       "",
       "Columns of the key; else the primary key, else a unique index.",
       {},
       table_list(
           "table.key", [](T t) -> auto& { return t.columns.key; })},
      {"table.where",
       "text",
       "",
       "",
       "Snapshot: only rows for which this SQL condition on the table's columns holds.",
       {},
       table_text(
           "table.where", [](T t) -> auto& { return t.where; })},
      {"table.as",
       "map",
       "",
       "",
       "What single columns become, over [types]: as = { price = \"decimal(38,10)\", tags = \"string\" }.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(t.columns.as, as_map(given, "table.as"));
         return {};
       }},
      {"table.misfit",
       "map",
       "",
       "",
       "Policies of single columns, over types.misfit: misfit = { born = \"clamp\" }.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(t.columns.misfit, as_map(given, "table.misfit"));
         for (const auto& [column, policy] : t.columns.misfit) {
           PGCH_TRY(as_word(Given{policy, given.origin}, "table.misfit", {"fail", "null", "clamp", "string"}));
         }
         return {};
       }},
      {"table.topic",
       "text",
       "",
       "",
       "This table's topic at Kafka, over kafka.topic.",
       {},
       table_text(
           "table.topic", [](T t) -> auto& { return t.topic; })},
      {"table.types",
       "list",
       "",
       "",
       "Columns as [\"id Int64\", \"name Nullable(String)\"]: for a consumer that can ask neither PostgreSQL nor an "
       "existing target.",
       {},
       table_list(
           "table.types", [](T t) -> auto& { return t.types; })},
      {"table.target",
       "text",
       "the table's name",
       "CH_TABLE",
       "Table at ClickHouse, \"table\" or \"database.table\".",
       {},
       table_text(
           "table.target", [](T t) -> auto& { return t.target.table; })},
      {"table.create",
       "true/false",
       "true",
       "",
       "Make a missing target table.",
       {},
       table_flag(
           "table.create", [](T t) -> auto& { return t.target.create; })},
      {"table.ingested_at",
       "true/false",
       "false",
       "",
       "Add _ingested_at DateTime64(3) DEFAULT now64(3) to a table that pgch makes.",
       {},
       table_flag(
           "table.ingested_at", [](T t) -> auto& { return t.target.ingested_at; })},
      {"table.current_view",
       "true/false",
       "true",
       "",
       "Make the view <table>_current (latest versions, not deleted) beside a table that pgch makes.",
       {},
       table_flag(
           "table.current_view", [](T t) -> auto& { return t.target.current_view; })},
      {"table.fsync",
       "true/false",
       "true",
       "",
       "A table that pgch makes survives a power cut (fsync_after_insert).",
       {},
       table_flag(
           "table.fsync", [](T t) -> auto& { return t.target.fsync; })},
      {"table.engine",
       "text",
       "by key",
       "",
       "Engine of a table that pgch makes; with a key ReplacingMergeTree(_version, _deleted), else MergeTree.",
       {},
       table_text(
           "table.engine", [](T t) -> auto& { return t.target.engine; })},
      {"table.order_by",
       "text",
       "the key",
       "",
       "ORDER BY of a table that pgch makes, as SQL; must contain the key.",
       {},
       table_text(
           "table.order_by", [](T t) -> auto& { return t.target.order_by; })},
      {"table.partition_by",
       "text",
       "",
       "",
       "PARTITION BY of a table that pgch makes, as SQL.",
       {},
       table_text(
           "table.partition_by", [](T t) -> auto& { return t.target.partition_by; })},
      {"table.ttl",
       "text",
       "",
       "",
       "TTL of a table that pgch makes, as SQL.",
       {},
       table_text(
           "table.ttl", [](T t) -> auto& { return t.target.ttl; })},
      {"table.codecs",
       "map",
       "",
       "",
       "Compression of columns of a table that pgch makes: codecs = { payload = \"ZSTD(3)\", id = \"Delta, LZ4\" }.",
       {},
       [](T t, const Given& given) -> Result<void> {
         PGCH_ASSIGN(t.target.codecs, as_map(given, "table.codecs"));
         return {};
       }},
      {"table.on_cluster",
       "text",
       "",
       "",
       "Cluster on which the table is made (ON CLUSTER).",
       {},
       table_text(
           "table.on_cluster", [](T t) -> auto& { return t.target.on_cluster; })},
  };
  // Behind those of the flag method.
  const auto after = std::find_if(all.begin(), all.end(),
                                  [](const Setting& one) { return std::string_view(one.name) == "table.outbox"; });
  std::vector<Setting> poll = poll_settings();
  all.insert(after, std::make_move_iterator(poll.begin()), std::make_move_iterator(poll.end()));
  return all;
}

}  // namespace pgch::config
