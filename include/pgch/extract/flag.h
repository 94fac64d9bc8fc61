/// Flag method: a boolean column says which rows were sent. Rows are locked (FOR UPDATE SKIP LOCKED), delivered, and exactly
/// those rows are marked in the same transaction. NULL counts as not sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pgch/extractor.h"
#include "pgch/postgres.h"

namespace pgch {

struct FlagOptions {
  PostgresOptions postgres;
  std::string table;                         ///< "table" or "schema.table"
  std::string flag_column = "sent_to_kafka";
  ColumnSelection columns;
  std::string stream;                        ///< name of the stream in the journal and on Kafka; empty: "flag:<schema.table>"
  std::uint32_t lanes = 2;                   ///< connections that take turns: one is read while another is marked; 1 … 8
  std::uint32_t lock_timeout_ms = 10'000;    ///< for marking; reading never waits for a lock
};
Result<std::unique_ptr<Extractor>> make_flag(FlagOptions options);

}  // namespace pgch
