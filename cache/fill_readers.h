// Those who wait for a Fill: subscriptions and demands. Thread-safe; waiters are called with no lock of the
// Fill held.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cache/fill.h"

namespace entrepot::cache {

class Subscribers {
 public:
  uint64_t add(Fill::Waiter waiter);
  void arm(uint64_t id, uint64_t bytes) noexcept;
  // When it returns the waiter does not run, unless it is the caller, and is not called again.
  void remove(uint64_t id) noexcept;
  size_t size() const noexcept;

  // `total` bytes have arrived. May be told out of order.
  void bytes_arrived(uint64_t total) noexcept;
  void phase_changed() noexcept;

 private:
  struct Subscriber {
    explicit Subscriber(Fill::Waiter w) : waiter(std::move(w)) {}
    void call() noexcept;
    void retire() noexcept;

    const Fill::Waiter waiter;
    // Held while the waiter runs, so that retire() waits for it. Recursive: a waiter may retire itself.
    std::recursive_mutex calling;
    bool retired = false;  // GUARDED_BY(calling)
    // GUARDED_BY(Subscribers::mutex_)
    bool armed = false;
    uint64_t wake_at_bytes = 0;
    uint64_t told_bytes = 0, told_phases = 0;  // as they were at the last wake
  };

  // Disarms it, to be called once the lock is given up. REQUIRES: mutex_
  void take(Subscriber& subscriber) noexcept;

  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Subscriber>> subscribers_;  // GUARDED_BY(mutex_)
  uint64_t next_id_ = 1, bytes_ = 0, phases_ = 0;                // GUARDED_BY(mutex_)
};

class Demands {
 public:
  uint64_t add(uint64_t begin, uint64_t end);
  void drop(uint64_t token) noexcept;
  std::vector<Fill::Demand> all() const;
  void set_waiter(Fill::Waiter waiter);
  void tell() noexcept;

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, Fill::Demand> demands_;    // GUARDED_BY(mutex_)
  uint64_t next_token_ = 1;                     // GUARDED_BY(mutex_)
  std::shared_ptr<const Fill::Waiter> waiter_;  // GUARDED_BY(mutex_)
};

}  // namespace entrepot::cache
