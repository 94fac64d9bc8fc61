// PostgresSession: a connection for administrative statements.
#include "base/try.h"
#include "pg/catalog.h"
#include "pg/connection.h"

namespace pgch {
namespace {

class Session final : public PostgresSession {
 public:
  Session(std::unique_ptr<pg::Connection> connection, const Context& context)
      : connection_(std::move(connection)), stop_(context.stop) {}

  Result<std::vector<Row>> query(const std::string& sql,
                                 const std::vector<std::optional<std::string>>& parameters) override {
    std::vector<pg::Parameter> given;
    for (const auto& p : parameters) {
      given.push_back({p ? std::string_view(*p) : std::string_view(), 0, false, !p.has_value()});
    }
    PGCH_ASSIGN(const pg::Answer answer, connection_->exec(sql, given, "running a statement", wait()));
    std::vector<Row> out(answer.rows());
    for (std::size_t r = 0; r < out.size(); ++r) {
      for (std::size_t c = 0; c < answer.columns(); ++c) {
        if (answer.is_null(r, c)) {
          out[r].emplace_back();
        } else {
          out[r].emplace_back(answer.cell(r, c));
        }
      }
    }
    return out;
  }

  Result<SourceTable> describe(std::string_view table, const ColumnSelection& selection) override {
    PGCH_ASSIGN(pg::CatalogTable found, pg::describe(*connection_, table, selection, {}, wait()));
    return std::move(found.source);
  }

 private:
  // No deadline of its own: statements of setup may take long. The socket has keepalives, and statement_timeout may be
  // set.
  pg::Wait wait() const { return {Clock::TimePoint::max(), stop_}; }

  std::unique_ptr<pg::Connection> connection_;
  std::stop_token stop_;
};

}  // namespace

Result<std::unique_ptr<PostgresSession>> open_postgres(const PostgresOptions& options, const Context& context) {
  PGCH_ASSIGN(std::unique_ptr<pg::Connection> connection, pg::Connection::open(options, context));
  return std::unique_ptr<PostgresSession>(new Session(std::move(connection), context));
}

}  // namespace pgch
