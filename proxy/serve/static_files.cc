#include "proxy/serve/static_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace entrepot::serve {

namespace {

constexpr size_t kMaxOpen = 1024;

int64_t nanoseconds(const timespec& t) { return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec; }

// openat2(2) keeps the whole path, links included, below the root.
int open_beneath(const std::string& root, const std::string& path) {
  const int dir = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return -1;
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const char* relative =
      path.c_str() + path.find_first_not_of('/') * (path.find_first_not_of('/') != std::string::npos);
  const long fd = ::syscall(SYS_openat2, dir, *relative ? relative : ".", &how, sizeof(how));
  const int error = errno;
  ::close(dir);
  errno = error;
  return static_cast<int>(fd);
}

}  // namespace

PlainFile::~PlainFile() { ::close(fd_); }

std::optional<Digest> PlainFile::digest() const noexcept {
  std::lock_guard lock(mutex_);
  return digest_;
}

void PlainFile::set_digest(const Digest& sha256) noexcept {
  std::lock_guard lock(mutex_);
  digest_ = sha256;
}

Result<void> PlainFile::read(uint64_t chunk, size_t from, std::span<std::byte> out,
                             cache::ReadWait wait) const noexcept {
  size_t done = 0;
  while (done < out.size()) {
    const iovec room{out.data() + done, out.size() - done};
    const auto offset = static_cast<off_t>(chunk * cache::kChunkBytes + from + done);
    ssize_t n = ::preadv2(fd_, &room, 1, offset, wait == cache::ReadWait::kNever ? RWF_NOWAIT : 0);
    if (n < 0 && errno == EOPNOTSUPP) n = ::preadv2(fd_, &room, 1, offset, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? Error::kWouldBlock : Error::kIo;
    if (n == 0) return Error::kCorrupt;  // truncated since it was opened
    done += static_cast<size_t>(n);
  }
  return {};
}

StaticFiles::Opened StaticFiles::open(const std::string& root, const std::string& path) {
  const int fd = open_beneath(root, path);
  if (fd < 0) {
    const bool absent = errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG;
    const bool refused = errno == EACCES || errno == ELOOP || errno == EXDEV;
    return {nullptr, absent ? FileError::kNotFound : refused ? FileError::kForbidden : FileError::kIo};
  }
  struct stat st {};
  if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    const bool directory = S_ISDIR(st.st_mode);
    ::close(fd);
    return {nullptr, directory ? FileError::kIsDirectory : FileError::kForbidden};
  }
  Entry entry{st.st_dev,
              st.st_ino,
              static_cast<uint64_t>(st.st_size),
              nanoseconds(st.st_mtim),
              nanoseconds(st.st_ctim),
              nullptr};
  const std::string key = root + '\0' + path;
  std::lock_guard lock(mutex_);
  auto& known = open_[key];
  if (known.file && known.device == entry.device && known.inode == entry.inode && known.size == entry.size &&
      known.modified_ns == entry.modified_ns && known.changed_ns == entry.changed_ns) {
    ::close(fd);
    return {known.file};
  }
  auto file = std::make_shared<StaticFile>();
  file->blob = std::make_shared<PlainFile>(fd, entry.size);
  file->modified = st.st_mtim.tv_sec;
  // Nanoseconds and the inode tell two files of one second and one size apart; nginx's form does not.
  char etag[96];
  std::snprintf(etag, sizeof(etag), "\"%llx-%llx-%llx\"", static_cast<unsigned long long>(entry.modified_ns),
                static_cast<unsigned long long>(entry.inode), static_cast<unsigned long long>(entry.size));
  file->etag = etag;
  file->identity = file->etag + " " + std::to_string(entry.changed_ns) + " " + std::to_string(entry.device);
  entry.file = file;
  known = entry;
  if (open_.size() > kMaxOpen)
    open_.erase(open_.begin()->first == key ? std::next(open_.begin()) : open_.begin());
  return {file};
}

}  // namespace entrepot::serve
