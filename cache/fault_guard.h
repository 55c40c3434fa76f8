// What a mapped file can do to its process, and what is left of that here. LMDB follows the offsets in its
// pages blindly: a damaged page, a file shorter than its map or a disk that cannot be read ends in SIGSEGV,
// SIGBUS, SIGFPE or a failed assertion. Within survives() this ends the call; anywhere else it is a bug and
// goes to whoever handled the signal before (a sanitizer, or the default with its core).
#pragma once

#include <string>

namespace entrepot::cache {

// From here on the process handles these signals. Once is enough; it comes before the first survives().
void install_fault_guard() noexcept;

// Runs body(argument). False: a fault left it in the middle, and nothing that it touched may be used again.
// REQUIRES: the body makes nothing that has a destructor, and takes no lock that others need. Not nested.
bool survives(void (*body)(void*), void* argument) noexcept;

template <typename Body>
bool survives(Body body) noexcept {
  return survives([](void* self) { (*static_cast<Body*>(self))(); }, &body);
}

// The same for an assertion that is about to abort: does not return within survives(), else it returns.
void leave_guard() noexcept;

// While one of these lives, a process that dies of a fault or abort() leaves a byte in the file `path`. A
// kill -9 and a power cut leave none: they say nothing against what the process had open.
class CrashNote {
 public:
  explicit CrashNote(std::string path);
  ~CrashNote();  // a clean end
  CrashNote(const CrashNote&) = delete;
  size_t crashes() const noexcept;  // that are noted, since somebody forgot them
  void forget() noexcept;
  void end() noexcept;  // forgets, and notes no crash any more; once

 private:
  const std::string path_;
  bool ended_ = false;
};

}  // namespace entrepot::cache
