/// PostgreSQL: how to reach it, and what a table there looks like.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgch/context.h"
#include "pgch/error.h"
#include "pgch/export.h"
#include "pgch/schema.h"

namespace pgch {

/// Everything left empty is taken by libpq from its own environment (PGHOST, ~/.pgpass, service files).
struct PostgresOptions {
  std::string conninfo;  ///< URI or key=value list, best without a password
  Secret password;       ///< given to libpq apart from conninfo, so that it is in no message
  std::string application_name = "pgch";
  std::uint32_t connect_timeout_s = 10;
  std::uint32_t statement_timeout_s = 0;  ///< 0: none. The socket's own deadline: tcp_user_timeout and keepalives
  bool insecure = false;  ///< off loopback the default is sslmode=verify-full; this says that plain is meant
};

/// How types with a choice are mapped: docs/TYPES.md has the families, their words and the defaults.
struct TypeOptions {
  std::map<std::string, std::string> as;  ///< family → word: {"interval", "tuple"}
  std::string misfit = "fail";            ///< values that don't fit: "fail", "null", "clamp" or "string"
};

/// Which columns of a table are moved, under which names and as what.
struct ColumnSelection {
  std::vector<std::string> include;           ///< empty: all that are not excluded
  std::vector<std::string> exclude;           ///< the flag column is always excluded
  std::map<std::string, std::string> rename;  ///< source name → target name
  std::vector<std::string> key;               ///< empty: the primary key, else a unique index on NOT NULL columns
  TypeOptions types;
  std::map<std::string, std::string> as;      ///< column → a word of its type's family, or "string"; over types.as
  std::map<std::string, std::string> misfit;  ///< column → policy; over types.misfit
};

/// What PostgresSession::describe found, beside the schema that batches will have.
struct SourceTable {
  TableSchema schema;                       ///< with renames applied and selection made
  std::vector<std::string> source_columns;  ///< the source's own names, in the order of schema.columns
  bool plain_table = true;                  ///< an ordinary table without children: ctid names a row
  double rows_estimate = 0;                 ///< pg_class.reltuples; negative if never analysed
  double row_bytes_estimate = 0;
};

/// One connection, for administrative statements and small answers. One thread at a time. Values go in as parameters
/// only.
class PGCH_EXPORT PostgresSession {
 public:
  virtual ~PostgresSession() = default;
  using Row = std::vector<std::optional<std::string>>;
  /// Several statements are allowed only without parameters. Cells come back in PostgreSQL's text form.
  virtual Result<std::vector<Row>> query(const std::string& sql,
                                         const std::vector<std::optional<std::string>>& parameters = {}) = 0;
  virtual Result<SourceTable> describe(std::string_view table, const ColumnSelection& selection) = 0;
};
PGCH_EXPORT Result<std::unique_ptr<PostgresSession>> open_postgres(const PostgresOptions& options,
                                                                   const Context& context);

/// "name" quoted for SQL at PostgreSQL; refuses NUL, invalid UTF-8, empty and more than 63 bytes.
PGCH_EXPORT Result<std::string> quote_postgres(std::string_view identifier);
/// "table", "schema.table" or "\"odd name\".\"t\"" → quoted, schema-qualified if a schema was given.
PGCH_EXPORT Result<std::string> quote_postgres_table(std::string_view table);

}  // namespace pgch
