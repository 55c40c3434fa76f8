// Room: max_size, min_free, who goes first, and what becomes of those who read.
#include <sys/statvfs.h>

#include "tests/cache/store_fixture.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kRoom = 2 * kMiB;
constexpr size_t kSize = 200 * kKiB;

class Eviction : public StoreTest {
 protected:
  Eviction() { options_.max_size_bytes = kRoom; }
  static std::string content(int i) { return random_bytes(kSize, static_cast<uint32_t>(i + 100)); }
  static std::string text(int i) { return "/" + std::to_string(i); }
  // Writes into the index when a blob was last asked for.
  void set_recency(const std::string& of, uint32_t minutes) {
    const auto index = index_alone();
    const std::string key = BlobKey::of(sha256(bytes_of(of))).key();
    const auto payload = index->get(Table::kBlobs, key);
    ASSERT_TRUE(payload);
    auto record = BlobRecord::decode(*payload);
    ASSERT_TRUE(record);
    record->recency = minutes;
    index->apply({{Table::kBlobs, key, record->encode()}});
  }
  uint64_t taken() const { return store_->stats().bytes; }
  uint64_t on_disk() const {
    uint64_t bytes = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(options_.path + "/blobs"))
      if (file.is_regular_file()) bytes += file.file_size();
    return bytes;
  }
};

TEST_F(Eviction, WhatIsLargerThanTheStoreIsRefusedAtOnce) {
  open();
  EXPECT_EQ(store_->reserve(kRoom + 1).error(), Error::kNoSpace);
  EXPECT_TRUE(store_->reserve(kRoom));
  store_->release(kRoom);
}

TEST_F(Eviction, KeepsUnderMaxSizeWhateverComes) {
  open();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(put(text(i), content(i))) << i;
    EXPECT_LE(taken(), kRoom);
    EXPECT_EQ(bytes_stored(text(i)), content(i));
  }
  EXPECT_GE(store_->stats().evicted_blobs, 40 - kRoom / kSize);
  EXPECT_EQ(store_->stats().evicted_bytes, store_->stats().evicted_blobs * kSize);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Eviction, GivesTheDisksRoomBack) {
  open();
  std::vector<std::weak_ptr<Blob>> readers;
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(put(text(i), content(i)));
    readers.push_back(blob_of(text(i)));  // it stays open in the store, not with us
  }
  EXPECT_TRUE(eventually([&] { return on_disk() <= kRoom; }));
  size_t open_blobs = 0;
  for (const auto& reader : readers) open_blobs += reader.expired() ? 0 : 1;
  EXPECT_LE(open_blobs, kRoom / kSize);
}

TEST_F(Eviction, AReaderGoesOnWithWhatIsEvicted) {
  open();
  ASSERT_TRUE(put("/read", content(0)));
  const auto blob = blob_of("/read");
  for (int i = 1; i < 40; ++i) ASSERT_TRUE(put(text(i), content(i)));
  ASSERT_TRUE(store_->reserve(kRoom));
  store_->release(kRoom);
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(file_of(content(0))); }));
  EXPECT_EQ(read_all(*blob), content(0));
}

TEST_F(Eviction, WhatIsEvictedIsRetiredAndItsNameRefills) {
  open();
  ASSERT_TRUE(put("/read", content(0), "pinned"));
  const auto blob = blob_of("/read");
  store_->flush();
  ASSERT_TRUE(store_->reserve(kRoom));  // all has to go
  store_->release(kRoom);
  EXPECT_TRUE(blob->retired());
  EXPECT_EQ(read_all(*blob), content(0));
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(file_of(content(0))); }));
  const auto stored = store_->lookup(name("/read"));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->blob, nullptr);
  EXPECT_EQ(stored->metadata, "pinned");
  EXPECT_EQ(stored->digest, sha256(bytes_of(content(0))));
  EXPECT_TRUE(store_->has_grant("space", sha256(bytes_of(content(0)))));
  ASSERT_TRUE(put("/read", content(0)));
  EXPECT_NE(blob_of("/read"), blob);
  EXPECT_EQ(bytes_stored("/read"), content(0));
}

TEST_F(Eviction, TheLeastRecentlyAskedForGoesFirst) {
  open();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(put(text(i), content(i)));
  close();
  for (int i = 0; i < 8; ++i) set_recency(content(i), static_cast<uint32_t>(1000 + i));
  open();
  ASSERT_TRUE(store_->reserve(kRoom / 2));
  EXPECT_TRUE(eventually([&] { return taken() <= kRoom / 100 * 85 - kRoom / 2; }));
  store_->flush();
  const int left = static_cast<int>(store_->stats().blobs);
  ASSERT_GT(left, 0);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(blob_of(text(i)) != nullptr, i >= 8 - left) << i;
  store_->release(kRoom / 2);
}

TEST_F(Eviction, WhatWasTouchedStays) {
  open();
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(put(text(i), content(i)));
  close();
  for (int i = 0; i < 8; ++i) set_recency(content(i), static_cast<uint32_t>(1000 + i));
  open();
  store_->touch(*blob_of("/0"));
  ASSERT_TRUE(store_->reserve(kRoom / 2));
  EXPECT_TRUE(eventually([&] { return taken() <= kRoom / 100 * 85 - kRoom / 2; }));
  EXPECT_NE(blob_of("/0"), nullptr);
  EXPECT_EQ(blob_of("/1"), nullptr);
  store_->release(kRoom / 2);
}

TEST_F(Eviction, ATouchIsRememberedAcrossAReopen) {
  open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(put(text(i), content(i)));
  close();
  for (int i = 0; i < 3; ++i) set_recency(content(i), 1000);
  open();
  store_->touch(*blob_of("/1"));
  close();
  const auto index = index_alone();
  const auto recency = [&](int i) {
    return BlobRecord::decode(*index->get(Table::kBlobs, BlobKey::of(sha256(bytes_of(content(i)))).key()))
        ->recency;
  };
  EXPECT_EQ(recency(0), 1000u);
  EXPECT_GE(recency(1), minutes_now() - 5);
}

TEST_F(Eviction, WhatWasStoredSinceTheLastCommitCanGo) {
  open();  // commits only when asked
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(put(text(i), content(i)));
  EXPECT_TRUE(store_->reserve(kRoom));
  store_->release(kRoom);
  EXPECT_EQ(store_->stats().blobs, 0u);
}

TEST_F(Eviction, APartialBlobGoesWhole) {
  open();
  save_partial("/partial", random_bytes(kMiB), 8);
  store_->flush();
  ASSERT_TRUE(store_->reserve(kRoom));
  store_->release(kRoom);
  EXPECT_EQ(store_->lookup(name("/partial")), std::nullopt);
  EXPECT_EQ(store_->stats().partial_bytes, 0u);
  EXPECT_TRUE(eventually([&] { return files_in(options_.path + "/partial") == 0; }));
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Eviction, APartialBlobThatAFillIsWorkingOnStays) {
  open();
  save_partial("/partial", large_, 1);
  store_->flush();
  const auto claimed = store_->claim(name("/partial"));
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(put(text(i), content(i)));
  ASSERT_TRUE(claimed.fill->set_head(head_of(large_)));
  EXPECT_EQ(claimed.fill->arrived_bytes(), kChunkBytes);
  ASSERT_TRUE(claimed.fill->write(kChunkBytes, bytes_of(large_).subspan(kChunkBytes)));
  ASSERT_TRUE(claimed.fill->finish());
  EXPECT_EQ(bytes_stored("/partial"), large_);
}

TEST_F(Eviction, AnOldPartialBlobDoesNotTakeItsNameAlong) {
  open();
  save_partial("/a", random_bytes(kMiB), 8);
  const auto claimed = store_->claim(name("/a"), false);  // begins anew
  ASSERT_TRUE(claimed.fill->set_head(head_of(small_)) && claimed.fill->write(0, bytes_of(small_)) &&
              claimed.fill->finish());
  store_->flush();
  ASSERT_EQ(store_->stats().blobs, 2u);
  ASSERT_TRUE(store_->reserve(kRoom));
  store_->release(kRoom);
  ASSERT_EQ(store_->stats().blobs, 0u);
  const auto stored = store_->lookup(name("/a"));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->digest, sha256(bytes_of(small_)));
}

TEST_F(Eviction, RoomIsKeptFreeOnTheFileSystem) {
  struct statvfs fs {};
  ASSERT_EQ(::statvfs(folder_.path().c_str(), &fs), 0);
  open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(put(text(i), content(i)));
  store_->flush();
  options_.min_free_bytes = static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize * 2;  // can never be had
  open();
  EXPECT_EQ(store_->reserve(1).error(), Error::kNoSpace);
  EXPECT_EQ(store_->stats().blobs, 0u);  // it tried
}

TEST_F(Eviction, NobodyGoesForRoomThatReservationsTake) {
  open();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(put(text(i), content(i)));
  store_->flush();
  const uint64_t rest = kRoom - 4 * kSize;
  ASSERT_TRUE(store_->reserve(rest));
  EXPECT_EQ(store_->reserve(5 * kSize).error(), Error::kNoSpace);
  EXPECT_EQ(store_->stats().blobs, 2u);  // down to the low water mark, no further
  store_->release(rest);
}

TEST_F(Eviction, ALargeBlobGetsRoomInAStoreThatIsHalfFull) {
  open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(put(text(i), content(i)));
  store_->flush();
  ASSERT_TRUE(put("/large", random_bytes(kRoom - kMiB / 2)));
  EXPECT_LE(taken(), kRoom);
  EXPECT_GE(store_->stats().evicted_blobs, 3u);
}

TEST_F(Eviction, WhoWaitsForRoomGetsWhatAnotherGivesBack) {
  open();
  ASSERT_TRUE(store_->reserve(kRoom));
  std::thread waiter([this] {
    EXPECT_TRUE(store_->reserve(kMiB));
    store_->release(kMiB);
  });
  store_->release(kRoom);
  waiter.join();
}

TEST_F(Eviction, FourThreadsNeverTakeMoreThanMaxSize) {
  options_.commit_interval = std::chrono::milliseconds(5);
  open();
  std::atomic<uint64_t> reserved{0}, most{0};
  std::atomic<bool> ended{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const int id = t * 100 + i;
        const std::string body = content(id);
        ASSERT_TRUE(store_->reserve(kSize));
        const uint64_t now = reserved.fetch_add(kSize) + kSize;
        for (uint64_t before = most; before < now && !most.compare_exchange_weak(before, now);) continue;
        reserved.fetch_sub(kSize);
        store_->release(kSize);
        EXPECT_TRUE(put(text(id), body));
      }
    });
  }
  std::thread watcher([&] {
    while (!ended) EXPECT_LE(taken(), kRoom);
  });
  for (auto& thread : threads) thread.join();
  ended = true;
  watcher.join();
  EXPECT_LE(most, kRoom);
  close();
  Walk(options_.path).expect_consistent();
}

TEST_F(Eviction, FillsEvictionsAndReadersAtOnceNeverGiveAWrongByte) {
  options_.commit_interval = std::chrono::milliseconds(1);
  open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 60; ++i) {
        const int id = (i * 7 + t * 3) % 20;  // twice of what has room
        if (const auto blob = blob_of(text(id))) {
          EXPECT_EQ(read_all(*blob), content(id));
        } else {
          put(text(id), content(id));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(store_->stats().evicted_blobs, 0u);
  close();
  Walk(options_.path).expect_consistent();
}

}  // namespace
}  // namespace entrepot::cache
