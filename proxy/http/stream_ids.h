// StreamIds: which streams a client has opened, and which of them were ended here before it had ended them.
// One per connection; loop thread only.
//
// nghttp2 1.52 forgets a stream that is closed, and drops HEADERS that come for it. RFC 9113 wants the
// connection ended: 5.1 for a stream that is closed, 5.1.1 for one that was passed over. Only what may have
// been on its way when we ended the stream is dropped. So it is with DATA, which no callback sees (6.1).
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>

namespace entrepot::http {

class StreamIds {
 public:
  // HEADERS came for a stream that is not open. The error that this is of the connection (RFC 9113 7);
  // NGHTTP2_NO_ERROR: none.
  uint32_t on_headers(int32_t id) noexcept;
  // The stream is open: neither refused nor behind a GOAWAY.
  void on_opened(int32_t id) noexcept { opened_[place_of(id)] = true; }
  // The peer has ended or reset it.
  void on_ended(int32_t id) noexcept;
  // DATA came for it, and it is not open: has the peer ended it before, or passed it over?
  bool is_over(int32_t id) const noexcept {
    return id % 2 == 1 && is_remembered(id) && (ended_[place_of(id)] || !seen_[place_of(id)]);
  }
  // RST_STREAM went out.
  void on_reset(int32_t id) noexcept;

 private:
  static constexpr size_t kRemembered = 256;  // of what is older nothing is said
  static size_t place_of(int64_t id) noexcept { return static_cast<size_t>(id) / 2 % kRemembered; }
  bool is_remembered(int32_t id) const noexcept;

  int64_t highest_ = -1;
  std::bitset<kRemembered> seen_, opened_, ended_;
};

}  // namespace entrepot::http
