// Http2Limits: how many frames of each kind a peer may send before it is told to calm down. One per
// connection; loop thread only.
//
// nghttp2 limits RST_STREAM received (Rapid Reset) and CONTINUATION, too, but goes on reading what came in
// the same read(2). The formulae for PRIORITY, WINDOW_UPDATE and empty DATA are Envoy's.
#pragma once

#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstdint>

#include "proxy/io/loop.h"

namespace entrepot::http {

// Holds up to `burst` tokens and gains `per_second`.
class TokenBucket {
 public:
  TokenBucket(double burst, double per_second) : burst_(burst), per_second_(per_second), tokens_(burst) {}
  bool take(io::Clock::time_point now) noexcept;

 private:
  const double burst_, per_second_;
  double tokens_;
  io::Clock::time_point at_{};
};

class Http2Limits {
 public:
  // Each answers false once there were too many.
  bool on_frame(const nghttp2_frame_hd& head, io::Clock::time_point now) noexcept;
  // We had to send RST_STREAM because of what the peer did (MadeYouReset, CVE-2025-8671).
  bool on_fault(io::Clock::time_point now) noexcept { return faults_.take(now); }
  // A frame of a request. `empty`: DATA without a byte of content that does not end it, padded or not.
  bool on_content(bool empty) noexcept { return (empty_data_ = empty ? empty_data_ + 1 : 0) <= 1; }
  void on_stream() noexcept { ++streams_; }
  void on_data_sent() noexcept { ++data_sent_; }

 private:
  TokenBucket settings_{14, 14.0 / 60};
  TokenBucket pings_{60, 1};
  TokenBucket resets_{200, 5};
  TokenBucket faults_{100, 2};
  uint64_t streams_ = 0, data_sent_ = 0, priorities_ = 0, window_updates_ = 0;
  uint32_t empty_data_ = 0;
};

}  // namespace entrepot::http
