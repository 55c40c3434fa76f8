#include "proxy/serve/continued_body.h"

#include <algorithm>

#include "proxy/serve/pass_body.h"

namespace entrepot::serve {

ContinuedBody::ContinuedBody(io::Loop& loop, fill::Asking& asking, std::shared_ptr<const fill::Origin> origin,
                             std::shared_ptr<cache::Fill> fill, uint64_t begin, uint64_t end,
                             std::unique_ptr<http::Body> followed)
    : loop_(loop),
      asking_(asking),
      origin_(std::move(origin)),
      fill_(std::move(fill)),
      position_(begin),
      end_(end),
      followed_(std::move(followed)) {}

void ContinuedBody::attach(http::Stream& stream) {
  Body::attach(stream);
  followed_->attach(stream);
}

// What a fill says of the upstream are other errors.
bool ContinuedBody::disk_failed() const {
  if (fill_->phase() != cache::FillPhase::kFailed) return false;
  const Error why = fill_->error();
  return why == Error::kNoSpace || why == Error::kIo || why == Error::kPermission || why == Error::kTooLarge;
}

http::Body::Piece ContinuedBody::peek(size_t max) {
  if (!by_itself_) {
    const Piece piece = followed_->peek(max);
    if (piece.state != State::kError || !disk_failed()) return piece;
    by_itself_ = true;
    begin_asking();
  }
  if (lost_) return {State::kError, {}};
  if (position_ >= end_) return {State::kEnd, {}};
  if (!passed_) return {State::kWait, {}};
  Piece piece = passed_->peek(max);
  while (skip_ > 0 && piece.state == State::kBytes) {
    const uint64_t skipped = std::min<uint64_t>(skip_, piece.bytes.size());
    passed_->consume(skipped);
    skip_ -= skipped;
    piece = passed_->peek(max);
  }
  if (piece.state == State::kEnd) return {State::kError, {}};  // too early
  piece.bytes = piece.bytes.first(std::min<uint64_t>(piece.bytes.size(), end_ - position_));
  return piece;
}

void ContinuedBody::consume(size_t n) {
  position_ += n;
  (by_itself_ ? passed_ : followed_)->consume(n);
}

// Not at once: we are inside the session's own pump, which may be inside a call of `followed_`.
void ContinuedBody::begin_asking() {
  loop_.defer([alive = std::weak_ptr<bool>(alive_), this] {
    if (alive.expired()) return;
    followed_.reset();
    task_ = ask();
    task_.start();
  });
}

io::Task<void> ContinuedBody::ask() {
  const fill::Part rest{position_, end_, 0};
  const fill::Pinned pinned{fill_->head().validator, fill_->head().length_bytes};
  for (const auto* server : asking_.servers(*origin_, 0)) {
    fill::ExtraFields extra;
    extra.emplace_back("Range", rest.range_field());
    extra.emplace_back("If-Range", pinned.validator);
    upstream::Exchange exchange =
        co_await asking_.ask(*origin_, *server, "GET", std::move(extra), kPassBufferBytes);
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    if (!head) continue;
    const fill::Judged judged = fill::judge(rest, pinned, **head);
    if (judged.answer != fill::RangeAnswer::kPart && judged.answer != fill::RangeAnswer::kWhole) break;
    skip_ = position_ - judged.begin;
    passed_ = std::make_unique<PassBody>(loop_, std::move(exchange));
    passed_->attach(*stream_);
    co_return;
  }
  lost_ = true;
  stream_->body_ready();
}

}  // namespace entrepot::serve
