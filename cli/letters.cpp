#include "letters.h"

#include "method.h"
#include "pgch/transport/kafka.h"
#include "stages.h"

namespace pgch::cli {
namespace {

// Connects with the first row.
class RowsAgain {
 public:
  RowsAgain(Session& session, TableConfig table) : session_(session), table_(std::move(table)) {}

  Result<void> operator()(const DeadLetter& letter) {
    const Method& method = method_of(table_);
    if (!source_) {
      if (auto ready = require_source(session_); !ready) return ready;
      auto opened = open_postgres(session_.config.postgres, session_.context());
      if (!opened) return std::move(opened).error();
      auto described = method.describe(**opened, table_);
      if (!described) return std::move(described).error();
      source_ = *std::move(opened);
      described_ = *std::move(described);
    }
    auto sql = method.again_sql(*source_, table_, described_);
    if (!sql) return std::move(sql).error();
    std::vector<std::optional<std::string>> key(letter.key_values.begin(), letter.key_values.end());
    if (key.size() != key_indexes(described_.schema).size())
      return halt(Errc::unsupported, "the table has another key now; pgch repair finds and copies what is lost");
    auto rows = source_->query(*sql, key);
    if (!rows) return std::move(rows).error();
    if (rows->empty()) return halt(Errc::not_found, "its row is not in table " + table_.name + " any more");
    return {};
  }

 private:
  Session& session_;
  TableConfig table_;
  std::shared_ptr<PostgresSession> source_;
  SourceTable described_;
};

}  // namespace

Result<std::vector<std::unique_ptr<DeadLetterBox>>> letter_boxes(Session& session, const TableConfig& table) {
  std::vector<std::unique_ptr<DeadLetterBox>> out;
  auto file = open_file_letters(journal_of(session.config, table), RowsAgain(session, table), session.context());
  if (!file) return std::move(file).error();
  out.push_back(*std::move(file));
#ifdef PGCH_HAVE_KAFKA
  if (session.config.use_kafka) {
    auto topic = open_topic_letters(kafka_of(session.config, table), session.context());
    if (!topic) return std::move(topic).error();
    out.push_back(*std::move(topic));
  }
#endif
  return out;
}

}  // namespace pgch::cli
