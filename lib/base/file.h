// Files that must survive a crash: small, explicit, every return code looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pgch/error.h"

namespace pgch {

// An owned descriptor.
class File {
 public:
  File() = default;
  explicit File(int fd) noexcept : fd_(fd) {}
  File(File&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
  File& operator=(File&& o) noexcept;
  ~File() { close(); }
  int fd() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void close() noexcept;

 private:
  int fd_ = -1;
};

// Makes the directory (0700) and its parents if missing; a symbolic link in the last place is refused.
Result<void> make_private_directory(const std::string& path);
// O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600, with `flags` added.
Result<File> open_private(const std::string& path, int flags);
// Exclusive and not waiting; Errc::conflict if another process holds it. Held until the File is closed or the process
// ends.
Result<void> lock_file(const File& file, const std::string& path);
Result<std::string> read_all(const File& file, const std::string& path);
// Writes all of it at `offset`; on failure the file is cut back to `offset`. A full disk is Errc::limit with
// Recovery::retry.
Result<void> write_at(const File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                      const std::string& path);
// An error of fsync is final: the kernel may have dropped the pages, so repeating it would lie.
Result<void> sync_data(const File& file, const std::string& path);
// After making or renaming a file in it: a crash can't undo that any more.
Result<void> sync_directory(const std::string& directory);
Result<void> rename_durably(const std::string& from, const std::string& to, const std::string& directory);
std::string errno_text(int error);

}  // namespace pgch
