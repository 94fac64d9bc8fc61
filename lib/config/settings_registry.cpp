// The settings of the schema registry, which stand in [kafka].
#include "config/appliers.h"

namespace pgch::config {

std::vector<Setting> registry_settings() {
  const auto secret = [](const char* name, auto place) -> Apply {
    return [=](Draft& draft, const Given& given) -> Result<void> {
      PGCH_ASSIGN(std::string value, as_text(given, name));
      place(draft) = Secret(std::move(value));
      return {};
    };
  };
  return {
      {"kafka.schema_registry",
       "text",
       "",
       "SCHEMA_REGISTRY_URL",
       "Format avro: address of a schema registry with Confluent's interface, such as http://host:8081.",
       text(
           "kafka.schema_registry", [](D d) -> auto& { return d.config.kafka.schema_registry.url; }),
       {}},
      {"kafka.schema_registry_user",
       "text",
       "",
       "",
       "User at the registry; empty: none.",
       text(
           "kafka.schema_registry_user", [](D d) -> auto& { return d.config.kafka.schema_registry.user; }),
       {}},
      {"kafka.schema_registry_password",
       "secret",
       "",
       "",
       "Its password. Better in a password file or the environment.",
       secret(
           "kafka.schema_registry_password", [](D d) -> auto& { return d.config.kafka.schema_registry.password; }),
       {}},
      {"kafka.schema_registry_password_file",
       "text",
       "",
       "",
       "File whose first line is the password; nobody else may read it (0600).",
       text(
           "kafka.schema_registry_password_file", [](D d) -> auto& { return d.registry_password_file; }),
       {}},
      {"kafka.schema_registry_token",
       "secret",
       "",
       "",
       "Bearer token, instead of user and password.",
       secret(
           "kafka.schema_registry_token", [](D d) -> auto& { return d.config.kafka.schema_registry.token; }),
       {}},
      {"kafka.schema_registry_ca_file",
       "text",
       "",
       "",
       "Certificates to trust; empty: the system's.",
       text(
           "kafka.schema_registry_ca_file", [](D d) -> auto& { return d.config.kafka.schema_registry.ca_file; }),
       {}},
  };
}

}  // namespace pgch::config
