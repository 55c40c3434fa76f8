// An index that is as large as it may become: nothing is stuck, erases make room, what is there stays.
#include <chrono>
#include <cstdio>

#include "tests/cache/index_fixture.h"
#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

using std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
constexpr Seconds kMakesRoomWithin{5.0};

class IndexRoom : public IndexTest {
 protected:
  static constexpr size_t kRecord = 100'000;
  IndexRoom() {
    options_.map_size_bytes = 1 << 20;
    options_.max_map_size_bytes = 4 << 20;
  }
  static std::string payload(int i) { return random_bytes(kRecord, static_cast<uint32_t>(i)); }
  static std::string key(int i) { return "/" + std::to_string(i); }
  // Stores until no more is committed. Returns how many were.
  int fill() {
    for (int i = 0;; ++i) {
      put(key(i), payload(i));
      const auto began = steady_clock::now();
      const bool committed = index_->flush();
      slowest_ = std::max<Seconds>(slowest_, steady_clock::now() - began);
      if (!committed) return i;
    }
  }
  Seconds slowest_{};  // commit of fill(): those that make the map grow are among them
};

TEST_F(IndexRoom, TheMapGrowsToItsLimitAndSaysSo) {
  open();
  const int stored = fill();
  std::printf("the map grows within %.3f s\n", slowest_.count());
  EXPECT_LE(slowest_, kMakesRoomWithin);
  EXPECT_TRUE(told("the index outgrew its map, which is 1 MiB now"));
  EXPECT_TRUE(told("the index outgrew its map, which is 4 MiB now"));
  EXPECT_TRUE(told("of the 4 MiB that it may take"));
  EXPECT_TRUE(told("the index is full (4 MiB): what is new waits until something is evicted"));
  EXPECT_GT(stored, 30);
  EXPECT_LE(std::filesystem::file_size(data_file()), 4u << 20);
  for (int i = 0; i <= stored; ++i) EXPECT_EQ(get(key(i)), payload(i));
}

// LMDB by itself would commit five of them.
TEST_F(IndexRoom, EveryEraseIsCommittedWhenTheMapIsFull) {
  open();
  const int stored = fill();
  const uint64_t commits = stats_.commits;
  for (int i = 0; i < 10; ++i) put("/waits/" + std::to_string(i), payload(1000 + i));
  for (int i = 0; i < stored - 2; ++i) {
    index_->apply({{Table::kResponses, key(i), std::nullopt}});
    index_->flush();
  }
  EXPECT_GE(stats_.commits, commits + static_cast<uint64_t>(stored) - 2);
  EXPECT_TRUE(index_->flush());
  options_.max_map_size_bytes = 64 << 20;
  open();
  for (int i = 0; i < stored - 2; ++i) EXPECT_EQ(get(key(i)), std::nullopt) << i;
  EXPECT_EQ(get(key(stored - 1)), payload(stored - 1));
  EXPECT_EQ(get(key(stored)), payload(stored));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/waits/" + std::to_string(i)), payload(1000 + i));
}

TEST_F(IndexRoom, WhoeverIsAskedForRoomIsAskedWhileItIsFullOnly) {
  int asked = 0;
  options_.on_full = [&] { ++asked; };
  open();
  fill();
  EXPECT_EQ(asked, 1);
  for (int i = 0; i < 10; ++i) index_->apply({{Table::kResponses, key(i), std::nullopt}});
  index_->flush();
  EXPECT_TRUE(index_->flush());
  put("/a", "1");
  EXPECT_TRUE(index_->flush());
  EXPECT_LE(asked, 2);
}

// What was at the file's end is free by now, and could as well never have been written.
TEST_F(IndexRoom, AFileThatLacksOnlyFreePagesIsSound) {
  open();
  put("/big", payload(1));
  ASSERT_TRUE(index_->flush());
  index_->apply({{Table::kResponses, "/big", std::nullopt}});
  for (int i = 0; i < 8; ++i) {
    put("/a", std::to_string(i));
    ASSERT_TRUE(index_->flush());
  }
  index_.reset();
  std::filesystem::resize_file(data_file(), std::filesystem::file_size(data_file()) - 4096);
  ASSERT_TRUE(Index::open(options_));
  open();
  EXPECT_EQ(get("/a"), "7");
  put("/b", payload(2));
  EXPECT_TRUE(index_->flush());
  EXPECT_EQ(get("/b"), payload(2));
}

TEST_F(StoreTest, AFullIndexEvictsAndGoesOn) {
  options_.map_size_bytes = 1 << 20;
  options_.max_map_size_bytes = 4 << 20;
  const auto content = [](uint32_t i) { return random_bytes(10'000, i); };  // inline
  bool was_full = false;
  Seconds slowest{};
  const auto is_committed = [&] {
    store_->flush();
    const bool failed = told("the last commit of the index failed");
    was_full = was_full || told("the index is full");
    const std::lock_guard lock(events_mutex_);
    events_.clear();
    return !failed;
  };
  open();
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(put("/" + std::to_string(i), content(i)));
    if (i % 50 == 49) {
      const auto began = steady_clock::now();
      ASSERT_TRUE(eventually(is_committed)) << i;
      slowest = std::max<Seconds>(slowest, steady_clock::now() - began);
    }
  }
  std::printf("a full index takes what is new within %.3f s\n", slowest.count());
  EXPECT_LE(slowest, kMakesRoomWithin);
  EXPECT_TRUE(was_full);
  EXPECT_GT(store_->stats().evicted_blobs, 0u);
  for (uint32_t i = 0; i < 1000; ++i) {
    const auto bytes = bytes_stored("/" + std::to_string(i));
    EXPECT_TRUE(bytes.empty() || bytes == content(i)) << i;
  }
  ASSERT_TRUE(put("/last", small_));
  store_->flush();
  EXPECT_EQ(bytes_stored("/last"), small_);
  close();
  Walk(options_.path).expect_consistent();
}

}  // namespace
}  // namespace entrepot::cache
