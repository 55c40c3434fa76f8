#include "proxy/serve/multipart_body.h"

#include <algorithm>

namespace entrepot::serve {

Multipart::Multipart(const std::vector<ByteRange>& several, uint64_t length_bytes, std::string_view type,
                     std::string_view boundary)
    : parts(several), content_type("multipart/byteranges; boundary=") {
  content_type.append(boundary);
  std::string delimiter = "--";
  delimiter.append(boundary);
  const std::string total = "/" + std::to_string(length_bytes);
  for (const ByteRange& part : parts) {
    std::string head = heads.empty() ? delimiter : "\r\n" + delimiter;
    if (!type.empty()) head.append("\r\nContent-Type: ").append(type);
    head.append("\r\nContent-Range: bytes ").append(std::to_string(part.begin)).append("-");
    head.append(std::to_string(part.end - 1)).append(total).append("\r\n\r\n");
    content_length += head.size() + (part.end - part.begin);
    heads.push_back(std::move(head));
  }
  end = "\r\n" + delimiter + "--\r\n";
  content_length += end.size();
}

MultipartBody::MultipartBody(Multipart multipart, const std::shared_ptr<cache::Fill>& fill, MakePart make_part)
    : multipart_(std::move(multipart)), make_part_(std::move(make_part)) {
  for (const ByteRange& part : multipart_.parts)
    demands_.push_back(fill ? fill::DemandHold(fill, part.begin, part.end) : fill::DemandHold());
}

std::string_view MultipartBody::text() const noexcept {
  const bool behind = index_ == multipart_.parts.size();
  return std::string_view(behind ? multipart_.end : multipart_.heads[index_]).substr(text_given_);
}

void MultipartBody::next_part() {
  const ByteRange part = multipart_.parts[index_];
  part_ = make_part_(part, std::move(demands_[index_]));
  part_->attach(*stream_);
  left_ = part.end - part.begin;
}

// A part that has been taken goes with the next look, when nothing of it is being sent any more.
http::Body::Piece MultipartBody::peek(size_t max) {
  if (part_ && left_ == 0) {
    part_.reset();
    text_given_ = 0;
    ++index_;
  }
  if (!part_) {
    const std::string_view rest = text().substr(0, max);
    if (!rest.empty()) return {State::kBytes, std::as_bytes(std::span(rest))};
    if (index_ == multipart_.parts.size()) return {State::kEnd, {}};
    next_part();
  }
  Piece piece = part_->peek(static_cast<size_t>(std::min<uint64_t>(max, left_)));
  if (piece.state == State::kEnd) return {State::kError, {}};  // too early
  piece.last = false;
  return piece;
}

void MultipartBody::consume(size_t n) {
  if (!part_) {
    text_given_ += n;
    return;
  }
  left_ -= n;
  part_->consume(n);
}

}  // namespace entrepot::serve
