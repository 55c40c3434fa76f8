// A Fill while bytes arrive: order, gaps, the held tail, readers beside writers.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/cache/fill_fixture.h"

namespace entrepot::cache {
namespace {

using FillOrder = FillTest;
using FillTail = FillTest;

TEST_F(FillTest, CompleteFillIsStoredAndReadsFromTheStore) {
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  const auto digest = fill->finish();
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, sha256(bytes_of(content_)));
  EXPECT_EQ(fill->phase(), FillPhase::kComplete);
  EXPECT_EQ(fill->blob()->state(), BlobState::kVerified);
  EXPECT_EQ(released(*fill), content_);
  EXPECT_EQ(store_.files, 1);
  EXPECT_EQ(store_.stored, content_.size());
  EXPECT_EQ(store_.names["/name"], *digest);
  EXPECT_EQ(store_.metadata_of["/name"], "metadata");
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(slurp(store_.blob_path(*digest)).substr(0, content_.size()), content_);
}

TEST_F(FillTest, EveryWholeChunkHasItsChecksumWhileTheFillRuns) {
  auto fill = begin(head_of(content_));
  for (size_t at = 0; at + 1000 <= 2 * kChunkBytes + 1000; at += 1000)
    ASSERT_TRUE(write(*fill, content_, at, at + 1000));
  const auto blob = fill->blob();
  EXPECT_TRUE(blob->has_checksum(0));
  EXPECT_TRUE(blob->has_checksum(1));
  EXPECT_FALSE(blob->has_checksum(2));
  EXPECT_TRUE(blob->verify_chunk(1, bytes_of(content_).subspan(kChunkBytes, kChunkBytes)));
  EXPECT_FALSE(blob->verify_chunk(1, bytes_of(content_).subspan(0, kChunkBytes)));
}

TEST_F(FillTest, EmptyBodyIsStoredInline) {
  auto fill = begin(head_of(""));
  EXPECT_FALSE(fill->next_gap(0));
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(store_.inlines, 1);
  EXPECT_EQ(fill->blob()->length_bytes(), 0u);
}

TEST_F(FillTest, ResetOfLeaderDoesNotStopFollowers) {
  auto fill = begin(head_of(content_));
  auto leader = fill->subscribe([] {});
  std::atomic<int> wakes = 0;
  auto follower = fill->subscribe([&] { ++wakes; });
  ASSERT_TRUE(write(*fill, content_, 0, 1000));
  leader = {};
  ASSERT_TRUE(write(*fill, content_, 1000, content_.size()));
  ASSERT_TRUE(fill->finish());
  follower.arm(1);
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(released(*fill), content_);
}

// Four readers on four threads follow a fill to its end, woken by its waiters; each must see every byte
// right.
TEST_F(FillTest, FourConcurrentReadersFollowAFillToItsEnd) {
  const std::string content = random_bytes(3 * kMiB + 777, 3);
  auto fill = make();
  std::latch subscribed(5);
  const auto follow = [&] {
    std::mutex mutex;
    std::condition_variable changed;
    bool woken = false;
    auto reader = fill->subscribe([&] {
      const std::lock_guard lock(mutex);
      woken = true;
      changed.notify_one();
    });
    subscribed.arrive_and_wait();
    std::string got;
    while (true) {
      reader.arm(64 * 1024);
      const FillPhase phase = fill->phase();
      if (phase != FillPhase::kHead) got += released(*fill, got.size());
      if (phase == FillPhase::kComplete) break;
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return woken; });
      woken = false;
    }
    EXPECT_EQ(got, content);
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) readers.emplace_back(follow);
  subscribed.arrive_and_wait();
  ASSERT_TRUE(fill->set_head(head_of(content)));
  for (size_t at = 0; at < content.size(); at += 16'384) {
    ASSERT_TRUE(write(*fill, content, at, std::min(content.size(), at + 16'384)));
  }
  ASSERT_TRUE(fill->finish());
  for (auto& reader : readers) reader.join();
}

TEST_F(FillTest, FailureWhileOthersWriteLeavesNothing) {
  for (int round = 0; round < 20; ++round) {
    auto fill = begin(head_of(content_));
    std::latch start(3);
    std::vector<std::thread> writers;
    for (size_t t = 0; t < 2; ++t) {
      writers.emplace_back([&, t] {
        start.arrive_and_wait();
        for (size_t at = t * 500'000; at < t * 500'000 + 400'000; at += 10'000) {
          if (!write(*fill, content_, at, at + 10'000)) return;
        }
      });
    }
    start.arrive_and_wait();
    fill->fail(Error::kReset, "");
    for (auto& writer : writers) writer.join();
    EXPECT_EQ(store_.partial_files(), 0u);
    EXPECT_EQ(store_.reserved, 0u);
  }
}

TEST_F(FillOrder, SlicesOutOfOrderGiveTheRightDigest) {
  auto fill = begin(head_of(content_));
  constexpr size_t kSlice = 100'000;  // not aligned with chunks
  const size_t slices = (content_.size() + kSlice - 1) / kSlice;
  for (size_t i = 0; i < slices; ++i) {
    const size_t slice = (i * 5 + 3) % slices;
    ASSERT_TRUE(write(*fill, content_, slice * kSlice, std::min(content_.size(), (slice + 1) * kSlice)));
  }
  EXPECT_FALSE(fill->next_gap(0));
  const auto digest = fill->finish();
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, sha256(bytes_of(content_)));
  EXPECT_EQ(released(*fill), content_);
}

TEST_F(FillOrder, GapsTellWhatIsMissing) {
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 100, 200));
  ASSERT_TRUE(write(*fill, content_, 300, 400));
  const auto expect = [&](uint64_t offset, uint64_t first, uint64_t last) {
    const auto gap = fill->next_gap(offset);
    ASSERT_TRUE(gap);
    EXPECT_EQ(gap->begin, first);
    EXPECT_EQ(gap->end, last);
  };
  expect(0, 0, 100);
  expect(50, 50, 100);
  expect(150, 200, 300);
  expect(300, 400, content_.size());
  EXPECT_FALSE(fill->next_gap(content_.size()));
  EXPECT_EQ(fill->blob()->readable_end(120), 200u);
  EXPECT_EQ(fill->blob()->readable_end(250), 250u);
  EXPECT_EQ(fill->arrived_bytes(), 200u);
}

TEST_F(FillOrder, WriteBelowAlreadyPresentBytesIsSkipped) {
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 1000, 2000));
  const std::string others(3000, 'x');
  ASSERT_TRUE(fill->write(500, bytes_of(others).first(2000)));
  EXPECT_EQ(fill->arrived_bytes(), 2000u);
  std::string bytes(1000, '\0');
  ASSERT_TRUE(fill->blob()->read(0, 1000, std::as_writable_bytes(std::span(bytes)), ReadWait::kDisk));
  EXPECT_EQ(bytes, content_.substr(1000, 1000));
}

TEST_F(FillOrder, OverlappingWritesOfFourThreadsGiveTheRightBlob) {
  auto fill = begin(head_of(content_));
  std::latch start(4);
  std::vector<std::thread> writers;
  for (size_t t = 0; t < 4; ++t) {
    writers.emplace_back([&, t] {
      start.arrive_and_wait();
      constexpr size_t kPiece = 30'011;
      const size_t pieces = (content_.size() + kPiece - 1) / kPiece;
      for (size_t i = 0; i < pieces; ++i) {
        const size_t piece = t % 2 == 0 ? (i + t) % pieces : pieces - 1 - i;
        EXPECT_TRUE(write(*fill, content_, piece * kPiece, std::min(content_.size(), (piece + 1) * kPiece)));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(fill->arrived_bytes(), content_.size());
  const auto digest = fill->finish();
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, sha256(bytes_of(content_)));
  EXPECT_EQ(released(*fill), content_);
}

// Two answers that differ, under one name: whatever stands in the file in the end is what was hashed and
// checksummed.
TEST_F(FillOrder, DifferingWritesAtOnceNeverMakeABlobOtherThanItsDigest) {
  const std::string other = random_bytes(content_.size(), 9);
  for (int round = 0; round < 10; ++round) {
    auto fill = Fill::create({"space", "/" + std::to_string(round)}, store_, {});
    ASSERT_TRUE(fill->set_head({"metadata", content_.size(), std::nullopt, ""}));
    std::latch start(2);
    const auto bring = [&](const std::string& bytes) {
      start.arrive_and_wait();
      for (size_t at = 0; at < bytes.size(); at += 50'000)
        EXPECT_TRUE(write(*fill, bytes, at, std::min(bytes.size(), at + 50'000)));
    };
    std::thread first(bring, std::cref(content_)), second(bring, std::cref(other));
    first.join();
    second.join();
    const auto digest = fill->finish();
    ASSERT_TRUE(digest);
    const std::string got = released(*fill);
    EXPECT_EQ(sha256(bytes_of(got)), *digest);
  }
}

TEST_F(FillTail, IsHeldUntilTheDigestMatchesAndGivenAfter) {
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  EXPECT_EQ(fill->blob()->readable_end(0), content_.size());
  EXPECT_EQ(fill->releasable_end(0), content_.size() - kChunkBytes);
  EXPECT_EQ(fill->releasable_end(content_.size() - 10), content_.size() - 10);
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(fill->releasable_end(0), content_.size());
}

TEST_F(FillTail, IsGivenBeforeTheBlobIsOnTheDisk) {
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  std::latch storing(1), looked(1);
  store_.on_find_complete = [&] {
    storing.count_down();
    looked.wait();
  };
  std::thread owner([&] { EXPECT_TRUE(fill->finish()); });
  storing.wait();
  EXPECT_EQ(fill->phase(), FillPhase::kComplete);
  EXPECT_EQ(fill->releasable_end(0), content_.size());
  EXPECT_EQ(released(*fill), content_);
  EXPECT_EQ(store_.blob_files(), 0u);
  looked.count_down();
  owner.join();
  EXPECT_EQ(store_.blob_files(), 1u);
}

TEST_F(FillTail, OfASmallBodyIsAllOfIt) {
  const std::string small = "a few bytes";
  auto fill = begin(head_of(small));
  ASSERT_TRUE(write(*fill, small, 0, small.size()));
  EXPECT_EQ(fill->releasable_end(0), 0u);
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(released(*fill), small);
}

TEST_F(FillTail, OfUnknownLengthIsTheLastChunkOfWhatHasArrived) {
  FillHead head = head_of(content_);
  head.length_bytes = kUnknownLength;
  auto fill = begin(head);
  ASSERT_TRUE(write(*fill, content_, 0, kChunkBytes + 500));
  EXPECT_EQ(fill->releasable_end(0), 500u);
  ASSERT_TRUE(write(*fill, content_, kChunkBytes + 500, content_.size()));
  fill->set_length(content_.size());
  EXPECT_EQ(fill->releasable_end(0), content_.size() - kChunkBytes);
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(fill->releasable_end(0), content_.size());
}

TEST_F(FillTail, IsNotHeldWithoutAnExpectedDigest) {
  auto fill = begin({"metadata", content_.size(), std::nullopt, ""});
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  EXPECT_EQ(fill->releasable_end(0), content_.size());
}

}  // namespace
}  // namespace entrepot::cache
