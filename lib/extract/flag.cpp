#include "pgch/extract/flag.h"

#include "base/try.h"
#include "extract/claim_extractor.h"
#include "extract/flag_table.h"

namespace pgch {

Result<std::unique_ptr<Extractor>> make_flag(FlagOptions options) {
  if (options.table.empty()) return halt(Errc::config, "The flag method needs a table: set the setting table.");
  PGCH_TRY(quote_postgres_table(options.table));
  PGCH_TRY(quote_postgres(options.flag_column));
  ClaimOptions claims{"flag",         options.postgres, options.stream,          options.share,
                      options.shares, options.lanes,    options.lock_timeout_ms, {}};
  PGCH_TRY(check_claim_options(claims));
  claims.describe = [options = std::move(options)](pg::Connection& connection, const Context& context) {
    return describe_flag_table(connection, options, context);
  };
  return std::unique_ptr<Extractor>(new ClaimExtractor(std::move(claims)));
}

}  // namespace pgch
