// A schema registry that speaks Confluent's HTTP interface: schemas by number, and versions of a subject.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/transport/kafka.h"

namespace pgch::registry {

/// One thread at a time.
class SchemaRegistry {
 public:
  virtual ~SchemaRegistry() = default;
  /// The number of `schema` (Avro's JSON), which is made a version of `subject` if it is none yet. Errc::schema (halt):
  /// the registry finds it incompatible with the subject's versions.
  virtual Result<std::uint32_t> number_of(const std::string& subject, const std::string& schema) = 0;
  /// The schema of a number, as it was registered; a number never changes its meaning. Empty: there is none of that
  /// number. Recovery::retry: it can't be said now.
  virtual Result<std::optional<std::string>> schema_of(std::uint32_t number) = 0;
  /// Is it there, and lets us in?
  virtual Result<void> greet() = 0;
};

/// Errc::config if the address can't be one; does not connect. The context outlives the object.
Result<std::unique_ptr<SchemaRegistry>> make_schema_registry(const SchemaRegistryOptions& options,
                                                             const Context& context);

}  // namespace pgch::registry
