#include "proxy/http/request_content.h"

#include <algorithm>

#include "proxy/http/session_stream.h"

namespace entrepot::http {

bool may_be_trailer(std::string_view name) noexcept {
  static constexpr std::string_view kNever[] = {
      "authorization",       "cache-control",    "connection",     "content-encoding",  "content-length",
      "content-range",       "content-type",     "cookie",         "expect",            "host",
      "keep-alive",          "max-forwards",     "location",       "proxy-authorization", "proxy-connection",
      "range",               "set-cookie",       "te",             "trailer",           "transfer-encoding",
      "upgrade",             "www-authenticate"};
  return std::find(std::begin(kNever), std::end(kNever), name) == std::end(kNever);
}

void RequestContent::limit(uint64_t most_bytes, std::chrono::milliseconds timeout) {
  most_ = most_bytes;
  timeout_ = timeout;
  pace_.rest(io::Clock::now(), received_);
  if (most_ == 0 || received_ <= most_ || problem_ != Problem::kNone) return;
  problem_ = Problem::kTooLarge;  // though all of it may have come
  tell();
}

Body::Piece RequestContent::peek() {
  if (!std::exchange(wanted_, true) && stream_) {
    pace_.rest(io::Clock::now(), received_);
    if (!over() && buffered_bytes() == 0) stream_->content_wanted();
  }
  if (problem_ != Problem::kNone || discarded_) return {Body::State::kError, {}};
  if (buffered_bytes() > 0)
    return {Body::State::kBytes, std::as_bytes(std::span(buffer_).subspan(at_)), ended_};
  return {ended_ ? Body::State::kEnd : Body::State::kWait, {}};
}

void RequestContent::consume(size_t n) {
  at_ += n;
  consumed_ += n;
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
  }
  if (stream_ && n > 0) stream_->content_consumed(n);
}

void RequestContent::append(std::span<const std::byte> bytes) {
  received_ += bytes.size();
  if (discarded_ || over()) return;
  if (most_ > 0 && received_ > most_) return fail(Problem::kTooLarge);
  if (at_ > 0) buffer_.erase(0, std::exchange(at_, 0));
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  tell();
}

void RequestContent::end() {
  if (over()) return;
  ended_ = true;
  tell();
}

void RequestContent::fail(Problem problem) {
  if (over()) return;
  problem_ = problem;
  tell();
}

void RequestContent::detach() {
  stream_ = nullptr;
  fail(Problem::kGone);
}

void RequestContent::discard() {
  discarded_ = true;
  buffer_ = {};
  at_ = 0;
}

void RequestContent::tell() {
  if (wanted_ && news_) news_();
}

// Only while somebody waits for the client is it the client that is slow.
void RequestContent::sweep(io::Clock::time_point now) {
  if (!wanted_ || discarded_ || over() || buffered_bytes() > 0) return pace_.rest(now, received_);
  if (pace_.too_slow(now, received_, timeout_)) fail(Problem::kTimeout);
}

}  // namespace entrepot::http
