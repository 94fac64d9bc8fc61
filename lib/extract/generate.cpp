// The generator. A row is a function of (seed, number) alone, so that a batch can be made again after a crash, byte for
// byte.
#include "pgch/extract/generate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "base/bytes.h"
#include "base/try.h"
#include "pgch/batch.h"

namespace pgch {
namespace {

constexpr std::array<std::string_view, 16> names{
    "john_doe",    "jane_smith",  "bob_builder", "alice_wonderland", "max_power", "eva_green", "omar_k",    "li_wei",
    "maria_lopez", "ivan_petrov", "sofia_r",     "noah_b",           "zoe_x",     "yuki_t",    "ana_paula", "jürgen_m"};
constexpr std::array<std::string_view, 8> events{"login",  "login",    "login",  "logout",
                                                 "logout", "purchase", "signup", "password_reset"};
constexpr std::array<std::string_view, 4> agents{"firefox", "chrome", "safari", "curl"};
constexpr std::int64_t first_event_us = 1'704'067'200'000'000;  // 2024-01-01 00:00:00 UTC
constexpr std::uint32_t payload_bytes_min = 16, payload_bytes_max = 1u << 20;

// splitmix64: any number in, well-mixed bits out.
std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

void put_number(std::string& out, std::uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

// As jsonb would print it: keys by length, then bytes; so json and jsonb columns hold the same text.
void make_payload(std::string& out, std::uint64_t bits, std::uint32_t length) {
  out = R"({"ip": ")";
  for (int i = 0; i < 4; ++i) {
    if (i != 0) out += '.';
    put_number(out, (bits >> (8 * i)) & 0xFF);
  }
  out += '"';
  const std::string_view agent = agents[(bits >> 32) % agents.size()];
  if (out.size() + 22 + agent.size() <= length) {
    out += R"(, "note": ")";
    const std::size_t tail = 14 + agent.size();  // ", "agent": "…"}
    static constexpr char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (std::uint64_t more = bits; out.size() + tail < length; more = mix(more)) {
      for (int i = 0; i < 12 && out.size() + tail < length; ++i) out += letters[(more >> (5 * i)) & 31];
    }
    out += R"(", "agent": ")";
    out += agent;
    out += '"';
  }
  out += '}';
}

template <class T>
void append_number(Column& column, T value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  column.data.insert(column.data.end(), bytes, bytes + sizeof value);
}
void append_text(Column& column, std::string_view text) {
  const auto bytes = as_bytes(text);
  column.data.insert(column.data.end(), bytes.begin(), bytes.end());
  column.ends.push_back(static_cast<std::uint32_t>(column.data.size()));
}

struct Range {
  std::uint64_t first = 0;
  std::uint32_t rows = 0;
};

class Generator final : public Extractor {
 public:
  explicit Generator(GenerateOptions options)
      : options_(std::move(options)),
        schema_(std::make_shared<const TableSchema>(generated_schema(options_))),
        stream_("generate:" + options_.table) {}

  ExtractorTraits traits() const noexcept override { return {true, "generate"}; }

  Result<void> open(const Context& context, std::vector<Intent> pending) override {
    context_ = std::make_unique<Context>(context);
    replays_.clear();
    replayed_ = 0;
    acknowledged_.clear();
    next_ = 0;
    if (options_.seed == 0) {
      options_.seed = mix(static_cast<std::uint64_t>(context.clock.now().time_since_epoch().count())) | 1;
      context.log.write(LogLevel::info, "Generating events with seed " + std::to_string(options_.seed));
    }
    for (Intent& intent : pending) {
      ByteReader reader(intent.position.bytes);
      const auto seed = reader.little<std::uint64_t>(), first = reader.little<std::uint64_t>();
      const auto rows = reader.little<std::uint32_t>();
      if (!reader.ok() || !reader.at_end() || seed != options_.seed || rows != intent.rows) {
        return halt(Errc::conflict,
                    "An earlier run of this generator ended with a batch under way; start it with the same seed, or "
                    "with another state directory.");
      }
      next_ = std::max(next_, first + rows);
      replays_.push_back(std::move(intent));
    }
    first_of_run_ = next_;
    started_ = context.clock.now();
    return {};
  }

  std::shared_ptr<const TableSchema> known_schema() const override { return schema_; }

  Result<Fetch> fetch(RowBatch& into, const BatchLimits& limits, Clock::TimePoint deadline) override {
    if (replayed_ < replays_.size()) {
      const Intent& intent = replays_[replayed_++];
      ByteReader reader(std::string_view(intent.position.bytes).substr(8));
      Range range{reader.little<std::uint64_t>(), 0};
      range.rows = reader.little<std::uint32_t>();
      fill(into, range);
      into.intent = intent;
      return Fetch::rows;
    }
    std::uint64_t rows = std::min<std::uint64_t>(
        limits.rows_max, std::max<std::size_t>(1, limits.bytes_max / (80 + options_.payload_bytes)));
    if (options_.rows_max != 0) {
      if (next_ >= options_.rows_max) return Fetch::end;
      rows = std::min(rows, options_.rows_max - next_);
    }
    if (options_.rows_per_s != 0) {
      rows = wait_for_due(rows, deadline);
      if (rows == 0) return Fetch::idle;
    }
    if (context_->stop.stop_requested()) return Fetch::idle;
    fill(into, {next_, static_cast<std::uint32_t>(rows)});
    next_ += rows;
    return Fetch::rows;
  }

  Result<void> acknowledge(const std::string& stream, const Position& position) override {
    acknowledged_.push_back({stream, position});
    return {};
  }
  std::vector<Acknowledged> take_acknowledged() override { return std::exchange(acknowledged_, {}); }
  void abandon(const std::string&, const Position&) noexcept override {}
  void close() noexcept override {}

 private:
  // Rows whose time has come by the deadline, at most `wanted`; returns as soon as those are due.
  std::uint64_t wait_for_due(std::uint64_t wanted, Clock::TimePoint deadline) {
    const auto made = next_ - first_of_run_;
    const auto seconds = [](double s) {
      return std::chrono::duration_cast<Clock::TimePoint::duration>(std::chrono::duration<double>(s));
    };
    const auto full = started_ + seconds(static_cast<double>(made + wanted) / static_cast<double>(options_.rows_per_s));
    const auto until = std::min(full, deadline);
    if (until > context_->clock.now()) context_->clock.sleep_until(until, context_->stop);
    const std::chrono::duration<double> elapsed = context_->clock.now() - started_;
    const auto due = static_cast<std::uint64_t>(elapsed.count() * static_cast<double>(options_.rows_per_s));
    return due <= made ? 0 : std::min(wanted, due - made);
  }

  void fill(RowBatch& into, Range range) {
    into.reset(schema_);
    for (std::uint64_t number = range.first; number < range.first + range.rows; ++number) {
      const std::uint64_t bits = mix(options_.seed ^ mix(number)), more = mix(bits);
      append_number(into.columns[0], options_.first_id + static_cast<std::int64_t>(number));
      append_number(into.columns[1], static_cast<std::int64_t>(1 + bits % 100'000));
      text_ = names[(bits >> 20) % names.size()];
      if (const auto suffix = (bits >> 30) % 1000; suffix != 0) put_number(text_ += '_', suffix);
      append_text(into.columns[2], text_);
      append_text(into.columns[3], events[(bits >> 44) % events.size()]);
      append_number(into.columns[4], first_event_us + static_cast<std::int64_t>(number * 25'000 + more % 25'000));
      make_payload(text_, more, options_.payload_bytes);
      append_text(into.columns[5], text_);
    }
    into.rows = range.rows;
    into.stream = stream_;
    into.version = range.first + 1;
    append_position(into.position, range);
  }

  void append_position(Position& position, Range range) const {
    position.bytes.assign(reinterpret_cast<const char*>(&options_.seed), 8);
    position.bytes.append(reinterpret_cast<const char*>(&range.first), 8);
    position.bytes.append(reinterpret_cast<const char*>(&range.rows), 4);
  }

  GenerateOptions options_;
  std::shared_ptr<const TableSchema> schema_;
  std::string stream_;
  std::unique_ptr<Context> context_;
  std::vector<Intent> replays_;
  std::size_t replayed_ = 0;
  std::vector<Acknowledged> acknowledged_;
  std::uint64_t next_ = 0, first_of_run_ = 0;
  Clock::TimePoint started_;
  std::string text_;
};

}  // namespace

TableSchema generated_schema(const GenerateOptions& options) {
  TableSchema schema;
  const auto dot = options.table.rfind('.');
  if (dot != std::string::npos) schema.schema = options.table.substr(0, dot);
  schema.table = dot == std::string::npos ? options.table : options.table.substr(dot + 1);
  const auto add = [&](const char* name, Kind kind, const char* type, bool key = false) {
    ColumnSpec column;
    column.name = name;
    column.kind = kind;
    column.nullable = false;
    column.key = key;
    column.source_type = type;
    if (kind == Kind::timestamptz) column.scale = 6;
    schema.columns.push_back(std::move(column));
  };
  add("id", Kind::int64, "bigint", true);
  add("user_id", Kind::int64, "bigint");
  add("username", Kind::text, "text");
  add("event_type", Kind::text, "text");
  add("event_time", Kind::timestamptz, "timestamp with time zone");
  add("payload", Kind::json, "jsonb");
  schema.key_order = {"id"};
  return schema;
}

Result<std::unique_ptr<Extractor>> make_generator(GenerateOptions options) {
  if (options.table.empty()) return halt(Errc::config, "The generator needs a table's name.");
  if (options.payload_bytes < payload_bytes_min || options.payload_bytes > payload_bytes_max) {
    return halt(Errc::config, "The generator's payload must have 16 bytes to 1 MiB.");
  }
  return std::unique_ptr<Extractor>(std::make_unique<Generator>(std::move(options)));
}

}  // namespace pgch
