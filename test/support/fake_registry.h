// A schema registry in memory; it can be away.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "registry/schema_registry.h"

namespace pgch::test {

struct FakeSchemas {
  std::map<std::uint32_t, std::string> by_number;
  std::map<std::string, std::uint32_t> numbers;
  int asked = 0;
  bool away = false;

  std::uint32_t add(const std::string& schema) {
    const auto [at, made] = numbers.emplace(schema, static_cast<std::uint32_t>(numbers.size() + 1));
    if (made) by_number[at->second] = schema;
    return at->second;
  }
};

class FakeRegistry final : public registry::SchemaRegistry {
 public:
  explicit FakeRegistry(std::shared_ptr<FakeSchemas> schemas) : schemas_(std::move(schemas)) {}
  Result<std::uint32_t> number_of(const std::string&, const std::string& schema) override {
    if (schemas_->away) return retry(Errc::connection, "away");
    return schemas_->add(schema);
  }
  Result<std::optional<std::string>> schema_of(std::uint32_t number) override {
    ++schemas_->asked;
    if (schemas_->away) return retry(Errc::connection, "away");
    const auto found = schemas_->by_number.find(number);
    return found == schemas_->by_number.end() ? std::optional<std::string>() : found->second;
  }

  Result<void> greet() override { return {}; }

 private:
  std::shared_ptr<FakeSchemas> schemas_;
};

}  // namespace pgch::test
