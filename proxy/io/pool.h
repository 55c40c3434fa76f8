// Pool: threads for what may block (disk) or burn (hashing). `co_await pool.run(loop, fn)` gives fn's result
// back on the loop. Cancelling detaches: fn still runs to its end, with what it owns, and its result is
// dropped. So fn must own all that it touches: captures by value and by shared_ptr only, never a reference
// into a frame.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "proxy/io/loop.h"

namespace entrepot::io {

class Pool {
 public:
  explicit Pool(size_t threads);
  ~Pool();  // finishes what is queued
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void submit(std::function<void()> work);  // thread-safe

  template <typename F>
  auto run(Loop& loop, F fn);

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;  // GUARDED_BY(mutex_)
  bool stopping_ = false;                    // GUARDED_BY(mutex_)
  std::vector<std::thread> threads_;
};

template <typename F>
class PoolAwaiter {
 public:
  using Value = std::invoke_result_t<F>;
  static_assert(!std::is_void_v<Value>, "return something, so that nobody forgets an error");

  PoolAwaiter(Pool& pool, Loop& loop, F fn)
      : pool_(pool), loop_(loop), state_(std::make_shared<State>(std::move(fn))) {}
  PoolAwaiter(const PoolAwaiter&) = delete;
  ~PoolAwaiter() { state_->waiter = {}; }  // loop thread: the completion below runs there too

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    state_->waiter = handle;
    pool_.submit([state = state_, &loop = loop_] {
      state->result.emplace(state->fn());
      loop.post([state] {
        if (state->waiter) state->waiter.resume();
      });
    });
  }
  Value await_resume() { return std::move(*state_->result); }

 private:
  struct State {
    explicit State(F f) : fn(std::move(f)) {}
    F fn;
    std::optional<Value> result;
    std::coroutine_handle<> waiter;  // loop thread only
  };
  Pool& pool_;
  Loop& loop_;
  std::shared_ptr<State> state_;
};

template <typename F>
auto Pool::run(Loop& loop, F fn) {
  return PoolAwaiter<F>(*this, loop, std::move(fn));
}

}  // namespace entrepot::io
