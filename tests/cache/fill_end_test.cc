// How a Fill ends, and the room it takes.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

#include "tests/cache/fill_fixture.h"

namespace entrepot::cache {
namespace {

using FillEnd = FillTest;
using FillRoom = FillTest;

TEST_F(FillEnd, WrongDigestIsNeverReleasedAndGoesToQuarantine) {
  FillHead head = head_of(content_);
  head.expected_digest = sha256(bytes_of("something else"));
  auto fill = begin(head);
  const auto blob = fill->blob();
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  const auto digest = fill->finish();
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error(), Error::kDigestMismatch);
  EXPECT_EQ(fill->phase(), FillPhase::kFailed);
  EXPECT_EQ(fill->error(), Error::kDigestMismatch);
  EXPECT_EQ(fill->reason(), "the body does not match its expected digest");
  EXPECT_EQ(fill->releasable_end(0), 0u);
  EXPECT_EQ(blob->state(), BlobState::kFailed);
  std::byte byte;
  const auto read = blob->read(0, 0, {&byte, 1}, ReadWait::kDisk);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), Error::kCorrupt);
  EXPECT_EQ(store_.quarantined_files(), 1u);
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(store_.blob_files(), 0u);
  EXPECT_EQ(store_.files + store_.inlines + store_.aliases, 0);
  ASSERT_EQ(store_.events.size(), 1u);
}

// -- a check of the whole --

TEST_F(FillEnd, WhatACheckObjectsToIsNotStoredAndNotGivenOut) {
  for (const size_t size : {size_t{100}, content_.size()}) {  // in memory, and in a file
    const std::string content = content_.substr(0, size);
    FillHead head = head_of(content);
    head.withheld = true;
    auto fill = begin(head);
    const auto blob = fill->blob();
    ASSERT_TRUE(write(*fill, content, 0, size));
    EXPECT_EQ(fill->releasable_end(0), 0u);
    std::string seen;
    const auto check = [&seen](const Blob& whole, const FillHead& its_head) {
      seen = its_head.metadata + " " + std::to_string(whole.length_bytes());
      return std::string("not what was wanted");
    };
    EXPECT_EQ(fill->finish(check).error(), Error::kMalformed);
    EXPECT_EQ(seen, "metadata " + std::to_string(size));
    EXPECT_EQ(fill->phase(), FillPhase::kFailed);
    EXPECT_EQ(fill->error(), Error::kMalformed);
    EXPECT_EQ(fill->reason(), "not what was wanted");
    EXPECT_EQ(fill->releasable_end(0), 0u);
    EXPECT_EQ(blob->state(), BlobState::kFailed);
  }
  EXPECT_EQ(store_.quarantined_files() + store_.partial_files() + store_.blob_files(), 0u);
  EXPECT_EQ(store_.files + store_.inlines + store_.aliases, 0);
}

TEST_F(FillEnd, WhatACheckFindsGoodIsGivenOutWhole) {
  FillHead head = head_of(content_);
  head.withheld = true;
  auto fill = begin(head);
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  std::string read;
  const auto check = [&read](const Blob& whole, const FillHead&) {
    for (uint64_t at = 0; at < whole.length_bytes(); at += kChunkBytes) {
      std::string piece(chunk_size_bytes(whole.length_bytes(), at / kChunkBytes), '\0');
      EXPECT_TRUE(whole.read(at / kChunkBytes, 0, std::as_writable_bytes(std::span(piece)), ReadWait::kDisk));
      read += piece;
    }
    return std::string();
  };
  ASSERT_TRUE(fill->finish(check));
  EXPECT_TRUE(read == content_);
  EXPECT_TRUE(released(*fill) == content_);
  EXPECT_EQ(store_.files, 1);
}

TEST_F(FillEnd, BytesOfAnotherDigestAreNotShownToACheck) {
  FillHead head = head_of(content_);
  head.expected_digest = sha256(bytes_of("something else"));
  auto fill = begin(head);
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  bool asked = false;
  const auto check = [&asked](const Blob&, const FillHead&) {
    asked = true;
    return std::string("no");
  };
  EXPECT_EQ(fill->finish(check).error(), Error::kDigestMismatch);
  EXPECT_FALSE(asked);
}

TEST_F(FillEnd, OneWrongByteOfASmallBodyIsRefused) {
  const std::string small = "a few bytes";
  auto fill = begin(head_of(small));
  ASSERT_TRUE(fill->write(0, bytes_of("a few Bytes")));
  EXPECT_FALSE(fill->finish());
  EXPECT_EQ(store_.inlines, 0);
}

TEST_F(FillEnd, ADigestOfAnotherAlgorithmIsHeldAgainstItsOwnAndTheBlobIsNamedBySha256) {
  for (const auto algorithm : {DigestAlgorithm::kSha512, DigestAlgorithm::kSha1, DigestAlgorithm::kMd5}) {
    SCOPED_TRACE(to_string(algorithm));
    Hasher hasher(algorithm);
    hasher.update(bytes_of(content_));
    const Digest expected = hasher.finish();
    auto right = begin({"metadata", content_.size(), expected, ""});
    ASSERT_TRUE(write(*right, content_, 0, content_.size()));
    const auto digest = right->finish();
    ASSERT_TRUE(digest);
    EXPECT_EQ(*digest, sha256(bytes_of(content_)));

    const std::string other = random_bytes(content_.size(), 2);
    auto wrong = begin({"metadata", other.size(), expected, ""});
    ASSERT_TRUE(write(*wrong, other, 0, other.size()));
    EXPECT_FALSE(wrong->finish());
  }
}

TEST_F(FillEnd, ShortBodyFails) {
  auto fill = begin({"metadata", content_.size(), std::nullopt, ""});
  ASSERT_TRUE(write(*fill, content_, 0, content_.size() - 1));
  const auto digest = fill->finish();
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error(), Error::kLengthMismatch);
  EXPECT_EQ(fill->phase(), FillPhase::kFailed);
  EXPECT_EQ(store_.partial_files(), 0u);
}

TEST_F(FillEnd, BytesBeyondTheLengthAreRefusedWhole) {
  auto fill = begin({"metadata", 1000, std::nullopt, ""});
  const auto written = write(*fill, content_, 0, 1001);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Error::kLengthMismatch);
  EXPECT_EQ(fill->arrived_bytes(), 0u);
}

TEST_F(FillEnd, LengthThatContradictsTheKnownOneFails) {
  auto fill = begin({"metadata", content_.size(), std::nullopt, ""});
  fill->set_length(content_.size());
  EXPECT_EQ(fill->phase(), FillPhase::kBody);
  fill->set_length(content_.size() - 1);
  EXPECT_EQ(fill->phase(), FillPhase::kFailed);
  EXPECT_EQ(fill->error(), Error::kLengthMismatch);
}

TEST_F(FillEnd, UnknownLengthIsLearntAtTheEnd) {
  auto fill = begin({"metadata", kUnknownLength, std::nullopt, ""});
  EXPECT_EQ(fill->blob()->length_bytes(), kUnknownLength);
  for (size_t at = 0; at < content_.size(); at += 50'000) {
    ASSERT_TRUE(write(*fill, content_, at, std::min(content_.size(), at + 50'000)));
  }
  fill->set_length(content_.size());
  EXPECT_EQ(fill->blob()->state(), BlobState::kAssembled);
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(released(*fill), content_);
  EXPECT_TRUE(fill->blob()->has_checksum(content_.size() / kChunkBytes));
  EXPECT_EQ(store_.stored, content_.size());
}

TEST_F(FillEnd, SmallBodyOfUnknownLengthIsStoredInline) {
  auto fill = begin({"metadata", kUnknownLength, std::nullopt, ""});
  ASSERT_TRUE(write(*fill, content_, 0, 1000));
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(store_.inlines, 1);
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_TRUE(std::ranges::equal(fill->blob()->inline_bytes(), bytes_of(content_).first(1000)));
}

TEST_F(FillEnd, InlineMovesToAFileWhileAReaderReads) {
  auto fill = begin({"metadata", kUnknownLength, std::nullopt, ""});
  ASSERT_TRUE(write(*fill, content_, 0, 16'000));
  const auto blob = fill->blob();
  const uint64_t serial = blob->serial();
  EXPECT_EQ(store_.partial_files(), 0u);
  std::latch reading(1);
  std::atomic<bool> moved = false;
  std::thread reader([&] {
    std::string bytes(16'000, '\0');
    bool last = false;
    while (!last) {
      last = moved;
      std::ranges::fill(bytes, '\0');
      ASSERT_TRUE(blob->read(0, 0, std::as_writable_bytes(std::span(bytes)), ReadWait::kDisk));
      ASSERT_EQ(bytes, content_.substr(0, 16'000));
      if (!reading.try_wait()) reading.count_down();
    }
  });
  reading.wait();
  ASSERT_TRUE(write(*fill, content_, 16'000, 400'000));
  moved = true;
  reader.join();
  EXPECT_EQ(store_.partial_files(), 1u);
  EXPECT_EQ(fill->blob()->serial(), serial);
  EXPECT_EQ(released(*fill), content_.substr(0, 400'000));
}

TEST_F(FillEnd, DroppedFillLeavesNothing) {
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 0, 500'000));
  EXPECT_EQ(store_.partial_files(), 1u);
  EXPECT_EQ(store_.reserved, content_.size());
  fill.reset();
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(store_.reserved, 0u);
}

TEST_F(FillEnd, FailedFillLeavesNothingAndRefusesMore) {
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 0, 500'000));
  fill->fail(Error::kReset, "the connection broke");
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(store_.reserved, 0u);
  EXPECT_EQ(fill->reason(), "the connection broke");
  EXPECT_EQ(write(*fill, content_, 500'000, 600'000).error(), Error::kCancelled);
  EXPECT_EQ(fill->finish().error(), Error::kCancelled);
  fill->fail(Error::kTimeout, "again");
  EXPECT_EQ(fill->error(), Error::kReset);
}

TEST_F(FillEnd, PassedFillTellsWhy) {
  auto fill = make();
  std::atomic<int> wakes = 0;
  auto follower = fill->subscribe([&] { ++wakes; });
  follower.arm(1);
  fill->pass("not storable");
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(fill->phase(), FillPhase::kPassed);
  EXPECT_EQ(fill->reason(), "not storable");
  EXPECT_EQ(fill->set_head(head_of(content_)).error(), Error::kCancelled);
}

TEST_F(FillEnd, MergedIntoAnotherFillReadersGoOnThere) {
  auto first = begin(head_of(content_));
  auto second = make("/other");
  std::atomic<int> wakes = 0;
  auto follower = second->subscribe([&] { ++wakes; });
  follower.arm(1);
  second->merge(first);
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(second->phase(), FillPhase::kMerged);
  EXPECT_EQ(second->merged_into(), first);
  EXPECT_EQ(second->blob(), first->blob());
}

TEST_F(FillEnd, MergedIntoAStoredBlobReadersReadThat) {
  const auto blob = make_inline(sha256(bytes_of("x")), "x");
  auto fill = begin(head_of(content_));
  fill->merge(blob);
  EXPECT_EQ(fill->phase(), FillPhase::kMerged);
  EXPECT_EQ(fill->merged_into(), nullptr);
  EXPECT_EQ(fill->blob(), blob);
  EXPECT_EQ(store_.partial_files(), 0u);
}

TEST_F(FillEnd, BlobThatTheStoreHasIsStoredOnce) {
  auto first = begin(head_of(content_));
  ASSERT_TRUE(write(*first, content_, 0, content_.size()));
  ASSERT_TRUE(first->finish());
  auto second = make("/other");
  ASSERT_TRUE(second->set_head({"other metadata", content_.size(), std::nullopt, ""}));
  ASSERT_TRUE(write(*second, content_, 0, content_.size()));
  ASSERT_TRUE(second->finish());
  EXPECT_EQ(store_.files, 1);
  EXPECT_EQ(store_.aliases, 1);
  EXPECT_EQ(store_.names["/other"], store_.names["/name"]);
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(store_.stored, content_.size());
  EXPECT_EQ(released(*second), content_);
}

TEST_F(FillEnd, StoringThatFailsLeavesReadersRightAndNothingBehind) {
  store_.blob_folder_missing = true;
  auto fill = begin(head_of(content_));
  ASSERT_TRUE(write(*fill, content_, 0, content_.size()));
  EXPECT_TRUE(fill->finish());
  EXPECT_EQ(fill->phase(), FillPhase::kComplete);
  EXPECT_EQ(released(*fill), content_);
  EXPECT_EQ(store_.files, 0);
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(store_.reserved, 0u);
  ASSERT_EQ(store_.events.size(), 1u);
  EXPECT_EQ(store_.events[0], "not stored: space /name: rename: io");
}

TEST_F(FillRoom, IsReservedForTheWholeLengthAtTheHead) {
  auto fill = begin(head_of(content_));
  EXPECT_EQ(store_.reserved, content_.size());
  EXPECT_EQ(store_.reserves, 1);
}

TEST_F(FillRoom, ThatIsNotThereLeavesTheOwnerToPass) {
  store_.capacity = content_.size() - 1;
  auto fill = make();
  const auto begun = fill->set_head(head_of(content_));
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error(), Error::kNoSpace);
  EXPECT_EQ(fill->phase(), FillPhase::kHead);
  fill->pass("no room");
  EXPECT_EQ(fill->phase(), FillPhase::kPassed);
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(store_.reserved, 0u);
}

TEST_F(FillRoom, GrowsInStepsForAnUnknownLength) {
  auto fill = begin({"metadata", kUnknownLength, std::nullopt, ""});
  for (size_t at = 0; at + 1000 <= content_.size(); at += 1000)
    ASSERT_TRUE(write(*fill, content_, at, at + 1000));
  EXPECT_EQ(store_.reserved, 4 * kMiB);
  EXPECT_EQ(store_.reserves, 2);  // for memory, and one step for the file
}

TEST_F(FillRoom, ThatRunsOutStopsTheWriteAndTheOwnerDecides) {
  store_.capacity = kMiB;
  auto fill = begin({"metadata", kUnknownLength, std::nullopt, ""});
  ASSERT_TRUE(write(*fill, content_, 0, kMiB));
  const auto written = write(*fill, content_, kMiB, kMiB + 1);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), Error::kNoSpace);
  EXPECT_EQ(fill->phase(), FillPhase::kBody);
}

}  // namespace
}  // namespace entrepot::cache
