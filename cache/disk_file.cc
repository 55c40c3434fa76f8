#include "cache/disk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "cache/seeded_fault.h"

namespace entrepot::cache {

namespace {

Error from_errno() noexcept {
  switch (errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Error::kNoSpace;
    case EACCES:
    case EPERM:
    case EROFS:
      return Error::kPermission;
    case EMFILE:
    case ENFILE:
      return Error::kTooLarge;
    default:
      return Error::kIo;
  }
}

Result<void> read_waiting(int fd, uint64_t offset, std::span<std::byte> out) noexcept {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error::kIo;
    if (count == 0) return Error::kCorrupt;
    offset += static_cast<size_t>(count);
    out = out.subspan(static_cast<size_t>(count));
  }
  return {};
}

}  // namespace

DiskFile::DiskFile(DiskFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DiskFile& DiskFile::operator=(DiskFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

DiskFile::~DiskFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<DiskFile> DiskFile::open(const std::string& path, int flags) noexcept {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) return from_errno();
  return DiskFile(fd);
}

Result<DiskFile> DiskFile::create(const std::string& path) noexcept {
  return open(path, O_RDWR | O_CREAT | O_EXCL);
}
Result<DiskFile> DiskFile::open_for_reading(const std::string& path) noexcept { return open(path, O_RDONLY); }
Result<DiskFile> DiskFile::open_for_writing(const std::string& path) noexcept { return open(path, O_RDWR); }

Result<uint64_t> DiskFile::size_bytes() const noexcept {
  struct stat status;
  if (::fstat(fd_, &status) != 0) return Error::kIo;
  return static_cast<uint64_t>(status.st_size);
}

bool DiskFile::is_unlinked() const noexcept {
  struct stat status;
  return ::fstat(fd_, &status) != 0 || status.st_nlink == 0;
}

bool DiskFile::stands_at(const std::string& path) const noexcept {
  struct stat ours, there;
  return ::fstat(fd_, &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_dev == there.st_dev &&
         ours.st_ino == there.st_ino;
}

Result<void> DiskFile::read(uint64_t offset, std::span<std::byte> out, ReadWait wait) const noexcept {
  if (wait == ReadWait::kDisk || out.empty()) return read_waiting(fd_, offset, out);
  const iovec vector{out.data(), out.size()};
  ssize_t count;
  do {
    count = ::preadv2(fd_, &vector, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(out.size())) return {};
  if (count >= 0 || errno == EAGAIN) return Error::kWouldBlock;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return read_waiting(fd_, offset, out);
  return Error::kIo;
}

Result<void> DiskFile::write(uint64_t offset, std::span<const std::byte> bytes) const noexcept {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return from_errno();
    offset += static_cast<size_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

Result<void> DiskFile::truncate(uint64_t size_bytes) const noexcept {
  return ::ftruncate(fd_, static_cast<off_t>(size_bytes)) == 0 ? Result<void>() : Result<void>(from_errno());
}

void DiskFile::start_writeback(uint64_t offset, uint64_t length_bytes) const noexcept {
  // Only a hint: what went wrong shows in sync_data().
  (void)::sync_file_range(fd_, static_cast<off_t>(offset), static_cast<off_t>(length_bytes),
                          SYNC_FILE_RANGE_WRITE);
}

Result<void> DiskFile::sync_data() const noexcept {
  if (::fdatasync(fd_) == 0) return {};
  if (has_fault(SeededFault::kSyncRetried) && ::fdatasync(fd_) == 0) return {};
  return from_errno();
}

Result<void> move_file(const std::string& from, const std::string& to) noexcept {
  if (std::rename(from.c_str(), to.c_str()) != 0) return from_errno();
  return {};
}

Result<void> sync_folder_of(const std::string& path) noexcept {
  const std::string folder = path.substr(0, path.rfind('/'));
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return from_errno();
  const bool synced = ::fsync(fd) == 0;
  ::close(fd);
  if (!synced) return Error::kIo;
  return {};
}

void DiskFile::expect_no_sequence() const noexcept { (void)::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM); }

void DiskFile::drop_pages(uint64_t offset, uint64_t length_bytes) const noexcept {
  (void)::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(length_bytes),
                        POSIX_FADV_DONTNEED);
}

void unlink_file(const std::string& path) noexcept { ::unlink(path.c_str()); }

uint64_t free_bytes(const std::string& path) noexcept {
  struct statvfs fs {};
  if (::statvfs(path.c_str(), &fs) != 0) return UINT64_MAX;
  return static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize;
}

}  // namespace entrepot::cache
