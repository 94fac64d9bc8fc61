#include "kafka/conf.h"

#include <array>
#include <string_view>

#include "base/try.h"
#include "kafka/errors.h"

namespace pgch::kafka {
namespace {

constexpr std::array<std::string_view, 3> allowed_prefixes = {"security.", "sasl.", "ssl."};
// Code or commands from a setting, and what would take TLS's checks away behind the user's back.
constexpr std::array<std::string_view, 5> refused = {"ssl.engine.location", "ssl.engine.id", "ssl.providers",
                                                     "sasl.kerberos.kinit.cmd", "plugin.library.paths"};
constexpr std::array<std::string_view, 34> allowed = {"client.id",
                                                      "client.rack",
                                                      "socket.timeout.ms",
                                                      "socket.keepalive.enable",
                                                      "socket.send.buffer.bytes",
                                                      "socket.receive.buffer.bytes",
                                                      "socket.nagle.disable",
                                                      "socket.max.fails",
                                                      "socket.connection.setup.timeout.ms",
                                                      "connections.max.idle.ms",
                                                      "reconnect.backoff.ms",
                                                      "reconnect.backoff.max.ms",
                                                      "retry.backoff.ms",
                                                      "broker.address.family",
                                                      "broker.address.ttl",
                                                      "metadata.max.age.ms",
                                                      "topic.metadata.refresh.interval.ms",
                                                      "topic.metadata.propagation.max.ms",
                                                      "session.timeout.ms",
                                                      "heartbeat.interval.ms",
                                                      "max.poll.interval.ms",
                                                      "group.instance.id",
                                                      "fetch.wait.max.ms",
                                                      "fetch.min.bytes",
                                                      "fetch.max.bytes",
                                                      "max.partition.fetch.bytes",
                                                      "fetch.queue.backoff.ms",
                                                      "batch.size",
                                                      "batch.num.messages",
                                                      "compression.level",
                                                      "request.timeout.ms",
                                                      "debug",
                                                      "log_level",
                                                      "enable.ssl.certificate.verification"};

bool is_secret(std::string_view name) {
  for (const std::string_view part : {"password", "secret", "pem", "jaas", "key"}) {
    if (name.find(part) != std::string_view::npos) return true;
  }
  return false;
}

bool is_allowed(std::string_view name) {
  for (const std::string_view r : refused) {
    if (name == r) return false;
  }
  for (const std::string_view prefix : allowed_prefixes) {
    if (name.substr(0, prefix.size()) == prefix) return true;
  }
  for (const std::string_view a : allowed) {
    if (name == a) return true;
  }
  return false;
}

// Sized so that memory stays bounded: a queued message costs its bytes and about 350 more.
Settings settings_of(const KafkaOptions& options, Role role) {
  Settings s = {{"bootstrap.servers", options.bootstrap},
                {"client.id", "pgch"},
                {"allow.auto.create.topics", "false"},
                {"log.connection.close", "false"}};
  switch (role) {
    case Role::producer:
      s.insert({{"enable.idempotence", "true"},
                {"acks", "all"},
                {"message.timeout.ms", "0"},
                {"max.in.flight.requests.per.connection", "5"},
                {"queue.buffering.max.messages", "100000"},
                {"queue.buffering.max.kbytes",
                 std::to_string(std::max<std::size_t>(options.producer_queue_bytes_max / 1024, 1024))},
                {"linger.ms", std::to_string(options.linger_ms)},
                {"batch.num.messages", "10000"},
                {"compression.codec", options.compression},
                {"partitioner", "murmur2_random"},
                {"delivery.report.only.error", "false"}});
      break;
    case Role::group:
      s.insert({{"group.id", options.group},
                {"enable.auto.commit", "false"},
                {"enable.auto.offset.store", "false"},
                {"auto.offset.reset", "error"},
                {"isolation.level", "read_committed"},
                {"check.crcs", "true"},
                {"enable.partition.eof", "true"},
                {"partition.assignment.strategy", "range"},
                {"max.poll.interval.ms", "600000"},
                {"fetch.wait.max.ms", "100"}});
      break;
    case Role::reader:
      s.insert({{"group.id", "pgch-reader"},
                {"enable.auto.commit", "false"},
                {"enable.auto.offset.store", "false"},
                {"auto.offset.reset", "error"},
                {"isolation.level", "read_uncommitted"},
                {"enable.partition.eof", "true"},
                {"check.crcs", "true"},
                {"fetch.wait.max.ms", "100"},
                {"queued.min.messages", "10000"},
                {"queued.max.messages.kbytes", "16384"}});
      break;
  }
  return s;
}

Result<void> set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> text{};
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) == RD_KAFKA_CONF_OK) return {};
  // librdkafka's sentence may repeat the value.
  const std::string why = is_secret(name) ? std::string("its value is not valid") : std::string(text.data());
  return halt(Errc::config, "Kafka setting \"" + name + "\": " + why);
}

void on_log(const rd_kafka_t* client, int level, const char* facility, const char* text) {
  if (auto* listener = static_cast<Listener*>(rd_kafka_opaque(client)); listener != nullptr) {
    listener->log(level, (std::string(facility) + ": " + text).c_str());
  }
}

void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  static_cast<Listener*>(opaque)->on_error(code, reason);
}

}  // namespace

void Listener::log(int level, const char* text) {
  // "Connection refused" and the like come again and again while a broker is away: the stage that suffers says so
  // itself.
  LogLevel to = level <= 2 ? LogLevel::error : level <= 4 ? LogLevel::warning : LogLevel::debug;
  // A coordinator that loads as yet, just after a start: asked again by itself.
  if (level > 2 && std::string_view(text).starts_with("GETPID")) to = LogLevel::debug;
  log_.write(to, std::string("librdkafka: ") + text);
}

void Listener::on_error(int code, const char* reason) {
  const std::lock_guard lock(mutex_);
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) all_down_ = true;
  if (code_ == RD_KAFKA_RESP_ERR__AUTHENTICATION || code_ == RD_KAFKA_RESP_ERR__SSL) return;
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && code_ != 0) return;
  code_ = code;
  reason_ = reason;
}

bool Listener::unreachable() {
  const std::lock_guard lock(mutex_);
  return all_down_;
}

void Listener::answered() {
  const std::lock_guard lock(mutex_);
  all_down_ = false;
}

Error Listener::describe(Error error) {
  const std::lock_guard lock(mutex_);
  if (code_ == 0) return error;
  const Error cause = error_of(code_, "connecting", reason_);
  const bool repeats = cause.code == error.code && cause.recovery != Recovery::halt;  // the same advice once more
  if (cause.recovery == Recovery::halt) {
    error.code = cause.code;
    error.recovery = cause.recovery;
    error.native = cause.native;
  }
  error.message += "; last: " + (repeats ? reason_ : cause.message);
  return error;
}

Result<void> check_passthrough(const Settings& settings) {
  for (const auto& [name, value] : settings) {
    if (is_allowed(name)) continue;
    return halt(Errc::config, "the Kafka setting \"" + name +
                                  "\" can't be passed through: pgch sets it itself, or it is not safe; allowed are "
                                  "security.*, sasl.*, ssl.* and those named in docs/CONFIGURATION.md");
  }
  return {};
}

Result<Conf> make_conf(const KafkaOptions& options, Role role, const Settings& forced, Listener& listener) {
  PGCH_TRY(check_passthrough(options.librdkafka));
  Conf conf(rd_kafka_conf_new());
  Settings settings = settings_of(options, role);
  for (const auto& [name, value] : options.librdkafka) settings[name] = value;
  for (const auto& [name, value] : forced) settings[name] = value;
  if (role == Role::reader) settings.erase("group.instance.id");
  for (const auto& [name, value] : settings) PGCH_TRY(set(conf.get(), name, value));
  const auto said = [&](const char* name, const char* value) {
    const auto found = settings.find(name);
    return found != settings.end() && found->second == value;
  };
  if (said("enable.ssl.certificate.verification", "false") || said("ssl.endpoint.identification.algorithm", "none")) {
    listener.log(4, "TLS is not verified, as configured");
  }
  rd_kafka_conf_set_opaque(conf.get(), &listener);
  rd_kafka_conf_set_log_cb(conf.get(), &on_log);
  rd_kafka_conf_set_error_cb(conf.get(), &on_error);
  return conf;
}

Result<Client> make_client(rd_kafka_type_t type, Conf conf, std::string_view doing) {
  std::array<char, 512> text{};
  rd_kafka_t* client = rd_kafka_new(type, conf.get(), text.data(), text.size());
  if (client == nullptr) return halt(Errc::config, "Kafka: while " + std::string(doing) + ": " + text.data());
  (void)conf.release();  // rd_kafka_new() has taken it
  return Client(client);
}

}  // namespace pgch::kafka
