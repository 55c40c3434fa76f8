// DiskHealth: does the disk take what is written to it? Three failures within an hour (EIO, EROFS, no access)
// and the store is read-only: fills pass, nothing is evicted, what is stored goes on being served. A probe
// that is written, synced, renamed and read back makes it writable again. A full disk is no failure.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "cache/result.h"

namespace entrepot::cache {

class DiskHealth {
 public:
  using Clock = std::chrono::steady_clock;

  // The probe is written at `probe` and renamed to `place`. `on_event` is told of each failure that counts
  // and of each turn, so at most four lines a turn; it may be called by any thread.
  DiskHealth(std::string probe, std::string place, std::function<void(const std::string&)> on_event)
      : probe_(std::move(probe)), place_(std::move(place)), on_event_(std::move(on_event)) {}

  bool writable() const noexcept { return !read_only_.load(std::memory_order_acquire); }
  // A write, sync or rename of the store failed. Thread-safe.
  void failed(Error why, Clock::time_point now = Clock::now());
  // Where it is read-only: writes the probe. May wait for a disk.
  void probe();

 private:
  static constexpr size_t kFailures = 3;
  static constexpr std::chrono::hours kWithin{1};

  Result<void> write_probe() const noexcept;

  const std::string probe_, place_;
  const std::function<void(const std::string&)> on_event_;
  std::atomic<bool> read_only_{false};
  std::mutex mutex_;
  std::vector<Clock::time_point> failures_;  // not older than kWithin. GUARDED_BY(mutex_)
};

}  // namespace entrepot::cache
