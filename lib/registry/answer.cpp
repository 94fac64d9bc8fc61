#include "registry/answer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <limits>

namespace pgch::registry {
namespace {

constexpr std::size_t words_max = 400;
constexpr std::uint64_t schema_not_found = 40403;

struct Refusal {
  std::uint64_t code = 0;  // 0: it is no refusal in the registry's form
  std::string message;
};

// The registry's own words, on one line: they name fields and types, and may be long.
std::string one_line(std::string_view words) {
  std::string out;
  for (const char c : words.substr(0, words_max)) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return out + (words.size() > words_max ? " …" : "");
}

Refusal refusal_of(const Answer& answer) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  Refusal out;
  if (parser.parse(simdjson::padded_string(answer.body)).get(document)) return out;
  if (document["error_code"].get(out.code)) out.code = 0;
  std::string_view message;
  if (!document["message"].get(message)) out.message = one_line(message);
  return out;
}

Error not_a_registry(const Question& question, const Answer& answer) {
  return halt(Errc::config,
              fmt::format("What answers at {} (HTTP {}) is no schema registry with Confluent's interface: check "
                          "kafka.schema_registry, also its path (Apicurio: http://host:8080/apis/ccompat/v7).",
                          question.address, answer.status),
              std::to_string(answer.status));
}

// What is the same for all requests.
Error failure(const Question& question, const Answer& answer) {
  const std::string native = std::to_string(answer.status);
  const Refusal refusal = refusal_of(answer);
  if (answer.status == 401 || answer.status == 403) {
    return halt(Errc::authentication,
                fmt::format("The schema registry at {} refused the request (HTTP {}): check "
                            "kafka.schema_registry_user and _password, or _token, and what that user may do.",
                            question.address, answer.status),
                native);
  }
  if (answer.status >= 500 || answer.status == 429 || answer.status == 408) {
    return retry(Errc::connection,
                 fmt::format("The schema registry at {} can't answer now (HTTP {}){}{}", question.address,
                             answer.status, refusal.message.empty() ? "" : ": ", refusal.message),
                 native);
  }
  if (refusal.code == 0 || answer.status == 404) return not_a_registry(question, answer);
  return halt(Errc::schema,
              fmt::format("The schema registry at {} refused the request (HTTP {}, {}): {}", question.address,
                          answer.status, refusal.code, refusal.message),
              native);
}

}  // namespace

Result<std::uint32_t> read_number(const Question& question, const Answer& answer) {
  if (answer.status == 200) {
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    std::uint64_t id = 0;
    if (!parser.parse(simdjson::padded_string(answer.body)).get(document) && !document["id"].get(id) &&
        id <= std::numeric_limits<std::uint32_t>::max())
      return static_cast<std::uint32_t>(id);
    return not_a_registry(question, answer);
  }
  const Refusal refusal = refusal_of(answer);
  if (answer.status == 409) {
    return halt(Errc::schema,
                fmt::format("The schema registry at {} refused the table's schema as incompatible with what subject {} "
                            "has: {} Nothing is lost: rows wait at the source. Change the table so that it fits (a new "
                            "column may be NULL), or relax the subject's compatibility, or use another topic; then "
                            "start again.",
                            question.address, question.subject, refusal.message),
                "409");
  }
  if (answer.status == 422) {
    return halt(Errc::schema,
                fmt::format("The schema registry at {} does not take the table's schema for subject {}: {}",
                            question.address, question.subject, refusal.message),
                "422");
  }
  return failure(question, answer);
}

Result<std::optional<std::string>> read_schema(const Question& question, const Answer& answer) {
  if (answer.status == 404 && refusal_of(answer).code == schema_not_found) return std::optional<std::string>();
  if (answer.status != 200) return failure(question, answer);
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  std::string_view schema;
  if (parser.parse(simdjson::padded_string(answer.body)).get(document) || document["schema"].get(schema))
    return not_a_registry(question, answer);
  std::string_view type;
  if (!document["schemaType"].get(type) && type != "AVRO") return std::optional<std::string>("");
  return std::optional<std::string>(schema);
}

Result<void> read_greeting(const Question& question, const Answer& answer) {
  if (answer.status != 200) return failure(question, answer);
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  std::string_view level;
  if (parser.parse(simdjson::padded_string(answer.body)).get(document) || document["compatibilityLevel"].get(level))
    return not_a_registry(question, answer);
  return {};
}

}  // namespace pgch::registry
