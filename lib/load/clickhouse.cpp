// The loader: one batch, one Native block, one insert, one part.
#include <fmt/format.h>

#include <utility>

#include "base/try.h"
#include "clickhouse/ddl.h"
#include "clickhouse/sql.h"
#include "load/clickhouse_loader.h"
#include "load/clickhouse_table.h"

namespace pgch {
namespace {

constexpr auto late_request = std::chrono::milliseconds(500);

class ClickHouseLoader final : public Loader {
 public:
  ClickHouseLoader(ClickHouseOptions options, TargetOptions target)
      : options_(std::move(options)), wanted_(std::move(target)) {}

  Result<void> open(const Context& context) override {
    context_.emplace(context);
    PGCH_ASSIGN(client_, ch::make_client(options_, *context_));
    auto server = ch::ask_server(*client_);
    if (!server) {
      client_.reset();
      return definite(std::move(server).error());
    }
    server_ = *std::move(server);
    if (!server_.knows("insert_deduplication_token")) {
      context_->log.write(LogLevel::info,
                          "ClickHouse " + server_.version_text +
                              " knows no insert tokens; what is in doubt is looked up before it is repeated");
    }
    return {};
  }

  Result<LoaderTraits> prepare(const TableSchema& schema) override {
    if (client_ == nullptr) return halt(Errc::internal, "the ClickHouse loader was not opened");
    auto traits = prepare_table(schema);
    if (!traits) return definite(std::move(traits).error());
    return traits;
  }

  Result<std::string> mark() override { return std::string(); }

  Result<void> load(const RowBatch& batch, const Attempt& attempt) override {
    if (client_ == nullptr) return halt(Errc::internal, "the ClickHouse loader was not opened");
    if (batch.rows == 0) return {};
    PGCH_TRY(ch::encode(plan_, target_, batch, attempt, block_));
    const std::string token = token_of(attempt);
    ch::InsertRequest request{plan_.quoted, plan_.insert_columns,
                              ch::insert_settings(server_, options_.settings, token, batch.rows), token};
    auto loaded = client_->insert(request, std::as_bytes(std::span<const char>(block_)));
    if (loaded) {
      planned_anew_ = false;
      rows_loaded_ += batch.rows;
      return {};
    }
    Error error = std::move(loaded).error();
    if (error.in_doubt) return error;
    if (tells_of_another_table(error) && !planned_anew_) return plan_anew(batch, std::move(error));
    if (plan_.dependents) return settle_behind_views(batch, attempt, std::move(error));
    return error;
  }

  Result<Landed> look(const Intent& intent, const RowBatch& batch, const Attempt& last) override {
    if (client_ == nullptr) return halt(Errc::internal, "the ClickHouse loader was not opened");
    std::vector<std::string> tokens;
    Attempt attempt = last;
    for (const std::uint64_t number : intent.attempts) {
      attempt.number = number;
      tokens.push_back(token_of(attempt));
    }
    auto missing = missing_rows(tokens, batch, last);
    if (missing && !missing->missing.empty() && client_->remote()) {
      // An insert whose sender gave up can still lie in the server's socket (a paused machine, a full accept queue) and
      // start right after it was looked for. So what seems missing is looked for once more, after a while.
      context_->clock.sleep_until(context_->clock.now() + late_request, context_->stop);
      missing = missing_rows(tokens, batch, last);
    }
    if (!missing) return definite(std::move(missing).error());
    return missing;
  }

  void close() noexcept override { client_.reset(); }

 private:
  // Nothing but an insert leaves doubt, and nothing but an insert is about rows.
  static Error definite(Error error) {
    error.in_doubt = false;
    if (error.recovery == Recovery::dead_letter) error.recovery = Recovery::halt;
    return error;
  }

  Result<Landed> missing_rows(const std::vector<std::string>& tokens, const RowBatch& batch, const Attempt& last) {
    PGCH_TRY(client_->end_queries(tokens));
    return ch::find_missing(*client_, plan_, target_, server_, batch, last);
  }

  // The table is not (any more) what it was when it was looked at.
  static bool tells_of_another_table(const Error& error) {
    return error.recovery == Recovery::halt && (error.code == Errc::schema || error.code == Errc::not_found);
  }

  // Looks at the table once more. If the rows fit into what is there now, the batch is worth another attempt.
  Result<void> plan_anew(const RowBatch& batch, Error error) {
    planned_anew_ = true;
    auto prepared = prepare_table(*batch.schema);
    if (!prepared) return definite(std::move(prepared).error());
    error.recovery = Recovery::retry;
    return error;
  }

  // An error may come from a view behind the table, after the table itself got its rows.
  Result<void> settle_behind_views(const RowBatch& batch, const Attempt& attempt, Error error) {
    auto missing = ch::find_missing(*client_, plan_, target_, server_, batch, attempt);
    if (missing && missing->missing.size() == batch.rows) return error;
    if (missing && missing->missing.empty()) {
      context_->log.write(
          LogLevel::error,
          fmt::format("the rows are in {}, but a materialized view behind it failed: {}", plan_.quoted, error.message));
      return {};
    }
    error.in_doubt = true;
    return error;
  }

  Result<LoaderTraits> prepare_table(const TableSchema& schema) {
    target_ = wanted_;
    target_.table = ch::target_table(wanted_, schema);
    const std::string quoted = ch::quote_name(options_.database, target_.table);
    PGCH_ASSIGN(auto table, ch::describe_table(*client_, options_.database, target_.table));
    if (!table) {
      if (!target_.create) {
        return halt(Errc::not_found,
                    fmt::format("the target table {} does not exist: make it, or allow pgch to make it (create = true)",
                                quoted));
      }
      PGCH_TRY(create(schema, quoted));
      if (quoted == used_) {
        context_->log.write(
            LogLevel::warning,
            fmt::format(
                "the target table {} was there, got {} rows since the start, and is gone: it was made again, "
                "empty. If it was renamed on purpose, its rows are under the other name; if it was dropped, move "
                "them again by resetting their flag",
                quoted, rows_loaded_));
        rows_loaded_ = 0;
      }
      PGCH_ASSIGN(table, ch::describe_table(*client_, options_.database, target_.table));
      if (!table) return retry(Errc::not_found, fmt::format("the target table {} was made but is not there", quoted));
    }
    PGCH_ASSIGN(plan_, ch::plan_table(options_.database, target_, schema, *table, server_));
    plan_.dependents = has_dependents();
    used_ = quoted;
    LoaderTraits traits = ch::look_traits(plan_, target_);
    context_->log.write(LogLevel::info, fmt::format("{} → {} ({}): every column fits; rows are found again by {}",
                                                    display_name(schema), quoted, table->engine,
                                                    !traits.can_look    ? "nothing"
                                                    : plan_.has_batch   ? "batch number"
                                                    : plan_.has_version ? "key and version"
                                                                        : "key and values"));
    return traits;
  }

  Result<void> create(const TableSchema& schema, const std::string& quoted) {
    PGCH_ASSIGN(const auto statements, ch::create_statements(options_.database, target_, schema, server_.version));
    PGCH_ASSIGN(const bool exists, ch::database_exists(*client_, options_.database));
    if (!exists) {
      const std::string on_cluster = target_.on_cluster.empty() ? std::string() : " ON CLUSTER " + target_.on_cluster;
      PGCH_ASSIGN(
          [[maybe_unused]] const std::string made,
          client_->query("CREATE DATABASE IF NOT EXISTS " + ch::quote_name(options_.database) + on_cluster, "TSV"));
    }
    for (const std::string& sql : statements) {
      PGCH_ASSIGN([[maybe_unused]] const std::string made, client_->query(sql, "TSV"));
    }
    context_->log.write(LogLevel::info, "made the target table " + quoted);
    return {};
  }

  bool has_dependents() {
    const std::string sql = "SELECT sum(length(dependencies_table)) FROM system.tables WHERE database = " +
                            ch::quote_text(options_.database) + " AND name = " + ch::quote_text(target_.table);
    const auto answer = client_->query(sql, "TSV");
    return !answer || *answer != "0\n";  // not knowing it, take the careful way
  }

  ClickHouseOptions options_;
  TargetOptions wanted_, target_;
  std::optional<Context> context_;
  std::unique_ptr<ch::Client> client_;
  ch::Server server_;
  ch::TablePlan plan_;
  std::string block_;
  bool planned_anew_ = false;  // since the last success
  std::string used_;           // the table that was there the last time
  std::uint64_t rows_loaded_ = 0;
};

Result<void> check_options(const ClickHouseOptions& options, const TargetOptions& target) {
  if (!ch::plausible_name(options.database)) return halt(Errc::config, "the ClickHouse database needs a name");
  if (!target.table.empty() && !ch::plausible_name(target.table))
    return halt(Errc::config, "the target table's name must have 1 to 200 bytes and no NUL");
  for (const auto& [name, value] : options.settings) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (name.empty() || name.find_first_not_of(allowed) != std::string::npos) {
      return halt(Errc::config, "\"" + name + "\" can't be the name of a ClickHouse setting");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Loader>> make_clickhouse(ClickHouseOptions options, TargetOptions target) {
  PGCH_TRY(check_options(options, target));
  return std::unique_ptr<Loader>(std::make_unique<ClickHouseLoader>(std::move(options), std::move(target)));
}

}  // namespace pgch
