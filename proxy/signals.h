// The signals of both processes, read from a descriptor like everything else: no handler ever runs.
#pragma once

#include <optional>
#include <string>

namespace entrepot {

class Signals {
 public:
  // Blocks all signals that this program acts on, for this thread and those it starts from now on, and
  // ignores SIGPIPE. After a fork the child may go on with the same object: it then reads its own signals.
  Signals();
  ~Signals();  // the signals stay blocked
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const noexcept { return fd_; }  // readable: next() has one
  // The next signal that has come, or nothing. Never waits.
  std::optional<int> next() const noexcept;

  // "1 (SIGHUP)"
  static std::string name(int signal);

 private:
  int fd_;
};

}  // namespace entrepot
