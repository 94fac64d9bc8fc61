#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/try.h"

namespace pgch {
namespace {
Error io_error(const char* what, const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  if (full) {
    return retry(Errc::limit, fmt::format("No room left on the disk for {}: free some space there.", path), "ENOSPC");
  }
  const bool denied = error == EACCES || error == EPERM || error == EROFS;
  const bool named_wrong = error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG;
  return halt(denied        ? Errc::permission
              : named_wrong ? Errc::config
                            : Errc::io,
              fmt::format("Cannot {} {}: {}.", what, path, errno_text(error)), errno_text(error));
}
}  // namespace

std::string errno_text(int error) { return std::generic_category().message(error); }

File& File::operator=(File&& o) noexcept {
  if (this != &o) {
    close();
    fd_ = o.fd_;
    o.fd_ = -1;
  }
  return *this;
}

void File::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<void> make_private_directory(const std::string& path) {
  std::error_code ec;
  const std::filesystem::path p(path);
  if (p.has_parent_path()) std::filesystem::create_directories(p.parent_path(), ec);
  if (::mkdir(path.c_str(), 0700) == 0) return sync_directory(p.has_parent_path() ? p.parent_path().string() : ".");
  const int error = errno;
  struct stat st {};
  if (error == EEXIST && ::lstat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return {};
    return halt(
        Errc::config,
        fmt::format("{} is not a directory (a symbolic link is refused): name another one with `state`.", path));
  }
  return io_error("make the directory", path, error);
}

Result<File> open_private(const std::string& path, int flags) {
  File f(::open(path.c_str(), flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!f) return io_error("open", path, errno);
  return f;
}

Result<void> lock_file(const File& file, const std::string& path) {
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK) {
    return halt(Errc::conflict, fmt::format("Another process holds {}: the same pipeline runs already. Stop it first, "
                                            "or give this one another name or state directory.",
                                            path));
  }
  return io_error("lock", path, errno);
}

Result<std::string> read_all(const File& file, const std::string& path) {
  struct stat st {};
  if (::fstat(file.fd(), &st) != 0) return io_error("look at", path, errno);
  std::string out(static_cast<std::size_t>(st.st_size), '\0');
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = ::pread(file.fd(), out.data() + have, out.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("read", path, errno);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  out.resize(have);
  return out;
}

Result<void> write_at(const File& file, std::uint64_t offset, std::span<const std::byte> bytes,
                      const std::string& path) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pwrite(file.fd(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n == 0 ? ENOSPC : errno;
      if (::ftruncate(file.fd(), static_cast<off_t>(offset)) != 0) return io_error("cut back", path, errno);
      return io_error("write", path, error);
    }
    done += static_cast<std::size_t>(n);
  }
  return {};
}

Result<void> sync_data(const File& file, const std::string& path) {
  if (::fdatasync(file.fd()) == 0) return {};
  return halt(
      Errc::io,
      fmt::format(
          "The disk could not keep {}: {}. What was written last may be gone; look at the disk, then start pgch again.",
          path, errno_text(errno)),
      errno_text(errno));
}

Result<void> sync_directory(const std::string& directory) {
  File d(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!d) return io_error("open", directory, errno);
  if (::fsync(d.fd()) != 0) return io_error("fsync", directory, errno);
  return {};
}

Result<void> rename_durably(const std::string& from, const std::string& to, const std::string& directory) {
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error("rename", from, errno);
  return sync_directory(directory);
}

}  // namespace pgch
