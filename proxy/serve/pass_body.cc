#include "proxy/serve/pass_body.h"

#include <algorithm>

#include "proxy/http/request_content.h"

namespace entrepot::serve {

PassBody::~PassBody() = default;

void PassBody::attach(http::Stream& stream) {
  Body::attach(stream);
  // Not at once: the stream is still inside respond().
  loop_.defer([alive = std::weak_ptr<bool>(alive_), this] {
    if (alive.expired()) return;
    pump_ = pump();
    pump_.start();
  });
}

io::Task<void> PassBody::pump() {
  while (true) {
    Result<upstream::Bytes> piece = co_await exchange_.read();
    if (!piece || piece->empty()) {
      if (piece) {
        for (const auto& [name, value] : exchange_.trailers())
          if (http::may_be_trailer(name)) trailers_.push_back({name, value, true});
      }
      state_ = piece ? State::kEnd : State::kError;
      stream_->body_ready();
      co_return;
    }
    piece_ = std::move(*piece);
    given_ = 0;
    state_ = State::kBytes;
    stream_->body_ready();
    co_await taken_.wait();
  }
}

http::Body::Piece PassBody::peek(size_t max) {
  if (state_ != State::kBytes) return {state_, {}};
  return {State::kBytes,
          std::span<const std::byte>(piece_).subspan(given_, std::min(max, piece_.size() - given_))};
}

void PassBody::consume(size_t n) {
  given_ += n;
  if (given_ < piece_.size()) return;
  state_ = State::kWait;
  // Not here: the coroutine would ask the upstream, and give the stream news, inside the session's own pump.
  loop_.defer([alive = std::weak_ptr<bool>(alive_), this] {
    if (!alive.expired()) taken_.notify();
  });
}

}  // namespace entrepot::serve
