// What one fill saves, another goes on from.
#include <gtest/gtest.h>

#include <algorithm>

#include "cache/fill.h"
#include "tests/cache/fake_store.h"

namespace entrepot::cache {
namespace {

constexpr size_t kMiB = 1024 * 1024;

class FillResume : public ::testing::Test {
 protected:
  FillHead head() const { return {"metadata", content_.size(), sha256(bytes_of(content_)), "\"v1\""}; }
  FillHead head_without_digest() const { return {"metadata", content_.size(), std::nullopt, "\"v1\""}; }
  Result<void> write(Fill& fill, size_t begin, size_t end) {
    return fill.write(begin, bytes_of(content_).subspan(begin, end - begin));
  }
  std::shared_ptr<Fill> resume() { return Fill::resume(name_, store_, {}, *store_.partial); }
  // A fill that saved [0, 3.5 chunks) and [6 chunks, end) and was dropped.
  void save(const FillHead& head) {
    auto fill = Fill::create(name_, store_, {});
    ASSERT_TRUE(fill->set_head(head));
    ASSERT_TRUE(write(*fill, 0, 3 * kChunkBytes + kChunkBytes / 2));
    ASSERT_TRUE(write(*fill, 6 * kChunkBytes, content_.size()));
    fill->persist_partial();
    fill->fail(Error::kCancelled, "the last reader left");
  }
  void write_gaps(Fill& fill) {
    while (const auto gap = fill.next_gap(0)) ASSERT_TRUE(write(fill, gap->begin, gap->end));
  }

  FakeStore store_;
  const Name name_{"space", "/name"};
  const std::string content_ = random_bytes(kMiB + 999);
};

TEST_F(FillResume, SavesWholeChunksAndGivesTheRestOfItsRoomBack) {
  save(head());
  ASSERT_TRUE(store_.partial);
  EXPECT_EQ(store_.partial->length_bytes, content_.size());
  EXPECT_EQ(store_.partial->validator, "\"v1\"");
  EXPECT_EQ(store_.partial->expected_digest, sha256(bytes_of(content_)));
  ASSERT_EQ(store_.partial->groups.size(), 1u);
  EXPECT_EQ(store_.partial->groups[0].second.present, 0b111000111u);
  EXPECT_EQ(store_.partial_bytes, 5 * kChunkBytes + 999);
  EXPECT_EQ(store_.reserved, 0u);
  EXPECT_EQ(store_.partial_files(), 1u);
  EXPECT_EQ(store_.partial_metadata, "metadata");
}

TEST_F(FillResume, GoesOnAndVerifies) {
  save(head());
  auto fill = resume();
  EXPECT_EQ(fill->phase(), FillPhase::kHead);
  EXPECT_EQ(fill->blob(), nullptr);
  const auto gap = fill->next_gap(0);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->begin, 3 * kChunkBytes);
  EXPECT_EQ(gap->end, 6 * kChunkBytes);
  ASSERT_TRUE(fill->set_head(head()));
  EXPECT_EQ(fill->arrived_bytes(), 5 * kChunkBytes + 999);
  write_gaps(*fill);
  const auto digest = fill->finish();
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, sha256(bytes_of(content_)));
  EXPECT_EQ(store_.files, 1);
  EXPECT_FALSE(store_.partial);
  EXPECT_EQ(store_.partial_files(), 0u);
  EXPECT_EQ(store_.partial_bytes, 0u);
  EXPECT_EQ(store_.stored, content_.size());
  EXPECT_EQ(slurp(store_.blob_path(*digest)).substr(0, content_.size()), content_);
}

TEST_F(FillResume, RottenSavedBytesAreFoundEvenWithoutAnExpectedDigest) {
  save(head_without_digest());
  const std::string path = store_.partial_path(store_.partial->id);
  std::string bytes = slurp(path);
  bytes[kChunkBytes + 7] = static_cast<char>(bytes[kChunkBytes + 7] ^ 1);
  spill(path, bytes);
  auto fill = resume();
  ASSERT_TRUE(fill->set_head(head_without_digest()));
  Result<void> written;
  while (const auto gap = written ? fill->next_gap(0) : std::nullopt)
    written = write(*fill, gap->begin, gap->end);
  const auto digest = fill->finish();
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error(), Error::kCorrupt);
  EXPECT_EQ(store_.quarantined_files(), 1u);
  EXPECT_FALSE(store_.partial);
  EXPECT_EQ(store_.files, 0);
}

TEST_F(FillResume, OfAnotherValidatorBeginsAnew) {
  save(head_without_digest());
  auto fill = resume();
  FillHead changed = head_without_digest();
  changed.validator = "\"v2\"";
  ASSERT_TRUE(fill->set_head(changed));
  EXPECT_EQ(fill->arrived_bytes(), 0u);
  EXPECT_FALSE(store_.partial);
  EXPECT_EQ(store_.partial_files(), 1u);  // its own
  write_gaps(*fill);
  EXPECT_TRUE(fill->finish());
}

TEST_F(FillResume, OfAnotherLengthBeginsAnew) {
  save(head());
  auto fill = resume();
  FillHead changed = head();
  changed.length_bytes = content_.size() - 1;
  ASSERT_TRUE(fill->set_head(changed));
  EXPECT_EQ(fill->arrived_bytes(), 0u);
  EXPECT_FALSE(store_.partial);
}

TEST_F(FillResume, OfAnotherDigestBeginsAnewWhateverTheValidator) {
  save(head());
  auto fill = resume();
  FillHead changed = head();
  changed.expected_digest = sha256(bytes_of("other"));
  ASSERT_TRUE(fill->set_head(changed));
  EXPECT_EQ(fill->arrived_bytes(), 0u);
}

TEST_F(FillResume, OfTheSameDigestNeedsNoValidator) {
  FillHead without = head();
  without.validator = "";
  save(without);
  ASSERT_TRUE(store_.partial);
  auto fill = resume();
  ASSERT_TRUE(fill->set_head(without));
  EXPECT_EQ(fill->arrived_bytes(), 5 * kChunkBytes + 999);
}

TEST_F(FillResume, HeadWithoutDigestIsStillHeldAgainstTheSavedOne) {
  save(head());
  auto fill = resume();
  ASSERT_TRUE(fill->set_head(head_without_digest()));
  EXPECT_EQ(fill->head().expected_digest, sha256(bytes_of(content_)));
  const std::string wrong(3 * kChunkBytes, 'x');
  ASSERT_TRUE(fill->write(3 * kChunkBytes, bytes_of(wrong)));
  EXPECT_EQ(fill->finish().error(), Error::kDigestMismatch);
  EXPECT_EQ(store_.quarantined_files(), 1u);
  EXPECT_FALSE(store_.partial);
}

TEST_F(FillResume, WithoutValidatorAndDigestNothingIsSaved) {
  FillHead bare = head();
  bare.validator = "";
  bare.expected_digest.reset();
  save(bare);
  EXPECT_FALSE(store_.partial);
  EXPECT_EQ(store_.partial_files(), 0u);
}

TEST_F(FillResume, BrokenConnectionKeepsWhatWasSavedBefore) {
  save(head());
  auto fill = resume();
  fill->fail(Error::kConnect, "refused");
  EXPECT_TRUE(store_.partial);
  EXPECT_EQ(store_.partial_files(), 1u);
  auto again = resume();
  ASSERT_TRUE(again->set_head(head()));
  again->fail(Error::kReset, "broken");
  EXPECT_TRUE(store_.partial);
  EXPECT_EQ(store_.partial_files(), 1u);
  EXPECT_EQ(store_.reserved, 0u);
}

TEST_F(FillResume, CanBeSavedAgainWithMore) {
  save(head());
  auto fill = resume();
  ASSERT_TRUE(fill->set_head(head()));
  ASSERT_TRUE(write(*fill, 3 * kChunkBytes, 4 * kChunkBytes));
  fill->persist_partial();
  fill.reset();
  ASSERT_TRUE(store_.partial);
  EXPECT_EQ(store_.partial->groups[0].second.present, 0b111001111u);
  EXPECT_EQ(store_.partial_bytes, 6 * kChunkBytes + 999);
  EXPECT_EQ(store_.reserved, 0u);
}

TEST_F(FillResume, FillGoesOnAfterItSavedAndStoresTheWhole) {
  auto fill = Fill::create(name_, store_, {});
  ASSERT_TRUE(fill->set_head(head()));
  ASSERT_TRUE(write(*fill, 0, 4 * kChunkBytes));
  fill->persist_partial();
  EXPECT_TRUE(store_.partial);
  write_gaps(*fill);
  ASSERT_TRUE(fill->finish());
  EXPECT_FALSE(store_.partial);
  EXPECT_EQ(store_.stored, content_.size());
  EXPECT_EQ(store_.partial_bytes, 0u);
}

TEST_F(FillResume, ALargeFillSavesItselfAsItComesAndIsCountedOnce) {
  FillOptions options;
  options.checkpoint_bytes = 2 * kChunkBytes;
  auto fill = Fill::create(name_, store_, options);
  ASSERT_TRUE(fill->set_head(head()));
  ASSERT_TRUE(write(*fill, 0, kChunkBytes));
  EXPECT_EQ(store_.saves, 0);
  for (uint64_t chunk = 1; chunk < 7; ++chunk) {
    ASSERT_TRUE(write(*fill, chunk * kChunkBytes, (chunk + 1) * kChunkBytes));
    EXPECT_EQ(store_.saves, (chunk + 1) / 2);
    EXPECT_EQ(store_.partial_bytes, (chunk + 1) / 2 * 2 * kChunkBytes);
    EXPECT_EQ(store_.partial_bytes + store_.reserved, content_.size());
  }
  fill.reset();
  EXPECT_EQ(store_.reserved, 0u);
  options.checkpoint_bytes = 1 << 30;
  ASSERT_TRUE(store_.partial);
  fill = Fill::resume(name_, store_, options, *store_.partial);
  ASSERT_TRUE(fill->set_head(head()));
  EXPECT_EQ(fill->arrived_bytes(), 6 * kChunkBytes);
  EXPECT_EQ(store_.partial_bytes + store_.reserved, content_.size());
  write_gaps(*fill);
  ASSERT_TRUE(fill->finish());
  EXPECT_EQ(store_.stored, content_.size());
}

TEST_F(FillResume, MissingFileBeginsAnewAndIsForgotten) {
  save(head());
  std::filesystem::remove(store_.partial_path(store_.partial->id));
  auto fill = resume();
  EXPECT_FALSE(store_.partial);
  EXPECT_EQ(fill->next_gap(0)->begin, 0u);
  ASSERT_TRUE(fill->set_head(head()));
  write_gaps(*fill);
  EXPECT_TRUE(fill->finish());
}

TEST_F(FillResume, ThatIsEvictedMeanwhileStillServesItsReaders) {
  save(head());
  auto fill = resume();
  ASSERT_TRUE(fill->set_head(head()));
  std::filesystem::remove(store_.partial_path(store_.partial->id));
  write_gaps(*fill);
  EXPECT_TRUE(fill->finish());
  EXPECT_EQ(fill->blob()->state(), BlobState::kVerified);
  EXPECT_EQ(store_.files, 0);
  ASSERT_EQ(store_.events.size(), 1u);
}

TEST_F(FillResume, FitsIntoAStoreThatHoldsOneSuchBlobOnly) {
  store_.capacity = content_.size() + kChunkBytes;
  save(head());
  auto fill = resume();
  ASSERT_TRUE(fill->set_head(head()));
  EXPECT_EQ(fill->arrived_bytes(), 5 * kChunkBytes + 999);
  write_gaps(*fill);
  EXPECT_TRUE(fill->finish());
  EXPECT_EQ(store_.files, 1);
}

TEST_F(FillResume, WhatIsWithheldIsNotSaved) {
  auto withheld = head();
  withheld.withheld = true;
  save(withheld);
  EXPECT_FALSE(store_.partial);
  EXPECT_EQ(store_.partial_files(), 0u);
}

}  // namespace
}  // namespace entrepot::cache
