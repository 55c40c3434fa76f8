// RetryBudget: how often one upstream may be asked again: by a fifth of its requests, and ten at once, and
// one a second besides, so that what is alone goes on too. A retry that finds nothing left waits for it: who
// is in trouble is not drowned by those who wait for it. Pure.
#pragma once

#include <algorithm>
#include <chrono>

namespace entrepot::fill {

class RetryBudget {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void note_request() { left_ = std::min(left_ + 0.2, kMost); }
  bool take(Time now) {
    if (counted_at_ != Time{}) {
      const double seconds = std::chrono::duration<double>(now - counted_at_).count();
      left_ = std::max(left_, std::min(left_ + seconds, kAtOnce));
    }
    counted_at_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  static constexpr double kAtOnce = 10, kMost = 1000;
  double left_ = kAtOnce;
  Time counted_at_{};
};

}  // namespace entrepot::fill
