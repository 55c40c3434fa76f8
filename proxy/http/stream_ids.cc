#include "proxy/http/stream_ids.h"

#include <nghttp2/nghttp2.h>

namespace entrepot::http {

bool StreamIds::is_remembered(int32_t id) const noexcept {
  return id <= highest_ && (highest_ - id) / 2 < static_cast<int64_t>(kRemembered);
}

uint32_t StreamIds::on_headers(int32_t id) noexcept {
  if (id % 2 == 0) return NGHTTP2_NO_ERROR;  // nghttp2's to refuse
  if (id > highest_) {
    if (id - highest_ > static_cast<int64_t>(2 * kRemembered)) {
      seen_.reset();
    } else {
      for (int64_t passed = highest_ + 2; passed < id; passed += 2) seen_[place_of(passed)] = false;
    }
    highest_ = id;
    seen_[place_of(id)] = true;
    opened_[place_of(id)] = ended_[place_of(id)] = false;
    return NGHTTP2_NO_ERROR;
  }
  if (!is_remembered(id)) return NGHTTP2_NO_ERROR;
  if (!seen_[place_of(id)]) return NGHTTP2_PROTOCOL_ERROR;
  return opened_[place_of(id)] ? NGHTTP2_STREAM_CLOSED : NGHTTP2_NO_ERROR;
}

void StreamIds::on_ended(int32_t id) noexcept {
  if (is_remembered(id)) ended_[place_of(id)] = true;
}

void StreamIds::on_reset(int32_t id) noexcept {
  if (is_remembered(id)) opened_[place_of(id)] = false;
}

}  // namespace entrepot::http
