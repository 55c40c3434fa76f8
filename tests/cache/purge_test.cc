// Purges of a store: who is reached, when, and what a kill leaves of it.
#include <thread>

#include "tests/cache/full_disk.h"
#include "tests/cache/purge_fixture.h"

namespace entrepot::cache {
namespace {

TEST_F(PurgeTest, ByNameByPrefixAndByTagOnlyWhatIsMeantIsGone) {
  open();
  for (const char* text : {"/a", "/ab", "/b/1", "/b/2", "/c"}) ASSERT_TRUE(put(text, small_, "plain"));
  ASSERT_TRUE(put("/d", large_, "red blue"));
  ASSERT_TRUE(put("/e", large_, "blue"));
  EXPECT_EQ(purge(of_names({"/a", "/none"})), 1u);
  EXPECT_FALSE(is_there("/a"));
  EXPECT_TRUE(is_there("/ab"));
  EXPECT_EQ(purge(of_prefix("/b/")), 2u);
  EXPECT_FALSE(is_there("/b/1"));
  EXPECT_EQ(purge(of_tags({"red", "green"})), 1u);
  EXPECT_FALSE(is_there("/d"));
  EXPECT_TRUE(is_there("/e"));
  EXPECT_TRUE(is_there("/c"));
  EXPECT_EQ(store_->stats().purged_names, 4u);
}

TEST_F(PurgeTest, AllSpacesOrOne) {
  open();
  store_->put_response({"one", "/a"}, "m", std::nullopt);
  store_->put_response({"on", "/a"}, "m", std::nullopt);
  Purge one;
  one.prefixes = {{"on", ""}};
  EXPECT_EQ(purge(one), 1u);
  EXPECT_TRUE(store_->lookup({"one", "/a"}));
  one.prefixes = {{"", ""}};
  EXPECT_EQ(purge(one), 1u);
  EXPECT_FALSE(store_->lookup({"one", "/a"}));
}

TEST_F(PurgeTest, ByDigestAllNamesOfTheBytesAreGoneAndTheBytesToo) {
  open();
  ASSERT_TRUE(put("/a", large_));
  ASSERT_TRUE(put("/b", large_));
  ASSERT_TRUE(put("/c", small_));
  const auto reading = blob_of("/a");
  Purge what;
  what.digest = sha256(bytes_of(large_));
  EXPECT_EQ(purge(what), 2u);
  EXPECT_FALSE(is_there("/a"));
  EXPECT_FALSE(is_there("/b"));
  EXPECT_TRUE(is_there("/c"));
  EXPECT_FALSE(store_->open_blob(sha256(bytes_of(large_))));
  EXPECT_EQ(read_all(*reading), large_);
}

TEST_F(PurgeTest, WhatIsPurgedSoftlyStaysAndIsStaleUntilItIsStoredAnew) {
  open();
  ASSERT_TRUE(put("/a", large_, "red"));
  const uint64_t before = store_->generation(name_hash("space", "/a"));
  EXPECT_EQ(purge(of_tags({"red"}, true)), 1u);
  EXPECT_NE(store_->generation(name_hash("space", "/a")), before);
  EXPECT_EQ(bytes_stored("/a"), large_);
  EXPECT_TRUE(is_stale("/a"));
  close();
  open();
  EXPECT_TRUE(is_stale("/a"));
  store_->put_response(name("/a"), "red", sha256(bytes_of(large_)));
  EXPECT_FALSE(is_stale("/a"));
  EXPECT_EQ(purge(of_tags({"red"})), 1u) << "its tags are known as before";
}

TEST_F(PurgeTest, TagsAreThoseOfTheLastResponseAndGoWithTheName) {
  open();
  ASSERT_TRUE(put("/a", small_, "old both"));
  store_->put_response(name("/a"), "both new", sha256(bytes_of(small_)));
  EXPECT_EQ(purge(of_tags({"old"})), 0u);
  EXPECT_TRUE(is_there("/a"));
  store_->erase(name("/a"));
  store_->flush();
  close();
  const auto index = index_alone();
  EXPECT_TRUE(index->page(Table::kTagged, "", "").records.empty());
}

TEST_F(PurgeTest, AResponseWithTooManyTagsIsReachedByAnyPurgeByTag) {
  open();
  std::string many;
  for (size_t i = 0; i <= kMaxTags; ++i) many += "t" + std::to_string(i) + " ";
  ASSERT_TRUE(put("/many", small_, many));
  ASSERT_TRUE(put("/long", small_, std::string(kMaxTagBytes + 1, 'x')));
  ASSERT_TRUE(put("/few", small_, "t1"));
  EXPECT_EQ(store_->stats().overtagged, 2u);
  EXPECT_TRUE(told("any purge by tag reaches it"));
  EXPECT_EQ(purge(of_tags({"t" + std::to_string(kMaxTags)})), 2u);
  EXPECT_TRUE(is_there("/few"));
}

TEST_F(PurgeTest, AFillInFlightOfAPurgedTagEndsForItsReadersAndStoresNothing) {
  open();
  const auto with_head = store_->claim(name("/a"));
  ASSERT_TRUE(with_head.fill->set_head(head_of(large_, "red")));
  const auto without_head = store_->claim(name("/b"));
  const auto other = store_->claim(name("/c"));
  ASSERT_TRUE(other.fill->set_head(head_of(small_, "blue")));
  EXPECT_EQ(purge(of_tags({"red"})), 0u);
  EXPECT_FALSE(store_->running(name("/a")));
  EXPECT_FALSE(store_->running(name("/b"))) << "what it brings may have the tag";
  EXPECT_EQ(store_->running(name("/c")), other.fill);
  ASSERT_TRUE(with_head.fill->write(0, bytes_of(large_)));
  ASSERT_TRUE(with_head.fill->finish());
  EXPECT_EQ(read_all(*with_head.fill->blob()), large_);
  EXPECT_FALSE(is_there("/a"));
}

TEST_F(PurgeTest, AFillThatBeginsAfterAPurgeStores) {
  open();
  ASSERT_TRUE(put("/a", small_));
  EXPECT_EQ(purge(of_names({"/a"})), 1u);
  ASSERT_TRUE(put("/a", large_));
  EXPECT_EQ(bytes_stored("/a"), large_);
  EXPECT_FALSE(is_stale("/a"));
}

// Whoever looked it up before a purge must not lead a fill that goes by what it saw.
TEST_F(PurgeTest, WhoLookedBeforeAPurgeLooksAgainBeforeItLeads) {
  open();
  ASSERT_TRUE(put("/a", large_));
  Name asked = name("/a");
  asked.as_of = store_->purges();
  const uint64_t seen = store_->generation(name_hash("space", "/a"));
  ASSERT_TRUE(store_->purge(of_names({"/a"}, true), 0ms));  // the barrier alone
  EXPECT_FALSE(store_->claim(asked, true, seen).leader);
}

TEST_F(PurgeTest, WhatNoFillBringsIsDroppedWhereSomethingWasPurgedSinceItWasAskedFor) {
  open();
  Name asked = name("/notes");
  asked.as_of = store_->purges();
  purge(of_names({"/other"}));
  store_->put_response(asked, "m", std::nullopt, true);
  EXPECT_FALSE(is_there("/notes"));
  asked.as_of = store_->purges();
  store_->put_response(asked, "m", std::nullopt, true);
  EXPECT_TRUE(is_there("/notes"));
}

// With no time to remove anything: the barrier does it, at once, and again after a kill that leaves nothing but
// what was committed.
TEST_F(PurgeTest, WhatIsAcknowledgedHoldsBeforeAnythingIsRemovedAndAfterAKill) {
  open();
  ASSERT_TRUE(put("/hard/1", large_, "x"));
  ASSERT_TRUE(put("/soft/1", small_, "y"));
  store_->flush();
  const uint64_t seen = store_->generation(name_hash("space", "/hard/1"));
  auto hard = store_->purge(of_prefix("/hard/"), 0ms);
  auto soft = store_->purge(of_tags({"y"}, true), 0ms);
  ASSERT_TRUE(hard && soft);
  EXPECT_FALSE(hard->complete);
  EXPECT_NE(store_->generation(name_hash("space", "/hard/1")), seen) << "a worker's table would still answer";
  EXPECT_FALSE(is_there("/hard/1"));
  EXPECT_TRUE(is_stale("/soft/1"));
  kill_and_open();
  EXPECT_FALSE(is_there("/hard/1"));
  EXPECT_TRUE(is_stale("/soft/1"));
  ASSERT_TRUE(put("/hard/1", large_, "x"));
  close();
  open();
  EXPECT_EQ(bytes_stored("/hard/1"), large_) << "what is younger than the purge stays";
}

TEST_F(PurgeTest, TheBarrierFallsWithTheLastName) {
  open();
  for (int i = 0; i < 3000; ++i) store_->put_response(name("/" + std::to_string(i)), "all", std::nullopt);
  auto purged = store_->purge(of_tags({"all"}), 0ms);
  ASSERT_TRUE(purged);
  EXPECT_FALSE(is_there("/0"));
  EXPECT_FALSE(is_there("/2999"));
  EXPECT_TRUE(eventually([&] {
    store_->flush();
    return store_->stats().purged_names == 3000;
  }));
  close();
  const auto index = index_alone();
  EXPECT_TRUE(index->page(Table::kResponses, "", "").records.empty());
  EXPECT_TRUE(index->page(Table::kTagged, "", "").records.empty());
  EXPECT_TRUE(index->page(Table::kMeta, kPurgeKey, "").records.empty());
}

TEST_F(PurgeTest, ThatCannotBeCommittedHoldsAndIsGoneOnWithWhenTheDiskTakesWrites) {
  open();
  for (int i = 0; i < 3000; ++i) store_->put_response(name("/" + std::to_string(i)), "all", std::nullopt);
  store_->flush();
  {
    const FullDisk full(std::filesystem::file_size(options_.path + "/index/data.mdb"));
    store_->put_response(name(std::string(8 << 20, 'x')), "other", std::nullopt);  // so that no commit has room
    const auto purged = store_->purge(of_tags({"all"}), 1h);
    EXPECT_FALSE(purged) << "it is not durable";
    EXPECT_FALSE(is_there("/0"));
    EXPECT_TRUE(eventually([&] { return store_->stats().write_failures >= 2; })) << "the janitor has tried, too";
    EXPECT_EQ(store_->stats().purged_names, 0u) << "what waits is on no page: nobody knows yet who is meant";
  }
  EXPECT_TRUE(eventually([&] {
    store_->flush();
    return store_->stats().purged_names == 3000;
  }));
  EXPECT_TRUE(eventually([&] {  // it may be closed before the barrier falls: then the next start does it
    close();
    const bool fallen = index_alone()->page(Table::kMeta, kPurgeKey, "").records.empty();
    open();
    return fallen;
  }));
  EXPECT_FALSE(is_there("/2999"));
  EXPECT_TRUE(is_there(std::string(8 << 20, 'x')));
}

TEST_F(PurgeTest, APartialBlobGoesWithItsName) {
  open();
  save_partial("/a", large_, 1);
  EXPECT_EQ(purge(of_names({"/a"})), 1u);
  EXPECT_EQ(store_->stats().partial_bytes, 0u);
  close();
  const Walk walk(options_.path);
  walk.expect_consistent();
  EXPECT_TRUE(walk.partial_files.empty());
}

TEST_F(PurgeTest, WhoHasHandedTheDirectoryOverPurgesNothing) {
  open();
  ASSERT_TRUE(put("/a", small_));
  store_->hand_over();
  EXPECT_EQ(store_->purge(of_names({"/a"}), 1h).error(), Error::kBusy);
  EXPECT_TRUE(is_there("/a"));
}

TEST_F(PurgeTest, ABarrierComesBackAsItWasAndNoPartOfItDoes) {
  PurgeBarrier barrier;
  barrier.number = 77;
  barrier.at = 1'800'000'000;
  barrier.what = of_names({"/a", ""}, true);
  barrier.what.prefixes = {{"space", "/b"}, {"", ""}};
  barrier.what.tags = {"t", "u"};
  barrier.what.digest = sha256(bytes_of("x"));
  const std::string bytes = barrier.encode();
  const auto back = PurgeBarrier::decode(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->encode(), bytes);
  EXPECT_EQ(back->key(), barrier.key());
  EXPECT_TRUE(back->speaks_of("anything"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto part = PurgeBarrier::decode(bytes.substr(0, size));
    EXPECT_TRUE(!part || part->encode() == bytes.substr(0, size)) << size;
  }
}

// Fills and purges of the same names at once: a purge that has returned has left nothing that was claimed before.
TEST_F(PurgeTest, AfterAPurgeNothingIsFoundThatWasAskedForBeforeIt) {
  open();
  std::atomic<uint64_t> version{0};  // what the origin would answer
  std::atomic<bool> ended{false};
  std::vector<std::thread> clients;
  for (int n = 0; n < 2; ++n) {
    clients.emplace_back([&] {
      while (!ended) {
        const auto claimed = store_->claim(name("/a"));
        if (!claimed.leader) continue;
        const std::string content = std::to_string(version.load());
        if (claimed.fill->set_head(head_of(content, "tag")) && claimed.fill->write(0, bytes_of(content)))
          (void)claimed.fill->finish();
      }
    });
  }
  for (uint64_t i = 1; i <= 200; ++i) {
    version = i;
    const auto what = i % 3 == 0 ? of_names({"/a"}) : i % 3 == 1 ? of_prefix("/") : of_tags({"tag"});
    ASSERT_TRUE(store_->purge(what, i % 2 == 0 ? 0ms : 1h));
    const std::string found = bytes_stored("/a");
    if (!found.empty()) { EXPECT_GE(std::stoull(found), i); }
  }
  ended = true;
  for (auto& client : clients) client.join();
}

}  // namespace
}  // namespace entrepot::cache
