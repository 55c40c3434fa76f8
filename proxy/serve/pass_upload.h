// What of a request's content goes upstream: the client's as it comes, or what proxy_set_body says.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "proxy/http/request_content.h"
#include "proxy/upstream/client.h"

namespace entrepot::serve {

class ClientUpload final : public upstream::Upload {
 public:
  // `chunked`: in chunks, whatever is known of its length, so that trailers have a place.
  ClientUpload(std::shared_ptr<http::RequestContent> content, bool chunked)
      : content_(std::move(content)), length_(chunked ? kNoLength : content_->length()) {}
  ~ClientUpload() override { content_->forget(this); }

  uint64_t length() const override { return length_; }
  Taken take(std::span<std::byte> room) override {
    const http::Body::Piece piece = content_->peek();
    if (piece.state == http::Body::State::kWait) return {State::kWait};
    if (piece.state == http::Body::State::kError) return {State::kError};
    if (piece.state == http::Body::State::kEnd) return {State::kEnd};
    const size_t n = std::min(room.size(), piece.bytes.size());
    std::memcpy(room.data(), piece.bytes.data(), n);
    content_->consume(n);
    return {State::kBytes, n};
  }
  void when_news(std::function<void()> news) override { content_->when_news(this, std::move(news)); }
  upstream::FieldLines trailers() const override { return content_->trailers(); }
  bool rewind() override { return content_->consumed_bytes() == 0; }

 private:
  const std::shared_ptr<http::RequestContent> content_;
  const uint64_t length_;
};

class TextUpload final : public upstream::Upload {
 public:
  explicit TextUpload(std::string text) : text_(std::move(text)) {}
  uint64_t length() const override { return text_.size(); }
  Taken take(std::span<std::byte> room) override {
    const size_t n = std::min(room.size(), text_.size() - at_);
    if (n == 0) return {State::kEnd};
    std::memcpy(room.data(), text_.data() + at_, n);
    at_ += n;
    return {State::kBytes, n};
  }
  void when_news(std::function<void()>) override {}
  bool rewind() override {
    at_ = 0;
    return true;
  }

 private:
  const std::string text_;
  size_t at_ = 0;
};

}  // namespace entrepot::serve
