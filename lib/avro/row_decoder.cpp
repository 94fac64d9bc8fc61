#include "avro/row_decoder.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "avro/value_reader.h"
#include "avro/writer_schema.h"
#include "base/bytes.h"
#include "base/try.h"
#include "codec/json_row.h"
#include "codec/json_text.h"

namespace pgch::avro {
namespace {

// A topic has a handful; the numbers in junk are without end.
constexpr std::size_t plans_max = 4'096, unknown_max = 4'096;

// Names come from strangers: bounded, and escaped so that a log line stays a line.
std::string printable(std::string_view name) {
  std::string out;
  if (name.size() > 64 || !codec::append_json_string(out, name))
    return "with a name of " + std::to_string(name.size()) + " bytes";
  return out;
}

// How messages of one schema are read: field by field, in the writer's order.
struct Plan {
  explicit Plan(WriterSchema types) : schema(std::move(types)), reader(schema) {}
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  struct Step {
    std::size_t type = 0;
    std::size_t column = npos;  // npos: nobody wants it
  };
  WriterSchema schema;
  ValueReader reader;
  std::vector<Step> steps;
  std::vector<std::size_t> missing;  // columns that become NULL
  std::string refusal;               // why no such message can be read; empty: it can
};

}  // namespace

class AvroRowDecoder::Impl {
 public:
  Impl(std::shared_ptr<const TableSchema> schema, AvroRowOptions options,
       std::unique_ptr<registry::SchemaRegistry> registry)
      : schema_(std::move(schema)),
        options_(std::move(options)),
        registry_(std::move(registry)),
        keys_(schema_, key_options(options_)) {
    for (const ColumnSpec& column : schema_->columns)
      columns_.push_back({&column, layout_of(column), width_of(layout_of(column))});
    ignored_.insert(options_.ignore_fields.begin(), options_.ignore_fields.end());
  }

  Result<codec::Decoded> append(const codec::MessageView& message, RowBatch& batch) {
    if (!message.has_value) {
      if (keys_.append_key(message.key, batch)) return codec::Decoded::rows;
      return reject(keys_.reason());
    }
    const std::string_view value = message.value;
    if (value.size() > options_.bytes_max) {
      return reject(
          fmt::format("the message has {} bytes, more than json_bytes_max = {}", value.size(), options_.bytes_max));
    }
    ByteReader in(value);
    const auto magic = in.little<std::uint8_t>();
    const auto number = in.big<std::uint32_t>();
    if (!in.ok() || magic != 0) return reject("the message is not Avro in Confluent's wire form");
    PGCH_ASSIGN(Plan * plan, plan_of(number, message.own));
    if (plan == nullptr) return reject(fmt::format("the schema registry has no schema of the number {}", number));
    if (!plan->refusal.empty()) return reject(plan->refusal);
    if (!read_row(*plan, number, in, batch)) {
      for (std::size_t i = 0; i < columns_.size(); ++i)
        truncate_column(batch.columns[i], columns_[i].layout, batch.rows);
      return codec::Decoded::rejected;
    }
    ++batch.rows;
    return codec::Decoded::rows;
  }

  std::string reason;

 private:
  static codec::JsonRowOptions key_options(const AvroRowOptions& options) {
    codec::JsonRowOptions out;
    out.bytes_max = options.bytes_max;
    return out;
  }

  codec::Decoded reject(std::string why) {
    reason = std::move(why);
    return codec::Decoded::rejected;
  }
  bool fail(std::string why) {
    reason = std::move(why);
    return false;
  }

  // nullptr: there is no such schema, and the message is nobody's of ours.
  Result<Plan*> plan_of(std::uint32_t number, bool own) {
    if (const auto found = plans_.find(number); found != plans_.end()) return found->second.get();
    // Registries give numbers of 31 bits.
    if (!own && (number > 0x7FFF'FFFFU || unknown_.count(number) != 0)) return static_cast<Plan*>(nullptr);
    PGCH_ASSIGN(const std::optional<std::string> text, registry_->schema_of(number));
    if (!text) {
      if (own) {
        return halt(Errc::not_found,
                    fmt::format("The schema registry has no schema of the number {}, which a message of pgch's own was "
                                "written by: is kafka.schema_registry the registry that the producer has, and has it "
                                "lost its schemas? Nothing is lost: the message waits in the topic.",
                                number));
      }
      if (unknown_.size() >= unknown_max) unknown_.clear();
      unknown_.insert(number);
      return static_cast<Plan*>(nullptr);
    }
    if (plans_.size() >= plans_max) plans_.clear();
    auto plan = make_plan(number, *text);
    return plans_.emplace(number, std::move(plan)).first->second.get();
  }

  std::unique_ptr<Plan> make_plan(std::uint32_t number, const std::string& text) {
    auto compiled = compile_schema(text);
    if (!compiled) {
      auto none = std::make_unique<Plan>(WriterSchema());
      none->refusal = fmt::format("rows can't be read by the schema {}: {}", number, compiled.error().message);
      return none;
    }
    auto plan = std::make_unique<Plan>(*std::move(compiled));
    if (plan->schema[0].form != Form::record) {
      plan->refusal = fmt::format("the schema {} is no record", number);
      return plan;
    }
    std::vector<std::uint8_t> seen(columns_.size());
    for (const WriterType::Field& field : plan->schema[0].fields) {
      if (!add_step(*plan, number, field, seen)) return plan;
    }
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (seen[i] != 0) continue;
      if (!columns_[i].spec->nullable) {
        plan->refusal = fmt::format("the field \"{}\" is missing in schema {}, and its column is not nullable",
                                    columns_[i].spec->name, number);
        return plan;
      }
      plan->missing.push_back(i);
    }
    return plan;
  }

  bool add_step(Plan& plan, std::uint32_t number, const WriterType::Field& field, std::vector<std::uint8_t>& seen) {
    const std::size_t column = column_index(*schema_, field.column);
    if (column == npos) {
      if (!options_.ignore_unknown_fields && ignored_.count(field.column) == 0) {
        plan.refusal = fmt::format("the field {} of schema {} is not a column of {}", printable(field.column), number,
                                   display_name(*schema_));
      }
    } else if (seen[column]++ != 0) {
      plan.refusal = fmt::format("the field {} is twice in schema {}", printable(field.column), number);
    } else if (!resolves(plan.schema, field.type, *columns_[column].spec)) {
      plan.refusal =
          fmt::format("the field {} is {} in schema {}, which can't become the column's {}", printable(field.column),
                      name_of(plan.schema, field.type), number, wanted(*columns_[column].spec));
    }
    plan.steps.push_back({field.type, column});
    return plan.refusal.empty();
  }

  bool read_row(Plan& plan, std::uint32_t number, ByteReader& in, RowBatch& batch) {
    plan.reader.begin();
    for (const Plan::Step& step : plan.steps) {
      if (step.column == npos) {
        if (!plan.reader.skip(step.type, in)) return damaged(number);
        continue;
      }
      const codec::TargetColumn& target = columns_[step.column];
      const Fault fault = plan.reader.read(step.type, target, in, batch.columns[step.column]);
      if (fault == Fault::damaged) return damaged(number);
      if (fault != Fault::none) return fail(sentence_of(*target.spec, fault));
    }
    if (!in.at_end()) return damaged(number);
    for (const std::size_t column : plan.missing) append_null(batch.columns[column], columns_[column].layout);
    return true;
  }

  bool damaged(std::uint32_t number) {
    return fail(fmt::format("the message is no row of schema {}: it is cut off, too long or damaged", number));
  }

  static std::string wanted(const ColumnSpec& spec);
  static std::string sentence_of(const ColumnSpec& spec, Fault fault);

  std::shared_ptr<const TableSchema> schema_;
  AvroRowOptions options_;
  std::unique_ptr<registry::SchemaRegistry> registry_;
  codec::JsonRowDecoder keys_;
  std::vector<codec::TargetColumn> columns_;
  std::unordered_set<std::string> ignored_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Plan>> plans_;
  std::unordered_set<std::uint32_t> unknown_;
};

std::string AvroRowDecoder::Impl::wanted(const ColumnSpec& spec) {
  static constexpr std::string_view names[] = {"boolean",
                                               "8-bit integer",
                                               "16-bit integer",
                                               "32-bit integer",
                                               "64-bit integer",
                                               "8-bit unsigned",
                                               "16-bit unsigned",
                                               "32-bit unsigned",
                                               "64-bit unsigned",
                                               "32-bit float",
                                               "64-bit float",
                                               "decimal",
                                               "date",
                                               "date",
                                               "time",
                                               "timestamp",
                                               "timestamp",
                                               "UUID",
                                               "text",
                                               "bytes",
                                               "JSON text",
                                               "text",
                                               "time of day",
                                               "256-bit integer",
                                               "IP address",
                                               "array",
                                               "tuple",
                                               "map"};
  static_assert(std::size(names) == static_cast<std::size_t>(Kind::map) + 1);
  std::string out(names[static_cast<std::size_t>(spec.kind)]);
  if (spec.kind == Kind::decimal) out += fmt::format("({}, {})", spec.precision, spec.scale);
  return out;
}

std::string AvroRowDecoder::Impl::sentence_of(const ColumnSpec& spec, Fault fault) {
  const std::string field = "the field " + printable(spec.name) + " ";
  switch (fault) {
    case Fault::type:
      return field + "has a type in this message that can't become the column's " + wanted(spec);
    case Fault::form:
      return field + "is a text that the column's " + wanted(spec) + " can't be read from, or is not UTF-8";
    case Fault::range:
      return field + "does not fit the column's " + wanted(spec);
    case Fault::fraction:
      return field + "has more digits after the point than its column keeps (" + std::to_string(spec.scale) + ")";
    case Fault::null:
      return field + "is null, and its column is not nullable";
    case Fault::missing:
      return field + "lacks a field of its column's tuple";
    case Fault::full:
      return field + "is too large";
    case Fault::none:
    case Fault::damaged:
      break;
  }
  return {};
}

AvroRowDecoder::AvroRowDecoder(std::shared_ptr<const TableSchema> schema, AvroRowOptions options,
                               std::unique_ptr<registry::SchemaRegistry> registry)
    : impl_(std::make_unique<Impl>(std::move(schema), std::move(options), std::move(registry))) {}
AvroRowDecoder::~AvroRowDecoder() = default;
Result<codec::Decoded> AvroRowDecoder::append(const codec::MessageView& message, RowBatch& batch) {
  return impl_->append(message, batch);
}
const std::string& AvroRowDecoder::reason() const noexcept { return impl_->reason; }

}  // namespace pgch::avro
