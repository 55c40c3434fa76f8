#include "cache/ballast.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cache/disk_file.h"

namespace entrepot::cache {

namespace {

constexpr uint64_t kMiB = 1ull << 20;

}  // namespace

uint64_t Ballast::size_for(uint64_t max_size_bytes) noexcept {
  const uint64_t size = std::min(16 * kMiB, max_size_bytes / 100);
  return size < kMiB ? 0 : size;
}

bool Ballast::drop() noexcept {
  const std::lock_guard lock(mutex_);
  if (std::exchange(taken_, false)) unlink_file(path_);
  return !disk_full_.exchange(true);
}

bool Ballast::take(uint64_t free_bytes) noexcept {
  const std::lock_guard lock(mutex_);
  if (free_bytes < std::max(2 * size_bytes_, kMiB)) return false;
  if (!taken_ && size_bytes_ > 0 && !(taken_ = allocate())) return false;
  return disk_full_.exchange(false);
}

// A file system that cannot allocate (EOPNOTSUPP) has a file without blocks: no help, and no harm.
bool Ballast::allocate() const noexcept {
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool full = ::fallocate(fd, 0, 0, static_cast<off_t>(size_bytes_)) != 0 && errno != EOPNOTSUPP;
  ::close(fd);
  if (full) unlink_file(path_);
  return !full;
}

}  // namespace entrepot::cache
