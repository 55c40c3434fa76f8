// A Blob in memory whose reads a test controls: what is readable, what the page cache holds, what is rotten.
#pragma once

#include <xxhash.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <set>
#include <vector>

#include "cache/blob.h"

namespace entrepot::test {

class FakeBlob final : public cache::Blob {
 public:
  explicit FakeBlob(size_t length) : content(length), readable(length) {
    for (size_t i = 0; i < length; ++i) content[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
    sums();
  }
  cache::BlobState state() const noexcept override { return cache::BlobState::kVerified; }
  uint64_t length_bytes() const noexcept override { return content.size(); }
  std::optional<Digest> digest() const noexcept override { return std::nullopt; }
  uint64_t readable_end(uint64_t offset) const noexcept override {
    if (offset >= hole_begin && offset < hole_end) return offset;
    if (offset < hole_begin && hole_begin < readable) return hole_begin;
    return std::max<uint64_t>(offset, readable.load());
  }
  Result<void> read(uint64_t chunk, size_t from, std::span<std::byte> out,
                    cache::ReadWait wait) const noexcept override {
    if (wait == cache::ReadWait::kNever) {
      ++fast_reads;
      if (cold) return Error::kWouldBlock;
    } else {
      ++disk_reads;
      if (on_disk_read) on_disk_read();
    }
    for (size_t i = 0; i < out.size(); ++i) {
      const uint64_t at = chunk * cache::kChunkBytes + from + i;
      out[i] = at >= hole_begin && at < hole_end ? std::byte{0} : content[at];
    }
    return {};
  }
  bool has_checksum(uint64_t) const noexcept override { return hole_begin == hole_end; }
  bool verify_chunk(uint64_t chunk, std::span<const std::byte> whole) const noexcept override {
    ++verified;
    return XXH3_64bits(whole.data(), whole.size()) == sums_[chunk];
  }

  std::vector<std::byte> content;
  std::atomic<uint64_t> readable;
  uint64_t hole_begin = 0, hole_end = 0;  // not there yet: a file reads zeros
  std::atomic<bool> cold{false};          // not in the page cache
  std::function<void()> on_disk_read;     // on the pool, before the bytes are copied
  mutable std::atomic<int> fast_reads{0}, disk_reads{0}, verified{0};

 private:
  void sums() {
    for (size_t at = 0; at < content.size(); at += cache::kChunkBytes) {
      sums_.push_back(
          XXH3_64bits(content.data() + at, std::min<size_t>(cache::kChunkBytes, content.size() - at)));
    }
  }
  std::vector<uint64_t> sums_;
};

}  // namespace entrepot::test
