#include "proxy/http/http2_limits.h"

#include <algorithm>

namespace entrepot::http {

bool TokenBucket::take(io::Clock::time_point now) noexcept {
  if (at_ != io::Clock::time_point{})
    tokens_ += std::chrono::duration<double>(now - at_).count() * per_second_;
  at_ = now;
  tokens_ = std::min(tokens_, burst_) - 1;
  return tokens_ >= 0;
}

bool Http2Limits::on_frame(const nghttp2_frame_hd& head, io::Clock::time_point now) noexcept {
  switch (head.type) {
    case NGHTTP2_SETTINGS:
      return (head.flags & NGHTTP2_FLAG_ACK) || settings_.take(now);
    case NGHTTP2_PING:
      return (head.flags & NGHTTP2_FLAG_ACK) || pings_.take(now);
    case NGHTTP2_RST_STREAM:
      return resets_.take(now);
    case NGHTTP2_WINDOW_UPDATE:
      return ++window_updates_ <= 5 + 2 * (streams_ + 10 * data_sent_);
    case NGHTTP2_PRIORITY:
    case NGHTTP2_PRIORITY_UPDATE:
      return ++priorities_ <= 100 * (1 + streams_);
    default:
      return true;
  }
}

}  // namespace entrepot::http
