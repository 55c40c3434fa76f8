// FullDisk: this process's files have no room left.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdint>

namespace entrepot::cache {

// No file may grow as long as this lives.
class FullDisk {
 public:
  explicit FullDisk(uint64_t limit_bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = limit_bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit before_{};
  void (*old_handler_)(int) = nullptr;
};

}  // namespace entrepot::cache
