// What fills ask of the Store: a name claimed once, partial blobs, room.
#include <latch>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

// -- claims --

TEST_F(StoreTest, ANameHasOneLeader) {
  open();
  const auto first = store_->claim(name("/a")), second = store_->claim(name("/a"));
  EXPECT_TRUE(first.leader);
  EXPECT_FALSE(second.leader);
  EXPECT_EQ(first.fill, second.fill);
  EXPECT_EQ(store_->running(name("/a")), first.fill);
  EXPECT_TRUE(store_->claim(name("/b")).leader);
}

TEST_F(StoreTest, AFillThatEndedIsNoLongerRunning) {
  open();
  ASSERT_TRUE(put("/a", large_));
  EXPECT_EQ(store_->running(name("/a")), nullptr);
  EXPECT_TRUE(store_->claim(name("/a")).leader);  // to validate what is stored
}

// A lookup misses; the fill that ran ends and stores; the claim that follows must not fetch again.
TEST_F(StoreTest, AClaimThatComesAfterTheFillItMissedDoesNotLead) {
  open();
  const uint64_t seen = store_->generation(name_hash("space", "/a"));
  EXPECT_EQ(store_->lookup(name("/a")), std::nullopt);
  ASSERT_TRUE(put("/a", large_));
  const auto late = store_->claim(name("/a"), true, seen);
  EXPECT_FALSE(late.leader);
  EXPECT_EQ(late.fill->phase(), FillPhase::kMerged);
  EXPECT_EQ(late.fill->merged_into(), nullptr);
  EXPECT_EQ(store_->running(name("/a")), nullptr);
  EXPECT_EQ(bytes_stored("/a"), large_);

  const auto again = store_->claim(name("/a"), true, store_->generation(name_hash("space", "/a")));
  EXPECT_TRUE(again.leader);
}

TEST_F(StoreTest, AClaimThatComesLateLeavesASavedPartialBlobAlone) {
  open();
  const uint64_t seen = store_->generation(name_hash("space", "/a"));
  save_partial("/a", large_, 1);
  EXPECT_FALSE(store_->claim(name("/a"), true, seen).leader);
  const auto next = store_->claim(name("/a"), true, store_->generation(name_hash("space", "/a")));
  EXPECT_TRUE(next.leader);
  EXPECT_EQ(next.fill->next_gap(0)->begin, kChunkBytes);
}

TEST_F(StoreTest, OfManyWhoMissAtOnceOneFetches) {
  open();
  std::atomic<int> fetches{0};
  std::latch ready(8);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      ready.arrive_and_wait();
      while (true) {
        const uint64_t seen = store_->generation(name_hash("space", "/a"));
        const auto stored = store_->lookup(name("/a"));
        if (stored && stored->blob) return;
        const auto claimed = store_->claim(name("/a"), true, seen);
        if (!claimed.leader) {
          while (claimed.fill->phase() == FillPhase::kHead || claimed.fill->phase() == FillPhase::kBody)
            std::this_thread::yield();
          continue;
        }
        ++fetches;
        EXPECT_TRUE(claimed.fill->set_head(head_of(large_)) && claimed.fill->write(0, bytes_of(large_)));
        EXPECT_TRUE(claimed.fill->finish());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(fetches, 1);
}

TEST_F(StoreTest, AFillKeepsItsStore) {
  auto opened = Cache::open(options_);
  ASSERT_TRUE(opened);
  auto claimed = (*opened)->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  *opened = nullptr;
  EXPECT_FALSE(Cache::open(options_));  // it still lives
  EXPECT_TRUE(claimed.fill->write(0, bytes_of(large_)));
  EXPECT_TRUE(claimed.fill->finish());
  claimed.fill.reset();
  open();
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(StoreTest, ADigestIsBroughtByOneFillOfASpace) {
  open();
  const auto one = store_->claim(name("/one")).fill, two = store_->claim(name("/two")).fill;
  const Digest digest = sha256(bytes_of(large_));
  EXPECT_EQ(store_->claim_digest("space", digest, one), nullptr);
  EXPECT_EQ(store_->claim_digest("space", digest, two), one);
  EXPECT_EQ(store_->claim_digest("other", digest, two), nullptr);
}

// -- partial blobs --

TEST_F(StoreTest, APartialBlobIsFoundWithWhatItHas) {
  open();
  const std::string content = random_bytes(5 * kMiB + 5);  // two groups
  save_partial("/a", content, 35);
  for (int round = 0; round < 2; ++round) {
    const auto stored = store_->lookup(name("/a"));
    ASSERT_TRUE(stored && stored->blob);
    EXPECT_EQ(stored->metadata, "metadata");
    EXPECT_EQ(stored->validator, "\"v1\"");
    EXPECT_FALSE(stored->digest);
    EXPECT_EQ(stored->blob->state(), BlobState::kPartial);
    EXPECT_EQ(stored->blob->length_bytes(), content.size());
    EXPECT_EQ(stored->blob->readable_end(0), 35 * kChunkBytes);
    std::string chunk(kChunkBytes, '\0');
    ASSERT_TRUE(stored->blob->read(34, 0, std::as_writable_bytes(std::span(chunk)), ReadWait::kDisk));
    EXPECT_TRUE(stored->blob->verify_chunk(34, bytes_of(chunk)));
    EXPECT_EQ(chunk, content.substr(34 * kChunkBytes, kChunkBytes));
    EXPECT_EQ(store_->stats().partial_bytes, 35 * kChunkBytes);
    EXPECT_EQ(store_->stats().bytes, 35 * kChunkBytes);
    open();
  }
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, AFillGoesOnFromAPartialBlobAfterAReopen) {
  open();
  save_partial("/a", large_, 2);
  open();
  auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.leader);
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  EXPECT_EQ(claimed.fill->arrived_bytes(), 2 * kChunkBytes);
  ASSERT_TRUE(claimed.fill->write(2 * kChunkBytes, bytes_of(large_).subspan(2 * kChunkBytes)));
  ASSERT_TRUE(claimed.fill->finish());
  EXPECT_EQ(bytes_stored("/a"), large_);
  EXPECT_EQ(store_->stats().partial_bytes, 0u);
  EXPECT_EQ(store_->stats().bytes, large_.size());
  EXPECT_EQ(store_->stats().blobs, 1u);
  claimed.fill.reset();
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, APartialBlobIsSavedAgainAndAgain) {
  open();
  save_partial("/a", large_, 1);
  auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  ASSERT_TRUE(claimed.fill->write(kChunkBytes, bytes_of(large_).subspan(kChunkBytes, kChunkBytes)));
  claimed.fill->persist_partial();
  claimed.fill->fail(Error::kCancelled, "enough");
  claimed.fill.reset();
  EXPECT_EQ(blob_of("/a")->readable_end(0), 2 * kChunkBytes);
  EXPECT_EQ(store_->stats().partial_bytes, 2 * kChunkBytes);
  EXPECT_EQ(store_->stats().blobs, 1u);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, APartialBlobThatMayNotBeResumedStays) {
  open();
  save_partial("/a", large_, 1);
  const auto claimed = store_->claim(name("/a"), false);
  ASSERT_TRUE(claimed.leader);
  EXPECT_EQ(claimed.fill->next_gap(0)->begin, 0u);
}

TEST_F(StoreTest, APartialBlobWhoseGroupsAreLostBringsNothing) {
  open();
  save_partial("/a", large_, 1);
  close();
  {
    const auto index = index_alone();
    for (const auto& group : index->sample(Table::kGroups, "", 10))
      index->apply({{Table::kGroups, group.key, std::nullopt}});
  }
  open();
  const auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  EXPECT_EQ(claimed.fill->arrived_bytes(), 0u);
  ASSERT_TRUE(claimed.fill->write(0, bytes_of(large_)));
  ASSERT_TRUE(claimed.fill->finish());
  EXPECT_EQ(bytes_stored("/a"), large_);
}

TEST_F(StoreTest, APartialBlobWhoseFileIsGoneIsForgotten) {
  open();
  save_partial("/a", large_, 1);
  open();
  for (const auto& file : std::filesystem::directory_iterator(options_.path + "/partial"))
    std::filesystem::remove(file);
  EXPECT_EQ(blob_of("/a"), nullptr);
  ASSERT_TRUE(put("/a", large_));
  EXPECT_EQ(store_->stats().partial_bytes, 0u);
  EXPECT_EQ(bytes_stored("/a"), large_);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(StoreTest, ARottenPartialBlobIsNeverStored) {
  open();
  save_partial("/a", large_, 2);
  open();
  for (const auto& file : std::filesystem::directory_iterator(options_.path + "/partial")) {
    std::string bytes = slurp(file.path());
    bytes[5] ^= 1;
    spill(file.path(), bytes);
  }
  auto claimed = store_->claim(name("/a"));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  (void)claimed.fill->write(2 * kChunkBytes, bytes_of(large_).subspan(2 * kChunkBytes)).has_value();
  EXPECT_FALSE(claimed.fill->finish());
  claimed.fill.reset();
  EXPECT_EQ(blob_of("/a"), nullptr);
  EXPECT_EQ(store_->stats().bytes, 0u);
  close();
  Walk(options_.path).expect_consistent();
}

// -- a file that is not there when it is to be entered --

TEST_F(StoreTest, ABlobWithoutItsFileIsNotEntered) {
  open();
  ASSERT_TRUE(store_->reserve(large_.size()));
  store_->store_file(name("/a"), "metadata", sha256(bytes_of(large_)), large_.size(), large_.size());
  EXPECT_EQ(store_->lookup(name("/a")), std::nullopt);
  EXPECT_EQ(store_->stats().bytes, 0u);
  EXPECT_TRUE(store_->reserve(options_.max_size_bytes / 2));  // its room came back
}

}  // namespace
}  // namespace entrepot::cache
