// pgch_types: every type, by every way, equal to PostgreSQL's own text. For each case a table is filled with edge
// values and random rows; it goes by COPY BINARY → Native into the embedded engine, the same over HTTP, and through
// JSON messages, Avro messages and Native blocks; then both sides are asked for texts by the case's rule, and compared
// row by row.
//   pgch_types [--rows N] [--quick] [--seed N] [--only PART-OF-A-NAME] [--without EXTENSION] [--list]
// --without: the cases of an extension that this server does not have; without it they fail there.
// Needs PGCH_TEST_PG and PGCH_LIBCHDB. Exit status 0: all equal.
#include "test/types/cases.h"

#include <fmt/format.h>
#include <stdlib.h>  // NOLINT: mkdtemp

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#ifdef PGCH_HAVE_AVRO
#include "avro/row_decoder.h"
#include "avro/row_encoder.h"
#include "test/support/fake_registry.h"
#endif
#include "base/bytes.h"
#include "base/try.h"
#include "codec/debezium.h"
#include "codec/json_row.h"
#include "codec/native_message.h"
#include "pgch/extract/scan.h"
#include "pgch/load/clickhouse.h"
#include "pgch/postgres.h"
#include "pgch/serve.h"

namespace pgch::types_test {
namespace {

struct Options {
  std::uint64_t rows = 100'000;
  std::uint64_t seed = 0;
  std::string only, without;
  bool list = false;
};

using Texts = std::vector<std::optional<std::string>>;

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

std::string shown(const std::optional<std::string>& text) {
  if (!text) return "NULL";
  std::string out = "'";
  for (const char c : text->substr(0, 120)) {
    if (static_cast<unsigned char>(c) < 32) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + (text->size() > 120 ? fmt::format("' … ({} bytes)", text->size()) : "'");
}

/// The servers, for the length of the run.
class World {
 public:
  static Result<std::unique_ptr<World>> make() {
    const char* conninfo = std::getenv("PGCH_TEST_PG");
    const char* library = std::getenv("PGCH_LIBCHDB");
    if (conninfo == nullptr || library == nullptr)
      return halt(Errc::config, "PGCH_TEST_PG and PGCH_LIBCHDB must be set: test/run.sh does it.");
    std::unique_ptr<World> world(new World);
    world->postgres.conninfo = conninfo;
    std::string pattern = (std::filesystem::temp_directory_path() / "pgch-types-XXXXXX").string();
    world->directory_ = ::mkdtemp(pattern.data());
    ServeOptions serve;
    serve.path = world->directory_;
    serve.library = library;
    serve.port = 0;
    PGCH_ASSIGN(world->server_, make_server(serve, {null_logger(), system_clock(), world->stop_.get_token()}));
    world->thread_ = std::thread([w = world.get()] { (void)w->server_->run().operator bool(); });
    world->embedded.url = "chdb://" + world->directory_;
    world->embedded.library = library;
    world->embedded.database = "types";
    world->http = world->embedded;
    world->http.url = "http://127.0.0.1:" + std::to_string(world->server_->port());
    world->http.compression = Compression::lz4;
    PGCH_ASSIGN(world->session, open_postgres(world->postgres, world->context()));
    PGCH_ASSIGN(world->clickhouse, open_clickhouse(world->embedded, world->context()));
    PGCH_TRY(world->clickhouse->query("CREATE DATABASE IF NOT EXISTS types"));
    return world;
  }
  ~World() {
    clickhouse.reset();
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
    std::error_code ec;
    std::filesystem::remove_all(directory_, ec);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Context context() { return {null_logger(), system_clock(), {}}; }
  Result<void> run(const std::string& sql) {
    auto answer = session->query(sql);
    if (!answer) return std::move(answer).error();
    return {};
  }

  PostgresOptions postgres;
  ClickHouseOptions embedded, http;
  std::unique_ptr<PostgresSession> session;
  std::unique_ptr<ClickHouse> clickhouse;

 private:
  World() = default;
  std::string directory_;
  std::stop_source stop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

constexpr const char* schema_name = "pgch_types";

Result<void> fill(World& world, const Case& c, const Options& options) {
  PGCH_TRY(
      world.run(fmt::format("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}; SET search_path = {0}, public; SET "
                            "IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'",
                            schema_name)));
  PGCH_TRY(world.run(helpers));
  if (!c.extension.empty()) PGCH_TRY(world.run("CREATE EXTENSION IF NOT EXISTS " + c.extension + " SCHEMA public"));
  if (!c.setup.empty()) PGCH_TRY(world.run(c.setup));
  PGCH_TRY(world.run("CREATE TABLE t (id bigint PRIMARY KEY, v " + c.type + ")"));
  std::string sql = fmt::format("SELECT setseed({});", static_cast<double>(options.seed % 1'000'000) / 1e6);
  sql += "INSERT INTO t VALUES (0, NULL);";
  std::uint64_t id = 1;
  for (const std::string& edge : c.edges)
    sql += fmt::format("INSERT INTO t VALUES ({}, ({})::{});", id++, edge, c.type);
  // Columns of one query are evaluated in order, so a seed gives the same rows again.
  sql += fmt::format(
      "INSERT INTO t SELECT g, CASE WHEN random() < 0.03 THEN NULL ELSE {} END FROM generate_series({}, {}) AS x(g)",
      c.random, id, id + options.rows - 1);
  return world.run(sql);
}

Result<Texts> postgres_texts(World& world, const Case& c) {
  std::string rule = c.postgres;
  if (rule.find("%o") != std::string::npos) {
    PGCH_ASSIGN(
        const auto output,
        world.session->query("SELECT t.typoutput::regproc FROM pg_type t JOIN pg_attribute a ON a.atttypid = t.oid "
                             "WHERE a.attrelid = 't'::regclass AND a.attname = 'v'"));
    rule = replaced(rule, "%o", output.front().front().value_or(""));
  }
  // A row of nothing but NULLs "IS NULL", too, but has a size.
  const std::string null = rule.find("COALESCE(v,") == std::string::npos ? "pg_column_size(v) IS NULL" : "false";
  PGCH_ASSIGN(auto rows,
              world.session->query("SELECT CASE WHEN " + null + " THEN NULL ELSE " + rule + " END FROM t ORDER BY id"));
  Texts out;
  for (auto& row : rows) out.push_back(std::move(row.front()));
  return out;
}

Result<Texts> clickhouse_texts(World& world, const Case& c, const std::string& table, bool flagged) {
  const std::string value = flagged ? "if(v__is_null != 0, NULL, " + c.clickhouse + ")" : c.clickhouse;
  PGCH_ASSIGN(const std::string answer,
              world.clickhouse->query(
                  "SELECT CAST(" + value + " AS Nullable(String)) FROM types." + table + " ORDER BY id", "RowBinary"));
  Texts out;
  ByteReader in(answer);
  while (!in.at_end()) {
    const bool null = in.little<std::uint8_t>() != 0;
    out.push_back(null ? std::nullopt : std::optional(std::string(in.text())));
    if (!in.ok()) return halt(Errc::corrupt, "ClickHouse's answer ends too soon");
  }
  return out;
}

Result<void> compare(const Texts& want, const Texts& got, const std::string& way) {
  if (want.size() != got.size())
    return halt(Errc::data, fmt::format("{}: {} rows at PostgreSQL, {} at ClickHouse", way, want.size(), got.size()));
  std::string differences;
  std::size_t count = 0;
  for (std::size_t r = 0; r < want.size(); ++r) {
    if (want[r] == got[r] || ++count > 3) continue;
    differences += fmt::format("\n      row {}: PostgreSQL {}, ClickHouse {}", r, shown(want[r]), shown(got[r]));
  }
  if (count == 0) return {};
  return halt(Errc::data, fmt::format("{}: {} rows differ{}", way, count, differences));
}

// The batch as messages, and back: the same columns, bit by bit.
Result<void> by_json(const RowBatch& batch) {
  const codec::JsonRowEncoder encoder(batch.schema, false);
  codec::JsonRowOptions options;
  options.bytes_max = 1U << 30;
  codec::JsonRowDecoder decoder(batch.schema, options);
  RowBatch back;
  back.reset(batch.schema);
  std::string message;
  for (std::size_t r = 0; r < batch.rows; ++r) {
    message.clear();
    if (encoder.append_value(batch, r, message) != npos) return halt(Errc::data, "json: a value has no message");
    if (!decoder.append_row(message, back))
      return halt(Errc::data, "json: " + decoder.reason() + " in " + message.substr(0, 200));
  }
  back.version = batch.version;
  if (content_hash(back) == content_hash(batch)) return {};
  for (std::size_t r = 0; r < batch.rows; ++r) {
    const std::size_t columns[] = {0, 1};
    if (hash_row(batch, r, columns) == hash_row(back, r, columns)) continue;
    message.clear();
    encoder.append_value(batch, r, message);
    return halt(Errc::data, "json: row " + std::to_string(r) + " comes back as another: " + message.substr(0, 200));
  }
  return halt(Errc::data, "json: the rows come back as others");
}

#ifdef PGCH_HAVE_AVRO
// The same as Avro, by the schema that the encoder registers.
Result<void> by_avro(const RowBatch& batch) {
  const auto schemas = std::make_shared<test::FakeSchemas>();
  avro::AvroRowEncoder encoder(std::make_unique<test::FakeRegistry>(schemas), "t-value");
  PGCH_TRY(encoder.open(batch.schema));
  avro::AvroRowOptions options;
  options.bytes_max = 1U << 30;
  avro::AvroRowDecoder decoder(batch.schema, options, std::make_unique<test::FakeRegistry>(schemas));
  RowBatch back;
  back.reset(batch.schema);
  std::string message;
  for (std::size_t r = 0; r < batch.rows; ++r) {
    message.clear();
    if (encoder.append_value(batch, r, message) != npos) return halt(Errc::data, "avro: a value has no message");
    PGCH_ASSIGN(const codec::Decoded decoded, decoder.append({{}, message}, back));
    if (decoded != codec::Decoded::rows)
      return halt(Errc::data, "avro: " + decoder.reason() + " in row " + std::to_string(r));
  }
  back.version = batch.version;
  if (content_hash(back) == content_hash(batch)) return {};
  return halt(Errc::data, "avro: the rows come back as others");
}
#else
Result<void> by_avro(const RowBatch&) { return {}; }
#endif

// The same as blocks of a few hundred rows.
Result<void> by_native(const RowBatch& batch) {
  codec::NativeEncoder encoder;
  PGCH_TRY(encoder.open(batch.schema));
  codec::NativeOptions options;
  options.bytes_max = 1U << 30;
  codec::NativeDecoder decoder(batch.schema, options);
  RowBatch back;
  back.reset(batch.schema);
  std::string message;
  constexpr std::uint32_t rows_of_block = 777;
  for (std::uint32_t first = 0; first < batch.rows; first += rows_of_block) {
    message.clear();
    PGCH_TRY(encoder.append_block(batch, first, std::min(rows_of_block, batch.rows - first), message));
    PGCH_ASSIGN(const codec::Decoded decoded, decoder.append({{}, message, true}, back));
    if (decoded != codec::Decoded::rows) return halt(Errc::data, "native: " + decoder.reason());
  }
  if (content_hash(back) == content_hash(batch)) return {};
  return halt(Errc::data, "native: the rows come back as others");
}

// As Debezium's events, by the connector's default modes; every seventh row also by others.
Result<void> by_debezium(const RowBatch& batch, const codec::DebeziumModes& modes, std::size_t step) {
  codec::DebeziumEncoder encoder(modes);
  if (auto opened = encoder.open(batch.schema); !opened) return {};  // bit varying: it says so
  codec::DebeziumDecoderOptions options;
  options.row.bytes_max = 1U << 30;
  options.modes = modes;
  options.wide_years = true;
  codec::DebeziumDecoder decoder(batch.schema, options);
  RowBatch back;
  std::string message;
  for (std::size_t r = 0; r < batch.rows; r += step) {
    message.clear();
    back.reset(batch.schema);
    if (encoder.append_value(batch, r, message) != npos) {
      // A numeric that is no number has no form in the mode precise.
      if (!modes.decimal_as_string && batch.schema->columns[1].source_type.rfind("numeric(", 0) == 0) continue;
      return halt(Errc::data, "debezium: a value has no message");
    }
    PGCH_ASSIGN(const codec::Decoded decoded, decoder.append({{}, message, true}, back));
    if (decoded != codec::Decoded::rows)
      return halt(Errc::data, "debezium: " + decoder.reason() + " in " + message.substr(0, 300));
    const std::size_t columns[] = {0, 1};
    if (hash_row(batch, r, columns) != hash_row(back, 0, columns))
      return halt(Errc::data,
                  "debezium: row " + std::to_string(r) + " comes back as another: " + message.substr(0, 300));
  }
  return {};
}

struct Way {
  std::string name, table;
  const ClickHouseOptions* options;
};

Result<bool> move(World& world, const Case& c, const Way& way, bool json) {
  ScanOptions options;
  options.postgres = world.postgres;
  options.table = std::string(schema_name) + ".t";
  options.columns.types.as = c.as;
  options.columns.types.misfit = c.misfit;
  PGCH_ASSIGN(const auto scan, make_scan(options));
  const Context context = world.context();
  PGCH_TRY(scan->open(context, {}));
  TargetOptions target;
  target.table = way.table;
  target.current_view = false;
  target.fsync = false;
  PGCH_ASSIGN(const auto loader, make_clickhouse(*way.options, target));
  PGCH_TRY(loader->open(context));
  RowBatch batch;
  bool flagged = false;
  for (std::uint64_t number = 1;; ++number) {
    PGCH_ASSIGN(const Fetch found, scan->fetch(batch, {}, context.clock.now() + std::chrono::seconds(60)));
    if (found == Fetch::end) break;
    if (found != Fetch::rows) continue;
    if (!batch.rejected.empty())
      return halt(Errc::data, fmt::format("{}: {} rows were refused: {}", way.name, batch.rejected.size(),
                                          batch.rejected.front().reason));
    if (number == 1) PGCH_TRY(loader->prepare(*batch.schema));
    flagged = is_nested(batch.schema->columns[1].kind) && batch.schema->columns[1].nullable;
    if (json) PGCH_TRY(by_json(batch));
    if (json) {
      using Modes = codec::DebeziumModes;
      PGCH_TRY(by_debezium(batch, {}, 1));
      PGCH_TRY(by_debezium(batch, {Modes::Time::microseconds, true, Modes::Binary::hex}, 7));
      PGCH_TRY(by_debezium(batch, {Modes::Time::adaptive_time_microseconds, false, Modes::Binary::base64_url}, 7));
    }
    if (way.options == &world.embedded) {
      PGCH_TRY(by_native(batch));
      PGCH_TRY(by_avro(batch));
    }
    PGCH_TRY(loader->load(batch, {"types", batch.stream, 1, number, number}));
  }
  scan->close();
  loader->close();
  return flagged;
}

Result<void> check_type(World& world, const Case& c, const std::string& table) {
  PGCH_ASSIGN(std::string type,
              world.clickhouse->query(
                  "SELECT type FROM system.columns WHERE database = 'types' AND table = '" + table + "' AND name = 'v'",
                  "RowBinary"));
  ByteReader in(type);
  const std::string got(in.text());
  if (got == c.target) return {};
  return halt(Errc::schema, "the column became " + got + " instead of " + c.target);
}

Result<void> run_case(World& world, const Case& c, const Options& options) {
  PGCH_TRY(fill(world, c, options));
  PGCH_ASSIGN(const Texts want, postgres_texts(world, c));
  const Way ways[] = {{"embedded", "e", &world.embedded}, {"http", "h", &world.http}};
  for (const Way& way : ways) {
    PGCH_TRY(world.clickhouse->query("DROP TABLE IF EXISTS types." + way.table));
    PGCH_ASSIGN(const bool flagged, move(world, c, way, c.json && way.table == "e"));
    PGCH_TRY(check_type(world, c, way.table));
    PGCH_ASSIGN(const Texts got, clickhouse_texts(world, c, way.table, flagged));
    PGCH_TRY(compare(want, got, way.name));
  }
  return {};
}

std::optional<Options> read_options(int argc, char** argv) {
  Options options;
  options.seed = std::random_device{}() % 1'000'000;
  if (std::getenv("PGCH_TEST_QUICK") != nullptr) options.rows = 3'000;
  const auto number = [](const char* text) { return static_cast<std::uint64_t>(std::strtoull(text, nullptr, 10)); };
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const bool has_value = i + 1 < argc;
    if (name == "--quick") {
      options.rows = 3'000;
    } else if (name == "--list") {
      options.list = true;
    } else if (name == "--rows" && has_value) {
      options.rows = number(argv[++i]);
    } else if (name == "--seed" && has_value) {
      options.seed = number(argv[++i]);
    } else if (name == "--only" && has_value) {
      options.only = argv[++i];
    } else if (name == "--without" && has_value) {
      options.without = argv[++i];
    } else {
      std::cerr << "usage: pgch_types [--rows N] [--quick] [--seed N] [--only PART-OF-A-NAME] [--without EXTENSION] "
                   "[--list]\n";
      return std::nullopt;
    }
  }
  return options;
}

// A case that this server can't have, and why; empty if it can.
std::string left_out(const Case& c, const Options& options, int version) {
  if (!options.without.empty() && c.extension == options.without) return "is of " + c.extension;
  return version < c.since ? fmt::format("needs PostgreSQL {}", c.since) : std::string();
}

int run(const Options& options) {
  auto world = World::make();
  if (!world) {
    std::cerr << world.error().message << "\n";
    return 2;
  }
  std::cout << fmt::format("seed {} ({} random rows a type; --seed {} repeats it)\n", options.seed, options.rows,
                           options.seed);
  auto version = (*world)->session->query("SELECT current_setting('server_version_num')::int / 10000");
  if (!version) {
    std::cerr << version.error().message << "\n";
    return 2;
  }
  const int major = std::atoi(version->front().front().value_or("0").c_str());
  std::size_t failed = 0, done = 0;
  for (const Case& c : all_cases()) {
    if (c.name.find(options.only) == std::string::npos) continue;
    if (const std::string why = left_out(c, options, major); !why.empty()) {
      std::cout << fmt::format("  left out {:31} {}\n", c.name, why);
      continue;
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto result = run_case(**world, c, options);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    ++done;
    if (result) {
      std::cout << fmt::format("  equal   {:32} {:.1f} s\n", c.name, seconds.count()) << std::flush;
    } else {
      ++failed;
      std::cout << fmt::format("  FAILED  {:32} {:.1f} s\n    {}\n", c.name, seconds.count(), result.error().message)
                << std::flush;
    }
  }
  (void)(*world)->run(std::string("DROP SCHEMA IF EXISTS ") + schema_name + " CASCADE").operator bool();
  std::cout << fmt::format("{} types, {} failed; seed {}\n", done, failed, options.seed);
  return failed == 0 && done > 0 ? 0 : 1;
}

}  // namespace
}  // namespace pgch::types_test

int main(int argc, char** argv) {
  const auto options = pgch::types_test::read_options(argc, argv);
  if (!options) return 2;
  if (options->list) {
    for (const auto& c : pgch::types_test::all_cases()) std::cout << c.name << " → " << c.target << "\n";
    return 0;
  }
  return pgch::types_test::run(*options);
}
