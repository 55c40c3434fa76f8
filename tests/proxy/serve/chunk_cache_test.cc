#include "proxy/serve/chunk_cache.h"

#include <gtest/gtest.h>

#include <latch>

#include "tests/support/fake_blob.h"

namespace entrepot::serve {
namespace {

using cache::kChunkBytes;
using test::FakeBlob;

struct ChunkCacheTest : testing::Test {
  io::Loop loop;
  io::Pool pool{2};
  ChunkCache chunks{loop, pool, 4 * kChunkBytes};

  static bool same(std::span<const std::byte> bytes, const FakeBlob& blob, uint64_t offset) {
    return std::equal(bytes.begin(), bytes.end(), blob.content.begin() + static_cast<long>(offset));
  }
};

TEST_F(ChunkCacheTest, ChunkIsReadAndVerifiedOnceAndThenComesFromMemory) {
  FakeBlob blob(3 * kChunkBytes + 100);
  for (int i = 0; i < 5; ++i) {
    auto bytes = chunks.get(blob, kChunkBytes + 7, blob.length_bytes());
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->size(), kChunkBytes - 7);
    EXPECT_TRUE(same(*bytes, blob, kChunkBytes + 7));
  }
  EXPECT_EQ(blob.fast_reads, 1);
  EXPECT_EQ(blob.verified, 1);
}

TEST_F(ChunkCacheTest, LastChunkIsShort) {
  FakeBlob blob(kChunkBytes + 100);
  auto bytes = chunks.get(blob, kChunkBytes, blob.length_bytes());
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), 100u);
  EXPECT_EQ(chunks.bytes(), 100u);
}

TEST_F(ChunkCacheTest, RottenChunkIsNeverGiven) {
  FakeBlob blob(2 * kChunkBytes);
  blob.content[kChunkBytes + 5] ^= std::byte{1};
  EXPECT_TRUE(chunks.get(blob, 0, blob.length_bytes()));
  auto bytes = chunks.get(blob, kChunkBytes, blob.length_bytes());
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error(), Error::kCorrupt);
}

TEST_F(ChunkCacheTest, GrowingChunkIsExtendedAndVerifiedWhenWhole) {
  FakeBlob blob(kChunkBytes);
  blob.readable = 1000;
  ASSERT_EQ(chunks.get(blob, 0, 1000)->size(), 1000u);
  EXPECT_EQ(blob.verified, 0);
  blob.readable = kChunkBytes;
  auto rest = chunks.get(blob, 1000, kChunkBytes);
  ASSERT_TRUE(rest);
  EXPECT_TRUE(same(*rest, blob, 1000));
  EXPECT_EQ(blob.verified, 1);
}

TEST_F(ChunkCacheTest, MemoryIsBoundedAndTheLeastRecentChunkGoes) {
  FakeBlob blob(16 * kChunkBytes);
  for (uint64_t chunk = 0; chunk < 16; ++chunk)
    ASSERT_TRUE(chunks.get(blob, chunk * kChunkBytes, blob.length_bytes()));
  EXPECT_LE(chunks.bytes(), 4 * kChunkBytes);
  const int reads = blob.fast_reads;
  ASSERT_TRUE(chunks.get(blob, 15 * kChunkBytes, blob.length_bytes()));
  EXPECT_EQ(blob.fast_reads, reads);
}

TEST_F(ChunkCacheTest, WhatTheOnlyReaderOfALargeBlobHasPassedMakesRoomFirst) {
  FakeBlob small(kChunkBytes), large(16 * kChunkBytes);
  ASSERT_TRUE(chunks.get(small, 0, kChunkBytes));
  const auto reader = chunks.enter(large);
  for (uint64_t chunk = 0; chunk < 16; ++chunk) {
    ASSERT_TRUE(chunks.get(large, chunk * kChunkBytes, large.length_bytes()));
    chunks.passed(reader, large, chunk * kChunkBytes);
  }
  ASSERT_TRUE(chunks.get(small, 0, kChunkBytes));
  EXPECT_EQ(small.fast_reads, 1) << "it has not pushed out what others ask for";
}

TEST_F(ChunkCacheTest, WhatOneOfSeveralReadersHasPassedStaysForTheOthers) {
  FakeBlob large(16 * kChunkBytes);
  auto first = chunks.enter(large);
  const auto second = chunks.enter(large);
  for (uint64_t chunk = 0; chunk < 5; ++chunk) {
    ASSERT_TRUE(chunks.get(large, chunk * kChunkBytes, large.length_bytes()));
    chunks.passed(first, large, chunk * kChunkBytes);
  }
  ASSERT_TRUE(chunks.get(large, 3 * kChunkBytes, large.length_bytes()));
  EXPECT_EQ(large.fast_reads, 5);
  first.reset();
  chunks.passed(second, large, 3 * kChunkBytes);
  ASSERT_TRUE(chunks.get(large, 5 * kChunkBytes, large.length_bytes()));
  ASSERT_TRUE(chunks.get(large, 3 * kChunkBytes, large.length_bytes()));
  EXPECT_EQ(large.fast_reads, 7) << "alone by now, it has given chunk 3 up for chunk 5";
}

TEST_F(ChunkCacheTest, WhatIsPassedOfASmallBlobStays) {
  FakeBlob other(kChunkBytes), small(kChunkBytes / 2);
  const auto reader = chunks.enter(small);
  ASSERT_TRUE(chunks.get(small, 0, small.length_bytes()));
  chunks.passed(reader, small, 0);
  for (uint64_t i = 0; i < 3; ++i) {
    FakeBlob filler(kChunkBytes);
    ASSERT_TRUE(chunks.get(filler, 0, kChunkBytes));
  }
  ASSERT_TRUE(chunks.get(small, 0, small.length_bytes()));
  EXPECT_EQ(small.fast_reads, 1);
}

TEST_F(ChunkCacheTest, ColdChunkIsReadOnThePoolOnceForAllWhoWait) {
  auto blob = std::make_shared<FakeBlob>(kChunkBytes);
  blob->cold = true;
  ASSERT_EQ(chunks.get(*blob, 0, kChunkBytes).error(), Error::kWouldBlock);
  std::latch all_asked(1);
  blob->on_disk_read = [&] { all_asked.wait(); };
  int told = 0;
  std::vector<std::unique_ptr<ChunkCache::Load>> loads;
  for (int i = 0; i < 3; ++i) {
    loads.push_back(chunks.load(blob, 0, kChunkBytes, [&](Result<void> read) {
      EXPECT_TRUE(read);
      if (++told == 3) loop.stop();
    }));
  }
  all_asked.count_down();
  loop.run();
  EXPECT_EQ(told, 3);
  EXPECT_EQ(blob->disk_reads, 1);
  EXPECT_TRUE(same(*chunks.get(*blob, 0, kChunkBytes), *blob, 0));
}

TEST_F(ChunkCacheTest, WhatIsMissingInTheMiddleOfAChunkIsNeverTakenForBytes) {
  FakeBlob blob(kChunkBytes);
  blob.hole_begin = 1000;
  blob.hole_end = 5000;
  ASSERT_EQ(chunks.get(blob, 0, 500)->size(), 500u);
  EXPECT_EQ(chunks.get(blob, 6000, 7000)->size(), 1000u);
  blob.hole_begin = blob.hole_end = 0;  // it has come
  ASSERT_TRUE(chunks.get(blob, kChunkBytes - 1, kChunkBytes));
  const auto whole = chunks.get(blob, 0, kChunkBytes);
  EXPECT_EQ(whole->size(), kChunkBytes);
  EXPECT_TRUE(same(*whole, blob, 0));
}

TEST_F(ChunkCacheTest, WhoIsToldMayDropItsLoadAtOnce) {
  auto blob = std::make_shared<FakeBlob>(kChunkBytes);
  blob->cold = true;
  std::unique_ptr<ChunkCache::Load> load;
  auto told = std::make_unique<bool>(false);
  bool* const seen = told.get();
  load = chunks.load(blob, 0, kChunkBytes, [this, &load, told = std::move(told).release()](Result<void>) {
    load = nullptr;
    *told = true;  // what was captured is still there
    loop.stop();
  });
  loop.run();
  EXPECT_TRUE(*seen);
  delete seen;
}

TEST_F(ChunkCacheTest, WhoLeavesDuringADiskReadIsNotTold) {
  auto blob = std::make_shared<FakeBlob>(kChunkBytes);
  blob->cold = true;
  std::latch left(1);
  blob->on_disk_read = [&] { left.wait(); };
  bool stayed_told = false, leaver_told = false;
  auto leaver = chunks.load(blob, 0, kChunkBytes, [&](Result<void>) { leaver_told = true; });
  auto stayer = chunks.load(blob, 0, kChunkBytes, [&](Result<void>) {
    stayed_told = true;
    loop.stop();
  });
  leaver.reset();
  left.count_down();
  loop.run();
  EXPECT_TRUE(stayed_told);
  EXPECT_FALSE(leaver_told);
}

}  // namespace
}  // namespace entrepot::serve
