// The progress file: which ranges of a table are durable at the target. It is the source's flag of a snapshot: what is
// in it is acknowledged.
//
//   file    := "PGCHSNP1" record*
//   record  := length:u32 crc32c:u32 payload                  crc over the payload
//   payload := 1 table:varint plan:u64 system:text                                      PLAN, the first record
//            | 2 name:text version:varint horizon:varint xids:varint (u32)*             POINT that rows are read at
//            | 3 part:varint file:varint blocks:varint                                  PART: a table with rows; a
//            relation without
//                ctid has the point's version for its file
//            | 4 part:varint file:varint from:varint to:varint as_of:varint rows:varint bytes:varint   DONE; rows is
//                one more than the number, 0: not known
//            | 5 sentence:text                                                          CHANGED: not as of one point
//            | 6                                                                        ENDED
// A PART with another file than before takes back all that was done of it. A record cut short at the end was never
// told to anybody, and is cut off; any other damage stops the snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "extract/snapshot_ranges.h"
#include "pgch/context.h"

namespace pgch {

struct SnapshotPlanKey {
  std::uint32_t table = 0;
  std::uint64_t plan = 0;  ///< hash of columns and condition
  std::string system;      ///< server and database
};

struct SnapshotRecords {
  bool exists = false;
  SnapshotPlanKey key;
  struct Point {
    std::string name;
    std::uint64_t version = 0, horizon = 0;
    std::vector<std::uint32_t> open_xids;
  };
  std::vector<Point> points;
  struct Part {
    std::uint64_t file = 0, blocks = 0;
    RangeMap ranges;
    std::uint64_t bytes = 0;
  };
  std::map<std::uint32_t, Part> parts;
  std::vector<std::string> changes;
  bool ended = false;
};

/// One thread. Errors of writing are final (halt): what was not written down is looked for by the next start.
class SnapshotProgress {
 public:
  /// Opens the file, makes it if it is missing, and reads what is there; with `again` nothing is read: begin() follows.
  static Result<SnapshotProgress> open(const std::string& directory, const std::string& pipeline, bool again,
                                       const Context& context);
  const SnapshotRecords& records() const noexcept { return records_; }
  /// Forgets everything and begins with this plan; durable on return.
  Result<void> begin(const SnapshotPlanKey& key);
  Result<void> point(const SnapshotRecords::Point& point);
  Result<void> part(std::uint32_t oid, std::uint64_t file, std::uint64_t blocks);
  Result<void> done(std::uint32_t part, const FinishedRange& finished, std::uint64_t bytes);
  Result<void> changed(const std::string& sentence);
  Result<void> ended();
  Result<void> sync();
  const std::string& path() const noexcept { return path_; }

 private:
  Result<void> append(const std::string& payload);
  Result<void> replay(const std::string& bytes);
  Result<void> apply(std::string_view payload, std::size_t at);
  Error corrupt(const std::string& why) const;

  std::string directory_, path_;
  File file_;
  std::uint64_t end_ = 0;
  SnapshotRecords records_;
};

}  // namespace pgch
