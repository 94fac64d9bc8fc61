// ClickHouse's own Kafka engine as a reader of pgch's topics: Kafka table → materialized view → target. The engine
// delivers at least once, so the target is a ReplacingMergeTree that takes a row's second coming for the first.
#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "clickhouse/ddl.h"
#include "clickhouse/sql.h"
#include "clickhouse/types.h"

namespace pgch::ch {
namespace {

constexpr Version kafka_headers{21, 6};

struct Reading {
  const KafkaEngine& kafka;
  const TargetOptions& target;
  const TableSchema& schema;
  Version server;
  bool native;
  bool avro;
  bool keyed;
};

// A header's value, or '' where the message has none of that name.
std::string header(std::string_view name) {
  return fmt::format("_headers.value[indexOf(_headers.name, {})]", quote_text(name));
}

// Names that Avro has as they are (pgch escapes the others, which the engine does not know).
bool is_avro_name(std::string_view name) noexcept {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  return plain && !name.empty() && (name[0] < '0' || name[0] > '9') && name.find("_x") == std::string_view::npos;
}

// What of pgch's Avro the engine reads otherwise, or not at all; empty: it reads the column.
std::string_view unread_avro(const ColumnSpec& column, bool inside) noexcept {
  switch (column.kind) {
    case Kind::uint64:
      return inside ? "64-bit integers without sign within an array, map or tuple" : "";
    case Kind::timestamp:
    case Kind::timestamptz:
      return column.scale == 3 || column.scale == 6 || column.scale == 9 ? "" : "times with such digits";
    case Kind::datetime:
    case Kind::time:
    case Kind::int256:
    case Kind::ipv6:
    case Kind::date16:
      return "this type";
    case Kind::tuple:
      return !column.elements.empty() && is_avro_name(column.elements[0].name) ? "" : "tuples without names";
    case Kind::map:
      return column.elements[0].kind == Kind::text && !column.elements[0].nullable ? ""
                                                                                   : "maps whose keys are no texts";
    default:
      return "";
  }
}

// The engine reads JSON's base64 and NULL arrays otherwise than pgch writes them.
Result<void> check_column(const Reading& r, const ColumnSpec& column, bool inside) {
  if (r.native) return {};
  const auto refuse = [&](std::string_view what) {
    return halt(Errc::unsupported,
                fmt::format("Column {}: ClickHouse's Kafka engine can't read {} from pgch's {}. Use kafka.format = "
                            "\"native\", or pgch's own consumer.",
                            column.name, what, r.avro ? "Avro" : "JSON"));
  };
  if (r.avro) {
    if (!is_avro_name(column.name)) return refuse("such a name");
    if (const std::string_view what = unread_avro(column, inside); !what.empty()) return refuse(what);
  }
  if (!inside && is_nested(column.kind) && column.nullable) return refuse("an array, map or tuple that may be NULL");
  if (!r.avro && inside && column.kind == Kind::bytes) return refuse("bytes within an array, map or tuple");
  for (ColumnSpec element : column.elements) {
    if (!r.avro || column.kind != Kind::tuple) element.name = column.name;
    PGCH_TRY(check_column(r, element, true));
  }
  return {};
}

std::string kafka_columns(const Reading& r) {
  std::string out;
  if (r.native) out = "    `_pgch_row` UInt32,\n    `_pgch_version` UInt64,\n    `_pgch_op` UInt8,\n";
  for (const ColumnSpec& c : r.schema.columns) {
    std::string type = wire_type(c, r.server);
    if (r.avro && c.kind == Kind::uint64) type = c.nullable ? "Nullable(Decimal(20, 0))" : "Decimal(20, 0)";
    out += fmt::format("    {} {},\n", quote_name(c.name), type);
    if (is_nested(c.kind) && c.nullable) out += fmt::format("    {} UInt8,\n", quote_name(null_flag_of(c.name)));
  }
  out.resize(out.size() - 2);
  return out;
}

std::string kafka_settings(const Reading& r) {
  std::string out = fmt::format(
      "SETTINGS kafka_broker_list = {},\n    kafka_topic_list = {},\n    kafka_group_name = {},\n    kafka_format = {}",
      quote_text(r.kafka.brokers), quote_text(r.kafka.topic), quote_text(r.kafka.group),
      r.native ? "'Native'"
      : r.avro ? "'AvroConfluent'"
               : "'JSONEachRow'");
  if (r.avro)
    return out + fmt::format(",\n    format_avro_schema_registry_url = {}", quote_text(r.kafka.schema_registry));
  if (!r.native) out += ",\n    date_time_input_format = 'best_effort'";
  return out;
}

std::string selected(const Reading& r) {
  std::string out;
  for (const ColumnSpec& c : r.schema.columns) {
    const std::string name = quote_name(c.name);
    std::string value = name;
    if (!r.native && !r.avro && c.kind == Kind::bytes) value = "base64Decode(" + name + ") AS " + name;
    if (r.avro && c.kind == Kind::uint64)
      value = fmt::format("CAST({} AS {}) AS {}", name, wire_type(c, r.server), name);
    out += "    " + value + ",\n";
    if (is_nested(c.kind) && c.nullable) out += "    " + quote_name(null_flag_of(c.name)) + ",\n";
  }
  // A block of somebody else's lacks the columns that say which rows they are: louder than taking them for one.
  const std::string ours = fmt::format("throwIf({} = '', 'a message that pgch has not written')", header("pgch-seq"));
  if (r.keyed) {
    const std::string version =
        r.native ? "`_pgch_version` + " + ours
                 : fmt::format("ifNull(toUInt64OrNull({}), toUInt64(_offset) + 1)", header("pgch-version"));
    const std::string deleted =
        r.native ? "toUInt8(`_pgch_op` = 2)" : fmt::format("toUInt8({} = 'remove')", header("pgch-op"));
    out += fmt::format("    {} AS {},\n    {} AS {}", version, quote_name(r.target.version_column), deleted,
                       quote_name(r.target.deleted_column));
    return out;
  }
  // A row's place in its stream: the batch's attempt, and the row in it. A message that is not pgch's has its offset.
  const std::string batch =
      fmt::format("cityHash64({}, replaceRegexpOne({}, '[.][0-9]+$', ''))", header("pgch-stream"), header("pgch-seq"));
  if (r.native) {
    return out + fmt::format("    {} AS {},\n    toUInt32(`_pgch_row` + {}) AS {}", batch,
                             quote_name(r.target.batch_column), ours, quote_name(r.target.row_column));
  }
  return out + fmt::format(
                   "    if({0} = '', cityHash64(_topic, _partition, intDiv(_offset, 4294967296)), {1}) AS {2},\n"
                   "    if({0} = '', toUInt32(_offset % 4294967296), toUInt32OrZero(splitByChar('.', {0})[3])) AS {3}",
                   header("pgch-seq"), batch, quote_name(r.target.batch_column), quote_name(r.target.row_column));
}

// Rows that come twice have to be merged, whatever the target is otherwise.
Result<TargetOptions> merging(const Reading& r) {
  TargetOptions target = r.target;
  if (!target.engine.empty() && target.engine.find("Replacing") == std::string::npos) {
    return halt(Errc::config,
                "table.engine is " + target.engine +
                    ", but ClickHouse's Kafka engine reads rows twice after a failure, and only a "
                    "ReplacingMergeTree merges them: leave table.engine out, or use pgch's own consumer.");
  }
  if (r.keyed) return target;
  if (!target.order_by.empty())
    return halt(Errc::config,
                "table.order_by can't be chosen here: without a key, rows that ClickHouse's Kafka engine "
                "reads twice are merged by their place, so the table is ordered by that.");
  if (target.engine.empty()) target.engine = "ReplacingMergeTree";
  target.order_by = fmt::format("({}, {})", quote_name(target.batch_column), quote_name(target.row_column));
  return target;
}

Result<std::vector<std::string>> statements_of(const Reading& r, const std::string& database) {
  for (const ColumnSpec& column : r.schema.columns) PGCH_TRY(check_column(r, column, false));
  PGCH_ASSIGN(const TargetOptions target, merging(r));
  PGCH_ASSIGN(std::vector<std::string> out, create_statements(database, target, r.schema, r.server));
  const std::string queue = quote_name(database, r.target.table + "_kafka");
  out.push_back(fmt::format("CREATE TABLE IF NOT EXISTS {}\n(\n{}\n)\nENGINE = Kafka\n{}", queue, kafka_columns(r),
                            kafka_settings(r)));
  out.push_back(fmt::format("CREATE MATERIALIZED VIEW IF NOT EXISTS {} TO {} AS\nSELECT\n{}\nFROM {}",
                            quote_name(database, r.target.table + "_from_kafka"), quote_name(database, r.target.table),
                            selected(r), queue));
  return out;
}

}  // namespace
}  // namespace pgch::ch

namespace pgch {

Result<std::string> clickhouse_kafka_ddl(const ClickHouseOptions& options, const TargetOptions& target,
                                         const TableSchema& schema, std::string_view server_version,
                                         const KafkaEngine& kafka) {
  PGCH_ASSIGN(const ch::Version server, ch::parse_version(server_version));
  if (server < ch::kafka_headers)
    return halt(Errc::unsupported,
                "ClickHouse's Kafka engine tells messages' headers since 21.6, so an older one "
                "can't know which rows it has read twice: use pgch's own consumer.");
  if (kafka.format != "json" && kafka.format != "native" && kafka.format != "avro") {
    return halt(Errc::unsupported,
                fmt::format("There is no SQL by which ClickHouse's Kafka engine reads pgch's format {}: use "
                            "kafka.format = \"json\", \"native\" or \"avro\", or pgch's own consumer.",
                            kafka.format));
  }
  if (kafka.format == "avro" && kafka.schema_registry.empty())
    return halt(Errc::config, "The format avro needs a schema registry: set kafka.schema_registry to its address.");
  TargetOptions named = target;
  named.table = ch::target_table(target, schema);
  const ch::Reading reading{
      kafka, named, schema, server, kafka.format == "native", kafka.format == "avro", !schema.key_order.empty()};
  PGCH_ASSIGN(const std::vector<std::string> statements, ch::statements_of(reading, options.database));
  return fmt::format("{};\n", fmt::join(statements, ";\n\n"));
}

}  // namespace pgch
