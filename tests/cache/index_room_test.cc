// An index that is as large as it may become: nothing is stuck, erases make room, what is there stays.
#include "tests/cache/index_fixture.h"
#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

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
      if (!index_->flush()) return i;
    }
  }
};

TEST_F(IndexRoom, TheMapGrowsToItsLimitAndSaysSo) {
  open();
  const int stored = fill();
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

// Records that come and go in one transaction leave pages that were never written.
TEST_F(IndexRoom, AFileThatLacksOnlyFreePagesIsSound) {
  open();
  put("/a", "1");
  index_.reset();
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  ASSERT_EQ(mdb_env_create(&env), 0);
  ASSERT_EQ(mdb_env_set_maxdbs(env, 8), 0);
  ASSERT_EQ(mdb_env_open(env, options_.path.c_str(), 0, 0600), 0);
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
  ASSERT_EQ(mdb_dbi_open(txn, "grants", 0, &dbi), 0);
  for (const bool erase : {false, true}) {
    for (uint32_t i = 0; i < 2000; ++i) {
      MDB_val k{sizeof(i), &i}, v{options_.path.size(), options_.path.data()};
      ASSERT_EQ(erase ? mdb_del(txn, dbi, &k, nullptr) : mdb_put(txn, dbi, &k, &v, 0), 0);
    }
  }
  ASSERT_EQ(mdb_txn_commit(txn), 0);
  MDB_envinfo info{};
  ASSERT_EQ(mdb_env_info(env, &info), 0);
  mdb_env_close(env);
  ASSERT_LT(std::filesystem::file_size(data_file()), (info.me_last_pgno + 1) * 4096);
  open();
  EXPECT_EQ(get("/a"), "1");
  put("/b", payload(1));
  EXPECT_TRUE(index_->flush());
  EXPECT_EQ(get("/b"), payload(1));
}

TEST_F(StoreTest, AFullIndexEvictsAndGoesOn) {
  options_.map_size_bytes = 1 << 20;
  options_.max_map_size_bytes = 4 << 20;
  const auto content = [](uint32_t i) { return random_bytes(10'000, i); };  // inline
  open();
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(put("/" + std::to_string(i), content(i)));
    if (i % 50 == 49) store_->flush();
  }
  EXPECT_TRUE(told("the index is full"));
  EXPECT_TRUE(eventually([&] { return store_->flush(), store_->stats().bytes < (4u << 20); }));
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
