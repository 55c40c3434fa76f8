// FrameHeads: the heads of HTTP/2 frames in bytes that arrive in pieces, the payloads stepped over: for what nghttp2
// 1.52 drops without a callback. Source: RFC 9113 4.1.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace entrepot::http {

struct FrameHead {
  uint32_t length_bytes = 0;
  uint8_t type = 0, flags = 0;
  int32_t stream_id = 0;
};

class FrameHeads {
 public:
  // The first `skip` bytes are none of a frame: a client's preface.
  explicit FrameHeads(size_t skip) : skip_(skip) {}

  // Calls `each` with every head that ends in these bytes, in order.
  template <typename Each>
  void read(std::span<const std::byte> bytes, Each each) {
    while (true) {
      const size_t over = std::min(skip_, bytes.size());
      skip_ -= over;
      bytes = bytes.subspan(over);
      if (bytes.empty()) return;
      const size_t taken = std::min(kHeadBytes - have_, bytes.size());
      std::memcpy(head_ + have_, bytes.data(), taken);
      bytes = bytes.subspan(taken);
      have_ += taken;
      if (have_ < kHeadBytes) return;
      have_ = 0;
      const FrameHead head = parsed();
      skip_ = head.length_bytes;
      each(head);
    }
  }

 private:
  static constexpr size_t kHeadBytes = 9;

  FrameHead parsed() const noexcept {
    const auto at = [this](size_t i) { return static_cast<uint32_t>(head_[i]); };
    return {at(0) << 16 | at(1) << 8 | at(2), head_[3], head_[4],
            static_cast<int32_t>((at(5) & 0x7f) << 24 | at(6) << 16 | at(7) << 8 | at(8))};
  }

  size_t skip_, have_ = 0;
  uint8_t head_[kHeadBytes] = {};
};

}  // namespace entrepot::http
