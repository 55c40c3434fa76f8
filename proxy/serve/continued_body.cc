#include "proxy/serve/continued_body.h"

#include <algorithm>

#include "proxy/serve/pass_body.h"

namespace entrepot::serve {

namespace {

bool is_held_against_digest(const cache::FillHead& head, uint64_t begin, uint64_t end) noexcept {
  return head.expected_digest && begin == 0 && end == head.length_bytes;
}

}  // namespace

bool ContinuedBody::can_continue(const cache::FillHead& head, uint64_t begin, uint64_t end) noexcept {
  return end != cache::kUnknownLength && (!head.validator.empty() || is_held_against_digest(head, begin, end));
}

ContinuedBody::ContinuedBody(io::Loop& loop, io::Pool& hashing, fill::Asking& asking,
                             std::shared_ptr<const fill::Origin> origin, std::shared_ptr<cache::Fill> fill,
                             uint64_t begin, uint64_t end, std::unique_ptr<http::Body> followed)
    : loop_(loop),
      hashing_(hashing),
      asking_(asking),
      origin_(std::move(origin)),
      fill_(std::move(fill)),
      position_(begin),
      end_(end),
      followed_(std::move(followed)) {
  if (const auto& head = fill_->head(); is_held_against_digest(head, begin, end))
    hasher_.emplace(head.expected_digest->algorithm);
}

void ContinuedBody::attach(http::Stream& stream) {
  Body::attach(stream);
  followed_->attach(stream);
}

http::Body::Piece ContinuedBody::peek(size_t max) {
  if (!by_itself_) {
    const Piece piece = followed_->peek(max);
    if (piece.state != State::kError || !fill_->disk_failed()) return piece;
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
  if (hasher_ && !hash_passed(piece.bytes)) {
    lost_ = true;
    return {State::kError, {}};
  }
  return piece;
}

// `bytes` stand at position_, and some of them may have been seen before. False: all were hashed, and they
// are not what was promised.
bool ContinuedBody::hash_passed(std::span<const std::byte> bytes) {
  const uint64_t known = hashed_ - position_;
  if (bytes.size() <= known) return true;
  hasher_->update(bytes.subspan(known));
  hashed_ = position_ + bytes.size();
  return hashed_ < end_ || hasher_->finish() == *fill_->head().expected_digest;
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

// What the client has been given. False: it cannot be read again.
io::Task<bool> ContinuedBody::hash_followed() {
  auto job = [fill = fill_, end = position_] { return fill->hash_prefix(end); };
  Result<Hasher> hashed = co_await hashing_.run(loop_, std::move(job));
  if (!hashed) co_return false;
  hasher_ = std::move(*hashed);
  hashed_ = position_;
  co_return true;
}

io::Task<void> ContinuedBody::ask() {
  if (hasher_) lost_ = !co_await hash_followed();
  const fill::Part rest{position_, end_, 0};
  const fill::Pinned pinned{fill_->head().validator, fill_->head().length_bytes, hasher_.has_value()};
  if (lost_) co_return stream_->body_ready();
  for (const auto* server : asking_.servers(*origin_)) {
    fill::ExtraFields extra;
    extra.emplace_back("Range", rest.range_field());
    if (!pinned.validator.empty()) extra.emplace_back("If-Range", pinned.validator);
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
