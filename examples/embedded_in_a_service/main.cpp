// A pipeline inside a service: the service goes about its own work, a thread of it keeps a ClickHouse table up to date.
//
//   example_embedded_in_a_service "host=localhost dbname=test_db" user_logins http://localhost:8123
//   example_embedded_in_a_service "host=localhost dbname=test_db" user_logins chdb://./warehouse
//
// The library prints nothing, installs no signal handler and ends no process: logger, clock and stop are the service's
// own.
#include <csignal>
#include <iostream>
#include <thread>

#include "pgch/checkpoint/file.h"
#include "pgch/extract/flag.h"
#include "pgch/load/clickhouse.h"
#include "pgch/pipeline.h"

namespace {

volatile std::sig_atomic_t asked_to_end = 0;

class ServiceLog final : public pgch::Logger {
 public:
  void write(pgch::LogLevel level, std::string_view message) override {
    if (level != pgch::LogLevel::debug) std::clog << "replication: " << message << std::endl;
  }
};

pgch::Result<pgch::Pipeline> make_replication(const char* postgres, const char* table, const char* clickhouse,
                                              pgch::Logger& log) {
  pgch::FlagOptions flag;
  flag.postgres.conninfo = postgres;
  flag.table = table;
  auto extractor = pgch::make_flag(flag);
  if (!extractor) return extractor.error();
  pgch::ClickHouseOptions target;
  target.url = clickhouse;
  auto loader = pgch::make_clickhouse(target, {});
  if (!loader) return loader.error();
  pgch::FileJournalOptions state;
  state.directory = "./service-state";
  state.pipeline = table;
  auto journal = pgch::make_file_journal(state);
  if (!journal) return journal.error();
  auto dead_letters = pgch::make_file_dead_letters(state);
  if (!dead_letters) return dead_letters.error();

  pgch::Stages stages;
  stages.extractor = std::move(*extractor);
  stages.loader = std::move(*loader);
  stages.journal = *journal;
  stages.dead_letters = *dead_letters;
  pgch::PipelineOptions options;
  options.id = table;
  options.poll = std::chrono::milliseconds(200);
  return pgch::Pipeline::create(std::move(stages), options, log, pgch::system_clock());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: example_embedded_in_a_service CONNINFO TABLE CLICKHOUSE-URL\n";
    return 2;
  }
  ServiceLog log;
  auto replication = make_replication(argv[1], argv[2], argv[3], log);
  if (!replication) {
    std::cerr << replication.error().message << '\n';
    return 1;
  }
  std::signal(SIGTERM, [](int) { asked_to_end = 1; });
  std::signal(SIGINT, [](int) { asked_to_end = 1; });

  pgch::Result<void> ended;
  std::stop_source stop;
  std::thread mover([&] {
    ended = replication->run(stop.get_token());
    asked_to_end = 1;  // it only ends by itself when a person is needed
  });
  while (asked_to_end == 0) {  // the service's own work goes here
    std::this_thread::sleep_for(std::chrono::seconds(1));
    std::cout << replication->stats().produce.rows_delivered << " rows replicated" << std::endl;
  }
  stop.request_stop();  // drains: what is under way settles, the rest waits for the next start
  mover.join();
  if (!ended) std::cerr << ended.error().message << '\n';
  return ended ? 0 : 1;
}
