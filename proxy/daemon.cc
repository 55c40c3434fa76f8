#include "proxy/daemon.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

namespace entrepot {

namespace {

constexpr char kStarted = '\0';

std::string failure(const std::string& call) {
  const int error = errno;
  return call + " failed (" + std::to_string(error) + ": " + std::strerror(error) + ")";
}

void write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string read_all(int fd) {
  std::string text;
  char bytes[4096];
  for (;;) {
    const ssize_t got = ::read(fd, bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(bytes, static_cast<size_t>(got));
  }
}

[[noreturn]] void end_as_reported(int fd) {
  std::string text = read_all(fd);
  const bool started = !text.empty() && text.back() == kStarted;
  if (started) text.pop_back();
  if (!started && text.empty()) text = "entrepot: [emerg] the master process died while it started\n";
  write_all(STDERR_FILENO, text);
  ::_exit(started ? 0 : 1);
}

}  // namespace

std::string StartReport::daemonise() {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return failure("pipe()");
  const pid_t pid = ::fork();
  if (pid < 0) return failure("fork()");
  if (pid > 0) {
    ::close(pipe_fds[1]);
    end_as_reported(pipe_fds[0]);
  }
  ::close(pipe_fds[0]);
  fd_ = pipe_fds[1];
  daemon_ = true;
  if (::setsid() < 0) return failure("setsid()");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return failure("open() \"/dev/null\"");
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  if (null > STDERR_FILENO) ::close(null);
  return "";
}

void StartReport::succeeded() {
  if (fd_ >= 0) write_all(fd_, {&kStarted, 1});
  close();
}

void StartReport::failed(const std::string& text) {
  write_all(fd_ >= 0 ? fd_ : STDERR_FILENO, text);
  close();
}

void StartReport::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void log_stderr_to(const std::string& path) noexcept {
  if (path == "stderr") return;
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return;
  ::dup2(fd, STDERR_FILENO);
  ::close(fd);
}

std::string write_pid_file(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return failure("open() \"" + path + "\"");
  write_all(fd, std::to_string(::getpid()) + "\n");
  ::close(fd);
  return "";
}

void remove_pid_file(const std::string& path) noexcept {
  std::string ignored;
  if (read_pid_file(path, ignored) == ::getpid()) ::unlink(path.c_str());
}

std::optional<pid_t> read_pid_file(const std::string& path, std::string& error) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    error = failure("open() \"" + path + "\"");
    return std::nullopt;
  }
  std::string text = read_all(fd);
  ::close(fd);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  pid_t pid = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (code == std::errc() && end == text.data() + text.size() && pid > 0) return pid;
  error = "invalid PID number \"" + text + "\" in \"" + path + "\"";
  return std::nullopt;
}

}  // namespace entrepot
