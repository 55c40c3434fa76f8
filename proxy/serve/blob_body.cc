#include "proxy/serve/blob_body.h"

#include <algorithm>

namespace entrepot::serve {

using cache::FillPhase;

BlobBody::BlobBody(ChunkCache& chunks, std::shared_ptr<cache::Blob> blob, uint64_t begin, uint64_t end,
                   OnBroken on_broken)
    : chunks_(chunks),
      blob_(std::move(blob)),
      reads_(chunks.enter(*blob_)),
      position_(begin),
      end_(end),
      on_broken_(std::move(on_broken)) {}

BlobBody::BlobBody(ChunkCache& chunks, std::shared_ptr<fill::FillWatch> watch, uint64_t begin, uint64_t end,
                   bool whole, fill::DemandHold demand, OnBroken on_broken)
    : chunks_(chunks),
      position_(begin),
      end_(end),
      whole_(whole),
      on_broken_(std::move(on_broken)),
      demand_(std::move(demand)) {
  reader_ = std::make_unique<fill::FillWatch::Reader>(std::move(watch), [this] {
    if (stream_) stream_->body_ready();
  });
  blob_ = reader_->fill().blob();
  reads_ = chunks_.enter(*blob_);
}

void BlobBody::consume(size_t n) {
  const uint64_t before = position_ / cache::kChunkBytes;
  position_ += n;
  if (position_ / cache::kChunkBytes != before) chunks_.passed(reads_, *blob_, position_ - n);
}

uint64_t BlobBody::readable_end() {
  if (!reader_) return end_;
  return whole_ ? reader_->fill().releasable_end(position_) : blob_->readable_end(position_);
}

http::Body::Piece BlobBody::peek(size_t max) {
  if (broken_) return {State::kError, {}};
  if (load_) return {State::kWait, {}};
  // The phase is read before the bytes: what a complete fill has not got will never come.
  const FillPhase phase = reader_ ? reader_->fill().phase() : FillPhase::kComplete;
  if (phase == FillPhase::kFailed) return {State::kError, {}};
  if (end_ == cache::kUnknownLength && phase == FillPhase::kComplete) end_ = blob_->length_bytes();
  if (position_ >= end_) return {State::kEnd, {}};

  const uint64_t until = std::min({readable_end(), end_, position_ + max});
  if (until <= position_) {
    if (phase != FillPhase::kComplete) return {State::kWait, {}};
    return broken(Error::kLengthMismatch);
  }
  auto bytes = chunks_.get(*blob_, position_, until);
  if (bytes && bytes->empty()) return broken(Error::kLengthMismatch);  // a session would ask for ever
  if (bytes) return {State::kBytes, *bytes, position_ + bytes->size() == end_};
  if (bytes.error() != Error::kWouldBlock) return broken(bytes.error());
  load_ = chunks_.load(blob_, position_, until, [this](Result<void> loaded) {
    load_ = nullptr;
    if (!loaded) broken(loaded.error());
    if (stream_) stream_->body_ready();
  });
  return {State::kWait, {}};
}

http::Body::Piece BlobBody::broken(Error error) {
  broken_ = true;
  if ((error == Error::kCorrupt || error == Error::kIo) && on_broken_)
    std::exchange(on_broken_, nullptr)(*blob_, error, position_);
  return {State::kError, {}};
}

}  // namespace entrepot::serve
