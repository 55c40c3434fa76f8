#include "proxy/signals.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>

namespace entrepot {

Signals::Signals() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);  // ignored, as some parents leave it, children would vanish unseen
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD})
    ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd_ < 0) std::abort();
}

Signals::~Signals() { ::close(fd_); }

std::optional<int> Signals::next() const noexcept {
  signalfd_siginfo info;
  if (::read(fd_, &info, sizeof(info)) != sizeof(info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

std::string Signals::name(int signal) {
  const char* const short_name = ::sigabbrev_np(signal);
  return std::to_string(signal) + (short_name ? " (SIG" + std::string(short_name) + ")" : "");
}

}  // namespace entrepot
