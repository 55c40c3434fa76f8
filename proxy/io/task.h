// Task<T>: a coroutine that belongs to whoever holds it. It starts when it is awaited or start()ed;
// destroying it destroys its frame, and with that every awaiter inside, each of which unregisters itself. A
// Task never leaves the loop that it runs on, and is never destroyed inside one of its own frames (hand it to
// Loop::bury instead).
//
// No symmetric transfer: g++ 12.2 overflows the stack with it at -O0 and under sanitizers. A child that ends
// before it ever suspended makes await_suspend answer false; one that ends later resumes its parent by a
// plain call.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <optional>
#include <utility>

namespace entrepot::io {

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> parent;
  bool first_run = false;  // the parent's await_suspend is still on the stack
  bool ended_in_first_run = false;

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      PromiseBase& promise = self.promise();
      if (promise.first_run) {
        promise.ended_in_first_run = true;
      } else if (promise.parent) {
        promise.parent.resume();
      }
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() const noexcept { std::abort(); }  // nothing here throws
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> result;
  void return_value(T value) { result.emplace(std::move(value)); }
  T take() { return std::move(*result); }
};

template <>
struct Promise<void> : PromiseBase {
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <typename T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : detail::Promise<T> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { reset(); }

  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  // REQUIRES: not empty.
  bool done() const noexcept { return handle_.done(); }
  // Runs to the first suspension. For a root task; a child is started by awaiting it. REQUIRES: called once.
  void start() { handle_.resume(); }
  // REQUIRES: none of its frames is on the stack.
  void reset() {
    if (handle_) std::exchange(handle_, {}).destroy();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> parent) {
    detail::PromiseBase& promise = handle_.promise();
    promise.parent = parent;
    promise.first_run = true;
    handle_.resume();
    promise.first_run = false;
    return !promise.ended_in_first_run;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace entrepot::io
