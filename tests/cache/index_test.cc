// The records of a store: what is visible when, and what survives.
#include <future>

#include "tests/cache/index_fixture.h"

namespace entrepot::cache {
namespace {

using namespace std::chrono_literals;

TEST_F(IndexTest, WhatIsAppliedIsVisibleAtOnce) {
  open();
  put("/a", "1");
  EXPECT_EQ(get("/a"), "1");
  put("/a", "2");
  EXPECT_EQ(get("/a"), "2");
  EXPECT_EQ(index_->get(Table::kBlobs, "/a"), std::nullopt);
  EXPECT_EQ(stats_.commits, 1u);  // the version's
}

TEST_F(IndexTest, WhatIsBeingCommittedIsVisible) {
  std::promise<void> inside, go_on;
  std::atomic<bool> armed{false};
  options_.before_commit = [&](Index&) {
    if (!armed.exchange(false)) return;
    inside.set_value();
    go_on.get_future().wait();
  };
  open();
  put("/a", "1");
  armed = true;
  auto flushed = std::async(std::launch::async, [this] { return index_->flush(); });
  inside.get_future().wait();
  put("/b", "2");
  EXPECT_EQ(get("/a"), "1");
  EXPECT_EQ(get("/b"), "2");
  go_on.set_value();
  EXPECT_TRUE(flushed.get());
  EXPECT_EQ(get("/a"), "1");
  index_.reset();  // its last commit calls the hook, too
}

TEST_F(IndexTest, WhatWasFlushedIsThereAfterAReopen) {
  open();
  put("/a", "1");
  EXPECT_TRUE(index_->flush());
  EXPECT_EQ(get("/a"), "1");
  open();
  EXPECT_EQ(get("/a"), "1");
  EXPECT_TRUE(index_->needs_rebuild());
}

TEST_F(IndexTest, ClosingCommitsWhatWaits) {
  open();
  put("/a", "1");
  open();
  EXPECT_EQ(get("/a"), "1");
}

TEST_F(IndexTest, AnEraseHidesAndThenRemoves) {
  open();
  put("/a", "1");
  index_->flush();
  index_->apply({{Table::kResponses, "/a", std::nullopt}});
  EXPECT_EQ(get("/a"), std::nullopt);
  EXPECT_TRUE(index_->flush());
  EXPECT_EQ(get("/a"), std::nullopt);
  open();
  EXPECT_EQ(get("/a"), std::nullopt);
  EXPECT_EQ(stats_.corrupt_records, 0u);
}

TEST_F(IndexTest, AThousandRecordsAreCommittedUnasked) {
  open();
  std::vector<Index::Change> changes;
  for (int i = 0; i < 1000; ++i) changes.push_back({Table::kResponses, "/" + std::to_string(i), "x"});
  index_->apply(std::move(changes));
  while (stats_.commits < 2) std::this_thread::yield();
  EXPECT_EQ(get("/999"), "x");
}

TEST_F(IndexTest, ManyBytesAreCommittedUnasked) {
  options_.map_size_bytes = 256ull << 20;
  open();
  put("/a", std::string(64ull << 20, 'x'));
  while (stats_.commits < 2) std::this_thread::yield();
  EXPECT_EQ(get("/a")->size(), 64ull << 20);
}

TEST_F(IndexTest, AnIntervalIsEnoughForFew) {
  options_.commit_interval = 1ms;
  open();
  put("/a", "1");
  while (stats_.commits < 2) std::this_thread::yield();
  EXPECT_EQ(get("/a"), "1");
}

TEST_F(IndexTest, NothingToCommitIsNotCommitted) {
  open();
  EXPECT_TRUE(index_->flush());
  EXPECT_TRUE(index_->flush());
  EXPECT_EQ(stats_.commits, 1u);
}

TEST_F(IndexTest, RecordsRideAlongWithTheCommitThatWasAsked) {
  options_.before_commit = [](Index& index) { index.apply({{Table::kMeta, "rode", "along"}}); };
  open();
  EXPECT_TRUE(index_->flush());
  options_.before_commit = nullptr;
  open(false);
  EXPECT_EQ(index_->get(Table::kMeta, "rode"), "along");
}

TEST_F(IndexTest, AKeyOfAnyLengthFindsItsOwnValue) {
  open();
  const std::string longest(511, 'k'), longer(512, 'k'), huge(8000, 'k');
  for (const auto& key : {longest, longer, huge}) put(key, std::to_string(key.size()));
  index_->flush();
  for (const auto& key : {longest, longer, huge}) EXPECT_EQ(get(key), std::to_string(key.size()));
  EXPECT_EQ(get(std::string(513, 'k')), std::nullopt);
  index_->apply({{Table::kResponses, huge, std::nullopt}});
  index_->flush();
  EXPECT_EQ(get(huge), std::nullopt);
  EXPECT_EQ(get(longer), "512");
}

TEST_F(IndexTest, TheMapGrowsUnderReaders) {
  options_.map_size_bytes = 1ull << 20;
  open();
  std::atomic<bool> ended{false};
  put("/first", "x");
  index_->flush();
  std::thread reader([&] {
    while (!ended) EXPECT_EQ(get("/first"), "x");
  });
  for (int i = 0; i < 64; ++i) {
    put("/" + std::to_string(i), random_bytes(200'000, static_cast<uint32_t>(i)));
    ASSERT_TRUE(index_->flush());
  }
  ended = true;
  reader.join();
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(get("/" + std::to_string(i)), random_bytes(200'000, static_cast<uint32_t>(i)));
}

TEST_F(IndexTest, AMapThatIsTooSmallForWhatIsThereGrows) {
  options_.map_size_bytes = 16ull << 20;
  open();
  put("/a", random_bytes(8 << 20));
  index_->flush();
  options_.map_size_bytes = 1ull << 20;
  open();
  EXPECT_EQ(get("/a"), random_bytes(8 << 20));
  put("/b", random_bytes(8 << 20, 2));
  EXPECT_TRUE(index_->flush());
  EXPECT_EQ(get("/b"), random_bytes(8 << 20, 2));
}

TEST_F(IndexTest, AFlippedByteOfAnyTablesRecordIsAMissAndCounted) {
  for (const Table table : {Table::kResponses, Table::kBlobs, Table::kGroups, Table::kGrants}) {
    open();
    index_->apply({{table, "key", "needle in the haystack"}, {table, "other", "hay"}});
    index_->flush();
    flip_in_file("needle in the haystack");
    open();
    stats_.corrupt_records = 0;
    EXPECT_EQ(index_->get(table, "key"), std::nullopt);
    EXPECT_EQ(stats_.corrupt_records, 1u);
    EXPECT_EQ(index_->get(table, "other"), "hay");
    EXPECT_EQ(index_->sample(table, "", 10).size(), 1u);
    EXPECT_EQ(stats_.corrupt_records, 2u);
    index_.reset();
    std::filesystem::remove_all(options_.path);
  }
}

TEST_F(IndexTest, ADamagedRecordCanBeWrittenAnew) {
  open();
  put("/a", "needle in the haystack");
  index_->flush();
  flip_in_file("needle in the haystack");
  open();
  put("/a", "again");
  index_->flush();
  EXPECT_EQ(get("/a"), "again");
  EXPECT_EQ(stats_.corrupt_records, 0u);
}

TEST_F(IndexTest, ANewerFormatIsRefusedAndLeftAlone) {
  open();
  put("/a", "1");
  const uint32_t newer = 4;
  index_->apply(
      {{Table::kMeta, "format", std::string(reinterpret_cast<const char*>(&newer), sizeof(newer))}});
  index_->flush();
  EXPECT_EQ(refusal(), Error::kUnsupported);
  EXPECT_EQ(refusal(), Error::kUnsupported);
}

TEST_F(IndexTest, AFileThatWasCutShortIsRefused) {
  open();
  for (int i = 0; i < 50; ++i) put("/" + std::to_string(i), random_bytes(20'000));
  index_.reset();
  const auto size = std::filesystem::file_size(data_file());
  for (const auto cut :
       {size - 4096, size / 2, uintmax_t{8192}, uintmax_t{5000}, uintmax_t{100}, uintmax_t{0}}) {
    std::filesystem::resize_file(data_file(), cut);
    EXPECT_EQ(refusal(), Error::kCorrupt) << cut;
  }
}

TEST_F(IndexTest, AFileThatIsNotLmdbsIsRefused) {
  open();
  put("/a", "1");
  index_.reset();
  std::string bytes = slurp(data_file());
  std::fill_n(bytes.begin(), 8192, 'x');  // both meta pages
  spill(data_file(), bytes);
  EXPECT_EQ(refusal(), Error::kCorrupt);
}

TEST_F(IndexTest, WithoutItsFileAnIndexIsNewAndSaysSo) {
  open();
  put("/a", "1");
  index_.reset();
  std::filesystem::remove(data_file());
  EXPECT_TRUE(open().needs_rebuild());
  EXPECT_EQ(get("/a"), std::nullopt);
}

TEST_F(IndexTest, WithoutItsVersionRecordAnIndexIsNotOurs) {
  open();
  index_->apply({{Table::kMeta, "format", std::nullopt}});
  EXPECT_EQ(refusal(), Error::kCorrupt);
}

TEST_F(IndexTest, ARebuildIsNeededUntilSomebodySaysThatItIsDone) {
  EXPECT_TRUE(open().needs_rebuild());
  EXPECT_TRUE(open().needs_rebuild());
  index_->apply({{Table::kMeta, std::string(kRebuildKey), std::nullopt}});
  EXPECT_FALSE(open().needs_rebuild());
}

TEST_F(IndexTest, SamplesGoRoundAndEndWhereTheyBegan) {
  open();
  for (const char* key : {"a", "b", "c", "d"}) index_->apply({{Table::kBlobs, key, key}});
  EXPECT_TRUE(index_->sample(Table::kBlobs, "c", 10).empty());  // only what is committed
  index_->flush();
  std::string order;
  for (const auto& sample : index_->sample(Table::kBlobs, "c", 10)) order += sample.key + sample.payload;
  EXPECT_EQ(order, "ccddaabb");
  EXPECT_EQ(index_->sample(Table::kBlobs, "z", 10).size(), 4u);
  EXPECT_EQ(index_->sample(Table::kBlobs, "", 2).size(), 2u);
  EXPECT_TRUE(index_->sample(Table::kGrants, "x", 10).empty());
}

TEST_F(IndexTest, WhatCouldNotBeCommittedStaysVisibleAndIsCommittedLater) {
  open();
  put("/a", "old");
  ASSERT_TRUE(index_->flush());
  const std::string big = random_bytes(2 << 20);
  {
    const FullDisk full(std::filesystem::file_size(data_file()));
    put("/a", "new");
    put("/big", big);
    EXPECT_FALSE(index_->flush());
    EXPECT_EQ(get("/a"), "new");
    EXPECT_EQ(get("/big"), big);
    put("/a", "newer");
    EXPECT_FALSE(index_->flush());
  }
  EXPECT_TRUE(index_->flush());
  open();
  EXPECT_EQ(get("/a"), "newer");
  EXPECT_EQ(get("/big"), big);
}

TEST_F(IndexTest, WhoCannotWriteForTooLongForgetsNamesAndNeitherErasesNorPurges) {
  open();
  put("/erased", "old");
  put("/written", "old");
  index_->apply({{Table::kBlobs, "blob", "old"}});
  ASSERT_TRUE(index_->flush());
  {
    const FullDisk full(std::filesystem::file_size(data_file()));
    index_->apply({{Table::kResponses, "/erased", std::nullopt}, {Table::kMeta, "purge", "it"}});
    index_->apply({{Table::kResponses, "/written", "new"}, {Table::kBlobs, "blob", "new"}});
    const std::string big = random_bytes(8 << 20);
    for (int i = 0; i <= 32; ++i) put("/big" + std::to_string(i), big);
    EXPECT_FALSE(index_->flush());
    EXPECT_TRUE(told("records are dropped"));
  }
  ASSERT_TRUE(index_->flush());
  open();
  EXPECT_FALSE(get("/erased"));
  EXPECT_FALSE(get("/written")) << "the older one would be found again";
  EXPECT_FALSE(get("/big0"));
  EXPECT_EQ(index_->get(Table::kMeta, "purge"), "it");
  EXPECT_EQ(index_->get(Table::kBlobs, "blob"), "old");
}

TEST_F(IndexTest, WhatIsForgottenIsBoundedAsWell) {
  open();
  put("/small", "old");
  ASSERT_TRUE(index_->flush());
  {
    const FullDisk full(std::filesystem::file_size(data_file()));
    index_->apply({{Table::kResponses, "/small", std::nullopt}, {Table::kMeta, "purge", "it"}});
    for (int i = 0; i < 257; ++i) put(std::string(1 << 20, 'x') + std::to_string(i), "long name");
    EXPECT_FALSE(index_->flush());
    EXPECT_EQ(get("/small"), "old") << "too much waits: it is remembered no longer that this was erased";
  }
  ASSERT_TRUE(index_->flush());
  EXPECT_EQ(index_->get(Table::kMeta, "purge"), "it");
}

TEST_F(IndexTest, ManyThreadsApplyAndRead) {
  options_.commit_interval = 1ms;
  open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 300; ++i) {
        const std::string key = "/" + std::to_string(t) + "/" + std::to_string(i % 50);
        put(key, std::to_string(i));
        EXPECT_EQ(get(key), std::to_string(i));
        if (i % 100 == 0) {
          EXPECT_TRUE(index_->flush());
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  open();
  EXPECT_EQ(get("/3/49"), "299");
}

}  // namespace
}  // namespace entrepot::cache
