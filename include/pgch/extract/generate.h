/// Generator: random login events, at a rate or as fast as possible; the same seed gives the same events.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pgch/export.h"
#include "pgch/extractor.h"

namespace pgch {

struct GenerateOptions {
  std::uint64_t rows_max = 0;    ///< 0: until stopped
  std::uint64_t rows_per_s = 0;  ///< 0: as fast as possible
  std::uint64_t seed = 0;        ///< 0: taken from the clock and logged
  std::int64_t first_id = 1;
  std::string table = "user_logins";
  std::uint32_t payload_bytes = 80;  ///< length of the JSON payload, at least 16
};
/// Columns: id int8 (key), user_id int8, username text, event_type text, event_time timestamptz, payload json.
PGCH_EXPORT Result<std::unique_ptr<Extractor>> make_generator(GenerateOptions options);
PGCH_EXPORT TableSchema generated_schema(const GenerateOptions& options);

}  // namespace pgch
