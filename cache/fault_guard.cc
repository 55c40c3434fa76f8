#include "cache/fault_guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <mutex>
#include <utility>

namespace entrepot::cache {

namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
std::array<struct sigaction, kSignals.size()> g_earlier;
std::array<std::atomic<const char*>, 64> g_notes;  // files; more than that are not noted
thread_local sigjmp_buf* t_guard = nullptr;

void leave_notes() noexcept {
  for (const auto& note : g_notes) {
    const char* const path = note.load();
    const int fd = path ? ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0) continue;
    [[maybe_unused]] const auto written = ::write(fd, "!", 1);
    ::close(fd);
  }
}

void on_fault(int signal, siginfo_t* info, void* context) noexcept {
  const bool ours = info->si_code > 0 || info->si_pid == ::getpid();  // else somebody sent it
  if (ours && signal != SIGABRT) leave_guard();
  if (ours) leave_notes();
  size_t which = 0;
  while (kSignals[which] != signal) ++which;
  const struct sigaction& earlier = g_earlier[which];
  if ((earlier.sa_flags & SA_SIGINFO) != 0) return earlier.sa_sigaction(signal, info, context);
  if (earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN) return earlier.sa_handler(signal);
  ::sigaction(signal, &earlier, nullptr);  // the fault repeats itself, or abort() goes on, and is fatal now
  if (info->si_code <= 0) ::raise(signal);
}

}  // namespace

void install_fault_guard() noexcept {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    // Not blocked while it is handled: leaving by a jump would never unblock it.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &g_earlier[i]);
  });
}

bool survives(void (*body)(void*), void* argument) noexcept {
  sigjmp_buf here;
  if (sigsetjmp(here, 0) != 0) {
    t_guard = nullptr;
    return false;
  }
  t_guard = &here;
  body(argument);
  t_guard = nullptr;
  return true;
}

void leave_guard() noexcept {
  if (t_guard) siglongjmp(*t_guard, 1);
}

CrashNote::CrashNote(std::string path) : path_(std::move(path)) {
  for (auto& note : g_notes) {
    const char* none = nullptr;
    if (note.compare_exchange_strong(none, path_.c_str())) return;
  }
}

CrashNote::~CrashNote() { end(); }

void CrashNote::end() noexcept {
  if (std::exchange(ended_, true)) return;
  for (auto& note : g_notes) {
    const char* mine = path_.c_str();
    note.compare_exchange_strong(mine, nullptr);
  }
  forget();
}

size_t CrashNote::crashes() const noexcept {
  struct stat st {};
  return ::stat(path_.c_str(), &st) == 0 ? static_cast<size_t>(st.st_size) : 0;
}

void CrashNote::forget() noexcept { ::unlink(path_.c_str()); }

}  // namespace entrepot::cache
