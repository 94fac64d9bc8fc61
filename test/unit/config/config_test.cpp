#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "pgch/config.h"
#include "test/support/catch.h"

using namespace pgch;

namespace {

// A file that is gone with the test.
class Scratch {
 public:
  explicit Scratch(const std::string& text, const std::string& suffix = ".toml") {
    char name[] = "/tmp/pgch-config.XXXXXX";
    const int file = ::mkstemp(name);
    REQUIRE(file >= 0);
    ::close(file);
    path_ = name + suffix;
    REQUIRE(::rename(name, path_.c_str()) == 0);
    std::ofstream(path_) << text;
  }
  ~Scratch() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Result<Config> from_file(const std::string& text) {
  const Scratch file(text);
  ConfigSources sources;
  sources.file = file.path();
  return load_config(sources);
}

std::string error_of(const Result<Config>& result) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::config);
  return result.error().message;
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("without any source the target is the embedded engine") {
  const auto config = load_config({});
  REQUIRE(config);
  CHECK(config->clickhouse.url == "chdb://./pgch-data");
  CHECK(config->pipeline == "pgch");
  CHECK_FALSE(config->use_kafka);
  CHECK(config->tables.empty());
}

TEST_CASE("a whole file is read") {
  const auto config = from_file(R"(
pipeline = "user_logins"
state = "/var/lib/pgch"
delivery = "at_least_once"
[postgres]
url = "postgresql://app:s%40crt@db.example:5433/shop?sslmode=require"
[kafka]
bootstrap = "k1:9092,k2:9092"
topic = "events.{table}"
group = "g1"
[kafka.librdkafka]
"security.protocol" = "SSL"
[clickhouse]
url = "https://writer:pw@ch.example/analytics"
compression = "zstd"
[batch]
rows = 500
bytes = "1.5MiB"
linger = "2s"
[limits]
memory = "64MiB"
drain = "1min"
[log]
level = "debug"
format = "json"
[[table]]
name = "user_logins"
target = "analytics.user_logins"
ingested_at = true
key = ["id"]
rename = { login = "user_name" }
[[table]]
name = "shop.orders"
flag_column = "sent"
create = false
)");
  if (!config) FAIL(config.error().message);
  CHECK(config->pipeline == "user_logins");
  CHECK(config->run.delivery == Delivery::at_least_once);
  CHECK(config->postgres.conninfo == "dbname='shop' host='db.example' port='5433' sslmode='require' user='app'");
  CHECK(config->postgres.password.reveal() == "s@crt");
  CHECK(config->use_kafka);
  CHECK(config->kafka.librdkafka.at("security.protocol") == "SSL");
  CHECK(config->clickhouse.url == "https://ch.example:8443");
  CHECK(config->clickhouse.user == "writer");
  CHECK(config->clickhouse.password.reveal() == "pw");
  CHECK(config->clickhouse.database == "analytics");
  CHECK(config->clickhouse.compression == Compression::zstd);
  CHECK(config->run.batch.rows_max == 500);
  CHECK(config->run.batch.bytes_max == 1'572'864);
  CHECK(config->run.batch.linger == std::chrono::seconds(2));
  CHECK(config->run.drain == std::chrono::minutes(1));
  CHECK(config->log_json);
  REQUIRE(config->tables.size() == 2);
  CHECK(config->tables[0].target.ingested_at);
  CHECK(config->tables[0].columns.rename.at("login") == "user_name");
  CHECK(target_of(*config, config->tables[1]).table == "orders");
  CHECK(clickhouse_of(*config, config->tables[1]).database == "analytics");
  CHECK(target_of(*config, config->tables[0]).table == "user_logins");
  CHECK(target_name(config->tables[0]) == "analytics.user_logins");
  CHECK_FALSE(config->tables[1].target.create);
  CHECK(kafka_of(*config, config->tables[1]).topic == "events.shop.orders");
  CHECK(flag_of(*config, config->tables[1]).flag_column == "sent");
  CHECK(pipeline_id(*config, config->tables[1]) == "user_logins.shop.orders");
}

TEST_CASE("a misspelt setting is an error that names the line and the nearest right name") {
  CHECK(contains(error_of(from_file("\n[postgres]\nhots = \"x\"\n")),
                 ":3: there is no setting \"postgres.hots\"; did you mean \"postgres.host\"?"));
  CHECK(contains(error_of(from_file("[[table]]\nname = \"t\"\ningestedat = true\n")), "\"table.ingested_at\"?"));
  CHECK(contains(error_of(from_file("[posgres]\nhost = \"x\"\n")), "\"postgres.host\"?"));
  CHECK(contains(error_of(from_file("bootstrap = \"x:9092\"\n")), "\"kafka.bootstrap\"?"));
  CHECK(contains(error_of(from_file("zzzzzz = 1\n")), "there is no setting \"zzzzzz\""));
  ConfigSources sources;
  sources.environment["PGCH_BATCH_ROW"] = "5";
  CHECK(contains(error_of(load_config(sources)), "did you mean PGCH_BATCH_ROWS?"));
}

TEST_CASE("values are read strictly, with units") {
  CHECK(contains(error_of(from_file("[batch]\nlinger = 500\n")), "\"batch.linger\" needs a number with a unit"));
  CHECK(
      contains(error_of(from_file("[batch]\nbytes = \"5 parsecs\"\n")), "\"batch.bytes\" needs a number with a unit"));
  CHECK(contains(error_of(from_file("[batch]\nrows = 0\n")), "\"batch.rows\" must lie between 1 and"));
  CHECK(contains(error_of(from_file("[batch]\nrows = -1\n")), "\"batch.rows\" must lie between 1 and"));
  CHECK(contains(error_of(from_file("[batch]\nrows = \"many\"\n")), "\"batch.rows\" must be a whole number"));
  CHECK(contains(error_of(from_file("delivery = \"twice\"\n")),
                 "\"delivery\" must be \"exactly_once\" or \"at_least_once\""));
  for (const char* no_decimal :
       {"decimal(90,2)", "decimal(10,11)", "decimal(0,0)", "decimal(10)", "decimal(10,2", "int8"})
    CHECK(
        contains(error_of(from_file(std::string("[types]\nnumeric = \"") + no_decimal + "\"\n")), "at most 76 digits"));
  CHECK(contains(error_of(from_file("[postgres]\ninsecure = \"maybe\"\n")), "must be true or false"));
  CHECK(contains(error_of(from_file("[clickhouse]\nport = 9000\n")), "native protocol"));
  CHECK(contains(error_of(from_file("[clickhouse]\nurl = \"tcp://x\"\n")), "must begin with http://"));
  CHECK(contains(error_of(from_file("[batch]\nbytes = \"64MiB\"\n[limits]\nmemory = \"1MiB\"\n")),
                 "larger than \"limits.memory\""));
}

TEST_CASE("malformed and missing files give a sentence with the line") {
  CHECK(contains(error_of(from_file("pipeline = \n")), ":1: this is not valid TOML"));
  CHECK(contains(error_of(from_file("[table]\nname = \"x\"\n")), "[[table]]"));
  CHECK(contains(error_of(from_file("[[table]]\nkey = [\"id\"]\n")), "needs a name"));
  CHECK(contains(error_of(from_file("[[table]]\nname = \"t\"\n[[table]]\nname = \"t\"\n")), "is there twice"));
  ConfigSources sources;
  sources.file = "/nonexistent/pgch.toml";
  CHECK(contains(error_of(load_config(sources)),
                 "Cannot read the file /nonexistent/pgch.toml: No such file or directory"));
  sources.file = "/tmp";
  CHECK(contains(error_of(load_config(sources)), "Is a directory"));
}

TEST_CASE("the names of the five systems work in .env and environment") {
  const Scratch env(
      "# secrets\nPG_HOST=db\nPG_PORT=5433\nexport PG_DB=test_db\nPG_USER='me'\nPG_PASS=\"p#a \\\"s\" # a comment\n"
      "CH_HOST=ch\nCH_PORT=8124\nCH_USER=u\nCH_PASS=secret#1\nCH_TABLE=target_table\nKAFKA_BOOTSTRAP=k:9092\nKAFKA_"
      "TOPIC=pg-events\n"
      "KAFKA_GROUP=pg2click-consumer\nKAFKA_ADVERTISED_LISTENERS=PLAINTEXT://k:9092\nEMPTY=\n",
      ".env");
  ConfigSources sources;
  sources.env_file = env.path();
  const auto config = load_config(sources);
  if (!config) FAIL(config.error().message);
  CHECK(config->postgres.conninfo == "dbname='test_db' host='db' port='5433' user='me'");
  CHECK(config->postgres.password.reveal() == "p#a \"s");
  CHECK(config->clickhouse.url == "http://ch:8124");
  CHECK(config->clickhouse.user == "u");
  CHECK(config->clickhouse.password.reveal() == "secret#1");
  REQUIRE(config->tables.size() == 1);
  CHECK(target_of(*config, config->tables[0]).table == "target_table");
  const KafkaOptions kafka = kafka_of(*config, config->tables[0]);
  CHECK(kafka.bootstrap == "k:9092");
  CHECK(kafka.topic == "pg-events");
  CHECK(kafka.group == "pg2click-consumer");
  const Scratch wrong("PG_HOTS=db\n", ".env");
  sources.env_file = wrong.path();
  CHECK(contains(error_of(load_config(sources)), ":1: there is no setting PG_HOTS; did you mean PG_HOST?"));
}

TEST_CASE("flags go over the environment, the environment over the file") {
  const Scratch file(
      "[postgres]\nurl = \"postgresql://a:pw@file/db\"\n[[table]]\nname = \"a\"\nkey = [\"id\"]\n[[table]]\nname = "
      "\"b\"\n");
  ConfigSources sources;
  sources.file = file.path();
  sources.environment["PG_HOST"] = "environment";
  auto config = load_config(sources);
  REQUIRE(config);
  CHECK(config->postgres.conninfo == "dbname='db' host='environment' user='a'");
  sources.overrides = {{"postgres.url", "postgresql://flag/other", "--from"},
                       {"table", "a", "--table"},
                       {"table.target", "x.y", "--target"}};
  config = load_config(sources);
  REQUIRE(config);
  CHECK(config->postgres.conninfo == "dbname='other' host='flag'");
  CHECK(config->postgres.password.reveal() == "pw");
  REQUIRE(config->tables.size() == 1);
  CHECK(config->tables[0].columns.key == std::vector<std::string>{"id"});
  CHECK(config->tables[0].target.table == "x.y");
  sources.overrides.erase(sources.overrides.begin() + 1);
  CHECK(contains(error_of(load_config(sources)), "--target: this names one table's"));
}

TEST_CASE("a target in the environment holds for the table that a flag names") {
  ConfigSources sources;
  sources.environment["CH_TABLE"] = "second";
  sources.overrides = {{"table", "user_logins", "--table"}};
  const auto config = load_config(sources);
  REQUIRE(config);
  REQUIRE(config->tables.size() == 1);
  CHECK(config->tables[0].name == "user_logins");
  CHECK(target_name(config->tables[0]) == "second");
}

TEST_CASE("no secret is ever in a message, and a password file must be private") {
  for (const char* url :
       {"postgresql://u:topsecret@h:port/db", "postgresql://u:top%ZZsecret@h/db", "host=x password='topsecret"}) {
    const std::string message = error_of(from_file("[postgres]\nurl = \"" + std::string(url) + "\"\n"));
    CHECK_FALSE(contains(message, "secret"));
  }
  const Scratch password("topsecret\n", ".pw");
  REQUIRE(::chmod(password.path().c_str(), 0644) == 0);
  const std::string file = "[postgres]\npassword_file = \"" + password.path() + "\"\n";
  CHECK(contains(error_of(from_file(file)), "chmod 600"));
  REQUIRE(::chmod(password.path().c_str(), 0600) == 0);
  const auto config = from_file(file);
  REQUIRE(config);
  CHECK(config->postgres.password.reveal() == "topsecret");
}

TEST_CASE("names of pipelines and topics are safe and never collide") {
  Config config;
  TableConfig plain, odd, other;
  plain.name = "shop.orders";
  odd.name = "shop.\"o/ders\"";
  other.name = "shop.\"o:ders\"";
  CHECK(pipeline_id(config, plain) == "pgch.shop.orders");
  CHECK(pipeline_id(config, odd) != pipeline_id(config, other));
  odd.name = std::string(200, 'x');
  CHECK(pipeline_id(config, odd).size() == 64);
  CHECK(contains(error_of(from_file("pipeline = \"../../etc\"\n")), "\"pipeline\""));
  CHECK(contains(error_of(from_file("[kafka]\ntopic = \"t\"\n[[table]]\nname=\"a\"\n[[table]]\nname=\"b\"\n")),
                 "share the topic \"t\""));
}

TEST_CASE("the schema registry has an address, and a user with a password or a token") {
  const auto config = from_file(
      "[kafka]\nformat = \"avro\"\nschema_registry = \"https://r:8081\"\nschema_registry_user = \"me\"\n"
      "schema_registry_password = \"hunter2\"\n");
  REQUIRE(config);
  CHECK(config->kafka.schema_registry.url == "https://r:8081");
  CHECK(config->kafka.schema_registry.user == "me");
  CHECK(config->kafka.schema_registry.password.reveal() == "hunter2");
  const auto both =
      error_of(from_file("[kafka]\nschema_registry_user = \"me\"\nschema_registry_token = \"hunter2\"\n"));
  CHECK(contains(both, "exclude each other"));
  CHECK_FALSE(contains(both, "hunter2"));
  ConfigSources sources;
  sources.environment = {{"SCHEMA_REGISTRY_URL", "http://r"}, {"PGCH_KAFKA_SCHEMA_REGISTRY_TOKEN", "t"}};
  const auto from_environment = load_config(sources);
  REQUIRE(from_environment);
  CHECK(from_environment->kafka.schema_registry.url == "http://r");
  CHECK(from_environment->kafka.schema_registry.token.reveal() == "t");
}

TEST_CASE("docs/CONFIGURATION.md has every setting") {
  const std::string here = __FILE__;
  std::ifstream file(here.substr(0, here.find("test/unit/config")) + "docs/CONFIGURATION.md");
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  for (const SettingInfo& setting : config_settings()) {
    INFO(setting.name);
    CHECK(text.str().find("| `" + setting.name + "` |") != std::string::npos);
    CHECK(text.str().find(setting.meaning) != std::string::npos);
  }
}

TEST_CASE("a table's own name is what stands in its quotes, dots included") {
  TableConfig table;
  for (const auto& [given, own] : std::map<std::string, std::string>{{"t", "t"},
                                                                     {"public.t", "t"},
                                                                     {"\"Dotted.Name\"", "Dotted.Name"},
                                                                     {"\"My Schema\".\"a\"\"b.c\"", "a\"b.c"}}) {
    table.name = given;
    CHECK(bare_name(table) == own);
    CHECK(target_name(table) == own);
  }
}

TEST_CASE("events of a connector may have the columns that are not moved, and the types' years hold for them, too") {
  const auto config = from_file(
      "[kafka]\ntopic = \"p.public.{table}\"\nformat = \"debezium\"\ndebezium_time = \"connect\"\nignore_fields = "
      "[\"x\"]\n"
      "[types]\nyears = \"0000-9999\"\n[[table]]\nname = \"t\"\nexclude = [\"secret\"]\n");
  REQUIRE(config);
  const KafkaOptions kafka = kafka_of(*config, config->tables[0]);
  CHECK(kafka.topic == "p.public.t");
  CHECK(kafka.ignore_fields == std::vector<std::string>{"x", "secret", "sent_to_kafka"});
  CHECK(kafka.debezium.time == "connect");
  CHECK(kafka.debezium.wide_years);
  CHECK(contains(error_of(from_file("[kafka]\ndebezium_time = \"seconds\"\n")), "nanoseconds"));
}
