// What the tests of Fill share: a store, a body, and a reader that takes what it may have.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "cache/fill.h"
#include "tests/cache/fake_store.h"

namespace entrepot::cache {

inline constexpr size_t kMiB = 1024 * 1024;

// All that a reader of the whole may have from `offset` on, each whole chunk verified.
inline std::string released(const Fill& fill, uint64_t offset = 0) {
  const auto blob = fill.blob();
  std::string bytes;
  const uint64_t end = fill.releasable_end(offset);
  while (offset < end) {
    const uint64_t chunk = offset / kChunkBytes;
    std::string piece(std::min(end, (chunk + 1) * kChunkBytes) - offset, '\0');
    const auto room = std::as_writable_bytes(std::span(piece));
    EXPECT_TRUE(blob->read(chunk, offset % kChunkBytes, room, ReadWait::kDisk));
    const bool whole =
        offset % kChunkBytes == 0 && (piece.size() == kChunkBytes || end == blob->length_bytes());
    if (whole && blob->has_checksum(chunk)) {
      EXPECT_TRUE(blob->verify_chunk(chunk, room));
    }
    offset += piece.size();
    bytes += piece;
  }
  return bytes;
}

class FillTest : public ::testing::Test {
 protected:
  std::shared_ptr<Fill> make(std::string text = "/name") {
    return Fill::create({"space", std::move(text)}, store_, {});
  }
  FillHead head_of(const std::string& content) const {
    return {"metadata", content.size(), sha256(bytes_of(content)), "\"v1\""};
  }
  static Result<void> write(Fill& fill, const std::string& content, size_t begin, size_t end) {
    return fill.write(begin, bytes_of(content).subspan(begin, end - begin));
  }
  // Begins a fill of `content`, in kBody, with nothing written.
  std::shared_ptr<Fill> begin(const FillHead& head) {
    auto fill = make();
    EXPECT_TRUE(fill->set_head(head));
    return fill;
  }

  FakeStore store_;
  const std::string content_ = random_bytes(kMiB + 12345);
};

}  // namespace entrepot::cache
