#include "cache/file_blob.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "cache/footer.h"
#include "cache/growing_blob.h"
#include "tests/cache/temp_folder.h"

namespace entrepot::cache {
namespace {

class FileBlobs : public ::testing::Test {
 protected:
  // A complete blob's file with `content_`.
  Digest write_complete() {
    Footer footer;
    footer.length_bytes = content_.size();
    footer.seed = 99;
    footer.sha256 = sha256(bytes_of(content_));
    for (uint64_t chunk = 0; chunk < chunk_count(content_.size()); ++chunk) {
      footer.checksums.push_back(chunk_checksum(99, chunk, chunk_of(chunk)));
    }
    spill(path_, content_ + encode_footer(footer));
    return footer.sha256;
  }
  std::span<const std::byte> chunk_of(uint64_t chunk) {
    return bytes_of(content_).subspan(chunk * kChunkBytes, chunk_size_bytes(content_.size(), chunk));
  }
  static std::vector<std::byte> read_chunk(const Blob& blob, uint64_t chunk) {
    std::vector<std::byte> bytes(chunk_size_bytes(blob.length_bytes(), chunk));
    EXPECT_TRUE(blob.read(chunk, 0, bytes, ReadWait::kDisk));
    return bytes;
  }
  const TempFolder folder_;
  const std::string path_ = folder_ / "blob";
  const std::string content_ = random_bytes(2 * kChunkBytes + 1000);
};

TEST_F(FileBlobs, CompleteOneIsVerifiedAndReadsItsContent) {
  const Digest digest = write_complete();
  const auto blob = open_complete(path_, digest);
  ASSERT_TRUE(blob);
  EXPECT_EQ((*blob)->state(), BlobState::kVerified);
  EXPECT_EQ((*blob)->length_bytes(), content_.size());
  EXPECT_EQ((*blob)->digest(), digest);
  EXPECT_EQ((*blob)->readable_end(5), content_.size());
  for (uint64_t chunk = 0; chunk < 3; ++chunk) {
    const auto bytes = read_chunk(**blob, chunk);
    EXPECT_TRUE(std::ranges::equal(bytes, chunk_of(chunk)));
    EXPECT_TRUE((*blob)->verify_chunk(chunk, bytes));
  }
}

TEST_F(FileBlobs, BitFlipInAStoredFileIsDetectedByVerifyChunk) {
  const Digest digest = write_complete();
  std::string damaged = slurp(path_);
  damaged[kChunkBytes + 5] = static_cast<char>(damaged[kChunkBytes + 5] ^ 4);
  spill(path_, damaged);
  const auto blob = open_complete(path_, digest);
  ASSERT_TRUE(blob);
  EXPECT_TRUE((*blob)->verify_chunk(0, read_chunk(**blob, 0)));
  EXPECT_FALSE((*blob)->verify_chunk(1, read_chunk(**blob, 1)));
  EXPECT_TRUE((*blob)->verify_chunk(2, read_chunk(**blob, 2)));
}

TEST_F(FileBlobs, ChunkInTheWrongPlaceIsDetected) {
  const Digest digest = write_complete();
  const auto blob = open_complete(path_, digest);
  ASSERT_TRUE(blob);
  EXPECT_FALSE((*blob)->verify_chunk(1, read_chunk(**blob, 0)));
  EXPECT_FALSE((*blob)->verify_chunk(0, chunk_of(0).first(100)));
}

TEST_F(FileBlobs, FileOfAnotherDigestIsRefused) {
  write_complete();
  const auto blob = open_complete(path_, sha256(bytes_of("other")));
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error(), Error::kCorrupt);
}

TEST_F(FileBlobs, ReadersGoOnAfterTheFileIsUnlinked) {
  const Digest digest = write_complete();
  const auto blob = open_complete(path_, digest);
  ASSERT_TRUE(blob);
  unlink_file(path_);
  EXPECT_TRUE((*blob)->verify_chunk(1, read_chunk(**blob, 1)));
}

TEST_F(FileBlobs, WarmPagesAreReadWithoutWaiting) {
  const Digest digest = write_complete();
  const auto blob = open_complete(path_, digest);
  ASSERT_TRUE(blob);
  read_chunk(**blob, 0);
  std::vector<std::byte> bytes(kChunkBytes);
  ASSERT_TRUE((*blob)->read(0, 0, bytes, ReadWait::kNever));
  EXPECT_TRUE(std::ranges::equal(bytes, chunk_of(0)));
}

TEST_F(FileBlobs, ReadingPastTheEndOfACutFileIsCorrupt) {
  const Digest digest = write_complete();
  const auto blob = open_complete(path_, digest);
  ASSERT_TRUE(blob);
  std::filesystem::resize_file(path_, kChunkBytes + 10);
  std::vector<std::byte> bytes(kChunkBytes);
  const auto read = (*blob)->read(1, 0, bytes, ReadWait::kDisk);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), Error::kCorrupt);
}

TEST_F(FileBlobs, MissingFileIsAnError) {
  EXPECT_FALSE(open_complete(path_, sha256({})));
  EXPECT_FALSE(open_partial(path_, PartialBlob{}));
}

TEST_F(FileBlobs, InlineOneHasItsBytesInMemory) {
  const Digest digest = sha256(bytes_of("small"));
  const auto blob = make_inline(digest, "small");
  EXPECT_EQ(blob->state(), BlobState::kVerified);
  EXPECT_EQ(blob->digest(), digest);
  EXPECT_EQ(blob->length_bytes(), 5u);
  EXPECT_TRUE(std::ranges::equal(blob->inline_bytes(), bytes_of("small")));
  std::vector<std::byte> bytes(3);
  ASSERT_TRUE(blob->read(0, 2, bytes, ReadWait::kNever));
  EXPECT_TRUE(std::ranges::equal(bytes, bytes_of("all")));
}

TEST_F(FileBlobs, EveryBlobHasItsOwnSerial) {
  EXPECT_NE(make_inline(sha256({}), "")->serial(), make_inline(sha256({}), "")->serial());
}

PartialBlob partial_with(uint64_t length, std::initializer_list<uint64_t> chunks,
                         const std::string& content) {
  PartialBlob partial;
  partial.id = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  partial.length_bytes = length;
  GroupPresence group;
  for (const uint64_t chunk : chunks) {
    group.present |= 1u << chunk;
    const auto bytes = bytes_of(content).subspan(chunk * kChunkBytes, chunk_size_bytes(length, chunk));
    group.checksums[chunk] = chunk_checksum(GrowingBlob::seed_of(partial.id), chunk, bytes);
  }
  partial.groups.emplace_back(0, group);
  return partial;
}

TEST_F(FileBlobs, PartialOneReadsWhereItsGroupsSay) {
  spill(path_, content_);
  const auto blob = open_partial(path_, partial_with(content_.size(), {0, 2}, content_));
  ASSERT_TRUE(blob);
  EXPECT_EQ((*blob)->state(), BlobState::kPartial);
  EXPECT_FALSE((*blob)->digest());
  EXPECT_EQ((*blob)->readable_end(10), kChunkBytes);
  EXPECT_EQ((*blob)->readable_end(kChunkBytes), kChunkBytes);
  EXPECT_EQ((*blob)->readable_end(2 * kChunkBytes), content_.size());
  EXPECT_TRUE((*blob)->has_checksum(2));
  EXPECT_FALSE((*blob)->has_checksum(1));
  EXPECT_TRUE((*blob)->verify_chunk(2, read_chunk(**blob, 2)));
}

TEST_F(FileBlobs, PartialOneWithAllItsChunksIsAssembled) {
  spill(path_, content_);
  const auto blob = open_partial(path_, partial_with(content_.size(), {0, 1, 2}, content_));
  ASSERT_TRUE(blob);
  EXPECT_EQ((*blob)->state(), BlobState::kAssembled);
  EXPECT_FALSE((*blob)->digest());
}

TEST_F(FileBlobs, PartialOneShorterThanItsGroupsSayIsRefused) {
  spill(path_, content_.substr(0, content_.size() - 1));
  const auto blob = open_partial(path_, partial_with(content_.size(), {0, 2}, content_));
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error(), Error::kCorrupt);
}

TEST_F(FileBlobs, PartialOneWithAChunkBehindItsLengthIsRefused) {
  spill(path_, content_);
  PartialBlob partial = partial_with(content_.size(), {0, 2}, content_);
  partial.length_bytes = kChunkBytes;
  const auto blob = open_partial(path_, partial);
  ASSERT_FALSE(blob);
  EXPECT_EQ(blob.error(), Error::kCorrupt);
}

}  // namespace
}  // namespace entrepot::cache
