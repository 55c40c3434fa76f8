#include "proxy/io/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cassert>
#include <cstdlib>
#include <utility>

namespace entrepot::io {

Loop::Loop()
    : base_(event_base_new()),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      wall_seconds_(std::time(nullptr)) {
  if (!base_ || wake_fd_ < 0) std::abort();
  wake_event_ = event_new(
      base_, wake_fd_, EV_READ | EV_PERSIST,
      [](evutil_socket_t fd, short, void* self) {
        uint64_t count;
        [[maybe_unused]] ssize_t n = ::read(fd, &count, sizeof(count));
        static_cast<Loop*>(self)->drain();
      },
      this);
  second_event_ = event_new(
      base_, -1, EV_PERSIST, [](evutil_socket_t, short, void* self) { static_cast<Loop*>(self)->tick(); },
      this);
  deferred_event_ = event_new(
      base_, -1, 0, [](evutil_socket_t, short, void* self) { static_cast<Loop*>(self)->run_deferred(); },
      this);
  event_add(wake_event_, nullptr);
  const timeval tenth{0, 100'000};
  event_add(second_event_, &tenth);
}

Loop::~Loop() {
  // The dead may bury others.
  while (!deferred_.empty()) run_deferred();
  {
    std::vector<std::function<void()>> dropped;
    std::lock_guard lock(mutex_);
    dropped.swap(mailbox_);
  }
  event_free(wake_event_);
  event_free(second_event_);
  event_free(deferred_event_);
  event_base_free(base_);
  ::close(wake_fd_);
}

void Loop::run() {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  drain();
  if (!stopping_.load(std::memory_order_acquire)) event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY);
  while (!deferred_.empty()) run_deferred();
}

void Loop::stop() {
  stopping_.store(true, std::memory_order_release);
  post([this] { event_base_loopbreak(base_); });
}

void Loop::post(std::function<void()> work) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    mailbox_.push_back(std::move(work));
    wake = !std::exchange(woken_, true);
  }
  if (wake) {
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t n = ::write(wake_fd_, &one, sizeof(one));
  }
}

void Loop::drain() {
  std::vector<std::function<void()>> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(mailbox_);
    woken_ = false;
  }
  for (auto& work : batch) work();
}

void Loop::defer(std::function<void()> work) {
  deferred_.push_back(std::move(work));
  if (!std::exchange(deferred_armed_, true)) event_active(deferred_event_, EV_TIMEOUT, 0);
}

void Loop::run_deferred() {
  deferred_armed_ = false;
  std::vector<std::function<void()>> batch;
  batch.swap(deferred_);
  for (auto& work : batch) work();
}

void Loop::tick() { wall_seconds_.store(std::time(nullptr), std::memory_order_relaxed); }

bool Loop::in_loop_thread() const noexcept {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

Timer::Timer(Loop& loop, std::function<void()> work) : work_(std::move(work)) {
  event_ = event_new(
      loop.base(), -1, 0, [](evutil_socket_t, short, void* self) { static_cast<Timer*>(self)->work_(); },
      this);
}

Timer::~Timer() { event_free(event_); }

void Timer::after(std::chrono::milliseconds delay) {
  if (delay.count() < 0) delay = {};
  const timeval tv{static_cast<time_t>(delay.count() / 1000),
                   static_cast<suseconds_t>(delay.count() % 1000 * 1000)};
  event_add(event_, &tv);
}

void Timer::cancel() noexcept { event_del(event_); }

bool Timer::armed() const noexcept { return event_pending(event_, EV_TIMEOUT, nullptr); }

void SleepAwaiter::await_suspend(std::coroutine_handle<> handle) {
  timer_ = std::make_unique<Timer>(loop_, [handle] { handle.resume(); });
  timer_->after(delay_);
}

void Signal::notify() {
  if (waiter_) {
    std::exchange(waiter_, nullptr)->resume(true);
  } else {
    pending_ = true;
  }
}

Signal::Awaiter::~Awaiter() {
  if (signal_.waiter_ == this) signal_.waiter_ = nullptr;
}

bool Signal::Awaiter::await_ready() noexcept {
  notified_ = std::exchange(signal_.pending_, false);
  return notified_;
}

void Signal::Awaiter::await_suspend(std::coroutine_handle<> handle) {
  assert(!signal_.waiter_);
  handle_ = handle;
  signal_.waiter_ = this;
  if (timeout_.count() >= 0) {
    timer_ = std::make_unique<Timer>(signal_.loop_, [this] {
      signal_.waiter_ = nullptr;
      resume(false);
    });
    timer_->after(timeout_);
  }
}

void Signal::Awaiter::resume(bool notified) {
  notified_ = notified;
  if (timer_) timer_->cancel();
  handle_.resume();
}

}  // namespace entrepot::io
