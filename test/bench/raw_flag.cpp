// The raw limit of the flag method: what PostgreSQL itself takes to hand out and mark rows, with nothing done to them.
// One connection; SELECT … FOR UPDATE SKIP LOCKED LIMIT n with binary results, UPDATE by those ids, COMMIT, until none
// is left.
//   raw_flag CONNINFO TABLE BATCH  →  {"rows":…,"seconds":…}
#include <libpq-fe.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {
struct Clear {
  void operator()(PGresult* r) const { PQclear(r); }
};
using ResultPtr = std::unique_ptr<PGresult, Clear>;

ResultPtr run(PGconn* c, const std::string& sql, int n, const char* const* values, const int* lengths,
              const int* formats, int binary) {
  ResultPtr r(PQexecParams(c, sql.c_str(), n, nullptr, values, lengths, formats, binary));
  const auto status = PQresultStatus(r.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    std::fprintf(stderr, "%s\n", PQerrorMessage(c));
    std::exit(1);
  }
  return r;
}
void put32(std::string& s, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) s.push_back(static_cast<char>(v >> shift));
}
}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: raw_flag CONNINFO TABLE BATCH\n");
    return 2;
  }
  PGconn* c = PQconnectdb(argv[1]);
  if (PQstatus(c) != CONNECTION_OK) {
    std::fprintf(stderr, "%s\n", PQerrorMessage(c));
    return 1;
  }
  const std::string table = argv[2];
  const std::string select = "SELECT id, user_id, username, event_type, event_time, payload FROM " + table +
                             " WHERE sent_to_kafka IS NOT TRUE ORDER BY id LIMIT " + argv[3] +
                             " FOR UPDATE SKIP LOCKED";
  const std::string update = "UPDATE " + table + " SET sent_to_kafka = TRUE WHERE id = ANY($1::bigint[])";
  unsigned long rows = 0;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    run(c, "BEGIN", 0, nullptr, nullptr, nullptr, 0);
    const ResultPtr got = run(c, select, 0, nullptr, nullptr, nullptr, 1);
    const int n = PQntuples(got.get());
    if (n > 0) {
      std::string ids;  // a one-dimensional bigint[] in binary
      put32(ids, 1);
      put32(ids, 0);
      put32(ids, 20);
      put32(ids, static_cast<std::uint32_t>(n));
      put32(ids, 1);
      for (int i = 0; i < n; ++i) {
        put32(ids, 8);
        ids.append(PQgetvalue(got.get(), i, 0), 8);
      }
      const char* value = ids.data();
      const int length = static_cast<int>(ids.size()), format = 1;
      run(c, update, 1, &value, &length, &format, 0);
    }
    run(c, "COMMIT", 0, nullptr, nullptr, nullptr, 0);
    if (n == 0) break;
    rows += static_cast<unsigned long>(n);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("{\"rows\":%lu,\"seconds\":%.3f}\n", rows, seconds);
  PQfinish(c);
  return 0;
}
