// Gate: what a scripted peer waits at until the test lets it go on. It opens by itself after 20 s, so that a
// test that failed ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace entrepot::support {

class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  // False: nobody opened it.
  bool wait() {
    std::unique_lock lock(mutex_);
    return opened_.wait_for(lock, std::chrono::seconds(20), [this] { return open_; });
  }
  bool is_open() {
    std::lock_guard lock(mutex_);
    return open_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

}  // namespace entrepot::support
