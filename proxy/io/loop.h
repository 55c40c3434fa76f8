// Loop: one thread's event loop (libevent), its mailbox for other threads, its clock, and its graveyard.
#pragma once

#include <event2/event.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace entrepot::io {

using Clock = std::chrono::steady_clock;

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  event_base* base() const noexcept { return base_; }
  // Runs until stop(). What is posted before run() is done first.
  void run();
  void stop();  // thread-safe

  // Runs `work` on this loop, soon. Thread-safe; many posts cost one wake-up. After the loop has ended the
  // work is dropped.
  void post(std::function<void()> work);
  // Runs `work` at the end of this tick, when no frame of this loop is on the stack. Loop thread only.
  void defer(std::function<void()> work);
  // Destroys `object` at the end of this tick. Loop thread only.
  template <typename T>
  void bury(T object) {
    auto held = std::make_shared<T>(std::move(object));
    defer([held]() mutable { held.reset(); });
  }

  bool in_loop_thread() const noexcept;
  // The wall clock in seconds, read once a tick.
  std::time_t wall_seconds() const noexcept { return wall_seconds_.load(std::memory_order_relaxed); }

 private:
  void drain();
  void run_deferred();
  void tick();

  event_base* base_;
  event* wake_event_;
  event* second_event_;
  int wake_fd_;
  std::atomic<std::time_t> wall_seconds_;
  std::atomic<std::thread::id> thread_;
  std::atomic<bool> stopping_{false};
  std::vector<std::function<void()>> deferred_;
  bool deferred_armed_ = false;
  event* deferred_event_;
  std::mutex mutex_;
  std::vector<std::function<void()>> mailbox_;  // GUARDED_BY(mutex_)
  bool woken_ = false;                          // GUARDED_BY(mutex_)
};

// A one-shot or repeated timer. Loop thread only. Unregisters in its destructor.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> work);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void after(std::chrono::milliseconds delay);  // (re)arms
  void cancel() noexcept;
  bool armed() const noexcept;

 private:
  event* event_;
  std::function<void()> work_;
};

// co_await sleep_for(loop, 100ms)
class SleepAwaiter {
 public:
  SleepAwaiter(Loop& loop, std::chrono::milliseconds delay) : loop_(loop), delay_(delay) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle);
  void await_resume() const noexcept {}

 private:
  Loop& loop_;
  std::chrono::milliseconds delay_;
  std::unique_ptr<Timer> timer_;
};
inline SleepAwaiter sleep_for(Loop& loop, std::chrono::milliseconds delay) {
  return SleepAwaiter(loop, delay);
}

// Something that coroutines of one loop wait for: `co_await signal.wait()` suspends until the next notify(),
// or answers at once when notify() came since the last wait. wait_for answers false when the time is over
// first. One waiter at a time.
class Signal {
 public:
  explicit Signal(Loop& loop) : loop_(loop) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  void notify();  // loop thread only; the waiter is resumed before this returns

  class Awaiter {
   public:
    Awaiter(Signal& signal, std::chrono::milliseconds timeout) : signal_(signal), timeout_(timeout) {}
    ~Awaiter();
    Awaiter(const Awaiter&) = delete;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle);
    bool await_resume() noexcept { return notified_; }

   private:
    friend class Signal;
    void resume(bool notified);
    Signal& signal_;
    std::chrono::milliseconds timeout_;
    std::unique_ptr<Timer> timer_;
    std::coroutine_handle<> handle_;
    bool notified_ = false;
  };
  Awaiter wait() { return Awaiter(*this, std::chrono::milliseconds(-1)); }
  Awaiter wait_for(std::chrono::milliseconds timeout) { return Awaiter(*this, timeout); }

 private:
  Loop& loop_;
  Awaiter* waiter_ = nullptr;
  bool pending_ = false;
};

}  // namespace entrepot::io
