#include "proxy/log/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace entrepot::log {

namespace {

int open_for_append(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

std::string failure(const std::string& path) {
  const int error = errno;
  return "open() \"" + path + "\" failed (" + std::to_string(error) + ": " + std::strerror(error) + ")";
}

}  // namespace

File::~File() {
  if (fd_ != 2) ::close(fd_);
}

std::string File::open(const std::string& path) {
  const int fd = path == "stderr" ? 2 : open_for_append(path);
  if (fd < 0) return failure(path);
  if (fd_ != 2) ::close(fd_);
  fd_ = fd;
  path_ = path;
  return "";
}

std::string File::reopen() {
  if (fd_ == 2) return "";
  const int fd = open_for_append(path_);
  if (fd < 0) return failure(path_);
  // The number stays and means another file from one instant to the next, so that no writer has to be
  // stopped.
  ::dup3(fd, fd_, O_CLOEXEC);
  ::close(fd);
  return "";
}

bool File::write(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace entrepot::log
