// BlobBody: a response body out of a blob, whole or a range, stored or still arriving.
#pragma once

#include <memory>

#include "cache/cache.h"
#include "proxy/fill/fill_watch.h"
#include "proxy/http/stream.h"
#include "proxy/serve/chunk_cache.h"

namespace entrepot::serve {

class BlobBody final : public http::Body {
 public:
  // What a body does when bytes prove rotten (kCorrupt) or cannot be read (kIo), at an offset. Called once.
  using OnBroken = std::function<void(const cache::Blob&, Error, uint64_t offset)>;

  // Bytes [begin, end) of a blob whose bytes are all there.
  BlobBody(ChunkCache& chunks, std::shared_ptr<cache::Blob> blob, uint64_t begin, uint64_t end,
           OnBroken on_broken);
  // Bytes [begin, end) of a blob that a Fill is bringing in; end may be cache::kUnknownLength. `whole`: the
  // client will take what it gets for the whole blob, so the tail is held until the digest matches.
  BlobBody(ChunkCache& chunks, std::shared_ptr<fill::FillWatch> watch, uint64_t begin, uint64_t end,
           bool whole, fill::DemandHold demand, OnBroken on_broken);

  Piece peek(size_t max) override;
  void consume(size_t n) override;

 private:
  uint64_t readable_end();
  Piece broken(Error error);

  ChunkCache& chunks_;
  std::shared_ptr<cache::Blob> blob_;
  ChunkCache::Reader reads_;
  uint64_t position_, end_;
  bool whole_ = false;
  bool broken_ = false;
  OnBroken on_broken_;
  fill::DemandHold demand_;
  std::unique_ptr<fill::FillWatch::Reader> reader_;  // null: everything is there
  std::unique_ptr<ChunkCache::Load> load_;
};

}  // namespace entrepot::serve
