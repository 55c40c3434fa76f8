// PassBody: a response body that comes straight from the upstream and is not stored. Holds at most one piece;
// the upstream waits.
#pragma once

#include "proxy/http/stream.h"
#include "proxy/upstream/client.h"

namespace entrepot::serve {

inline constexpr size_t kPassBufferBytes = 64 * 1024;  // for the exchange of a body that passes

class PassBody final : public http::Body {
 public:
  PassBody(io::Loop& loop, upstream::Exchange exchange)
      : loop_(loop), exchange_(std::move(exchange)), taken_(loop) {}
  ~PassBody() override;

  void attach(http::Stream& stream) override;
  Piece peek(size_t max) override;
  void consume(size_t n) override;
  std::span<const http::Field> trailers() override { return trailers_; }

 private:
  io::Task<void> pump();

  io::Loop& loop_;
  upstream::Exchange exchange_;
  upstream::Bytes piece_;
  size_t given_ = 0;
  std::vector<http::Field> trailers_;
  State state_ = State::kWait;
  io::Signal taken_;
  io::Task<void> pump_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace entrepot::serve
