// Ballast: a file of allocated bytes that is let go when the disk is full, so that the index can commit the
// erasures by which eviction makes room. Taken again when there is room. Thread-safe; the calls may wait for
// a disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace entrepot::cache {

class Ballast {
 public:
  // `size_bytes` 0: none.
  Ballast(std::string path, uint64_t size_bytes) noexcept : path_(std::move(path)), size_bytes_(size_bytes) {}

  // What a store of this size takes: 16 MiB or a hundredth, and none where that is too little to be of use.
  static uint64_t size_for(uint64_t max_size_bytes) noexcept;

  // The disk was full from drop() until take() could allocate again.
  bool disk_full() const noexcept { return disk_full_.load(std::memory_order_acquire); }
  // What it lacks now, and nobody else may take.
  uint64_t missing_bytes() const noexcept { return disk_full() ? size_bytes_ : 0; }
  // True: the disk was not known to be full before.
  bool drop() noexcept;
  // Allocates it where it is missing and the file system has twice as much free (no room to spare, no
  // ballast). True: the disk had been full and is not any more.
  bool take(uint64_t free_bytes) noexcept;

 private:
  bool allocate() const noexcept;

  const std::string path_;
  const uint64_t size_bytes_;
  std::mutex mutex_;
  std::atomic<bool> disk_full_{false};
  bool taken_ = false;  // GUARDED_BY(mutex_)
};

}  // namespace entrepot::cache
