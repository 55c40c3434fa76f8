// Daemon: leaving the terminal, and the pid file by which the daemon is found again.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace entrepot {

// How the start went, told to whoever waits for it: the process in the terminal when this one is a daemon,
// else stderr.
class StartReport {
 public:
  StartReport() = default;
  ~StartReport() { close(); }
  StartReport(const StartReport&) = delete;
  StartReport& operator=(const StartReport&) = delete;

  // From here on a daemon runs: own session, stdin and stdout on /dev/null, stderr where log_stderr_to() puts
  // it. The calling process never returns: it waits for the report and ends with it, 0 or 1, the text on its
  // stderr. Answers what failed; empty: done.
  std::string daemonise();
  bool is_daemon() const noexcept { return daemon_; }

  void succeeded();
  void failed(const std::string& text);  // as it shall be printed, with its line end
  void close() noexcept;                 // in a forked process, which reports nothing

 private:
  int fd_ = -1;
  bool daemon_ = false;
};

// What goes to stderr (an assertion, a sanitizer) goes to the error log's file from now on. "stderr": nothing
// changes.
void log_stderr_to(const std::string& path) noexcept;

// Writes this process's id; makes the directory where there is none. Answers what failed; empty: done.
std::string write_pid_file(const std::string& path);
// Removes it, if it still holds this process's id.
void remove_pid_file(const std::string& path) noexcept;
// The id in the file, or `error` in nginx's words: `open() "/run/e.pid" failed (2: No such file or
// directory)`.
std::optional<pid_t> read_pid_file(const std::string& path, std::string& error);

}  // namespace entrepot
