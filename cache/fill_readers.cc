#include "cache/fill_readers.h"

#include <algorithm>
#include <utility>

namespace entrepot::cache {

void Subscribers::Subscriber::call() noexcept {
  const std::lock_guard lock(calling);
  if (!retired) waiter();
}

void Subscribers::Subscriber::retire() noexcept {
  const std::lock_guard lock(calling);
  retired = true;
}

uint64_t Subscribers::add(Fill::Waiter waiter) {
  auto subscriber = std::make_shared<Subscriber>(std::move(waiter));
  const std::lock_guard lock(mutex_);
  subscribers_.emplace(next_id_, std::move(subscriber));
  return next_id_++;
}

void Subscribers::arm(uint64_t id, uint64_t bytes) noexcept {
  std::shared_ptr<Subscriber> due;
  {
    const std::lock_guard lock(mutex_);
    const auto found = subscribers_.find(id);
    if (found == subscribers_.end()) return;
    Subscriber& subscriber = *found->second;
    if (subscriber.told_phases != phases_ || bytes_ - subscriber.told_bytes >= bytes) {
      take(subscriber);
      due = found->second;
    } else {
      subscriber.armed = true;
      subscriber.wake_at_bytes = bytes_ + std::min(bytes, UINT64_MAX - bytes_);
    }
  }
  if (due) due->call();
}

void Subscribers::remove(uint64_t id) noexcept {
  std::shared_ptr<Subscriber> removed;
  {
    const std::lock_guard lock(mutex_);
    const auto found = subscribers_.find(id);
    if (found == subscribers_.end()) return;
    removed = std::move(found->second);
    subscribers_.erase(found);
  }
  removed->retire();
}

size_t Subscribers::size() const noexcept {
  const std::lock_guard lock(mutex_);
  return subscribers_.size();
}

void Subscribers::bytes_arrived(uint64_t total) noexcept {
  std::vector<std::shared_ptr<Subscriber>> due;
  {
    const std::lock_guard lock(mutex_);
    bytes_ = std::max(bytes_, total);
    for (const auto& [id, subscriber] : subscribers_) {
      if (!subscriber->armed || bytes_ < subscriber->wake_at_bytes) continue;
      take(*subscriber);
      due.push_back(subscriber);
    }
  }
  for (const auto& subscriber : due) subscriber->call();
}

void Subscribers::phase_changed() noexcept {
  std::vector<std::shared_ptr<Subscriber>> due;
  {
    const std::lock_guard lock(mutex_);
    ++phases_;
    for (const auto& [id, subscriber] : subscribers_) {
      if (!subscriber->armed) continue;
      take(*subscriber);
      due.push_back(subscriber);
    }
  }
  for (const auto& subscriber : due) subscriber->call();
}

void Subscribers::take(Subscriber& subscriber) noexcept {
  subscriber.armed = false;
  subscriber.told_bytes = bytes_;
  subscriber.told_phases = phases_;
}

uint64_t Demands::add(uint64_t begin, uint64_t end) {
  uint64_t token;
  {
    const std::lock_guard lock(mutex_);
    token = next_token_++;
    demands_.emplace(token, Fill::Demand{begin, end});
  }
  tell();
  return token;
}

void Demands::drop(uint64_t token) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (demands_.erase(token) == 0) return;
  }
  tell();
}

std::vector<Fill::Demand> Demands::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<Fill::Demand> all;
  for (const auto& [token, demand] : demands_) all.push_back(demand);
  return all;
}

void Demands::set_waiter(Fill::Waiter waiter) {
  auto shared = waiter ? std::make_shared<const Fill::Waiter>(std::move(waiter)) : nullptr;
  const std::lock_guard lock(mutex_);
  waiter_.swap(shared);
}

void Demands::tell() noexcept {
  std::shared_ptr<const Fill::Waiter> waiter;
  {
    const std::lock_guard lock(mutex_);
    waiter = waiter_;
  }
  if (waiter) (*waiter)();
}

}  // namespace entrepot::cache
