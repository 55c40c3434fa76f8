// Pace: whether a peer takes bytes fast enough while there are some for it.
#pragma once

#include <chrono>
#include <cstdint>

#include "proxy/io/loop.h"

namespace entrepot::http {

class Pace {
 public:
  // Nothing is held up: the peer's time starts anew.
  void rest(io::Clock::time_point now, uint64_t taken) noexcept {
    moved_at_ = window_at_ = now;
    taken_ = window_taken_ = taken;
  }
  // Bytes are held up. `taken`: all that the peer has taken so far. True: nothing was taken for `timeout`, or
  // less than a kilobyte a second over half a minute.
  bool too_slow(io::Clock::time_point now, uint64_t taken, std::chrono::milliseconds timeout) noexcept {
    if (taken != taken_) {
      taken_ = taken;
      moved_at_ = now;
    }
    if (now - moved_at_ > timeout) return true;
    if (now - window_at_ < kWindow) return false;
    if (taken - window_taken_ < kWindowBytes) return true;
    window_at_ = now;
    window_taken_ = taken;
    return false;
  }

 private:
  static constexpr std::chrono::seconds kWindow{30};
  static constexpr uint64_t kWindowBytes = 30 * 1024;

  io::Clock::time_point moved_at_{}, window_at_{};
  uint64_t taken_ = 0, window_taken_ = 0;
};

}  // namespace entrepot::http
