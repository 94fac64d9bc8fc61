#include "extract/snapshot_progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/try.h"

namespace pgch {
namespace {

constexpr std::string_view magic = "PGCHSNP1";
enum Tag : std::uint8_t { tag_plan = 1, tag_point, tag_part, tag_done, tag_changed, tag_ended };

std::string payload_of(Tag tag) { return std::string(1, static_cast<char>(tag)); }

// Whole length of the record that begins at `at`, or 0 if there is no whole, intact one.
std::size_t record_at(std::string_view bytes, std::size_t at) {
  if (bytes.size() - at < 9) return 0;
  ByteReader r(bytes.substr(at, 8));
  const auto length = r.little<std::uint32_t>();
  const auto crc = r.little<std::uint32_t>();
  if (length == 0 || length > bytes.size() - at - 8) return 0;
  const auto tag = static_cast<std::uint8_t>(bytes[at + 8]);
  if (tag < tag_plan || tag > tag_ended) return 0;
  return crc32c(as_bytes(bytes.substr(at + 8, length))) == crc ? 8 + length : 0;
}

// The disk that is full now may have room later, but nobody waits for that here.
Result<void> final(Result<void> r) {
  if (!r) r.error().recovery = Recovery::halt;
  return r;
}

}  // namespace

Error SnapshotProgress::corrupt(const std::string& why) const {
  return halt(Errc::corrupt, fmt::format("The progress file {} can't be trusted: {}. It says which rows are at the "
                                         "target, so pgch will not go on without it: restore it, or begin anew with "
                                         "--again.",
                                         path_, why));
}

Result<SnapshotProgress> SnapshotProgress::open(const std::string& directory, const std::string& pipeline, bool again,
                                                const Context& context) {
  SnapshotProgress out;
  out.directory_ = directory;
  out.path_ = directory + "/" + pipeline + ".snapshot";
  PGCH_TRY(make_private_directory(directory));
  if (again) return out;
  PGCH_ASSIGN(out.file_, open_private(out.path_, O_RDWR));
  PGCH_ASSIGN(const std::string bytes, read_all(out.file_, out.path_));
  PGCH_TRY(out.replay(bytes));
  if (out.end_ != bytes.size()) {
    context.log.write(LogLevel::info, fmt::format("{}: cut off {} bytes of a write that a crash interrupted", out.path_,
                                                  bytes.size() - out.end_));
    if (::ftruncate(out.file_.fd(), static_cast<off_t>(out.end_)) != 0)
      return halt(Errc::io, fmt::format("Cannot cut back {}: {}.", out.path_, errno_text(errno)));
  }
  return out;
}

Result<void> SnapshotProgress::replay(const std::string& bytes) {
  const std::string_view all(bytes);
  // begin() puts the file in its place whole, with the plan in it; one that is missing was just made here, empty.
  if (all.empty()) return {};
  if (all.substr(0, magic.size()) != magic) return corrupt("its header is not one of pgch");
  std::size_t at = magic.size();
  while (at < all.size()) {
    const std::size_t length = record_at(all, at);
    if (length == 0) {
      // Interrupted appends only ever leave a tail: a whole record after the hole means that something else happened.
      for (std::size_t probe = at + 1; probe + 9 <= all.size(); ++probe) {
        if (record_at(all, probe) != 0)
          return corrupt(fmt::format("the record at byte {} is damaged and whole ones follow it", at));
      }
      break;
    }
    PGCH_TRY(apply(all.substr(at + 8, length - 8), at));
    at += length;
  }
  if (!records_.exists) return corrupt("its plan is damaged");
  end_ = at;
  return {};
}

Result<void> SnapshotProgress::apply(std::string_view payload, std::size_t at) {
  ByteReader r(payload);
  const auto tag = r.little<std::uint8_t>();
  if ((tag == tag_plan) == records_.exists) return corrupt(fmt::format("the record at byte {} is out of place", at));
  switch (tag) {
    case tag_plan:
      records_.exists = true;
      records_.key.table = static_cast<std::uint32_t>(r.varint());
      records_.key.plan = r.little<std::uint64_t>();
      records_.key.system = r.text();
      break;
    case tag_point: {
      SnapshotRecords::Point point;
      point.name = r.text();
      point.version = r.varint();
      point.horizon = r.varint();
      for (std::uint64_t left = r.varint(); left != 0 && r.ok(); --left)
        point.open_xids.push_back(r.little<std::uint32_t>());
      records_.points.push_back(std::move(point));
      break;
    }
    case tag_part: {
      SnapshotRecords::Part& part = records_.parts[static_cast<std::uint32_t>(r.varint())];
      const std::uint64_t file = r.varint();
      if (part.file != file) part = {};
      part.file = file;
      part.blocks = r.varint();
      break;
    }
    case tag_done: {
      SnapshotRecords::Part& part = records_.parts[static_cast<std::uint32_t>(r.varint())];
      const std::uint64_t file = r.varint();
      FinishedRange finished;
      finished.range.from = r.varint();
      finished.range.to = r.varint();
      finished.as_of = r.varint();
      const std::uint64_t rows = r.varint(), size = r.varint();
      if (rows != 0) finished.rows = rows - 1;
      if (file != part.file) return corrupt(fmt::format("the record at byte {} is of another file of the table", at));
      const auto known = [&](const SnapshotRecords::Point& point) { return point.version == finished.as_of; };
      if (std::none_of(records_.points.begin(), records_.points.end(), known))
        return corrupt(fmt::format("the record at byte {} is of a point that is not there", at));
      part.bytes += size;
      part.ranges.finish(finished);
      break;
    }
    case tag_changed:
      records_.changes.emplace_back(r.text());
      break;
    default:
      records_.ended = true;
  }
  if (!r.ok()) return corrupt(fmt::format("the record at byte {} ends too early", at));
  return {};
}

Result<void> SnapshotProgress::append(const std::string& payload) {
  std::string record;
  put_little(record, static_cast<std::uint32_t>(payload.size()));
  put_little(record, crc32c(as_bytes(payload)));
  record += payload;
  PGCH_TRY(final(write_at(file_, end_, as_bytes(record), path_)));
  const std::uint64_t at = end_;
  end_ += record.size();
  return apply(payload, at);
}

Result<void> SnapshotProgress::begin(const SnapshotPlanKey& key) {
  records_ = {};
  const std::string fresh_path = path_ + ".new";
  PGCH_ASSIGN(File fresh, open_private(fresh_path, O_RDWR | O_TRUNC));
  PGCH_TRY(final(write_at(fresh, 0, as_bytes(magic), fresh_path)));
  file_ = std::move(fresh);
  end_ = magic.size();
  std::string payload = payload_of(tag_plan);
  put_varint(payload, key.table);
  put_little(payload, key.plan);
  put_text(payload, key.system);
  PGCH_TRY(append(payload));
  PGCH_TRY(sync_data(file_, fresh_path));
  return final(rename_durably(fresh_path, path_, directory_));
}

Result<void> SnapshotProgress::point(const SnapshotRecords::Point& point) {
  std::string payload = payload_of(tag_point);
  put_text(payload, point.name);
  put_varint(payload, point.version);
  put_varint(payload, point.horizon);
  put_varint(payload, point.open_xids.size());
  for (const std::uint32_t xid : point.open_xids) put_little(payload, xid);
  return append(payload);
}

Result<void> SnapshotProgress::part(std::uint32_t oid, std::uint64_t file, std::uint64_t blocks) {
  std::string payload = payload_of(tag_part);
  put_varint(payload, oid);
  put_varint(payload, file);
  put_varint(payload, blocks);
  return append(payload);
}

Result<void> SnapshotProgress::done(std::uint32_t part, const FinishedRange& finished, std::uint64_t bytes) {
  std::string payload = payload_of(tag_done);
  put_varint(payload, part);
  put_varint(payload, records_.parts[part].file);
  put_varint(payload, finished.range.from);
  put_varint(payload, finished.range.to);
  put_varint(payload, finished.as_of);
  put_varint(payload, finished.rows ? *finished.rows + 1 : 0);
  put_varint(payload, bytes);
  return append(payload);
}

Result<void> SnapshotProgress::changed(const std::string& sentence) {
  std::string payload = payload_of(tag_changed);
  put_text(payload, sentence);
  return append(payload);
}

Result<void> SnapshotProgress::ended() { return append(payload_of(tag_ended)); }

Result<void> SnapshotProgress::sync() { return sync_data(file_, path_); }

}  // namespace pgch
